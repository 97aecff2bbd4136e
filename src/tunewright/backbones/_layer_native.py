"""One layer of the encoder with bf16 products by torch and all the rest in native code, both ways written out.

It computes what ``_layer16`` does and keeps less: no shares of attention and no masks, which the way back makes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tunewright.backbones import native
from tunewright.backbones._dropout import LEVELS, LOWEST
from tunewright.backbones._layer16 import APPROXIMATE, HALF, Packed
from tunewright.backbones.native import steps
from tunewright.backbones.native.steps import Heads, Joint, Rows

if TYPE_CHECKING:
    from tunewright.backbones._encoder import Layer


def fits(layer: Layer, tokens: int) -> bool:
    """Whether native code knows a layer that ``_layer16`` computes, for rows of so many tokens."""
    shape = layer.shape
    known = not any(one % native.WIDTHS for one in (shape.width, shape.inner, shape.width_of_head))
    plain = all(one.dtype == torch.float32 and one.is_contiguous() for one in layer.parameters())
    return known and plain and tokens <= native.LONGEST and native.usable()


def rows(packed: Packed, bias: Tensor) -> Rows:
    """Of the tokens that are computed; bias : (b, 1, 1, t), zero at real ones, which stand before padding."""
    lengths = (bias.view(packed.rows, packed.tokens) == 0).sum(1)
    computed = torch.bincount(packed.flat // packed.tokens, minlength=packed.rows)
    starts = computed.cumsum(0) - computed
    whole = int(lengths.sum()) == len(packed.flat)
    return Rows(starts.to(torch.int32), lengths.to(torch.int32), int(lengths.max()), whole)


def forward(layer: Layer, rows: Rows, flat: Tensor, bias: Tensor) -> Tensor:
    """As ``_layer16.forward``: flat (n, d) → float32 (n, d)."""
    shape, training = layer.shape, layer.training
    between, dropped = (round(share * LEVELS) if training else 0 for share in (shape.attention_dropout, shape.dropout))
    seeds = torch.empty(3, dtype=torch.int64).random_(LOWEST, None).tolist() if between or dropped else [0, 0, 0]
    heads = Heads(shape.heads, shape.width_of_head, between, seeds[0])
    norms = (layer.attention_norm, layer.norm)
    joints = [Joint(one.weight, one.bias, one.eps, dropped, seed) for one, seed in zip(norms, seeds[1:], strict=True)]
    bent = APPROXIMATE[shape.activation] == "tanh"
    weights = [side for one in (layer.qkv, layer.out, layer.up, layer.down, *norms) for side in (one.weight, one.bias)]
    return _Layer.apply(flat.float(), rows, heads, joints, bent, *weights)  # type: ignore[no-any-return,no-untyped-call]


class _Layer(torch.autograd.Function):
    """float32 (n, d) → float32 (n, d); the parameters are weight and bias of qkv, out, up, down and both norms."""

    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, rows: Rows, heads: Heads, joints: list[Joint], bent: bool, *parameters: Tensor
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            flat = flat.contiguous()
            of_qkv, of_out, of_up, of_down = (one.to(HALF) for one in parameters[0:8:2])
            of_qkv_bias, of_out_bias, of_up_bias, of_down_bias = parameters[1:8:2]
            wanted = any(ctx.needs_input_grad)
            x = flat.to(HALF)
            qkv = torch.mm(x, of_qkv.t())
            mixed = steps.attend(qkv, of_qkv_bias, rows, heads)
            half = torch.empty_like(x)
            middle, *of_first = joints[0].join(torch.mm(mixed, of_out.t()), of_out_bias, flat, half)
            inner = torch.mm(half, of_up.t())
            slope = steps.activate(inner, of_up_bias, bent, wanted)
            out, *of_second = joints[1].join(torch.mm(inner, of_down.t()), of_down_bias, middle)
            if wanted:
                matrices = (of_qkv, of_out, of_up, of_down)
                ctx.save_for_backward(x, qkv, mixed, half, inner, slope, *of_first, *of_second, *matrices)
                ctx.rows, ctx.heads, ctx.joints = rows, heads, joints
            return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, qkv, mixed, half, inner, slope, *rest = ctx.saved_tensors
        of_first, of_second, (of_qkv, of_out, of_up, of_down) = rest[:2], rest[2:4], rest[4:]
        wanted = ctx.needs_input_grad[5::2]

        def of_weight(at: int, gradient: Tensor, given: Tensor) -> Tensor | None:
            return torch.mm(gradient.t(), given) if wanted[at] else None

        with torch.autocast("cpu", enabled=False):
            residual, out, of_norm_2 = ctx.joints[1].back(gradient.contiguous(), None, *of_second)
            down = of_weight(3, out, inner), of_norm_2[2]
            of_inner = torch.mm(out, of_down)
            of_bias = steps.back_of_activate(of_inner, slope)
            up = of_weight(2, of_inner, half), of_bias
            residual, out, of_norm = ctx.joints[0].back(residual, torch.mm(of_inner, of_up), *of_first)
            after = of_weight(1, out, mixed), of_norm[2]
            of_heads, of_bias = steps.back_of_attend(qkv, torch.mm(out, of_out), ctx.rows, ctx.heads)
            first = of_weight(0, of_heads, x), of_bias
            if ctx.needs_input_grad[0]:
                steps.add(residual, torch.mm(of_heads, of_qkv))
            return residual, None, None, None, None, *first, *after, *up, *down, *of_norm[:2], *of_norm_2[:2]
