"""Pooling over real tokens only, and embeddings of length 1."""

from __future__ import annotations

import pytest
import torch

from tunewright.heads._pooled import POOLING, Embed

STATES = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [100.0, 100.0]]])
MASK = torch.tensor([[1.0, 1.0, 0.0]])


@pytest.mark.parametrize(("name", "expected"), [("mean", [2.0, -3.0]), ("cls", [1.0, -4.0]), ("max", [3.0, -2.0])])
def test_pooling(name: str, expected: list[float]) -> None:
    assert POOLING[name](STATES, MASK).tolist() == [expected]


@pytest.mark.parametrize("name", POOLING)
def test_embeddings_have_length_one_in_fp32(name: str) -> None:
    found = Embed(name)(STATES.bfloat16(), MASK)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(1))


def test_a_window_without_tokens_is_no_division_by_zero() -> None:
    assert torch.isfinite(Embed("mean")(STATES, torch.zeros(1, 3))).all()
