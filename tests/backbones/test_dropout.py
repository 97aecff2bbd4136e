"""Dropout by bytes: what is kept, how it grows, and that the gradient flows where the value did."""

from __future__ import annotations

import pytest
import torch

from tunewright.backbones._dropout import LEVELS, dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_share_that_is_zero_and_the_mean_that_stays(share: float) -> None:
    torch.manual_seed(0)
    out = dropout(torch.ones(1000, 1001), share, training=True)
    dropped = round(share * LEVELS) / LEVELS
    assert (out == 0).float().mean().item() == pytest.approx(dropped, abs=2e-3)
    assert abs(dropped - share) <= 0.5 / LEVELS
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - dropped)])
    assert out.mean().item() == pytest.approx(1.0, abs=3e-3)


def test_every_byte_of_a_draw_is_even() -> None:
    """Eight neighbours share one number of 64 bits: none of them is dropped more often, nor two together."""
    torch.manual_seed(1)
    zero = (dropout(torch.ones(200_000, 8), 0.25, training=True) == 0).double()
    assert torch.allclose(zero.mean(0), torch.full((8,), 0.25, dtype=torch.float64), atol=6e-3)
    correlation = torch.corrcoef(zero.T) - torch.eye(8)
    assert correlation.abs().max() < 0.012


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_flows_where_the_value_did(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    x = torch.randn(7, 33, dtype=dtype, requires_grad=True)
    out = dropout(x, 0.3, training=True)
    assert out.dtype == dtype
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), out.detach())


def test_nothing_is_dropped_when_nothing_is_to_be() -> None:
    x = torch.randn(5)
    assert dropout(x, 0.0, training=True) is x
    assert dropout(x, 0.5, training=False) is x


def test_the_same_seed_draws_the_same() -> None:
    outs = []
    for _ in range(2):
        torch.manual_seed(3)
        outs.append(dropout(torch.ones(999), 0.1, training=True))
    assert torch.equal(*outs)
