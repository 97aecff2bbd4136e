"""Masked tokens: some are hidden, and the encoder with a fresh head says what stood there.

Source: Devlin et al. 2018, BERT: pre-training of deep bidirectional transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import read_json
from tunewright.backbones._vocabulary import NarrowWords
from tunewright.core.errors import TunewrightError
from tunewright.runtime.batches import by_cost
from tunewright.train.course import Course, decayed
from tunewright.train.device import exact
from tunewright.train.feed import NO_TRUTH, STEP_BUDGET, Feed
from tunewright.train.pretraining._corpus import Pretraining
from tunewright.train.step import Piece, plain

METRIC = "masked_log_likelihood"
RATE = 1e-4
HEAD_SHARE = 10.0
"""How much larger the steps of the head are, which starts from nothing."""
HIDDEN, MASKED, STRANGE = 0.15, 0.8, 0.1
"""Share of the tokens that are to be told; of these, share shown as the mask token and share shown as another one."""
FULL_SOFTMAX = 65_536
"""Largest vocabulary over all of which a token is predicted; above, over the tokens that occur in the texts."""


@dataclass(frozen=True)
class Masking:
    """Which tokens are hidden, and how.

    mask_id : of the mask token
    first : how many tokens at the start of a window are never hidden: special ones and those of the prefix
    ordinary : bool (v,), ids that are no special tokens
    strangers : int64, ids that may stand in for another one
    lookup : int64 (v,), id → number among the tokens that occur
    """

    mask_id: int
    first: int
    ordinary: Tensor
    strangers: Tensor
    lookup: Tensor

    def hide(
        self, arrays: Mapping[str, Tensor], draws: torch.Generator | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Hide 15 % of each window's tokens, but at least one.

        The number is rounded up or down by lot, so that it is 15 % in the mean; which tokens, is drawn anew at every
        call, from ``draws`` or else from torch's own generator, whose state is part of a checkpoint.

        arrays : input_ids, attention_mask int64 (b, t)

        Returns
        -------
        arrays : the same with ``picked`` bool (b, t), and 80 % of the picked tokens replaced by the mask token, 10 % by
            another one, 10 % as they were
        truth : int64 (b, t), what stood at the picked places, counted among the tokens that occur; else ``NO_TRUTH``
        """
        ids, mask = arrays["input_ids"], arrays["attention_mask"]
        may = mask.bool() & self.ordinary[ids]
        may[:, : self.first] = False
        lot, fate = (torch.rand(ids.shape, generator=draws).to(ids.device) for _ in range(2))
        rounding = torch.rand(len(ids), generator=draws).to(ids.device)
        count = (HIDDEN * may.sum(1) + rounding).floor().clamp(min=1)
        rank = lot.masked_fill(~may, 2.0).argsort(1).argsort(1)
        picked = may & (rank < count.unsqueeze(1))
        other = self.strangers[torch.randint(len(self.strangers), ids.shape, generator=draws).to(ids.device)]
        shown = torch.where(fate < MASKED, self.mask_id, torch.where(fate < MASKED + STRANGE, other, ids))
        truth = torch.where(picked, self.lookup[ids], NO_TRUTH)
        return {"input_ids": torch.where(picked, shown, ids), "attention_mask": mask, "picked": picked}, truth

    def step(self, model: nn.Module, piece: Piece) -> Tensor:
        """``plain``, with tokens of the piece hidden."""
        arrays, truth = self.hide(piece.arrays)
        return plain(model, replace(piece, arrays=arrays, truth=truth))


class MaskedHead(nn.Module):
    """Dense, GELU, norm; then the word table itself as the output layer, with a bias.

    The table that trains knows the tokens that occur. The others stay as they are: in an exact softmax they share one
    last logit, the log of the sum of their exponentials, so that the loss is that of the whole vocabulary.

    rest : float32 (r, d), rows of the tokens that do not occur; None = leave them out of the softmax
    """

    rest: Tensor | None

    def __init__(self, width: int, epsilon: float, tokens: int, rest: Tensor | None) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.register_buffer("rest", rest, persistent=False)
        self.rest_bias = nn.Parameter(torch.zeros(len(rest))) if rest is not None else None
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        """states (p, d), table (u, d) → logits (p, u), or (p, u + 1) with the one of all others."""
        hidden = self.norm(functional.gelu(self.dense(states)))
        logits = functional.linear(hidden, table, self.bias).float()
        if self.rest is None:
            return logits
        others = functional.linear(hidden, self.rest, self.rest_bias).float().logsumexp(-1, keepdim=True)
        return torch.cat([logits, others], -1)


class MaskedModel(nn.Module):
    """An encoder, and a head that looks at the picked places alone: the output layer costs most."""

    def __init__(self, encoder: Encoder, head: MaskedHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor, picked: Tensor) -> Tensor:
        """int64 (b, t), int64 (b, t), bool (b, t) → logits (p, u) of the picked places, row by row."""
        states, _ = self.encoder(input_ids, attention_mask)
        words = self.encoder.words
        assert isinstance(words, NarrowWords)
        return self.head(states[picked], words.table.weight)  # type: ignore[no-any-return]


def row_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of each row's picked tokens: logits (p, u), truth (b, t) → (b,)."""
    picked = truth != NO_TRUTH
    losses = functional.cross_entropy(logits, truth[picked], reduction="none")
    rows = picked.nonzero()[:, 0]
    return losses.new_zeros(len(truth)).index_add(0, rows, losses) / picked.sum(1).clamp(min=1)


def course(given: Pretraining) -> tuple[Course, MaskedModel, dict[str, Any]]:
    """The training, its model, and what is to be told of it.

    Raises
    ------
    TunewrightError
        The tokenizer has no mask token.
    """
    mask_id = _mask_id(given)
    encoder = given.copy_of_encoder(mask_id)
    torch.manual_seed(given.task.seed)
    model = MaskedModel(encoder, _head(given, encoder)).to(given.device)
    masking = masking_of(given, encoder, mask_id)

    def judge(model: nn.Module) -> tuple[float, None]:
        return round(held_out_score(model, masking, given), 6), None

    words = encoder.words
    assert isinstance(words, NarrowWords)
    told = {
        "softmax": "the whole vocabulary" if model.head.rest is not None else "the tokens that occur",
        "tokens": len(words.used),
        "vocabulary": given.whole.shape.vocabulary,
    }
    feed = Feed(given.train, np.zeros(len(given.train), np.int64), given.modality.batch)
    made = given.course(
        "masked", feed, row_loss, judge, metric=METRIC, rate=RATE, step=masking.step, groups=_faster_head
    )
    return made, model, told


def masking_of(given: Pretraining, encoder: Encoder, mask_id: int) -> Masking:
    """What may be hidden by the backbone's tokenizer, and what may stand in for it: a token that occurs."""
    words = encoder.words
    assert isinstance(words, NarrowWords)
    ordinary = torch.ones(given.whole.shape.vocabulary, dtype=torch.bool, device=given.device)
    added = given.modality.tokenizer.get_added_tokens_decoder()
    special = [at for at, token in added.items() if token.special and at < len(ordinary)]
    ordinary[[*special, given.modality.pad_id, mask_id]] = False
    strangers = words.used[ordinary[words.used]]
    return Masking(mask_id, len(given.modality.head), ordinary, strangers, words.lookup)


@torch.inference_mode()
def held_out_score(model: nn.Module, masking: Masking, given: Pretraining) -> float:
    """Mean log-probability of the hidden tokens of the held-out windows, in nats; the same ones at every call."""
    model.eval()
    draws = torch.Generator().manual_seed(given.task.seed)
    feed = Feed(given.held_out, np.zeros(len(given.held_out)), given.modality.batch)
    total, count = 0.0, 0
    with exact():
        for index in by_cost(given.held_out.cost, STEP_BUDGET):
            arrays, truth = masking.hide(feed.inputs(index, given.device), draws)
            loss = functional.cross_entropy(model(**arrays), truth[arrays["picked"]], reduction="sum")
            total, count = total - float(loss), count + int(arrays["picked"].sum())
    return total / max(1, count)


def _head(given: Pretraining, encoder: Encoder) -> MaskedHead:
    words, shape = encoder.words, given.whole.shape
    assert isinstance(words, NarrowWords)
    rest = None
    if shape.vocabulary <= FULL_SOFTMAX and len(words.used) < shape.vocabulary:
        unused = torch.ones(shape.vocabulary, dtype=torch.bool, device=given.device)
        unused[words.used] = False
        rest = given.whole.words.weight.detach()[unused]
    return MaskedHead(shape.width, shape.epsilon, len(words.used), rest)


def _faster_head(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    assert isinstance(model, MaskedModel)
    head = [group | {"share": HEAD_SHARE} for group in decayed(model.head, decay)]
    return [*decayed(model.encoder, decay), *head]


def _mask_id(given: Pretraining) -> int:
    named = read_json(given.found.folder / "tokenizer_config.json").get("mask_token")
    named = named.get("content") if isinstance(named, dict) else named
    for token in (named, "[MASK]", "<mask>"):
        at = given.modality.tokenizer.token_to_id(token) if token else None
        if at is not None and at < given.whole.shape.vocabulary:
            return int(at)
    raise TunewrightError(
        f"backbone {given.found.name!r}: its tokenizer has no mask token", "pass --objective simcse, which needs none"
    )
