"""Detectors of strange rows: each against another way to compute it, and from a file of a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from tunewright.kinds.classify import Classify
from tunewright.runtime.scope import BY_VECTORS, FLOORS, KEPT, Scope, strangeness
from tunewright.train.detector import Seen, kept

KIND = Classify(("a", "b", "c"), 1.7)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def drawn(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Vectors around three centres, their classes, and logits."""
    draw = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    vectors = unit(2 * np.eye(8)[truth] + 0.5 * draw.normal(size=(n, 8)))
    return vectors, truth, (4 * vectors[:, :3] + draw.normal(0, 0.3, (n, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def train() -> Seen:
    return Seen(*drawn(90)[:2])


def test_probability_and_energy() -> None:
    vectors, _, logits = drawn(20, 1)
    proba = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum(1, keepdims=True)
    assert strangeness("probability", KIND, logits, None, {}) == pytest.approx(1 - proba.max(1), abs=1e-6)
    assert strangeness("energy", KIND, logits, vectors, {}) == pytest.approx(-logsumexp(logits, axis=1), abs=1e-5)


def test_nearest_is_the_cosine_distance_to_the_nearest_of_few_means(train: Seen) -> None:
    vectors, _, logits = drawn(20, 1)
    arrays = kept("nearest", train, KIND, logits, vectors, 0)
    assert arrays["rows"].shape == (30, 8)
    assert arrays["rows"].dtype == np.float16
    lengths = np.linalg.norm(arrays["rows"].astype(float), axis=1)
    assert lengths == pytest.approx(1, abs=2e-3)
    search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(arrays["rows"].astype(np.float64))
    wanted = search.kneighbors(vectors.astype(np.float64))[0][:, 0]
    assert strangeness("nearest", KIND, logits, vectors, arrays) == pytest.approx(wanted, abs=2e-3)


def test_mahalanobis_is_the_distance_to_a_class_less_that_to_all_rows(train: Seen) -> None:
    vectors, _, logits = drawn(20, 1)
    arrays = kept("mahalanobis", train, KIND, logits, vectors, 0)
    centres = np.stack([train.vectors[train.truth == at].mean(0) for at in range(3)]).astype(np.float64)
    within = LedoitWolf(assume_centered=True).fit(train.vectors - centres[train.truth]).precision_
    around = LedoitWolf(assume_centered=True).fit(train.vectors - train.vectors.mean(0)).precision_
    to_class = cdist(vectors, centres, "mahalanobis", VI=within).min(1) ** 2
    to_all = cdist(vectors, train.vectors.mean(0)[None], "mahalanobis", VI=around)[:, 0] ** 2
    assert strangeness("mahalanobis", KIND, logits, vectors, arrays) == pytest.approx(
        to_class - to_all, rel=1e-3, abs=1e-2
    )


def test_combined_adds_both_in_units_of_their_spread(train: Seen) -> None:
    vectors, _, logits = drawn(50, 1)
    arrays = kept("combined", train, KIND, logits, vectors, 0)
    pair = [strangeness(one, KIND, logits, vectors, arrays) for one in ("probability", "nearest")]
    logs = np.stack([np.log(one + floor) for one, floor in zip(pair, FLOORS, strict=True)], 1)
    wanted = ((logs - logs.mean(0)) / logs.std(0)).sum(1)
    assert strangeness("combined", KIND, logits, vectors, arrays) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("detector", ["probability", "energy", "nearest", "mahalanobis", "combined"])
def test_each_finds_rows_of_another_direction_stranger(train: Seen, detector: str) -> None:
    vectors, _, logits = drawn(60, 1)
    draw = np.random.default_rng(2)
    strange = unit(2 * np.eye(8)[[6] * 60] + 0.5 * draw.normal(size=(60, 8)))
    arrays = kept(detector, train, KIND, logits, vectors, 0)
    ours = strangeness(detector, KIND, logits, vectors, arrays)
    theirs = strangeness(detector, KIND, 4 * strange[:, :3], strange, arrays)
    assert (theirs[:, None] > ours[None]).mean() > 0.95


def test_a_scope_is_read_from_its_file_and_turns_away_what_lies_above_its_threshold(
    train: Seen, tmp_path: Path
) -> None:
    vectors, _, logits = drawn(40, 1)
    arrays = kept("nearest", train, KIND, logits, vectors, 0)
    np.savez(tmp_path / "scope.npz", **arrays)  # type: ignore[arg-type]
    scores = strangeness("nearest", KIND, logits, vectors, arrays)
    scope = Scope.load({"detector": "nearest", "threshold": np.median(scores), "file": "scope.npz"}, tmp_path)
    assert scope.by_vectors
    assert scope.outside(KIND, logits, vectors).tolist() == (scores > np.median(scores)).tolist()
    assert scope.outside(KIND, logits, vectors).sum() == 20
    assert not Scope.load({"detector": "energy", "threshold": 0.0, "file": ""}, tmp_path).by_vectors


@pytest.mark.parametrize("detector", BY_VECTORS)
def test_what_is_read_has_the_form_that_it_is_computed_in_and_says_the_same(
    train: Seen, detector: str, tmp_path: Path
) -> None:
    vectors, _, logits = drawn(30, 3)
    arrays = kept(detector, train, KIND, logits, vectors, 0)
    np.savez(tmp_path / "scope.npz", **arrays)  # type: ignore[arg-type]
    scope = Scope.load({"detector": detector, "threshold": 0.0, "file": "scope.npz"}, tmp_path)
    wide = {name: np.dtype(np.float64 if name in KEPT else np.float32) for name in arrays}
    assert {name: one.dtype for name, one in scope.arrays.items()} == wide
    found = scope.strangeness(KIND, logits, vectors)
    assert found == pytest.approx(strangeness(detector, KIND, logits, vectors, arrays), rel=1e-9)


def test_a_file_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "scope.npz", rows=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Scope.load({"detector": "nearest", "threshold": 0.0, "file": "scope.npz"}, tmp_path)
