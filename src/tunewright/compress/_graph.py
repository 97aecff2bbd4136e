"""What steps ask of a graph and do to it: which tensors are weights, who reads them, nodes put in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tunewright.core.types import Array

TOKENS, NGRAMS = ["input_ids", "attention_mask"], ["features", "weights"]
"""Inputs of an encoder of tokens, and what comes behind them where n-grams stand beside."""
WEIGHT = 1024
"""Numbers from which on a tensor is a weight that is worth making smaller."""


def weights(graph: onnx.GraphProto) -> dict[str, Array]:
    """Name → tensor of the float32 weights, which have two axes or more, none of length 1."""
    found = {}
    for one in graph.initializer:
        wide = len(one.dims) > 1 and min(one.dims) > 1  # a column of scales is none
        if one.data_type == onnx.TensorProto.FLOAT and wide and np.prod(one.dims) >= WEIGHT:
            found[one.name] = numpy_helper.to_array(one)
    return found


def readers(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The nodes that read a value."""
    return [node for node in graph.node if name in node.input]


def is_lookup(node: onnx.NodeProto, name: str) -> bool:
    """Whether a node takes rows of the table ``name`` by their numbers."""
    axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
    return node.op_type == "Gather" and node.input[0] == name and axis == 0


def token_states(graph: onnx.GraphProto) -> str:
    """The states that an encoder makes of tokens: its output, or the first part where those of n-grams stand behind."""
    out = graph.output[0].name
    maker = next((node for node in graph.node if out in node.output), None)
    return str(maker.input[0]) if maker is not None and maker.op_type == "Concat" else out


def removed(graph: onnx.GraphProto, name: str) -> None:
    """Take an initializer out."""
    at = next(at for at, one in enumerate(graph.initializer) if one.name == name)
    del graph.initializer[at]


def added(graph: onnx.GraphProto, name: str, value: Array) -> str:
    """Put an initializer in, and say its name."""
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def without_defaults(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Take the values out that optional inputs have where they are not given, and say them."""
    optional = {one.name for one in graph.input} & {one.name for one in graph.initializer}
    taken = [one for one in graph.initializer if one.name in optional]
    kept = [one for one in graph.initializer if one.name not in optional]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return taken


def placed(graph: onnx.GraphProto, after: onnx.NodeProto | None, nodes: Sequence[onnx.NodeProto]) -> None:
    """Put nodes behind one, or before all."""
    kept = list(graph.node)
    at = 0 if after is None else next(at for at, one in enumerate(kept) if one is after or one == after) + 1
    del graph.node[:]
    graph.node.extend([*kept[:at], *nodes, *kept[at:]])


def cast(source: str, target: str) -> onnx.NodeProto:
    """A node that turns a value into float32."""
    return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=onnx.TensorProto.FLOAT)


def in_float32(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """Operator → bytes of each float32 weight that it reads."""
    for name, value in weights(graph).items():
        for node in readers(graph, name):
            yield node.op_type, value.nbytes
