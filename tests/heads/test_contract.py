"""What every head promises; a new file in the folder is tested by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core import plugins
from tunewright.core.types import Kind
from tunewright.heads._pooled import POOLING

NAMES = plugins.names("heads")
VALUES: dict[str, list[Any]] = {
    "classify": ["a", "b", "c", "a"],
    "multilabel": [["a"], ["b", "c"], [], ["a", "b"]],
    "regress": [1.0, 4.0, -2.0, 0.5],
}


def learned(name: str) -> Kind:
    kind: Kind = plugins.load("kinds", name).learn(VALUES[name], {})
    return kind


def states() -> tuple[torch.Tensor, torch.Tensor]:
    """Four rows of up to five states of width 8."""
    torch.manual_seed(0)
    return torch.randn(4, 5, 8), (torch.arange(5) < torch.tensor([[5], [3], [1], [4]])).float()


def test_every_kind_has_a_head_and_every_head_a_kind() -> None:
    assert plugins.names("kinds") == NAMES
    assert set(NAMES) <= set(VALUES), "give the new kind values to be tested on"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pooling", POOLING)
def test_logits_have_the_kinds_size_and_ignore_padding(name: str, pooling: str) -> None:
    kind = learned(name)
    head = plugins.load("heads", name)(8, kind, pooling)
    values, mask = states()
    logits = head(values, mask)
    assert logits.shape == (4, kind.size)
    torch.testing.assert_close(head(values + 9 * (1 - mask).unsqueeze(-1), mask), logits)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_one_finite_number_per_row_and_falls_along_its_gradient(name: str) -> None:
    kind = learned(name)
    head = plugins.load("heads", name)(8, kind, "mean")
    truth = torch.from_numpy(kind.encode(VALUES[name]))
    before = head.loss(head(*states()), truth)
    assert before.shape == (4,)
    assert torch.isfinite(before).all()
    before.sum().backward()
    with torch.no_grad():
        for one in head.parameters():
            one -= 0.01 * one.grad
    assert head.loss(head(*states()), truth).sum() < before.sum()


@pytest.mark.parametrize("name", [name for name in NAMES if plugins.load("kinds", name).closed_form])
def test_a_closed_form_start_is_the_linear_map_on_the_embedding(name: str) -> None:
    kind = learned(name)
    head = plugins.load("heads", name)(8, kind, "mean")
    weight, bias = np.random.default_rng(0).normal(size=(kind.size, 8)), np.arange(kind.size, dtype=float)
    head.start(torch.from_numpy(weight), torch.from_numpy(bias))
    values, mask = (one.numpy() for one in states())
    pooled = (values * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(head(*states()).detach().numpy(), unit @ weight.T + bias, atol=1e-5)
