"""Large-margin cosine loss: draws classes further apart, to leave room for rows of none. Source: Wang et al. 2018.

Wang et al. 2018, CosFace: the logits are s cos(e, w_k), e being the row's pooled embedding and w_k the class's weights,
both of length 1, and s = 20; in the loss s m is taken off the logit of the true label, m being the strength. So a row
has to lie nearer to its own class than to any other by m before its loss is small, which leaves room between classes
for what belongs to none (Lin and Xu 2019, Deep Unknown Intent Detection with Margin Loss). For that the weights of the
head are brought to length s and its bias to 0 before every step; as it ships the head is a linear map like any other.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.objectives._parts import named
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 1.0)
KINDS = ("classify",)
NEEDS = ("pooled",)
NOT_WITH = ("focal", "label_smoothing", "mixup")
"""They have losses of their own, or rows without a class of their own: what is taken off the logits would not reach all
of it."""
SCALE = 20.0


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : m, in cosines"""

    def apart(model: nn.Module, piece: Piece) -> Tensor:
        for pooled in named(model, "pooled"):
            _to_sphere(pooled.get_submodule("linear"))

        def loss(logits: Tensor, truth: Tensor) -> Tensor:
            own = functional.one_hot(truth, logits.shape[-1])
            return piece.loss(logits - SCALE * strength * own, truth)

        return step(model, replace(piece, loss=loss))

    return apart


@torch.no_grad()
def _to_sphere(linear: nn.Module) -> None:
    weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")
    weight.copy_(SCALE * functional.normalize(weight, dim=1))
    bias.zero_()
