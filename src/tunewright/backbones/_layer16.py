"""One layer of the encoder with bf16 products, its way back written out: what training on a processor runs most.

Padding is left out of everything but attention. Products, biases and the activation are bf16; residuals, norms and
softmax stay fp32, as autocast has them, and no more is kept than the way back needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tunewright.backbones._dropout import LEVELS, kept

if TYPE_CHECKING:
    from tunewright.backbones._encoder import Layer

HALF = torch.bfloat16
APPROXIMATE: Mapping[str, str] = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
"""Activations that are known here, and what torch calls their kind."""
EVEN = 32
"""Tokens are computed in multiples of it, so that oneDNN, which makes a kernel for each shape, makes few."""
MULTIPLE = 8
"""Attention is padded to so many tokens: softmax of other lengths takes up to eight times as long, and products of
fewer shapes need fewer kernels."""


def fits(layer: Layer, flat: Tensor) -> bool:
    """Whether a layer is computed here: bf16 asked for, on a processor, and none of its parts exchanged or watched."""
    if flat.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != HALF:
        return False
    linear, norms = (layer.qkv, layer.out, layer.up, layer.down), (layer.attention_norm, layer.norm)
    plain = all(type(one) is nn.Linear for one in linear) and all(type(one) is nn.LayerNorm for one in norms)
    watched = any(one._forward_hooks or one._forward_pre_hooks for one in (layer, *linear, *norms))
    return plain and not watched and layer.shape.activation in APPROXIMATE


@dataclass(frozen=True)
class Packed:
    """Where the n tokens that are computed lie: the real ones, and so much padding that n is a multiple of ``EVEN``.

    rows, tokens : b and t of the batch; padded : t as attention has it
    flat : int64 (n,), their places in (b * t); apart : int64 (n,), those in (b * padded)
    """

    rows: int
    tokens: int
    padded: int
    flat: Tensor
    apart: Tensor

    @classmethod
    def of(cls, bias: Tensor) -> Packed:
        """bias : (b, 1, 1, t), zero at real tokens"""
        rows, tokens = bias.shape[0], bias.shape[3]
        padded = -(-tokens // MULTIPLE) * MULTIPLE
        real = bias.reshape(-1) == 0
        missing = -int(real.sum()) % EVEN
        real[(~real).nonzero()[:missing, 0]] = True
        flat = real.nonzero()[:, 0]
        return cls(rows, tokens, padded, flat, flat // tokens * padded + flat % tokens)

    def pack(self, flat: Tensor) -> Tensor:
        """(b * t, d) → (n, d)"""
        return flat.index_select(0, self.flat)

    def unpack(self, packed: Tensor) -> Tensor:
        """(n, d) → (b * t, d)"""
        return packed.new_zeros(self.rows * self.tokens, packed.shape[1]).index_copy(0, self.flat, packed)

    def split(self, packed: Tensor, parts: int, heads: int) -> Tensor:
        """(n, c * d) → (c, b * heads, padded, d / heads), zero where there is no token."""
        whole = packed.new_zeros(self.rows * self.padded, packed.shape[1]).index_copy_(0, self.apart, packed)
        laid = whole.view(self.rows, self.padded, parts, heads, -1).permute(2, 0, 3, 1, 4)
        return laid.contiguous().flatten(1, 2)

    def joined(self, parts: Tensor) -> Tensor:
        """What ``split`` took apart."""
        count, _, _, width = parts.shape
        laid = parts.view(count, self.rows, -1, self.padded, width).permute(1, 3, 0, 2, 4)
        return laid.reshape(self.rows * self.padded, -1).index_select(0, self.apart)


def forward(layer: Layer, packed: Packed, flat: Tensor, bias: Tensor) -> Tensor:
    """As ``Layer.forward``, of packed tokens: flat (n, d), bias (b, 1, 1, t) → float32 (n, d)."""
    shape, training = layer.shape, layer.training
    dropped, between = (round(share * LEVELS) if training else 0 for share in (shape.dropout, shape.attention_dropout))
    flat = flat.float()
    of_qkv = (layer.qkv.weight, layer.qkv.bias)
    mixed = _Attended.apply(flat, bias, packed, shape.heads, between, *of_qkv)  # type: ignore[no-untyped-call]
    flat = _joined(mixed, flat, layer.out, layer.attention_norm, dropped)
    activation = APPROXIMATE[shape.activation]
    inner = _Activated.apply(flat, activation, layer.up.weight, layer.up.bias)  # type: ignore[no-untyped-call]
    return _joined(inner, flat, layer.down, layer.norm, dropped)


def _joined(inner: Tensor, flat: Tensor, linear: nn.Linear, norm: nn.LayerNorm, dropped: int) -> Tensor:
    weights = (linear.weight, linear.bias, norm.weight, norm.bias)
    out: Tensor = _Joined.apply(inner, flat, *weights, norm.eps, dropped)  # type: ignore[no-untyped-call]
    return out


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """All bf16; the bias is added in place, which is faster than a product that begins with it."""
    return torch.mm(x, weight.t()).add_(bias)


def _back(ctx: Any, first: int, gradient: Tensor, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of weight and bias of a linear layer, inputs ``first`` and the one after it; None where not wanted."""
    of_weight = torch.mm(gradient.t(), x) if ctx.needs_input_grad[first] else None
    return of_weight, gradient.sum(0) if ctx.needs_input_grad[first + 1] else None


class _Attended(torch.autograd.Function):
    """Multi-head attention without its output projection: float32 (b * t, d) → bf16 (b * t, d)."""

    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, bias: Tensor, packed: Packed, heads: int, dropped: int, weight: Tensor, shift: Tensor
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            x, weight = flat.to(HALF), weight.to(HALF)
            query, key, value = packed.split(_linear(x, weight, shift.to(HALF)), 3, heads)
            scores = torch.bmm(query, key.transpose(1, 2)).float().view(packed.rows, heads, packed.padded, -1)
            seen = functional.pad(bias, (0, packed.padded - packed.tokens), value=-1e4)
            shares = torch.add(seen, scores, alpha=_shrink(query)).softmax(-1).flatten(0, 1)
            mask = kept(shares.numel(), dropped, x.device).view(shares.shape) if dropped else None
            given = _dropped(shares, mask, dropped)
            ctx.save_for_backward(x, weight, query, key, value, shares, mask, given)
            ctx.packed, ctx.heads, ctx.dropped = packed, heads, dropped
            return packed.joined(torch.bmm(given, value)[None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            x, weight, query, key, value, shares, mask, given = ctx.saved_tensors
            packed: Packed = ctx.packed
            (of_mixed,) = packed.split(gradient, 1, ctx.heads)
            of_shares = _dropped(torch.bmm(of_mixed, value.transpose(1, 2)), mask, ctx.dropped).float()
            of_scores = torch._softmax_backward_data(of_shares, shares, -1, torch.float32).mul_(_shrink(query)).to(HALF)
            parts = torch.empty(3, *query.shape, dtype=HALF)
            torch.bmm(of_scores, key, out=parts[0])
            torch.bmm(of_scores.transpose(1, 2), query, out=parts[1])
            torch.bmm(given.transpose(1, 2), of_mixed, out=parts[2])
            out = packed.joined(parts)
            of_flat = torch.mm(out, weight).float() if ctx.needs_input_grad[0] else None
            return of_flat, None, None, None, None, *_back(ctx, 5, out, x)


class _Activated(torch.autograd.Function):
    """A linear layer and the activation: float32 (m, d) → bf16 (m, inner)."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, approximate: str, weight: Tensor, bias: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            x, weight = flat.to(HALF), weight.to(HALF)
            before = _linear(x, weight, bias.to(HALF))
            ctx.save_for_backward(x, weight, before)
            ctx.approximate = approximate
            return functional.gelu(before, approximate=approximate)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            x, weight, before = ctx.saved_tensors
            of_before = torch.ops.aten.gelu_backward(gradient, before, approximate=ctx.approximate)
            of_flat = torch.mm(of_before, weight).float() if ctx.needs_input_grad[0] else None
            return of_flat, None, *_back(ctx, 2, of_before, x)


class _Joined(torch.autograd.Function):
    """A linear layer, dropout, the residual and the norm: bf16 (m, inner), float32 (m, d) → float32 (m, d)."""

    @staticmethod
    def forward(
        ctx: Any,
        inner: Tensor,
        flat: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        epsilon: float,
        dropped: int,
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            weight = weight.to(HALF)
            added = _linear(inner, weight, bias.to(HALF))
            mask = kept(added.numel(), dropped, inner.device).view(added.shape) if dropped else None
            added = added if mask is None else added.mul_(mask)
            summed = torch.add(flat, added.float(), alpha=_scale(dropped))
            out, mean, spread = torch.native_layer_norm(summed, [flat.shape[1]], norm_weight, norm_bias, epsilon)
            ctx.save_for_backward(inner, weight, norm_weight, norm_bias, mask, summed, mean, spread)
            ctx.dropped = dropped
            return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            inner, weight, norm_weight, norm_bias, mask, summed, mean, spread = ctx.saved_tensors
            wanted = [True, *ctx.needs_input_grad[4:6]]
            of_summed, *of_norm = torch.ops.aten.native_layer_norm_backward(
                gradient.contiguous(), summed, [summed.shape[1]], mean, spread, norm_weight, norm_bias, wanted
            )
            of_added = _dropped(of_summed, mask, ctx.dropped)
            of_inner = torch.mm(of_added, weight) if ctx.needs_input_grad[0] else None
            return of_inner, of_summed, *_back(ctx, 2, of_added, inner), *of_norm, None, None


def _dropped(x: Tensor, mask: Tensor | None, dropped: int) -> Tensor:
    """What is left of numbers under a mask of ones and zeros, as bf16."""
    return x.to(HALF) if mask is None else (x * _scale(dropped)).to(HALF).mul_(mask)


def _shrink(query: Tensor) -> float:
    """What scores are multiplied by; query (…, width of a head)"""
    return 1 / math.sqrt(query.shape[-1])


def _scale(dropped: int) -> float:
    return LEVELS / (LEVELS - dropped)
