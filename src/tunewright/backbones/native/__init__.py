"""What is no product in a layer that trains in bf16, in native code, for processors with AVX-512; see ``layer.c``.

The library is compiled when the package is built, where there is a compiler. Without it, on another processor, or with
``TUNEWRIGHT_NATIVE=off``, torch computes all of it, as it did before.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from functools import cache
from pathlib import Path

import torch

from tunewright.runtime.native import compiled, switched_on

FILE = Path(__file__).with_name("layer.so")
WIDTHS = 32
"""Widths are multiples of it, those of heads too: a register of pairs."""
MOST_DRAWS, DRAWN = 16, 64
"""As in ``layer.c``."""
LONGEST = MOST_DRAWS * DRAWN
"""Tokens of a row."""
OF_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


class Attention(ctypes.Structure):
    """As in ``layer.c``, where the fields are told."""

    _fields_ = (
        *((name, c_int32) for name in ("rows", "heads", "size", "longest", "dropped", "parts")),
        ("seed", c_uint64),
        *((name, c_void_p) for name in ("starts", "lengths", "bias", "qkv", "mixed", "of_mixed", "of_qkv", "of_bias")),
        ("memory", c_void_p),
    )


class Activation(ctypes.Structure):
    """As in ``layer.c``."""

    _fields_ = (
        ("tokens", c_int64),
        *((name, c_int32) for name in ("width", "bent", "parts")),
        *((name, c_void_p) for name in ("bias", "product", "slope", "gradient", "of_bias")),
    )


class Join(ctypes.Structure):
    """As in ``layer.c``."""

    _fields_ = (
        ("tokens", c_int64),
        *((name, c_int32) for name in ("width", "dropped", "parts")),
        ("epsilon", c_float),
        ("seed", c_uint64),
        *((name, c_void_p) for name in ("weight", "shift", "bias", "product", "flat", "summed", "stats", "out")),
        *((name, c_void_p) for name in ("narrow", "gradient", "more", "of_summed", "of_product", "sums")),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The native code, where it was compiled and the processor can run it."""
    out = compiled(FILE)
    if out is None:
        return None
    for name, structure in {"attend": Attention, "activate": Activation, "join": Join}.items():
        for way in (f"tw_{name}", f"tw_back_of_{name}"):
            getattr(out, way).argtypes, getattr(out, way).restype = (POINTER(structure),), None
    out.tw_attention_memory.argtypes, out.tw_attention_memory.restype = (POINTER(Attention),), c_size_t
    out.tw_add.argtypes, out.tw_add.restype = (c_void_p, c_void_p, c_int64, c_int), None
    out.tw_kept.argtypes, out.tw_kept.restype = (c_uint64, c_int, c_int64, c_int, c_void_p), None
    out.tw_threads.argtypes, out.tw_threads.restype = (c_void_p, c_void_p, c_void_p), None
    out.tw_threads(*(openmp() or (None, None, None)))
    return out


@cache
def openmp() -> tuple[c_void_p, ...] | None:
    """The functions ``OF_OPENMP`` of the library whose threads torch computes with, where it is the one of GCC."""
    folder = Path(torch.__file__).parent
    for path in sorted(folder.glob("lib/libgomp*.so*")):
        try:
            found = ctypes.CDLL(str(path))
            return tuple(ctypes.cast(getattr(found, name), c_void_p) for name in OF_OPENMP)
        except (OSError, AttributeError):
            continue
    return None


def usable() -> bool:
    """Whether layers may be computed here by native code, with as many threads as torch has."""
    return switched_on() and library() is not None and (torch.get_num_threads() == 1 or openmp() is not None)
