"""A graph that is open to low-rank updates: optional inputs beside its products, see ``runtime/updates.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tunewright.core.types import Array
from tunewright.train.updates import LEFT, RIGHT, WEIGHT, Factors


def opened(model: onnx.ModelProto, updates: Mapping[str, Factors]) -> onnx.ModelProto:
    """The same graph with optional inputs for updates of these layers, of any rank; without them it says what it said.

    It depends on the layers and how many parts they have, and not on the values, so that all bundles on a backbone have
    the same one.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph, shapes = out.graph, {one.name: tuple(one.dims) for one in model.graph.initializer}
    layers = {f"{layer}{WEIGHT}": (layer, len(one.left)) for layer, one in updates.items()}
    nodes, open_ = [], set()
    for node in model.graph.node:
        weight = node.input[1] if node.op_type == "Gemm" else ""
        if weight not in layers:
            nodes.append(node)
            continue
        layer, parts = layers[weight]
        nodes += _with_update(node, layer, parts, shapes[weight][0])
        _add_inputs(graph, layer, parts, *shapes[weight])
        open_.add(weight)
    assert open_ == set(layers), f"no product of these layers was found: {sorted(set(layers) - open_)}"
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return out


def closed(model: onnx.ModelProto, given: Mapping[str, Array]) -> onnx.ModelProto:
    """The graph with these updates in the place of its optional inputs."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    for values in (out.graph.input, out.graph.initializer):
        kept = [one for one in values if one.name not in given]
        del values[:]
        values.extend(kept)
    out.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in given.items())
    return out


def _with_update(product: onnx.NodeProto, layer: str, parts: int, out: int) -> Iterable[onnx.NodeProto]:
    """The product, and what the update adds to it; the second product of the update takes the sum along."""
    first = onnx.NodeProto()
    first.CopyFrom(product)
    name, right, left = product.output[0], layer + RIGHT, layer + LEFT
    first.output[0] = f"{name}.unchanged"
    wide = [] if parts == 1 else _widened(layer)
    if wide:
        left = wide[-1].output[0]
    inner = helper.make_node("Gemm", [product.input[0], right], [f"{name}.inner"], name=f"{name}.right", transB=1)
    total = [f"{name}.inner", left, first.output[0]]
    return [first, *wide, inner, helper.make_node("Gemm", total, [name], name=f"{name}.left", transB=1)]


def _widened(layer: str) -> list[onnx.NodeProto]:
    """Left factors (parts, out / parts, r) → (out, parts * r), zero outside the blocks."""
    left = layer + LEFT
    return [
        helper.make_node("Unsqueeze", [left, f"{left}.axis"], [f"{left}.apart"], name=f"{left}.unsqueeze"),
        helper.make_node("Mul", [f"{left}.apart", f"{left}.blocks"], [f"{left}.placed"], name=f"{left}.place"),
        helper.make_node("Shape", [layer + RIGHT], [f"{left}.ranks"], name=f"{left}.rank", start=0, end=1),
        helper.make_node("Concat", [f"{left}.out", f"{left}.ranks"], [f"{left}.shape"], name=f"{left}.join", axis=0),
        helper.make_node(
            "Reshape", [f"{left}.placed", f"{left}.shape"], [f"{left}.wide"], name=f"{left}.widen", allowzero=1
        ),
    ]


def _add_inputs(graph: onnx.GraphProto, layer: str, parts: int, out: int, width: int) -> None:
    """Inputs that are updates of rank 0 where nothing is given."""
    rank = f"{layer}.rank"
    left = [out] if parts == 1 else [parts, out // parts]
    sides: dict[str, tuple[list[str | int | None], tuple[int, ...]]] = {
        layer + RIGHT: ([f"{rank}s", width], (0, width)),
        layer + LEFT: ([*left, rank], (*left, 0)),
    }
    for name, (shape, empty) in sides.items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph.initializer.append(numpy_helper.from_array(np.zeros(empty, np.float32), name))
    if parts > 1:
        blocks = np.eye(parts, dtype=np.float32).reshape(parts, 1, parts, 1)
        for end, value in (("axis", np.array([2])), ("blocks", blocks), ("out", np.array([out]))):
            graph.initializer.append(numpy_helper.from_array(value, f"{layer}{LEFT}.{end}"))
