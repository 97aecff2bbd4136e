"""The drift reference: what it holds for each kind, as plain numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.train.reference import QUANTILES, reference

COST = np.arange(1, 102)
EMBEDDINGS = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
LOGITS = np.random.default_rng(1).normal(size=(101, 2)).astype(np.float32)


def test_costs_and_embeddings() -> None:
    found = reference(COST, LOGITS, EMBEDDINGS, Classify(("a", "b")))
    assert found["rows"] == 101
    np.testing.assert_allclose(found["cost_quantiles"], 1 + 100 * QUANTILES)
    np.testing.assert_allclose(found["embedding_mean"], EMBEDDINGS.mean(0), atol=1e-5)
    np.testing.assert_allclose(found["embedding_deviation"], EMBEDDINGS.std(0), atol=1e-5)
    json.dumps(found, allow_nan=False)


def test_classify_has_shares_that_sum_to_one_and_scores() -> None:
    found = reference(COST, LOGITS, EMBEDDINGS, Classify(("a", "b")))
    assert sum(found["label_shares"].values()) == pytest.approx(1, abs=1e-5)
    assert found["label_shares"]["a"] == pytest.approx((LOGITS[:, 0] > LOGITS[:, 1]).mean(), abs=1e-5)
    assert found["score_quantiles"] == sorted(found["score_quantiles"])
    assert found["score_quantiles"][0] >= 0.5


def test_multilabel_has_the_share_of_each_label() -> None:
    found = reference(COST, LOGITS, EMBEDDINGS, Multilabel(("a", "b"), (0.5, 0.5)))
    shares = (LOGITS >= 0).mean(0).tolist()
    assert found["label_shares"] == pytest.approx({"a": shares[0], "b": shares[1]}, abs=1e-5)


def test_regress_has_quantiles_of_its_values() -> None:
    found = reference(COST, LOGITS[:, :1], EMBEDDINGS, Regress(10.0, 2.0))
    np.testing.assert_allclose(found["value_quantiles"], np.quantile(LOGITS[:, 0] * 2 + 10, QUANTILES), atol=1e-5)
    assert "label_shares" not in found


def test_rows_of_different_lengths_and_no_rows_at_all() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros((2, 3)), np.zeros((1, 3))]
    assert set(reference(COST, ragged, EMBEDDINGS, Classify(("a", "b")))) == {
        "rows", "cost_quantiles", "embedding_mean", "embedding_deviation"}  # fmt: skip
    none = reference(COST[:0], LOGITS[:0], EMBEDDINGS[:0], Classify(("a", "b")))
    assert none == {"rows": 0, "cost_quantiles": [], "embedding_mean": [], "embedding_deviation": []}
