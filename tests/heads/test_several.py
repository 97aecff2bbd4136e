"""Heads of several targets: one alone loses as its own head does, and a row without a truth moves nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tunewright.core import plugins
from tunewright.heads._several import Columns, SeveralHead, apart
from tunewright.kinds._several import Several

VALUES: dict[str, list[Any]] = {
    "classify": ["a", "b", "c", "a"],
    "multilabel": [["a"], ["b", "c"], [], ["a", "b"]],
    "regress": [1.0, 4.0, -2.0, 0.5],
}
TARGETS = [
    {"name": "intent", "kind": "classify", "weight": 3.0},
    {"name": "stars", "kind": "regress"},
    {"name": "tags", "kind": "multilabel"},
]
ROWS = [("a", 1.0, ["x"]), (None, 4.0, ["y"]), ("b", None, []), ("a", 2.0, ["x", "y"])]


def states() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(4, 5, 8), (torch.arange(5) < torch.tensor([[5], [3], [1], [4]])).float()


@pytest.fixture
def kind() -> Several:
    return Several.learn(ROWS, {"targets": TARGETS})


@pytest.mark.parametrize("name", VALUES)
def test_one_target_loses_as_its_own_head_does(name: str) -> None:
    plain = plugins.load("kinds", name).learn(VALUES[name], {})
    rows = [(one,) for one in VALUES[name]]
    alone = Several.learn(rows, {"targets": [{"name": "y", "kind": name, "weight": 0.3}]})
    torch.manual_seed(1)
    own = plugins.load("heads", name)(8, plain, "mean")
    torch.manual_seed(1)
    head = SeveralHead(8, alone, "mean")
    logits = own(*states())
    assert torch.equal(head(*states()), logits)
    wanted = own.loss(logits, torch.from_numpy(plain.encode(VALUES[name])))
    assert torch.equal(head.loss(logits, torch.from_numpy(alone.encode(rows))), wanted)


def test_the_loss_is_the_weighted_mean_and_what_is_missing_counts_as_zero(kind: Several) -> None:
    head = SeveralHead(8, kind, "mean")
    logits = head(*states())
    found = head.loss(logits, torch.from_numpy(kind.encode(ROWS)))
    intent, stars, tags = head.heads
    firsts = intent.loss(logits[[0, 2, 3], :2], torch.tensor([0, 1, 0]))  # type: ignore[operator]
    seconds = stars.loss(logits[[0, 1, 3], 2:3], torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64))  # type: ignore[operator]
    thirds = tags.loss(logits[:, 3:], torch.tensor([[1, 0], [0, 1], [0, 0], [1, 1]]))  # type: ignore[operator]
    zero = torch.zeros(())
    wanted = [
        3 * firsts[0] + seconds[0] + thirds[0],
        3 * zero + seconds[1] + thirds[1],
        3 * firsts[1] + zero + thirds[2],
        3 * firsts[2] + seconds[2] + thirds[3],
    ]
    torch.testing.assert_close(found, torch.stack(wanted) / 5)


def test_a_row_without_a_truth_gives_its_head_no_gradient(kind: Several) -> None:
    """Neither through the row's own state nor to the weights: they are those of a batch without the row."""
    torch.manual_seed(2)
    head = SeveralHead(8, kind, "mean")
    values, mask = states()
    values.requires_grad_()
    rows = [(None, None, ["x"]), (None, None, []), ("b", None, []), ("a", None, [])]
    head.loss(head(values, mask), torch.from_numpy(kind.encode(rows))).sum().backward()
    intent, stars, _ = head.heads
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert all(one.grad is None or not one.grad.any() for one in stars.parameters())
    found = [one.grad.clone() for one in intent.parameters() if one.grad is not None]
    head.zero_grad()
    few = values.detach()[2:], mask[2:]
    head.loss(head(*few), torch.from_numpy(kind.encode(rows[2:]))).sum().backward()
    for one, grad in zip(intent.parameters(), found, strict=True):
        torch.testing.assert_close(one.grad, grad)


def test_a_batch_in_which_nothing_is_known_loses_nothing(kind: Several) -> None:
    alone = Several(kind.singles[:2])
    head = SeveralHead(8, alone, "mean")
    loss = head.loss(head(*states()), torch.from_numpy(alone.encode([(None, None)] * 4)))
    assert loss.tolist() == [0.0] * 4


def test_any_head_is_taken_apart(kind: Several) -> None:
    head = SeveralHead(8, kind, "mean")
    whole = head(*states())
    for made in (head, torch.nn.Sequential()):
        own = apart(head if made is head else Whole(head), kind)
        assert list(own) == ["intent", "stars", "tags"]
        torch.testing.assert_close(torch.cat([one(*states()) for one in own.values()], -1), whole)
    assert type(apart(head, kind)["intent"]).__name__ == "ClassifyHead"
    assert isinstance(apart(Whole(head), kind)["stars"], Columns)


class Whole(torch.nn.Module):
    """A head that knows nothing of its targets."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.inner(values, mask)  # type: ignore[no-any-return]
