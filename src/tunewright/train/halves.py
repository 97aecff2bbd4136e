"""What of an encoder becomes a part of its own, so that bundles on the same backbone can share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._halves import Lower, Upper, unmoved
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted
from tunewright.train.updates import Factors

ASKED = "fit.shared"


@dataclass(frozen=True)
class Halves:
    """An encoder as it ships.

    lower : the lower half, which training left as it was; where there is no ``upper``, the whole
    updates : what stands beside the weights of ``upper``, which then is the backbone's own and shared as well
    """

    lower: nn.Module
    upper: nn.Module | None = None
    updates: Mapping[str, Factors] = field(default_factory=dict)


def halves(context: Context, fitted: Fitted) -> Halves:
    """What is shared and what is not, where the task asks for that.

    What was left is found by comparing bits with the backbone, whatever the method says that it moves; only what a
    method says that it added to weights, and could take away again, stays beside them.
    """
    encoder = fitted.encoder
    if not context.task.fit.shared:
        return Halves(encoder)
    if fitted.backbone is None and encoder is context.backbone.encoder:
        return _whole(context, fitted)
    if type(encoder) is not Encoder:
        said = f"method {fitted.method!r} ships {type(encoder).__name__}, which is not cut in two: nothing is shared"
        return _said(context, said, encoder)
    backbone = context.backbone.encoder
    assert isinstance(backbone, Encoder)
    depth, layers = unmoved(encoder, backbone), len(encoder.layers)
    if depth is None:
        said = f"method {fitted.method!r} moved the word table: nothing is left to share, the encoder ships in one part"
        return _said(context, said, encoder)
    if depth == layers:
        return _whole(context, fitted)
    if fitted.updates:
        own, all_ = (sum(one.numel() for one in each) for each in (_numbers(fitted.updates), encoder.parameters()))
        said = f"the whole backbone is shared, with {own:,} numbers beside its {all_:,}"
        context.run.log("shared", updates=len(fitted.updates), say=f"{ASKED}: {said}")
        return Halves(Lower(backbone, 0), Upper(backbone, 0), fitted.updates)
    below = f"the word table and {depth} of {layers} layers are" if depth else "the word table is"
    said = f"{below} as pretrained: a part of its own, which bundles share"
    context.run.log("shared", layers=depth, say=f"{ASKED}: {said}")
    return Halves(Lower(encoder, depth), Upper(encoder, depth))


def _numbers(updates: Mapping[str, Factors]) -> list[Tensor]:
    return [side for one in updates.values() for side in (one.right, one.left)]


def _whole(context: Context, fitted: Fitted) -> Halves:
    said = f"method {fitted.method!r} left the whole encoder as pretrained: it is shared in one part"
    return _said(context, said, fitted.encoder)


def _said(context: Context, said: str, encoder: nn.Module) -> Halves:
    context.run.log("shared", say=f"{ASKED}: {said}")
    return Halves(encoder)
