"""Contrastive pretraining: of two views of a text, or two texts of a pair, each finds its partner among the others.

Sources: Gao et al. 2021, SimCSE (unsupervised: two views by dropout); Henderson et al. 2017 (pairs, others in the batch
as negatives).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._encoder import Encoder
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows
from tunewright.heads._pooled import Embed
from tunewright.modalities.text import Text
from tunewright.runtime.batches import by_cost
from tunewright.train.course import Course
from tunewright.train.device import exact
from tunewright.train.feed import STEP_BUDGET, Feed
from tunewright.train.pretraining._corpus import Pretraining

METRIC = "partner_log_likelihood"
RATE = 3e-5
TEMPERATURE = 0.05
JUDGED_TOGETHER = 64
"""Held-out windows among which each one's partner is to be found."""


class ContrastModel(nn.Module):
    """Similarities of two sides, by the backbone's own pooling."""

    def __init__(self, encoder: Encoder, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed = Embed(pooling)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pair_ids: Tensor, pair_mask: Tensor) -> Tensor:
        """int64 (b, t), (b, t), (b, s), (b, s) → cosines by the temperature (b, b): one side's rows by the other's."""
        one, other = self.sides(input_ids, attention_mask, pair_ids, pair_mask)
        with torch.autocast(one.device.type, enabled=False):
            return similarity(one, other)

    def sides(
        self, input_ids: Tensor, attention_mask: Tensor, pair_ids: Tensor, pair_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embeddings of length 1 of both sides, (b, d) each."""
        one = self.embed(*self.encoder(input_ids, attention_mask))
        return one, self.embed(*self.encoder(pair_ids, pair_mask))


def similarity(one: Tensor, other: Tensor) -> Tensor:
    """(b, d), (b, d), rows of length 1 → (b, b)"""
    return one.float() @ other.float().T / TEMPERATURE


def partner_loss(similarities: Tensor, groups: Tensor) -> Tensor:
    """−log softmax of each row's own partner: (b, b), (b, c) → (b,).

    groups : numbers of the texts in a row; two rows that share one are no negatives of each other
    """
    same = (groups.unsqueeze(1) == groups.unsqueeze(0)).any(-1)
    own = torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    logits = similarities.masked_fill(same & ~own, float("-inf"))
    return functional.cross_entropy(logits, torch.arange(len(groups), device=groups.device), reduction="none")


def simcse(given: Pretraining) -> tuple[Course, ContrastModel, dict[str, Any]]:
    """The training by two views of each text that differ by dropout alone, its model, and what is to be told of it.

    Raises
    ------
    TunewrightError
        The backbone has no dropout, so that the two views would be one.
    """
    shape = given.whole.shape
    if not shape.dropout and not shape.attention_dropout:
        problem = f"backbone {given.found.name!r}: its dropout is 0, so the two views of a text would be the same"
        raise TunewrightError(problem, "pass --objective masked")
    return _course("simcse", given, views_differ=False)


def pairs(given: Pretraining) -> tuple[Course, ContrastModel, dict[str, Any]]:
    """The training by pairs of texts, its model, and what is to be told of it."""
    return _course("pairs", given, views_differ=True)


def _course(name: str, given: Pretraining, *, views_differ: bool) -> tuple[Course, ContrastModel, dict[str, Any]]:
    model = ContrastModel(given.copy_of_encoder(), given.backbone.pooling)

    def judge(model: nn.Module) -> tuple[float, None]:
        assert isinstance(model, ContrastModel)
        return round(held_out_score(model, given, dropout=not views_differ), 6), None

    feed = feed_of(given.train, given.modality)
    course = given.course(name, feed, partner_loss, judge, metric=METRIC, rate=RATE)
    return course, model, {"temperature": TEMPERATURE}


def feed_of(windows: Windows, modality: Text) -> Feed:
    """Both sides of each window, with the numbers of its texts as truth; without a second side the first one twice."""
    ids = windows.data["input_ids"]
    pair = windows.data.get("pair_ids", ids)
    assert isinstance(ids, Ragged)
    assert isinstance(pair, Ragged)
    cost = ids.lengths + pair.lengths
    twice = Windows(windows.rows, windows.owner, cost, {"input_ids": ids, "pair_ids": pair})
    row = np.asarray(windows.data["row"])
    sides = [row, *([_numbers(ids), _numbers(pair)] if pair is not ids else [_numbers(ids)])]
    return Feed(twice, np.stack(sides, 1), lambda windows, index: _batch(windows, index, modality.pad_id))


def _batch(windows: Windows, index: Array, pad_id: int) -> dict[str, Array]:
    out: dict[str, Array] = {}
    for ids_name, mask_name in (("input_ids", "attention_mask"), ("pair_ids", "pair_mask")):
        side = windows.data[ids_name]
        assert isinstance(side, Ragged)
        ids, mask = side.padded(index, pad_id)
        out |= {ids_name: ids.astype(np.int64), mask_name: mask.astype(np.int64)}
    return out


def _numbers(ids: Ragged) -> Array:
    """int64 (m,): windows with the same tokens have the same number."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(one.tobytes(), len(known)) for one in ids], np.int64)


@torch.no_grad()
def held_out_score(model: ContrastModel, given: Pretraining, *, dropout: bool) -> float:
    """Mean log-probability of the partner among 64 held-out ones; the same ones, by the same draws, at every call."""
    feed = feed_of(given.held_out, given.modality)
    order = np.random.default_rng(given.task.seed).permutation(len(feed))
    model.train(dropout)
    one = torch.zeros(len(feed), given.backbone.width, device=given.device)
    other = torch.zeros_like(one)
    losses = []
    with exact(), torch.random.fork_rng():
        torch.manual_seed(given.task.seed)
        for index in by_cost(feed.windows.cost, STEP_BUDGET):
            one[index], other[index] = model.sides(**feed.inputs(index, given.device))
        for start in range(0, len(order), JUDGED_TOGETHER):
            rows = order[start : start + JUDGED_TOGETHER]
            losses.append(partner_loss(similarity(one[rows], other[rows]), feed.truth(rows, given.device)))
    return -float(torch.cat(losses).mean())
