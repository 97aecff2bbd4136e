"""What an encoder and a head give for rows: no gradient, no padding, exact unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.core.run import Run
from tunewright.core.types import Array, Modality, Windows
from tunewright.runtime.batches import by_cost
from tunewright.train.course import Model
from tunewright.train.device import exact, fast
from tunewright.train.examples import Examples
from tunewright.train.feed import Feed

if TYPE_CHECKING:
    from tunewright.train.context import Context

EMBED_BUDGET = 1024
"""Tokens of one batch when a frozen encoder runs."""


def of_rows(vectors: Sequence[Array], windows: Windows) -> NDArray[np.float32]:
    """Embeddings (d,) of m windows → float32 (n, d): the mean over a row's windows, weighted by their cost."""
    out = np.zeros((windows.rows, vectors[0].shape[-1]), np.float32)
    np.add.at(out, windows.owner, np.stack(vectors) * windows.share()[:, None].astype(np.float32))
    return out


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
    feed = Feed(windows, np.zeros(len(windows)), modality.batch)
    return outputs(Model(encoder, head), feed, device, run, bf16=bf16)


@torch.inference_mode()
def outputs(
    model: Model, feed: Feed, device: torch.device, run: Run | None = None, *, bf16: bool = False
) -> list[Array]:
    """Outputs of a model, one array per window, without padding; in exact fp32, unless ``bf16``."""
    model.eval()
    windows = feed.windows
    out: list[Any] = [None] * len(windows)
    done, total = 0, int(windows.cost.sum())
    with fast(device, bf16=True) if bf16 else exact():
        for index in by_cost(windows.cost, EMBED_BUDGET):
            states, mask = model.encoder(**feed.inputs(index, device))
            values = model.head(states, mask).float().cpu().numpy()
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
