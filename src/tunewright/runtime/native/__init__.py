"""An encoder in 8-bit numbers in native code, for processors with AVX-512 VNNI; see ``encoder.c``.

The library is compiled when the package is built, where there is a compiler. Without it, on another processor, or with
``TUNEWRIGHT_NATIVE=off``, bundles are computed by their graphs, as all were before.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Mapping
from ctypes import POINTER, c_float, c_int, c_int32, c_size_t, c_void_p
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import DamagedBundle
from tunewright.core.types import Array
from tunewright.runtime.layers import Layers, Matrix, Norm

SWITCH = "TUNEWRIGHT_NATIVE"
FILE = Path(__file__).with_name("encoder.so")
SHARED, LANES = 64, 16
"""As in ``encoder.c``. Widths are multiples of the first; that of a head divides it, and is one of the second."""
ALIGNED = 64


class _Encoder(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("width", "inner", "layers", "heads", "words", "places")),
        ("epsilon", c_float),
        ("tensors", c_void_p),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("tokens", "windows", "longest", "threads")),
        *((name, c_void_p) for name in ("ids", "lengths", "states")),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The native code, where it was compiled and the processor can run it."""
    out = compiled(FILE)
    if out is None:
        return None
    out.tw_packed_bytes.restype = out.tw_memory.restype = c_size_t
    out.tw_packed_bytes.argtypes = (c_int, c_int)
    out.tw_pack.argtypes, out.tw_pack.restype = (c_void_p, c_int, c_int, c_void_p), None
    out.tw_memory.argtypes = (POINTER(_Encoder), POINTER(_Batch))
    out.tw_run.argtypes, out.tw_run.restype = (POINTER(_Encoder), POINTER(_Batch), c_void_p), c_int
    return out


def compiled(file: Path) -> ctypes.CDLL | None:
    """A library that was compiled with the package, where it was and the processor can run it."""
    try:
        out = ctypes.CDLL(str(file))
    except OSError:
        return None
    return out if out.tw_supported() else None


def switched_on() -> bool:
    """Whether native code is wanted: it is, unless the environment says no."""
    return os.environ.get(SWITCH, "").lower() not in ("0", "off", "no", "false")


def usable() -> bool:
    """Whether encoders may be computed here by native code."""
    return switched_on() and library() is not None


def fits(layers: Layers) -> bool:
    """Whether the native code knows layers of these widths."""
    size = layers.width // layers.heads
    return not (layers.width % SHARED or layers.inner % SHARED or SHARED % size or size % LANES)


class NativeEncoder:
    """Layers, called as the graph that they describe. Safe to call from several threads.

    threads : threads of one call; the answers are the same for any number of them
    """

    def __init__(self, layers: Layers, threads: int, packed: _Packed | None = None) -> None:
        self.threads = threads
        self._layers = layers
        self._packed = packed or _Packed(layers)
        self._memory = threading.local()

    @cached_property
    def single(self) -> NativeEncoder:
        """The same with one thread for each call, for calls in parallel."""
        return self if self.threads == 1 else NativeEncoder(self._layers, 1, self._packed)

    def __call__(self, arrays: Mapping[str, Array], options: Any = None) -> dict[str, Array]:
        """``input_ids``, ``attention_mask`` int64 (b, t), padded behind → ``states`` (b, t, d), zero where a row is
        padded, and ``mask`` (b, t), float32. Where the layers have n-grams, ``features`` and ``weights`` (b, s) make k
        more of each state.

        Raises
        ------
        DamagedBundle
            A token or a position has no row in the tables: they are another model's.
        """
        mask = arrays["attention_mask"]
        rows, longest = mask.shape
        lengths = mask.sum(1, dtype=np.int32)
        ids = arrays["input_ids"][mask != 0].astype(np.int64, copy=False)
        states = np.zeros((rows, longest, self._layers.width), np.float32)
        addresses = (one.ctypes.data for one in (ids, lengths, states))
        batch = _Batch(len(ids), rows, longest, self.threads, *addresses)
        if len(ids) and self._packed.run(batch, self._memory):
            raise DamagedBundle(
                "a token or a position has no row in the encoder's tables", "copy the bundle again, or fit it anew"
            )
        if self._layers.ngrams is not None:
            sums = arrays["weights"][:, None] @ self._layers.ngrams.taken(arrays["features"])
            states = np.concatenate([states, np.repeat(sums, longest, 1)], 2)
        return {"states": states, "mask": mask.astype(np.float32)}


class _Packed:
    """The tensors as the native code reads them: matrices laid out anew, all others where they are."""

    def __init__(self, layers: Layers) -> None:
        self._kept: list[Array | None] = list(_tensors(layers))
        found = (one.ctypes.data if one is not None else None for one in self._kept)
        self._tensors = (c_void_p * len(self._kept))(*found)
        rows = (len(layers.words.rows), len(layers.positions))
        told = (layers.width, layers.inner, len(layers.layers), layers.heads, *rows)
        self._encoder = _Encoder(*told, layers.epsilon, ctypes.addressof(self._tensors))

    def run(self, batch: _Batch, memory: threading.local) -> int:
        """0, or -1 where a table has no such row.

        memory : what the thread has from its last call
        """
        native = library()
        assert native is not None
        needed = native.tw_memory(self._encoder, batch)
        held = getattr(memory, "held", None)
        if held is None or len(held) < needed:
            memory.held = held = aligned(needed)
        return int(native.tw_run(self._encoder, batch, held.ctypes.data))


def _tensors(layers: Layers) -> Iterator[Array | None]:
    """In the order of ``encoder.c``."""
    yield from (layers.words.rows, layers.words.scales, layers.positions, layers.type)
    yield from _of_norm(layers.norm)
    for one in layers.layers:
        for matrix in (one.query, one.key, one.value, one.output):
            yield from _of_matrix(matrix)
        yield from _of_norm(one.attention_norm)
        for matrix in (one.up, one.down):
            yield from _of_matrix(matrix)
        yield from _of_norm(one.norm)


def _of_norm(norm: Norm) -> tuple[Array, Array]:
    return np.ascontiguousarray(norm.weight), np.ascontiguousarray(norm.bias)


def _of_matrix(matrix: Matrix) -> tuple[Array, Array, Array]:
    native = library()
    assert native is not None
    weights = np.ascontiguousarray(matrix.weights)
    rows, columns = weights.shape
    packed = aligned(native.tw_packed_bytes(rows, columns))
    native.tw_pack(weights.ctypes.data, rows, columns, packed.ctypes.data)
    return packed, matrix.scales, matrix.bias


def aligned(size: int) -> NDArray[np.uint8]:
    """uint8 (size,) that begins where a line of the cache does."""
    whole = np.empty(size + ALIGNED, np.uint8)
    begin = -whole.ctypes.data % ALIGNED
    return whole[begin : begin + size]
