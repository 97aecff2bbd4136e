"""A committed bundle of every format version must load for ever, and answer as it did on the day it was made."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tunewright.core.bundle import FORMAT, read_manifest, verify
from tunewright.runtime.predictor import load

BUNDLES = Path(__file__).parent / "bundles"
VERSIONS = range(1, FORMAT + 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_whole(version: int) -> None:
    folder = BUNDLES / f"format-{version}"
    manifest = read_manifest(folder)
    verify(folder, manifest)
    assert manifest.format == version
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"bundle.json", *manifest.files, *manifest.run["files"]}
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 60_000


@pytest.mark.parametrize("version", VERSIONS)
def test_it_answers_as_it_always_did(version: int) -> None:
    told = json.loads((BUNDLES / f"format-{version}.json").read_text(encoding="utf-8"))
    predictor = load(BUNDLES / f"format-{version}")
    assert predictor.manifest.digest == told["digest"]
    answers = [asdict(answer) for answer in predictor.predict(told["inputs"], top=2)]
    assert len(answers) == len(told["answers"]) > 10
    for answer, expected in zip(answers, told["answers"], strict=True):
        assert answer.pop("score") == pytest.approx(expected.pop("score"), abs=1e-5)
        listed, wanted = answer.pop("candidates"), expected.pop("candidates")
        assert [one["label"] for one in listed] == [one["label"] for one in wanted]
        assert [one["score"] for one in listed] == pytest.approx([one["score"] for one in wanted], abs=1e-5)
        assert answer == expected
    lengths = np.linalg.norm(predictor.embed(told["inputs"][:5]), axis=1)
    assert lengths == pytest.approx(1, abs=1e-5)


def test_every_committed_bundle_is_tried() -> None:
    assert sorted(path.name for path in BUNDLES.iterdir() if path.is_dir()) == [f"format-{one}" for one in VERSIONS]
