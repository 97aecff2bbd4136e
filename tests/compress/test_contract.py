"""What every step promises: names of settings, and a copy that loads and answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.core import plugins
from tunewright.core.bundle import IN_ONE_PART, read_manifest, verify
from tunewright.runtime.predictor import Predictor

pytestmark = pytest.mark.usefixtures("traced_once")

TEXTS = ["my card was stolen", "where is my refund?", "I want to change my address"]


@pytest.mark.parametrize("step", plugins.names("compress"))
def test_each_setting_gives_a_bundle_that_answers_and_says_what_was_done(
    step: str, tiny_bundle: Path, tmp_path: Path, lessons: Callable[..., Lessons]
) -> None:
    plugin = plugins.load("compress", step)
    assert plugin.SETTINGS
    assert len(set(plugin.SETTINGS)) == len(plugin.SETTINGS)
    whole = Predictor.load(tiny_bundle, 1)
    learns = getattr(plugin, "LEARNS", False)
    start = Copy.of(tiny_bundle, tmp_path / "start", [TEXTS], lessons() if learns else None)
    for at, setting in enumerate(plugin.SETTINGS):
        copy = start.again(tmp_path / str(at))
        plugin.run(copy, setting)
        assert copy.notes
        copy.sealed(step, setting, whole.manifest.digest)
        manifest = read_manifest(copy.folder)
        verify(copy.folder, manifest)
        assert manifest.format == IN_ONE_PART
        (done,) = manifest.method["compressed"]
        assert done == {"step": step, "setting": setting, "from": whole.manifest.digest, "notes": copy.notes}
        assert manifest.metrics == {}
        named = {path for part in manifest.parts.values() for path in (part.file, *part.data)}
        assert {path for path in manifest.files if path.endswith((".onnx", ".safetensors"))} == named
        answers = Predictor.load(copy.folder, 1)
        for name, logits in answers.logits(TEXTS).items():
            expected = whole.logits(TEXTS)[name]
            assert logits.shape == expected.shape
            assert learns or np.abs(logits - expected).max() < 0.5 * expected.std(), setting


@pytest.mark.parametrize("step", plugins.names("compress"))
def test_the_same_bundle_gives_the_same_digest(
    step: str, tiny_bundle: Path, make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    plugin = plugins.load("compress", step)
    given = [lessons() if getattr(plugin, "LEARNS", False) else None for _ in range(2)]
    names = zip(("one", "other"), given, strict=True)
    digests = [make(step, plugin.SETTINGS[0], TEXTS, name, own).manifest.digest for name, own in names]
    assert digests[0] == digests[1]
    assert digests[0] != read_manifest(tiny_bundle).digest
