"""Weights as 8-bit numbers: matrices are multiplied as whole numbers, the rows of word tables turned back when read.

Activations are measured anew in every batch (dynamic quantisation by ONNX Runtime's tool), so no calibration rows are
needed. A table keeps one scale per row: rows differ more from each other than the numbers inside one.

``reduced`` weights have 7 bits: processors without VNNI add two products of 8 bits into 16, where 8-bit weights can
overflow.

Source: Jacob et al. 2018 (CVPR), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference; ONNX Runtime's page "Quantize ONNX models".
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from tunewright.compress._attention import token_major
from tunewright.compress._copy import Copy
from tunewright.compress._graph import (
    added,
    cast,
    in_float32,
    is_lookup,
    placed,
    readers,
    removed,
    weights,
    without_defaults,
)
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array

LARGE = 1_000_000
"""Numbers in the weights of a part that is no encoder, from which on it is worth changing: heads are small."""
READY = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Says to the tool that the graph needs no preparation; without it, it warns on standard error."""


@dataclass(frozen=True)
class How:
    """One way of quantising.

    channels : one scale per column of a matrix, not one per matrix
    signed : weights from -128 to 127, not from 0 to 255
    reduced : weights of 7 bits
    tables : tables of words too
    """

    channels: bool = True
    signed: bool = True
    reduced: bool = False
    tables: bool = True


WAYS = {
    "per tensor": How(channels=False),
    "per channel": How(),
    "per channel, 7 bits": How(reduced=True),
    "per channel, unsigned": How(signed=False),
    "per channel, words in fp32": How(tables=False),
    "per channel, 7 bits, words in fp32": How(reduced=True, tables=False),
}
SETTINGS = tuple(WAYS)


def run(copy: Copy, setting: str) -> None:
    """Change every encoder, and heads with large weights.

    Raises
    ------
    TunewrightError
        Nothing in the bundle can be quantised, or its weights are in fp16 already.
    """
    how, changed = WAYS[setting], 0
    for part in copy.manifest.parts:
        model = copy.graph(part)
        if part not in copy.manifest.encoder and sum(one.size for one in weights(model.graph).values()) < LARGE:
            continue
        if any(one.data_type == onnx.TensorProto.FLOAT16 for one in model.graph.initializer):
            raise TunewrightError("int8 stands after fp16", 'put it first: --to "int8,fp16"')
        model, _ = token_major(model)
        tables = tables_as_int8(model) if how.tables else 0
        found = matrices(model)
        if found:
            model = quantised(model, how)
        if tables or found:
            changed += 1
            copy.notes += [f"{part}: {found} matrices and {tables} tables in int8", *left_in_fp32(part, model)]
            copy.put(part, model)
    if not changed:
        raise TunewrightError("nothing in this bundle can be quantised to int8", "try --to fp16")


def quantised(model: onnx.ModelProto, how: How) -> onnx.ModelProto:
    """Every product with a constant matrix as one of whole numbers."""
    del model.graph.value_info[:]  # shapes are worked out again; old ones may contradict
    optional = without_defaults(model.graph)  # so that updates, which stay in fp32, are no constants for the tool
    model.metadata_props.add(key=READY[0], value=READY[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=how.channels,
            reduce_range=how.reduced,
            weight_type=QuantType.QInt8 if how.signed else QuantType.QUInt8,
            # Behind operators of ONNX Runtime's own, types cannot be worked out.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        done = onnx.load(path)
    del done.metadata_props[:]
    done.graph.initializer.extend(optional)
    return done


def tables_as_int8(model: onnx.ModelProto) -> int:
    """Tables that are only looked up in: int8 rows (v, d) and their scales (v, 1); how many there were.

    A row is multiplied by its scale after it was taken, so that no table in float32 comes to be.
    """
    graph, count = model.graph, 0
    for name, table in weights(graph).items():
        lookups = readers(graph, name)
        if table.ndim != 2 or not lookups or not all(is_lookup(node, name) for node in lookups):
            continue
        largest = np.abs(table).max(axis=1, keepdims=True)
        scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        rows = added(graph, f"{name}_int8", np.rint(table / scales).astype(np.int8))
        scale = added(graph, f"{name}_row_scale", scales)
        removed(graph, name)
        for node in lookups:
            _scaled(graph, node, rows, scale)
        count += 1
    return count


def _scaled(graph: onnx.GraphProto, node: onnx.NodeProto, rows: str, scale: str) -> None:
    out, ids = node.output[0], node.input[1]
    node.input[0], node.output[0] = rows, f"{out}.int8"
    taken = helper.make_node("Gather", [scale, ids], [f"{out}.scale"], name=f"{out}.scale.gather", axis=0)
    product = helper.make_node("Mul", [f"{out}.float", f"{out}.scale"], [out], name=f"{out}.mul")
    placed(graph, node, [cast(f"{out}.int8", f"{out}.float"), taken, product])


def matrices(model: onnx.ModelProto) -> int:
    """Products with a constant matrix at the right; how many there are, each Gemm a product and a sum from now on.

    The tool would turn matrices round in place, which is wrong for one that several nodes read.
    """
    graph, constant = model.graph, weights(model.graph)
    for node in list(graph.node):
        if node.op_type == "Gemm" and node.input[1] in constant and _plain(node):
            _as_product(graph, node, constant[node.input[1]])
    for name in constant:
        if not readers(graph, name):
            removed(graph, name)
    own = weights(graph)
    return sum(node.op_type == "MatMul" and node.input[1] in own for node in graph.node)


def _plain(node: onnx.NodeProto) -> bool:
    """A Gemm that is nothing but a product and a sum."""
    settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return settings.get("alpha", 1.0) == settings.get("beta", 1.0) == 1.0 and not settings.get("transA", 0)


def _as_product(graph: onnx.GraphProto, node: onnx.NodeProto, matrix: Array) -> None:
    name, out, bias = node.input[1], node.output[0], node.input[2:]
    if any(one.name == "transB" and one.i for one in node.attribute):
        name = f"{name}_turned"
        if not any(one.name == name for one in graph.initializer):
            added(graph, name, matrix.T)
    product = helper.make_node(
        "MatMul", [node.input[0], name], [f"{out}.product" if bias else out], name=out + ".matmul"
    )
    total = [helper.make_node("Add", [f"{out}.product", bias[0]], [out], name=out + ".add")] if bias else []
    placed(graph, node, [product, *total])
    graph.node.remove(node)


def left_in_fp32(part: str, model: onnx.ModelProto) -> list[str]:
    """What stays as it was: the operators that still read float32 weights, with their size."""
    found = list(in_float32(model.graph))
    counts, size = Counter(name for name, _ in found), sum(size for _, size in found)
    named = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return (
        [f"{part}: kept in fp32, since they cannot be quantised or are not to be: {named} ({size / 1e6:.1f} MB)"]
        if found
        else []
    )
