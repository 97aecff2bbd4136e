"""The upper layers of an encoder on the states of its lower ones, which stay as they are and are run once."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder, UpperLayers
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows
from tunewright.runtime.batches import by_cost
from tunewright.train.cache import Write, let_go
from tunewright.train.context import Context
from tunewright.train.device import exact, fast, give_back
from tunewright.train.examples import Examples
from tunewright.train.feed import Feed
from tunewright.train.outputs import EMBED_BUDGET

WORTH = 0.5
"""The largest share of the time left that the lower layers may take, looked at after ``LOOK`` seconds."""
LOOK = 5.0


class Upper(nn.Module):
    """An encoder whose layers above ``depth`` are its own; those below are the backbone's, never moved, no dropout.

    whole : the encoder that ships
    """

    def __init__(self, backbone: Encoder, depth: int) -> None:
        super().__init__()
        below = [module for name, module in backbone.named_children() if name != "layers"]
        shared = {id(module): module for module in (*below, *backbone.layers[:depth])}
        self.depth = depth
        self.width = backbone.width
        # In a tuple they are no submodules: neither their parameters nor their mode are this module's.
        self._unmoved = (copy.deepcopy(backbone, shared), backbone)
        self.above = UpperLayers(self.whole, depth)

    @property
    def whole(self) -> Encoder:
        return self._unmoved[0]

    def forward(
        self, attention_mask: Tensor, states: Tensor | None = None, input_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """attention_mask (b, t) and states (b, t, d) of the lower layers, or token ids (b, t) → as an encoder."""
        if states is None:
            assert input_ids is not None
            with torch.no_grad():
                states, _ = self.lower(input_ids, attention_mask)
        return self.above(states.float(), attention_mask)  # type: ignore[no-any-return]

    def lower(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """States of the lower layers (b, t, d), and mask."""
        return self._unmoved[1].eval().lower(input_ids, attention_mask, self.depth)


def upper(context: Context, method: str, layers: int) -> Upper:
    """The last ``layers`` of the context's encoder to train.

    Raises
    ------
    TunewrightError
        The encoder is none with layers, or has fewer.
    """
    encoder = context.backbone.encoder
    if not isinstance(encoder, Encoder):
        family = context.backbone.family
        raise TunewrightError(
            f"method {method!r} needs an encoder of the BERT family, which a {family} is not",
            "use --method lora or --method full",
        )
    if layers > len(encoder.layers):
        has = len(encoder.layers)
        raise TunewrightError(f"fit.layers = {layers}: the backbone has {has} layers", f"set at most {has}")
    return Upper(encoder, len(encoder.layers) - layers)


def states_feed(context: Context, part: Upper, examples: Examples, *, learnt: bool) -> Feed:
    """Windows as states of the lower layers; as tokens where these cannot be kept or would take too much of the time.

    learnt : they are only learnt from; see ``Context.frozen_key``
    """
    windows, modality = examples.windows, context.backbone.modality
    states = _states(context, part, windows, learnt=learnt) if part.depth else None
    if states is None:
        return Feed(windows, examples.wanted, modality.batch)
    kept = Windows(windows.rows, windows.owner, windows.cost, {"states": states}, windows.spans)
    return Feed(kept, examples.wanted, _batch)


def kept_bytes(*feeds: Feed) -> int:
    """Bytes of the states that feeds hold."""
    kept = [feed.windows.data.get("states") for feed in feeds]
    return sum(one.values.nbytes for one in kept if isinstance(one, Ragged))


def _batch(windows: Windows, index: Array) -> dict[str, Array]:
    """states (b, t, d), attention_mask float32 (b, t)"""
    states = windows.data["states"]
    assert isinstance(states, Ragged)
    values, mask = states.padded(index)
    let_go(states.values)
    return {"states": values, "attention_mask": mask.astype(np.float32)}


class _TooLongError(Exception):
    """The lower layers take more of the time than is worth it."""


def _states(context: Context, part: Upper, windows: Windows, *, learnt: bool) -> Ragged | None:
    tokens = windows.data["input_ids"]
    assert isinstance(tokens, Ragged)
    key = context.frozen_key(windows, learnt=learnt) | {"what": "states", "depth": part.depth}
    # Half the bytes lose less than bf16 products do; what is judged stays exact.
    dtype = np.float16 if key["bf16"] else np.float32
    shape = (len(tokens.values), part.width)
    try:
        values = context.cache.filled(
            key, shape, dtype, lambda write: _run_lower(context, part, windows, tokens, learnt, write)
        )
    except _TooLongError:
        said = "running the lower layers once would take too much of the time: they run with each step"
        context.run.log("uncached", say=said)
        return None
    give_back()
    return None if values is None else Ragged(values, tokens.starts)


@torch.inference_mode()
def _run_lower(context: Context, part: Upper, windows: Windows, tokens: Ragged, learnt: bool, write: Write) -> None:
    run, batch = context.run, context.backbone.modality.batch
    run.log("states", say=f"running {windows.rows:,} rows through the {part.depth} lower layers, once")
    begun, left = time.monotonic(), run.left
    done, total = 0, int(windows.cost.sum())
    with fast(context.device, bf16=True) if context.bf16 and learnt else exact():
        for index in by_cost(windows.cost, EMBED_BUDGET):
            arrays = batch(windows, index)
            inputs = {name: torch.from_numpy(value).to(context.device) for name, value in arrays.items()}
            states = part.lower(**inputs)[0].float().cpu().numpy()
            for at, window in enumerate(index.tolist()):
                write(int(tokens.starts[window]), states[at, : len(tokens[window])])
            done += int(windows.cost[index].sum())
            run.progress("states", done / total)
            spent = time.monotonic() - begun
            if learnt and (run.stopping or (spent > LOOK and spent * total / done > WORTH * left)):
                raise _TooLongError
