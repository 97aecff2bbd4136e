"""What of an encoder becomes a part of its own, so that bundles on the same backbone can share it."""

from __future__ import annotations

from torch import nn

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._halves import Lower, Upper, unmoved
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

ASKED = "fit.shared"


def halves(context: Context, fitted: Fitted) -> tuple[nn.Module, nn.Module | None]:
    """The lower half that training left as it was, and the rest; the whole and None where it ships in one part.

    What was left is found by comparing bits with the backbone, whatever the method says that it moves.
    """
    encoder = fitted.encoder
    if not context.task.fit.shared:
        return encoder, None
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
    below = f"the word table and {depth} of {layers} layers are" if depth else "the word table is"
    said = f"{below} as pretrained: a part of its own, which bundles share"
    context.run.log("shared", layers=depth, say=f"{ASKED}: {said}")
    return Lower(encoder, depth), Upper(encoder, depth)


def _whole(context: Context, fitted: Fitted) -> tuple[nn.Module, None]:
    said = f"method {fitted.method!r} left the whole encoder as pretrained: it is shared in one part"
    return _said(context, said, fitted.encoder)


def _said(context: Context, said: str, encoder: nn.Module) -> tuple[nn.Module, None]:
    context.run.log("shared", say=f"{ASKED}: {said}")
    return encoder, None
