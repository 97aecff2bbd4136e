"""The steps of a layer in native code, on contiguous tensors; n tokens are computed, d is the layer's width."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from tunewright.backbones._layer16 import HALF
from tunewright.backbones.native import Activation, Attention, Join, library, openmp
from tunewright.runtime.native import aligned

Job = TypeVar("Job", bound=ctypes.Structure)
TOKENS_OF_A_THREAD = 64
"""Fewer tokens than these are not worth another thread."""


@dataclass(frozen=True)
class Heads:
    """heads of such a width; dropped : of the shares, in 256ths; seed : of what is drawn"""

    count: int
    width: int
    dropped: int
    seed: int


@dataclass(frozen=True)
class Rows:
    """Where the tokens of b rows lie among the n that are computed.

    starts, lengths : int32 (b,); longest : of the lengths; whole : whether each of the n tokens is of some row
    """

    starts: Tensor
    lengths: Tensor
    longest: int
    whole: bool


def attend(qkv: Tensor, bias: Tensor, rows: Rows, heads: Heads) -> Tensor:
    """Attention of each row's own tokens; tokens of no row get zeros.

    qkv : bf16 (n, 3 * heads * width), to which the bias is added

    Returns
    -------
    bf16 (n, heads * width)
    """
    shape = (len(qkv), heads.count * heads.width)
    mixed = torch.empty(shape, dtype=HALF) if rows.whole else torch.zeros(shape, dtype=HALF)
    _attention("tw_attend", qkv, rows, heads, bias=bias, mixed=mixed)
    return mixed


def back_of_attend(qkv: Tensor, of_mixed: Tensor, rows: Rows, heads: Heads) -> tuple[Tensor, Tensor]:
    """qkv as ``attend`` left it, and the gradient of its outcome → those of qkv, bf16, and of the bias, float32."""
    of_qkv = torch.empty_like(qkv) if rows.whole else torch.zeros_like(qkv)
    sums = torch.empty(_parts(qkv), qkv.shape[1])
    _attention("tw_back_of_attend", qkv, rows, heads, of_mixed=of_mixed, of_qkv=of_qkv, of_bias=sums)
    return of_qkv, sums[0]


def _attention(step: str, qkv: Tensor, rows: Rows, heads: Heads, **tensors: Tensor) -> None:
    job = Attention(
        len(rows.lengths), heads.count, heads.width, rows.longest, heads.dropped, _parts(qkv), heads.seed % 2**64
    )
    _place(job, qkv=qkv, starts=rows.starts, lengths=rows.lengths, **tensors)
    memory = aligned(job.parts * _call("tw_attention_memory", job))
    job.memory = memory.ctypes.data
    _call(step, job)


def activate(product: Tensor, bias: Tensor, bent: bool, wanted: bool) -> Tensor | None:
    """GELU of a product and its bias, in place, bf16 (n, any); its slope, bf16, where it is wanted.

    bent : by tanh instead of erf
    """
    slope = torch.empty_like(product) if wanted else None
    job = Activation(len(product), product.shape[1], bent, _parts(product))
    _call("tw_activate", _place(job, bias=bias, product=product, slope=slope))
    return slope


def back_of_activate(gradient: Tensor, slope: Tensor) -> Tensor:
    """The gradient of the activation becomes that of the product; returned is that of the bias, float32."""
    sums = torch.empty(_parts(gradient), gradient.shape[1])
    job = Activation(len(gradient), gradient.shape[1], False, len(sums))
    _call("tw_back_of_activate", _place(job, gradient=gradient, slope=slope, of_bias=sums))
    return sums[0]


@dataclass(frozen=True)
class Joint:
    """The end of half a layer: norm(residual + dropout(product + bias)).

    weight, shift : float32 (d,) of the norm, with its epsilon; dropped : in 256ths; seed : of what is drawn
    """

    weight: Tensor
    shift: Tensor
    epsilon: float
    dropped: int
    seed: int

    def join(
        self, product: Tensor, bias: Tensor, flat: Tensor, half: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """product bf16, flat float32 (n, d) → the outcome, float32, and what ``back`` wants.

        half : bf16 (n, d), to be filled with the outcome as well

        Returns
        -------
        The outcome (n, d), what was normed (n, d), and its mean and 1 / its spread (n, 2), all float32.
        """
        out, summed, stats = torch.empty_like(flat), torch.empty_like(flat), torch.empty(len(flat), 2)
        job = self._job(product, bias=bias, product=product, flat=flat, summed=summed, stats=stats)
        _call("tw_join", _place(job, shift=self.shift, out=out, narrow=half))
        return out, summed, stats

    def back(
        self, gradient: Tensor, more: Tensor | None, summed: Tensor, stats: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of the outcome: gradient float32, and bf16 that is added to it.

        Returns
        -------
        The gradients of the residual, float32 (n, d), of the product, bf16 (n, d), and float32 (3, d) of weight, shift
        and bias.
        """
        of_summed, of_product = torch.empty_like(gradient), torch.empty(gradient.shape, dtype=HALF)
        sums = torch.empty(_parts(gradient), 3, gradient.shape[1])
        job = self._job(gradient, gradient=gradient, more=more, summed=summed, stats=stats, sums=sums)
        _call("tw_back_of_join", _place(job, of_summed=of_summed, of_product=of_product))
        return of_summed, of_product, sums[0]

    def _job(self, like: Tensor, **tensors: Tensor | None) -> Join:
        measures = (*like.shape, self.dropped, _parts(like), self.epsilon, self.seed % 2**64)
        return _place(Join(*measures), weight=self.weight, **tensors)


def add(to: Tensor, more: Tensor) -> None:
    """float32 += bf16, (n, d)."""
    _call("tw_add", to.data_ptr(), more.data_ptr(), to.numel(), _parts(to))


def kept(seed: int, dropped: int, rows: int, width: int) -> Tensor:
    """bool (rows, width): what a ``Joint`` of so many tokens keeps, or shares whose rows are queries of a head."""
    out = torch.empty(rows, width, dtype=torch.uint8)
    _call("tw_kept", seed % 2**64, dropped, rows, width, out.data_ptr())
    return out.bool()


def _parts(work: Tensor) -> int:
    """Into how many parts work over so many tokens is cut, a thread for each."""
    threads = torch.get_num_threads() if openmp() is not None else 1
    return max(1, min(threads, len(work) // TOKENS_OF_A_THREAD))


def _place(job: Job, **tensors: Tensor | None) -> Job:
    for name, one in tensors.items():
        assert one is None or one.is_contiguous(), name
        setattr(job, name, None if one is None else one.data_ptr())
    return job


def _call(step: str, *given: Any) -> Any:
    native = library()
    assert native is not None
    return getattr(native, step)(*given)
