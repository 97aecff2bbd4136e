"""Masking from the task to the served bundle: what is masked changes no logit, in training or in serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.personal import PII
from tunewright.core.task import read_task
from tunewright.pipeline.explain import explain
from tunewright.train.learn import choose_backbone, masking

ONE = "my card 4111 1111 1111 1111 was stolen, write to ann@example.com"
OTHER = "my card 5500 0000 0000 0004 was stolen, write to bob.b@example.org"
MASKED = "my card <card> was stolen, write to <email>"
pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def rows(sample_rows: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    """Sample rows, each fifth with a number of its own in it."""
    given = sample_rows["support_train.csv"]
    texts = [row["text"] + (f" reach me at u{at}@example.com" if at % 5 == 0 else "") for at, row in enumerate(given)]
    return {"text": texts, "intent": [row["intent"] for row in given]}


@pytest.fixture(scope="module", params=["probe", "lexical", "blend"])
def masked(
    request: pytest.FixtureRequest,
    rows: dict[str, list[str]],
    tiny_backbone: Path,
    traced_once: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    settings = {
        "fit.backbone": str(tiny_backbone),
        "fit.method": request.param,
        "fit.threads": 1,
        "privacy.mask": "all",
    }
    out = tmp_path_factory.mktemp("masked") / request.param
    return tunewright.fit(rows, text="text", label="intent", out=out, settings=settings)


def test_the_served_bundle_reads_the_token(masked: Any) -> None:
    one, other, token = masked.logits([ONE, OTHER, MASKED])["intent"]
    np.testing.assert_array_equal(one, token)
    np.testing.assert_array_equal(other, token)
    assert not np.array_equal(one, masked.logits(["my card was stolen"])["intent"][0])


def test_a_bundle_without_it_tells_them_apart(tiny_bundle: Path) -> None:
    one, other = tunewright.load(tiny_bundle).logits([ONE, OTHER])["intent"]
    assert not np.array_equal(one, other)


def test_the_bundle_keeps_it_with_the_modality(masked: Any) -> None:
    settings = next(iter(read_manifest(masked.folder).modalities.values()))
    kept = [settings[name]["mask"] for name in ("text", "ngrams")] if "ngrams" in settings else [settings["mask"]]
    assert all(tuple(one) == PII for one in kept)


def test_what_is_explained_is_the_masked_text(masked: Any) -> None:
    (one,) = masked.explain([ONE])
    assert not any("4111" in piece.text or "ann" in piece.text for piece in one.pieces)
    assert "".join(piece.text for piece in one.pieces).replace(" ", "") == MASKED.replace(" ", "")
    found = explain(masked.folder, ONE)
    assert found.texts == {"text": MASKED}
    assert all(MASKED[piece.start : piece.end] == piece.text for piece in found.found[0].pieces)


def test_training_reads_the_token_too(make_context: Callable[..., Any]) -> None:
    """The windows that a method learns from, by the way that a fit takes its backbone."""
    context = make_context("classify", {"privacy.mask": ["email", "card"]})
    backbone, _ = choose_backbone(context.task, "en")
    one, other = (
        [piece.tolist() for piece in backbone.modality.windows([[text]]).data["input_ids"]] for text in (ONE, OTHER)
    )
    assert one == other


def test_inputs_that_are_no_texts_cannot_be_masked(make_context: Callable[..., Any]) -> None:
    backbone = make_context().backbone
    bare = type("Sound", (), {"windows": None})()
    strange = replace(backbone, modality=bare, modality_name="sound")
    with pytest.raises(TunewrightError, match="privacy.mask does not fit inputs that are sound"):
        masking(strange, ("email",))
    assert masking(strange, ()) is strange
    assert read_task(None, {})[0].privacy.mask == ()
