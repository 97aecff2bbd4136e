"""The blend: its factors against a search by hand, its logits against its parts, its bundle against what was fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError
from tunewright.methods import blend, full, lexical, probe
from tunewright.train.hand_over import to_hf
from tunewright.train.outputs import frozen

Make = Callable[..., Any]


def cross_entropy(logits: Any, truth: Any) -> Any:
    return -log_softmax(logits, -1)[np.arange(len(truth)), truth]


@pytest.fixture
def rows() -> tuple[Any, Any]:
    """200 rows of 3 classes; what the first says is worth three times as much as what the second does."""
    draws = np.random.default_rng(0)
    truth = draws.integers(3, size=200)
    right = np.eye(3)[truth]
    return np.stack([right * share + draws.normal(size=(200, 3)) for share in (1.5, 0.5)]), truth


def test_factors_are_those_of_the_least_loss(rows: tuple[Any, Any]) -> None:
    logits, truth = rows
    found = blend.best_factors(logits, truth, cross_entropy)
    grid = np.arange(0, 4, 0.05)
    tried = [(cross_entropy(a * logits[0] + b * logits[1], truth).mean(), a, b) for a in grid for b in grid]
    np.testing.assert_allclose(found, min(tried)[1:], atol=0.06)
    assert found[0] > 2 * found[1]


def test_what_knows_nothing_counts_nothing(rows: tuple[Any, Any]) -> None:
    logits, truth = rows
    wrong = np.stack([logits[0], -logits[0]])
    factors = blend.best_factors(wrong, truth, cross_entropy)
    assert blend.blended(factors, wrong).argmax(-1).tolist() == logits[0].argmax(-1).tolist()
    assert (factors >= 0).all()
    assert blend.best_factors(logits[:, :0], truth[:0], cross_entropy).tolist() == [1, 1]


def test_a_row_is_judged_by_factors_that_did_not_see_it(rows: tuple[Any, Any]) -> None:
    logits, truth = rows
    one = blend.out_of_fold(logits, truth, cross_entropy, seed=1)
    changed = truth.copy()
    changed[7] = (truth[7] + 1) % 3
    other = blend.out_of_fold(logits, changed, cross_entropy, seed=1)
    np.testing.assert_array_equal(one[7], other[7])
    assert not np.array_equal(one, other), "rows of other folds are judged by factors that did"


@pytest.mark.parametrize("kind", ["classify", "multilabel", "regress"])
def test_its_logits_are_the_weighted_sum_of_both(kind: str, make_context: Make) -> None:
    context = make_context(kind, {"fit.max_tokens": 16}, intents=6)
    fitted = blend.fit(context)
    factors = fitted.facts["factors"]
    texts = [*context.parts["validation"].inputs["text"][:9], "", "where is my parcel? " * 12]
    expected = sum(
        factors[one.method] * logits_of(context, one, texts) for one in (probe.fit(context), lexical.fit(context))
    )
    np.testing.assert_allclose(logits_of(context, fitted, texts), expected, atol=2e-4, rtol=1e-4)
    scores = context.kind.row_score(fitted.validation_logits, context.validation.truth)
    assert fitted.facts["out_of_fold"] == pytest.approx(scores.mean(), abs=0.2, rel=0.2)
    assert fitted.refit is not None
    again = fitted.refit()
    assert again.facts["factors"] == factors
    np.testing.assert_array_equal(again.validation_logits, fitted.validation_logits)
    assert np.abs(logits_of(context, again, texts) - logits_of(context, fitted, texts)).max() > 1e-4


def test_what_a_ladder_has_fitted_is_what_is_blended(make_context: Make) -> None:
    context = make_context("classify", {"fit.epochs": 1}, intents=6)
    context.words, context.start = lexical.fit(context), probe.fit(context)
    context.dense = full.fit(context)
    fitted = blend.fit(context)
    factors = fitted.facts["factors"]
    assert set(factors) == {"full", "lexical"}
    assert fitted.facts["trained"] == context.dense.facts
    texts = context.parts["validation"].inputs["text"][:9]
    expected = sum(factors[one.method] * logits_of(context, one, texts) for one in (context.dense, context.words))
    np.testing.assert_allclose(logits_of(context, fitted, texts), expected, atol=2e-4, rtol=1e-4)
    assert fitted.refit is not None
    again = fitted.refit()
    assert again.encoder.encoder is context.dense.encoder, "what was trained by gradient stays as it is"
    assert again.encoder.words_alone is not context.words.encoder


def test_the_shares_rest_on_cross_validated_training_rows_too(make_context: Make) -> None:
    context = make_context("classify", {}, intents=6)
    dense, words = probe.fit(context), lexical.fit(context)
    assert dense.crossed is not None
    assert words.crossed is not None
    both = blend.shares_of(context, dense, words)
    assert both.crossed is not None
    np.testing.assert_array_equal(both.crossed.rows, dense.crossed.rows)
    assert both.crossed.logits.shape == dense.crossed.logits.shape
    assert both.apart.shape == both.validation_logits.shape == dense.validation_logits.shape
    alone = blend.shares_of(context, dense, replace(words, crossed=None))
    assert alone.crossed is None
    assert not np.allclose(alone.factors, both.factors)
    other = replace(words.crossed, rows=words.crossed.rows[::-1])
    assert blend.shares_of(context, dense, replace(words, crossed=other)).crossed is None


def logits_of(context: Any, fitted: Any, texts: list[str]) -> Any:
    modality = (fitted.backbone or context.backbone).modality
    windows = modality.windows([texts])
    return context.kind.gather(frozen(fitted.encoder, fitted.head, modality, windows, context.device), windows)


def test_it_ships_without_torch_in_one_graph(tiny_backbone: Path, tmp_path: Path) -> None:
    own = {"fit.backbone": str(tiny_backbone), "fit.method": "blend", "fit.threads": 1}
    out = tmp_path / "blend"
    test = samples.path("support_test.csv")
    tunewright.fit(samples.path("support_train.csv"), test=test, text="text", label="intent", out=out, settings=own)
    predictor = tunewright.load(out)
    manifest = predictor.manifest
    assert manifest.inputs == {"text": "text_ngrams"}
    assert manifest.run["export"]["largest_difference"] < 1e-3
    assert set(manifest.method["factors"]) == {"probe", "lexical"}
    assert len(predictor.predict(["where is my parcel?", ""])) == 2
    assert torch.isfinite(torch.from_numpy(predictor.embed(["thanks"]))).all()
    with pytest.raises(TunewrightError, match="has no Hugging Face form → use --to onnx"):
        to_hf(out, tmp_path / "hf")
