"""What layers an encoder's graph in int8 is made of, in words that need no graph: see ``runtime/layers.py``.

Only what this program itself makes of an encoder is known: token-major attention (``_attention.py``) and products of
whole numbers as ONNX Runtime's tool leaves them, with signed weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tunewright.compress._graph import NGRAMS, TOKENS, token_states
from tunewright.core.types import Array


def layers_of(model: onnx.ModelProto) -> dict[str, Any] | None:
    """The description; None where the graph is built otherwise, be it in one place only."""
    if [one.name for one in model.graph.input] not in (TOKENS, TOKENS + NGRAMS):
        return None
    try:
        return _Reader(model.graph).encoder()
    except _Unlike:
        return None


def tensors_of(layers: dict[str, Any]) -> Iterator[str]:
    """Names of all tensors that a description names."""
    for value in layers.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from tensors_of(one)
            elif isinstance(one, str) and one:
                yield one


class _Unlike(Exception):
    """The graph is not as it would have to be."""


@dataclass(frozen=True)
class _Product:
    """A product with a constant matrix, and the sum behind it: the names of its tensors, and of what it makes."""

    tensors: list[str]
    out: str


class _Reader:
    """Goes through a graph from its inputs to its states, and notes what it meets."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._constants = {one.name: one for one in graph.initializer}
        self._makers: dict[str, onnx.NodeProto] = {out: node for node in graph.node for out in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._out, self._states = graph.output[0].name, token_states(graph)

    def encoder(self) -> dict[str, Any]:
        norm = _found(next((node for node in self._makers.values() if node.op_type == "LayerNormalization"), None))
        embedding = self._embedding(norm)
        states = self._next(self._next(norm.output[0], "Transpose"), "Reshape")
        layers, heads = [], set()
        while self._reader_or_none(states, "DynamicQuantizeLinear"):
            told, of_layer, states = self._layer(states)
            layers.append(told)
            heads.add(of_layer)
        out = self._next(self._next(states, "Reshape"), "Transpose")
        _need(out == self._states and len(heads) == 1)
        told = {"heads": heads.pop(), "epsilon": self._epsilon, "embedding": embedding, "layers": layers}
        return told | ({"ngrams": self._ngrams()} if self._out != self._states else {})

    def _ngrams(self) -> dict[str, str]:
        """The sum of the rows of a table, each times a weight, which stands behind the states of all tokens."""
        both = self._made(self._out, "Concat")
        _need(len(both.input) == 2)
        product = self._made(self._made(both.input[1], "Expand").input[0], "MatMul")
        _need(self._made(product.input[0], "Unsqueeze").input[0] == NGRAMS[1])
        found = self._rows(product.input[1], NGRAMS[0])
        return {"table": found["rows"], "scales": found["scales"]}

    def _embedding(self, norm: onnx.NodeProto) -> dict[str, Any]:
        """words + positions, and the row of the one type of token, where there is one; then the norm."""
        self._epsilon = _setting(norm, "epsilon", 1e-5)
        total = self._made(norm.input[0], "Add")
        type_, first = self._parted(total.input)
        if type_:
            _need(self._size(type_) == self._size(norm.input[1]))
            total = self._made(first, "Add")
        words, slice_ = total.input
        cut = self._made(slice_, "Slice")
        _need(cut.input[0] in self._constants and not self._value(cut.input[1]).any())
        told = {"type": type_, "positions": cut.input[0], "norm": [*norm.input[1:3]]}
        rows = self._rows(words, TOKENS[0])
        return {"words": rows["rows"], "scales": rows["scales"]} | told

    def _rows(self, name: str, ids: str) -> dict[str, str]:
        """A table whose rows are taken by ids, and its scales where it is of 8-bit numbers."""
        node = self._makers[name]
        if node.op_type == "Gather":
            return {"rows": self._looked_up(name, ids), "scales": ""}
        _need(node.op_type == "Mul")
        whole, scale = node.input
        return {
            "rows": self._looked_up(self._made(whole, "Cast").input[0], ids),
            "scales": self._looked_up(scale, ids),
        }

    def _looked_up(self, name: str, ids: str) -> str:
        table, own = map(str, self._made(name, "Gather").input)
        _need(own == ids and table in self._constants)
        return table

    def _layer(self, states: str) -> tuple[dict[str, Any], int, str]:
        """Its tensors, how many heads it has, and the states that it makes."""
        parts, heads, mixed = self._attention(states)
        (output,) = self._products(mixed)
        attended, attention_norm = self._normed(output.out, states)
        (up,) = self._products(attended)
        activated = self._reader(up.out, "Gelu")
        _need(_setting(activated, "approximate", b"none") == b"none")
        (down,) = self._products(activated.output[0])
        out, norm = self._normed(down.out, attended)
        told = {
            **parts,
            "output": output.tensors,
            "attention_norm": attention_norm,
            "up": up.tensors,
            "down": down.tensors,
            "norm": norm,
        }
        return told, heads, out

    def _attention(self, states: str) -> tuple[dict[str, list[str]], int, str]:
        products = {self._next(one.out, "Reshape"): one for one in self._products(states)}
        _need(len(products) == 3)
        scores = _found(
            next((one for name in products for one in self._readers[name] if _setting(one, "transB", 0)), None)
        )
        _need(scores.op_type == "FusedMatMul")
        query, key = scores.input
        masked = self._next(self._next(scores.output[0], "Reshape"), "Add")
        shares = self._next(self._next(masked, "Softmax"), "Reshape")
        mixed = self._reader(shares, "FusedMatMul")
        value = mixed.input[1]
        _need({query, key, value} == products.keys())
        width = self._constants[products[query].tensors[0]].dims[1]
        size = round(1 / _setting(scores, "alpha", 1.0) ** 2)
        _need(width % size == 0 and abs(_setting(scores, "alpha", 1.0) * size**0.5 - 1) < 1e-6)
        flat = self._next(self._next(mixed.output[0], "Transpose"), "Reshape")
        parts = {"query": query, "key": key, "value": value}
        return {part: products[name].tensors for part, name in parts.items()}, width // size, flat

    def _products(self, name: str) -> list[_Product]:
        """All products with a constant matrix of signed 8-bit numbers whose left side is this one."""
        narrow = self._reader(name, "DynamicQuantizeLinear")
        return [self._product(one) for one in self._readers[narrow.output[0]] if one.op_type == "MatMulInteger"]

    def _product(self, node: onnx.NodeProto) -> _Product:
        _, matrix, _, zero = node.input
        _need(matrix in self._constants and self._constants[matrix].data_type == onnx.TensorProto.INT8)
        _need(not self._value(zero).any())
        scaled = self._reader(self._next(node.output[0], "Cast"), "Mul")
        scale = self._made(scaled.input[1], "Mul").input[1]
        _need(scale in self._constants)
        total = self._reader_or_none(scaled.output[0], "Add")
        bias = self._parted(total.input)[0] if total is not None else ""
        out = total if total is not None and bias else scaled
        return _Product([matrix, scale, bias], out.output[0])

    def _normed(self, name: str, residual: str) -> tuple[str, list[str]]:
        """The norm of a sum with what went in before: what it makes, and its tensors."""
        total = self._reader(name, "Add")
        _need({*total.input} == {name, residual})
        norm = self._reader(total.output[0], "LayerNormalization")
        _need(_setting(norm, "epsilon", 1e-5) == self._epsilon)
        return norm.output[0], [*norm.input[1:3]]

    def _parted(self, names: Any) -> tuple[str, str]:
        """The constant of two (empty: neither is one), and the other."""
        one, other = names
        return (one, other) if one in self._constants else (other, one) if other in self._constants else ("", one)

    def _made(self, name: str, kind: str) -> onnx.NodeProto:
        node = _found(self._makers.get(name))
        _need(node.op_type == kind)
        return node

    def _reader(self, name: str, kind: str) -> onnx.NodeProto:
        return _found(self._reader_or_none(name, kind))

    def _next(self, name: str, kind: str) -> str:
        return str(self._reader(name, kind).output[0])

    def _reader_or_none(self, name: str, kind: str) -> onnx.NodeProto | None:
        found = [node for node in self._readers.get(name, ()) if node.op_type == kind]
        return found[0] if len(found) == 1 else None

    def _value(self, name: str) -> Array:
        _need(name in self._constants)
        return numpy_helper.to_array(self._constants[name])

    def _size(self, name: str) -> int:
        return int(np.prod(self._constants[name].dims))


def _need(that: bool) -> None:
    if not that:
        raise _Unlike


def _found(node: onnx.NodeProto | None) -> onnx.NodeProto:
    if node is None:
        raise _Unlike
    return node


def _setting(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)
