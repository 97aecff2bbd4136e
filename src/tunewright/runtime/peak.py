"""The fastest product of matrices that ONNX Runtime makes here: what a model's speed can be held against.

One product of 1,024 × 1,024 by a constant matrix of the same size, in fp32 or of 8-bit numbers, at the same time in as
many threads as asked for; the fastest of some rounds. The graph is written here byte by byte, since what serves does
without the library ``onnx``.

Source: the format of the messages is that of onnx.proto (ONNX, IR version 8); the encoding that of Protocol Buffers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import onnxruntime

from tunewright.core.types import Array
from tunewright.runtime.parallel import in_parallel

SIDE = 1024
ROUNDS, EACH = 5, 4
"""Rounds, and products of each thread in one of them."""
FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""Types of tensors by their numbers in ``onnx.proto``."""


@dataclass(frozen=True)
class Form:
    """How a product is computed: the operator, the types of its left side, its matrix and its result."""

    operator: str
    left: int
    matrix: int
    result: int


FORMS = {"fp32": Form("MatMul", FLOAT, FLOAT, FLOAT), "int8": Form("MatMulInteger", UINT8, INT8, INT32)}


def peak(form: str, threads: int) -> float:
    """Operations per second, a multiplication and an addition being two.

    form : ``fp32`` or ``int8``
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    rng = np.random.default_rng(0)
    left, matrix = (rng.integers(1, 100, (SIDE, SIDE)) for _ in range(2))
    types = (np.float32, np.float32) if form == "fp32" else (np.uint8, np.int8)
    graph = product(FORMS[form], matrix.astype(types[1]))
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    arrays = {"left": left.astype(types[0])}
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        in_parallel(lambda _: session.run(None, arrays), range(EACH * threads), threads)
        seconds.append(time.perf_counter() - begun)
    return 2 * SIDE**3 * EACH * threads / min(seconds)


def product(form: Form, matrix: Array) -> bytes:
    """An ONNX model: ``left`` times a constant matrix is ``result``."""
    tensor = b"".join(
        [
            *(_number(1, size) for size in matrix.shape),
            _number(2, form.matrix),
            _text(8, "matrix"),
            _bytes(9, matrix.tobytes()),
        ]
    )
    node = _text(1, "left") + _text(1, "matrix") + _text(2, "result") + _text(4, form.operator)
    graph = b"".join(
        [
            _bytes(1, node),
            _text(2, "product"),
            _bytes(5, tensor),
            _bytes(11, _value("left", form.left, (SIDE, matrix.shape[0]))),
            _bytes(12, _value("result", form.result, (SIDE, matrix.shape[1]))),
        ]
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 17))


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    axes = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, axes)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
