"""Weights and activations as 8-bit numbers, with ranges of activations that were measured on your texts beforehand.

The step ``int8`` looks for the range of the activations in every batch; here each range is a constant of the graph, so
that a pass over every activation falls away. An activation beyond its range is cut off at the range's end.

Source: Jacob et al. 2018 (CVPR), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from tunewright.compress._copy import Copy
from tunewright.compress._graph import added, cast, placed, readers, removed, weights
from tunewright.compress.int8 import left_in_fp32, matrices, tables_as_int8
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.runtime.batches import by_cost

READS_TEXTS = True
ROWS, BATCH_COST = 512, 512
"""Texts that the ranges are measured on at the most, and tokens of one batch of them."""


@dataclass(frozen=True)
class How:
    """One way of quantising.

    typical : a range ends where a batch's extremes lie on the average, not where the farthest one of all does
    reduced : weights of 7 bits, for processors that add products of 8 bits in 16
    """

    typical: bool = False
    reduced: bool = False


WAYS = {
    "typical ranges": How(typical=True),
    "whole ranges": How(),
    "whole ranges, 7 bits": How(reduced=True),
}
SETTINGS = tuple(WAYS)
Ranges = Mapping[str, tuple[float, float]]


def run(copy: Copy, setting: str) -> None:
    """Change the encoder.

    Raises
    ------
    TunewrightError
        It has no product with a matrix of its own, its weights are in fp16 already, or it is in two parts.
    """
    part, *upper = copy.manifest.encoder
    if upper:
        raise TunewrightError(
            "int8_static does not fit an encoder in two parts (fit.shared): ranges from your texts "
            "would make the shared part one of this bundle alone",
            "use --to int8, which leaves it shared, or fit without fit.shared",
        )
    model = copy.graph(part)
    if any(one.data_type == onnx.TensorProto.FLOAT16 for one in model.graph.initializer):
        raise TunewrightError("int8_static stands after fp16", 'put it first: --to "int8_static,fp16"')
    found = matrices(model)
    if not found:
        raise TunewrightError("no product in this bundle can be quantised beforehand", "use --to int8")
    del model.graph.value_info[:]  # shapes are worked out again; old ones may contradict
    how, own = WAYS[setting], products(model.graph)
    known, rows = measured(copy, model, sorted({node.input[0] for node in own}), how)
    tables = tables_as_int8(model)
    for node in own:
        as_whole_numbers(model.graph, node, known[node.input[0]], how)
    for name in weights(model.graph):
        if not readers(model.graph, name):
            removed(model.graph, name)
    copy.notes += [
        f"{part}: {found} matrices and {tables} tables in int8, ranges from {rows:,} texts",
        *left_in_fp32(part, model),
    ]
    copy.put(part, model)


def products(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The products with a constant matrix at the right."""
    own = weights(graph)
    return [node for node in graph.node if node.op_type == "MatMul" and node.input[1] in own]


def measured(copy: Copy, model: onnx.ModelProto, names: list[str], how: How) -> tuple[Ranges, int]:
    """Value → the ends of its range on the copy's texts, and how many texts that were."""
    (name,) = copy.manifest.modalities
    folder, settings = copy.folder / "modality" / name, copy.manifest.modalities[name]
    modality = plugins.load("modalities", name).load(settings, folder)
    windows = modality.windows([list(column)[:ROWS] for column in copy.columns])
    session = onnxruntime.InferenceSession(
        _with_extremes(model, names).SerializeToString(), _silent(), providers=["CPUExecutionProvider"]
    )
    inputs = [one.name for one in session.get_inputs()]
    ends = []
    for index in by_cost(windows.cost, BATCH_COST):
        arrays = modality.batch(windows, index)
        ends.append(np.array(session.run(_ends_of(names), {one: arrays[one] for one in inputs})).reshape(-1, 2))
    low, high = np.stack(ends).transpose(2, 0, 1)
    chosen = (low.mean(0), high.mean(0)) if how.typical else (low.min(0), high.max(0))
    pairs = zip(*(one.astype(float).tolist() for one in chosen), strict=True)
    return {name: (min(a, 0.0), max(b, 0.0)) for name, (a, b) in zip(names, pairs, strict=True)}, windows.rows


def _ends_of(names: list[str]) -> list[str]:
    return [f"{name}.{end}" for name in names for end in ("low", "high")]


def _with_extremes(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The graph that gives the smallest and the largest number of each value instead of its outputs."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    del out.graph.output[:]
    for name in names:
        for end, operator in (("low", "ReduceMin"), ("high", "ReduceMax")):
            result = f"{name}.{end}"
            out.graph.node.append(helper.make_node(operator, [name], [result], name=result, keepdims=0))
            out.graph.output.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, []))
    return out


def _silent() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # so that ranges are the same to the bit on every machine
    return options


def as_whole_numbers(graph: onnx.GraphProto, node: onnx.NodeProto, ends: tuple[float, float], how: How) -> None:
    """One product of unsigned activations and signed weights, with one scale for each column of the matrix."""
    source, matrix, out = node.input[0], node.input[1], node.output[0]
    scale, zero = _scale(ends)
    whole = f"{source}.uint8"
    known = {one.name for one in graph.initializer}
    if f"{whole}.scale" not in known:
        added(graph, f"{whole}.scale", np.array(scale, np.float32))
        added(graph, f"{whole}.zero", np.array(zero, np.uint8))
        quantise = helper.make_node(
            "QuantizeLinear", [source, f"{whole}.scale", f"{whole}.zero"], [whole], name=f"{whole}.quantise"
        )
        placed(graph, _maker(graph, source), [quantise])
    if f"{matrix}_int8" not in known:
        numbers, steps = _columns(weights(graph)[matrix], 63 if how.reduced else 127)
        added(graph, f"{matrix}_int8", numbers)
        added(graph, f"{matrix}_column_scale", steps)
    factor = added(graph, f"{out}.factor", _tensor(graph, f"{matrix}_column_scale") * np.float32(scale))
    product = helper.make_node(
        "MatMulInteger", [whole, f"{matrix}_int8", f"{whole}.zero"], [f"{out}.int32"], name=f"{out}.whole"
    )
    scaled = helper.make_node("Mul", [f"{out}.float", factor], [out], name=f"{out}.scaled")
    placed(graph, node, [product, cast(f"{out}.int32", f"{out}.float"), scaled])
    graph.node.remove(node)


def _scale(ends: tuple[float, float]) -> tuple[float, int]:
    """Step and zero point of 256 numbers from one end to the other, zero being one of them."""
    low, high = ends
    scale = max(high - low, 1e-8) / 255
    return scale, round(-low / scale)


def _columns(matrix: Array, most: int) -> tuple[Array, Array]:
    """int8 (d, e) and float32 (e,): a matrix as whole numbers of at most ``most``, times the step of each column."""
    largest = np.abs(matrix).max(axis=0)
    steps = np.where(largest > 0, largest / most, 1).astype(np.float32)
    return np.rint(matrix / steps).astype(np.int8), steps


def _maker(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    return next((node for node in graph.node if name in node.output), None)


def _tensor(graph: onnx.GraphProto, name: str) -> Array:
    return onnx.numpy_helper.to_array(next(one for one in graph.initializer if one.name == name))
