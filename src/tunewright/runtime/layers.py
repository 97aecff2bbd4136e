"""The layers of an encoder, tensor by tensor, for what computes them without the graph.

The description stands beside the graph as JSON: ``heads``, ``epsilon`` of the norms, and names of tensors in the file
of weights. ``embedding``: ``words`` (v, d) as int8 with ``scales`` (v, 1), or float32; ``positions`` (p, d); ``type``
(d,), the row of the one type of token, where there is one; ``norm``. Each of ``layers``: ``query``, ``key``, ``value``,
``output``, ``up`` and ``down`` are matrices, [int8 (in, out), scales (out,) or of the whole matrix, bias (out,) or ""];
``attention_norm`` and ``norm`` are [weight (d,), bias (d,)]. Where n-grams stand beside the tokens, ``ngrams`` has
their ``table`` (v, k), int8 with ``scales`` (v, 1), or float32. What they compute is what the graph does, whose
products turn their left side into bytes with one scale and one zero point for all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.errors import DamagedBundle
from tunewright.core.tensors import mapped
from tunewright.core.types import Array


@dataclass(frozen=True)
class Matrix:
    """int8 (in, out), float32 (out,) scales, float32 (out,) bias"""

    weights: Array
    scales: Array
    bias: Array


@dataclass(frozen=True)
class Norm:
    """float32 (d,) each"""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Layer:
    """One layer: attention, norm, two products with GELU between, norm; both behind a sum with what went in."""

    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    attention_norm: Norm
    up: Matrix
    down: Matrix
    norm: Norm


@dataclass(frozen=True)
class Table:
    """int8 (v, d) rows and float32 (v,) what each is multiplied by, or float32 rows and None"""

    rows: Array
    scales: Array | None

    def taken(self, ids: Array) -> Array:
        """float32 (..., d)"""
        rows = self.rows[ids]
        return rows if self.scales is None else rows * self.scales[ids, None]


@dataclass(frozen=True)
class Layers:
    """See above.

    type : None where there is none; ngrams : None where tokens stand alone
    """

    heads: int
    epsilon: float
    words: Table
    positions: Array
    type: Array | None
    norm: Norm
    layers: tuple[Layer, ...]
    ngrams: Table | None = None

    @property
    def width(self) -> int:
        return int(self.words.rows.shape[1])

    @property
    def inner(self) -> int:
        """Width between the two products of a layer."""
        return int(self.layers[0].up.weights.shape[1])

    @classmethod
    def load(cls, path: Path, data: Iterable[Path]) -> Layers:
        """Read a description; its tensors stay where they are and are mapped into memory.

        Raises
        ------
        DamagedBundle
            It is no description, or its tensors are not there in the shapes that belong together.
        """
        tensors = {name: one for file in data for name, one in mapped(file).items()}
        try:
            return _read(json.loads(path.read_text(encoding="utf-8")), tensors)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise DamagedBundle(
                f"{path}: it does not describe the encoder: {error}", "copy the bundle again, or compress it anew"
            ) from None


def _read(told: Mapping[str, Any], tensors: Mapping[str, Array]) -> Layers:
    embedding = told["embedding"]
    words, positions = _table(embedding, "words", tensors), _float32(tensors, embedding["positions"])
    width = words.rows.shape[1]
    kind = _float32(tensors, embedding["type"]).ravel() if embedding["type"] else None
    _need(positions.shape[1:] == (width,) and (kind is None or len(kind) == width), "positions")
    layers = tuple(_layer(one, tensors, width) for one in told["layers"])
    heads = int(told["heads"])
    _need(len(layers) > 0 and heads > 0 and width % heads == 0, "heads")
    _need(len({one.up.weights.shape for one in layers}) == 1, "widths of layers")
    norm = _norm(embedding["norm"], tensors, width)
    ngrams = _table(told["ngrams"], "table", tensors) if "ngrams" in told else None
    return Layers(heads, float(told["epsilon"]), words, positions, kind, norm, layers, ngrams)


def _table(told: Mapping[str, Any], name: str, tensors: Mapping[str, Array]) -> Table:
    rows = tensors[told[name]]
    scales = _float32(tensors, told["scales"]).ravel() if told["scales"] else None
    _need(rows.ndim == 2 and rows.dtype == (np.float32 if scales is None else np.int8), name)
    _need(scales is None or len(scales) == len(rows), f"scales of {name}")
    return Table(rows, scales)


def _layer(told: Mapping[str, Any], tensors: Mapping[str, Array], width: int) -> Layer:
    def matrix(name: str, rows: int, columns: int) -> Matrix:
        of_weights, of_scales, of_bias = told[name]
        weights, scales = tensors[of_weights], tensors[of_scales]
        bias = tensors[of_bias] if of_bias else np.zeros(columns, np.float32)
        _need(weights.dtype == np.int8 and weights.shape == (rows, columns), name)
        _need(scales.size in (1, columns) and bias.shape == (columns,), name)
        spread = np.broadcast_to(scales.astype(np.float32).ravel(), (columns,))
        return Matrix(weights, np.ascontiguousarray(spread), bias.astype(np.float32))

    up = tensors[told["up"][0]]
    _need(up.ndim == 2, "up")
    inner = int(up.shape[1])
    return Layer(
        query=matrix("query", width, width),
        key=matrix("key", width, width),
        value=matrix("value", width, width),
        output=matrix("output", width, width),
        attention_norm=_norm(told["attention_norm"], tensors, width),
        up=matrix("up", width, inner),
        down=matrix("down", inner, width),
        norm=_norm(told["norm"], tensors, width),
    )


def _norm(names: Any, tensors: Mapping[str, Array], width: int) -> Norm:
    weight, bias = (_float32(tensors, name) for name in names)
    _need(weight.shape == bias.shape == (width,), "norm")
    return Norm(weight, bias)


def _float32(tensors: Mapping[str, Array], name: str) -> Array:
    one = tensors[name]
    _need(one.dtype == np.float32, name)
    return one


def _need(that: bool, what: str) -> None:
    if not that:
        raise ValueError(f"{what} of another shape or type")
