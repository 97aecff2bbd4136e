"""What a method gets and what it gives back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.backbones._vocabulary import narrowed, widened
from tunewright.core import plugins
from tunewright.core.run import Run
from tunewright.core.task import Target, Task
from tunewright.core.types import Array, Kind, Modality, Ragged, Windows
from tunewright.heads._pooled import Embed
from tunewright.runtime.batches import by_cost
from tunewright.train.device import exact, fast, give_back

EMBED_BUDGET = 1024
"""Tokens of one batch when a frozen encoder runs."""


@dataclass(frozen=True)
class Examples:
    """One part, encoded: n rows as m windows with their truth.

    wanted : the truth of the m windows, or of their steps
    """

    windows: Windows
    truth: Array
    wanted: Array | Ragged

    def __len__(self) -> int:
        return self.windows.rows


@dataclass
class Fitted:
    """What a method made.

    validation_logits : (n, k) on the validation part
    facts : what is to be told: strength, epochs, trainable parameters
    refit : fits the same thing on training and validation rows together, where that is cheap
    """

    method: str
    encoder: nn.Module
    head: nn.Module
    validation_logits: Array
    facts: dict[str, Any] = field(default_factory=dict)
    refit: Callable[[], Fitted] | None = None


@dataclass
class Context:
    """What a method may use. The encoder in ``backbone`` is never changed: a method that trains copies it."""

    task: Task
    target: Target
    kind: Kind
    backbone: LoadedBackbone
    train: Examples
    validation: Examples
    run: Run
    device: torch.device
    bf16: bool
    start: Fitted | None = None
    held_out: Examples | None = None
    """What the exported graphs will be compared and judged on; methods must not look at it."""

    def new_head(self) -> nn.Module:
        """A head of the target's kind, drawn from the task's seed."""
        torch.manual_seed(self.task.seed)
        head: nn.Module = plugins.load("heads", self.target.kind)(self.backbone.width, self.kind, self.backbone.pooling)
        return head.to(self.device)

    def copy_of_encoder(self) -> nn.Module:
        """The encoder to be trained; of a text encoder's word table only what the rows at hand need."""
        encoder = self.backbone.encoder
        if not isinstance(encoder, Encoder):
            return copy.deepcopy(encoder)
        ids = [part.windows.data["input_ids"] for part in (self.train, self.validation)]
        used = np.unique(np.concatenate([one.values for one in ids if isinstance(one, Ragged)]))
        pad = np.array([getattr(self.backbone.modality, "pad_id", 0)])
        return narrowed(encoder, torch.from_numpy(np.union1d(used, pad).astype(np.int64)).to(self.device))

    def whole(self, encoder: nn.Module) -> nn.Module:
        """A trained copy as it ships: with every token of the backbone."""
        whole = self.backbone.encoder
        if isinstance(encoder, Encoder) and isinstance(whole, Encoder):
            return widened(encoder, whole)
        return encoder

    @cached_property
    def train_embeddings(self) -> NDArray[np.float32]:
        """float32 (n, d): frozen embeddings of the training rows."""
        return self._embed(self.train, "training")

    @cached_property
    def validation_embeddings(self) -> NDArray[np.float32]:
        return self._embed(self.validation, "validation")

    def _embed(self, examples: Examples, part: str) -> NDArray[np.float32]:
        self.run.log("embed", say=f"embedding {len(examples):,} {part} rows")
        embed = Embed(self.backbone.pooling)
        # Rows that are only learnt from may be embedded in bf16; what is judged is computed as it will be served.
        bf16 = self.bf16 and examples is self.train
        encoder, modality = self.backbone.encoder, self.backbone.modality
        vectors = frozen(encoder, embed, modality, examples.windows, self.device, self.run, bf16=bf16)
        out = np.zeros((len(examples), vectors[0].shape[-1]), np.float32)
        np.add.at(out, examples.windows.owner, np.stack(vectors) * examples.windows.share()[:, None].astype(np.float32))
        give_back()
        return out


@torch.inference_mode()
def frozen(
    encoder: nn.Module,
    head: nn.Module,
    modality: Modality,
    windows: Windows,
    device: torch.device,
    run: Run | None = None,
    *,
    bf16: bool = False,
) -> list[Array]:
    """Outputs of encoder and head, one array per window, without padding; in exact fp32, unless ``bf16``."""
    encoder.eval()
    head.eval()
    out: list[Any] = [None] * len(windows)
    done, total = 0, int(windows.cost.sum())
    with fast(device, bf16=True) if bf16 else exact():
        for index in by_cost(windows.cost, EMBED_BUDGET):
            arrays = modality.batch(windows, index)
            states, mask = encoder(**{name: torch.from_numpy(value).to(device) for name, value in arrays.items()})
            values = head(states, mask).float().cpu().numpy()
            lengths = mask.sum(1).long().tolist()
            for at, window in enumerate(index.tolist()):
                out[window] = values[at, : lengths[at]] if values.ndim == 3 else values[at]
            done += int(windows.cost[index].sum())
            if run is not None:
                run.progress("embed", done / total)
    return out


def logits_of(context: Context, encoder: nn.Module, head: nn.Module, examples: Examples) -> Array:
    """Logits of n rows in exact fp32."""
    pieces = frozen(encoder, head, context.backbone.modality, examples.windows, context.device)
    return context.kind.gather(pieces, examples.windows)
