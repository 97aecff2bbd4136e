"""Texts without labels as windows to be trained on, and what every objective of pretraining is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from tunewright.backbones._catalogue import Found
from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.backbones._vocabulary import narrowed
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.core.types import Array, Ragged, Windows
from tunewright.modalities.text import Text
from tunewright.train.course import Course, Judge
from tunewright.train.feed import Feed
from tunewright.train.step import Loss

LAST_JUDGEMENT = 0.5
"""Passes that the plan of steps keeps time for, 2.5 times over: the held-out texts are judged once at the end."""
CHUNK_TEXTS = 16_384
"""Texts that are tokenised at once; of the others only the ids are in memory."""


@dataclass(frozen=True)
class Pretraining:
    """What an objective starts from.

    train, held_out : windows of texts, or of pairs of texts, each window a row of its own
    """

    backbone: LoadedBackbone
    found: Found
    modality: Text
    train: Windows
    held_out: Windows
    task: Task
    run: Run
    device: torch.device
    bf16: bool

    @property
    def whole(self) -> Encoder:
        """The backbone's encoder, with every token; never changed."""
        encoder = self.backbone.encoder
        assert isinstance(encoder, Encoder)
        return encoder

    def copy_of_encoder(self, *more: int) -> Encoder:
        """The encoder to be trained, its word table cut down to the tokens that occur, the padding, and ``more``."""
        ids = [one.values for windows in (self.train, self.held_out) for one in _ragged(windows)]
        used = np.unique(np.concatenate([*(np.unique(one) for one in ids), [self.modality.pad_id, *more]]))
        return narrowed(self.whole.to(self.device), torch.from_numpy(used.astype(np.int64)).to(self.device))

    def course(
        self, name: str, feed: Feed, loss: Loss, judge: Judge, *, metric: str, rate: float, **own: Any
    ) -> Course:
        """A training of an objective; ``own`` are further fields of the course."""
        fit = self.task.fit
        return Course(
            name=name,
            checkpoints=self.run.work / "checkpoints" / f"{name}-{self.found.digest[-12:]}",
            feed=feed,
            loss=loss,
            judge=judge,
            metric=metric,
            fit=fit,
            seed=self.task.seed,
            rate=fit.learning_rate or rate,
            run=self.run,
            device=self.device,
            bf16=self.bf16,
            held_out_passes=LAST_JUDGEMENT,
            **own,
        )


def windows_of(columns: Sequence[pl.Series], modality: Text, run: Run) -> Windows:
    """n texts (one column) or n pairs of texts (two) as windows that are rows of their own.

    A text that is longer than the window becomes several; a pair of long texts as many pairs as its longer side has
    windows, the shorter side's last one repeated. A window without a word is left out.

    Returns
    -------
    Windows whose ``data`` hold ``input_ids``, for pairs ``pair_ids`` too, and ``row``: the text that each came from
    """
    sides = [_tokens(column, modality, run) for column in columns]
    counts = [np.bincount(owner, minlength=len(columns[0])) for _, owner in sides]
    most = np.maximum.reduce([np.where(np.minimum.reduce(counts) > 0, count, 0) for count in counts])
    row = np.repeat(np.arange(len(most)), most)
    at = np.arange(len(row)) - np.repeat(np.cumsum(most) - most, most)
    data: dict[str, Ragged | Array] = {"row": row}
    for name, (ids, _), count in zip(("input_ids", "pair_ids"), sides, counts, strict=False):
        first = np.cumsum(count) - count
        data[name] = ids.take(first[row] + np.minimum(at, count[row] - 1))
    cost = sum(one.lengths for name, one in data.items() if isinstance(one, Ragged))
    return Windows(len(row), np.arange(len(row)), np.asarray(cost, np.int64), data)


def _tokens(texts: pl.Series, modality: Text, run: Run) -> tuple[Ragged, NDArray[np.int64]]:
    """Ids of the windows that hold a word, and the text that each is from."""
    empty = len(modality.head) + len(modality.tail)
    pieces, owners = [], []
    for start in range(0, len(texts), CHUNK_TEXTS):
        windows = modality.windows([texts[start : start + CHUNK_TEXTS].to_list()])
        ids = windows.data["input_ids"]
        assert isinstance(ids, Ragged)
        kept = np.flatnonzero(ids.lengths > empty)
        pieces.append(ids.take(kept))
        owners.append(windows.owner[kept] + start)
        run.progress("tokenize", min(1.0, (start + CHUNK_TEXTS) / len(texts)))
    lengths = np.concatenate([one.lengths for one in pieces])
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return Ragged(np.concatenate([one.values for one in pieces]), starts), np.concatenate(owners)


def _ragged(windows: Windows) -> list[Ragged]:
    return [one for one in windows.data.values() if isinstance(one, Ragged)]
