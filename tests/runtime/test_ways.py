"""The two ways to weigh pieces, against the reference library and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tunewright.runtime.ways import KERNEL_WIDTH, RIDGE, SAMPLES, kernel, linear, one_by_one, subsets


def test_occlusion_leaves_each_piece_out_once() -> None:
    kept = one_by_one(4, 0)
    assert kept[0].all()
    assert ((~kept[1:]).sum(0) == 1).all()
    assert ((~kept[1:]).sum(1) == 1).all()


@pytest.mark.parametrize("pieces", [1, 5, 8])
def test_few_pieces_every_subset_once(pieces: int) -> None:
    kept = subsets(pieces, 0)
    assert kept[0].all()
    assert len({tuple(row) for row in kept.tolist()}) == len(kept) == 2**pieces


def test_many_pieces_subsets_of_every_size_by_the_seed() -> None:
    kept = subsets(20, 3)
    assert kept.shape == (SAMPLES, 20)
    assert kept[0].all()
    assert not kept[1:].all(1).any()
    assert set((~kept[1:]).sum(1)) == set(range(1, 21))
    assert abs(kept[1:].mean(0) - kept[1:].mean()).max() < 0.1, "each piece as often as the others"
    assert np.array_equal(kept, subsets(20, 3))
    assert not np.array_equal(kept, subsets(20, 4))


def test_the_kernel_is_that_of_the_cosine_distance() -> None:
    kept = subsets(6, 0)
    whole = np.ones(6)
    for row, weight in zip(kept.astype(float), kernel(kept), strict=True):
        cosine = row @ whole / (np.linalg.norm(row) * np.linalg.norm(whole)) if row.any() else 0.0
        assert weight == pytest.approx(np.exp(-((1 - cosine) ** 2) / (2 * KERNEL_WIDTH**2)))


def test_the_linear_model_is_that_of_scikit_learn() -> None:
    kept = subsets(12, 1)
    scores = np.random.default_rng(0).normal(0, 1, len(kept)) + kept @ np.arange(12.0)
    weights = kernel(kept)
    wanted = Ridge(alpha=RIDGE * weights.sum()).fit(kept.astype(float), scores, sample_weight=weights)
    found, r2 = linear(kept, scores)
    assert found == pytest.approx(wanted.coef_, abs=1e-8)
    assert r2 == pytest.approx(wanted.score(kept.astype(float), scores, sample_weight=weights))


def test_r2_tells_a_sum_from_what_is_none() -> None:
    kept = subsets(8, 0)
    assert linear(kept, kept @ np.arange(8.0))[1] > 0.999
    parity = (kept.sum(1) % 2).astype(float)
    assert linear(kept, parity)[1] < 0.2
    assert linear(kept, np.ones(len(kept)))[1] == 1.0
