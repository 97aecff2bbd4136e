"""Attention with the tokens of all rows in the outer order (token, row): fewer copies between its products.

The encoder keeps states as (b * t, d), row after row; heads are turned to the front for the products and back behind
them, four copies of all states in a layer. With the order (t * b, d) the products read the heads where they lie:
(t, b * h, d / h) is the same memory, and ONNX Runtime's product of matrices takes the second axis as the batch. One
copy is left. Queries, keys and values get a matrix each, so that nothing has to be cut apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from tunewright.compress._graph import NGRAMS, TOKENS, added, readers, removed, token_states
from tunewright.core.types import Array

DOMAIN = "com.microsoft"
CLOSE = 1e-3
"""Largest difference of states of about 1 that counts as the same: the sums are taken in another order."""
PARTS = ("query", "key", "value")
INPUTS = (TOKENS, TOKENS + NGRAMS, ["lower", "mask"])
"""Of an encoder, or the lower part of one; of one with n-grams beside the tokens; and of the upper part."""
Instead = dict[str, tuple[onnx.NodeProto, ...]]
"""Output of a node → the nodes that take its place."""


@dataclass(frozen=True)
class Block:
    """The nodes of one attention, from the product that makes queries, keys and values to the flat states."""

    project: onnx.NodeProto
    nodes: tuple[onnx.NodeProto, ...]
    bias: str
    scale: float
    heads: int
    width: int
    out: str


def token_major(model: onnx.ModelProto) -> tuple[onnx.ModelProto, int]:
    """The same graph with its attention in token-major order, and how many layers that changed.

    Where the graph is no encoder as ``backbones/_encoder.py`` makes them, or the changed one does not give the same
    states, it stays as it was (0).
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    blocks = _rewritten(changed)
    return (changed, blocks) if blocks and _same(model, changed) else (model, 0)


def _rewritten(model: onnx.ModelProto) -> int:
    graph = model.graph
    if [one.name for one in graph.input] not in INPUTS or not graph.output:
        return 0
    makers = {out: node for node in graph.node for out in node.output}
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    softmaxes = [node for node in graph.node if node.op_type == "Softmax"]
    blocks = [_block(graph, one, makers, constants) for one in softmaxes]
    if not blocks or any(one is None for one in blocks):
        return 0
    found = [one for one in blocks if one is not None]
    start, end = makers.get(found[0].project.input[0]), makers.get(token_states(graph))
    if start is None or end is None or start.op_type != "Reshape" or end.op_type != "Reshape":
        return 0
    instead = _turned(graph, start, end)
    for one in found:
        instead |= dict.fromkeys((node.output[0] for node in one.nodes), ())
        instead[one.out] = _replaced(graph, one, constants)
    count = helper.make_node("Shape", [graph.input[0].name], ["tokens.count"], name="tokens.count", start=1, end=2)
    nodes = [new for node in graph.node for new in instead.get(node.output[0], (node,))]
    kept = [_copied(one) for one in (count, *nodes)]
    del graph.node[:]
    graph.node.extend(kept)
    for name in {name for one in found for name in one.project.input[1:]}:
        if not readers(graph, name):
            removed(graph, name)
    if not any(one.domain == DOMAIN for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return len(found)


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    out = onnx.NodeProto()
    out.CopyFrom(node)
    return out


def _turned(graph: onnx.GraphProto, start: onnx.NodeProto, end: onnx.NodeProto) -> Instead:
    """Turn (b, t, d) into (t, b, d) before the states are laid flat, and back when they are whole again."""
    first, last = _copied(start), _copied(end)
    first.input[0] = "states.turned"
    last.input[1], last.output[0] = "states.shape", "states.by_token"
    order = added(graph, "states.order", np.array([1, 0, 2]))
    turn = helper.make_node("Transpose", [start.input[0]], ["states.turned"], name="states.turn", perm=[1, 0, 2])
    shape = helper.make_node("Gather", [end.input[1], order], ["states.shape"], name="states.shape", axis=0)
    back = helper.make_node("Transpose", ["states.by_token"], [end.output[0]], name="states.back", perm=[1, 0, 2])
    return {start.output[0]: (turn, first), end.output[0]: (shape, last, back)}


def _block(
    graph: onnx.GraphProto, softmax: onnx.NodeProto, makers: dict[str, onnx.NodeProto], constants: dict[str, Array]
) -> Block | None:
    """The attention around a softmax, or None where it is built otherwise."""
    masked = _made(makers, softmax.input[0], "Add")
    product = masked and _made(makers, masked.input[0], "MatMul")
    scaled = product and _made(makers, product.input[0], "Mul")
    turned = product and _made(makers, product.input[1], "Transpose")
    mixed = _only(graph, softmax.output[0], "MatMul")
    back = mixed and _only(graph, mixed.output[0], "Transpose")
    flat = back and _only(graph, back.output[0], "Reshape")
    if not (masked and product and scaled and turned and mixed and back and flat):
        return None
    picks = [_made(makers, name, "Gather") for name in (scaled.input[0], turned.input[0], mixed.input[1])]
    split = picks[0] and _made(makers, picks[0].input[0], "Transpose")
    shaped = split and _made(makers, split.input[0], "Reshape")
    project = shaped and _made(makers, shaped.input[0], "Gemm")
    scale = constants.get(scaled.input[1])
    if not (split and shaped and project) or scale is None or not constants.keys() >= {*project.input[1:]}:
        return None
    numbers = [_number(one, split, constants) for one in picks]
    told = _sizes(makers, shaped.input[1], constants)
    settled = numbers == [0, 1, 2] and _perm(split) == [2, 0, 3, 1, 4] and _perm(turned) == [0, 1, 3, 2]
    if not settled or _perm(back) != [0, 2, 1, 3] or told is None:
        return None
    inner = [one for one in picks if one is not None]
    nodes = (project, shaped, split, *inner, scaled, turned, product, masked, softmax, mixed, back, flat)
    return Block(project, nodes, masked.input[1], float(scale), *told, flat.output[0])


def _made(makers: dict[str, onnx.NodeProto], name: str, kind: str) -> onnx.NodeProto | None:
    node = makers.get(name)
    return node if node is not None and node.op_type == kind else None


def _only(graph: onnx.GraphProto, name: str, kind: str) -> onnx.NodeProto | None:
    own = readers(graph, name)
    return own[0] if len(own) == 1 and own[0].op_type == kind else None


def _perm(node: onnx.NodeProto) -> list[int]:
    return next((list(one.ints) for one in node.attribute if one.name == "perm"), [])


def _number(pick: onnx.NodeProto | None, split: onnx.NodeProto, constants: dict[str, Array]) -> int:
    """Which of queries, keys and values a node takes; -1: none."""
    if pick is None or pick.input[0] != split.output[0] or pick.input[1] not in constants:
        return -1
    return int(constants[pick.input[1]])


def _sizes(makers: dict[str, onnx.NodeProto], shape: str, constants: dict[str, Array]) -> tuple[int, int] | None:
    """Heads and their width, from the shape (b, t, 3, heads, width)."""
    made = _made(makers, shape, "Concat")
    parts = [constants.get(name) for name in made.input[-3:]] if made is not None else []
    if len(parts) != 3 or any(one is None for one in parts):
        return None
    three, heads, width = (int(np.ravel(one)[0]) for one in parts if one is not None)
    return (heads, width) if three == 3 else None


def _replaced(graph: onnx.GraphProto, block: Block, constants: dict[str, Array]) -> tuple[onnx.NodeProto, ...]:
    """The token-major nodes that stand in the place of a block."""
    stem, flat = block.project.output[0], block.project.input[0]
    weight, *bias = [constants[name] for name in block.project.input[1:]]  # a bias of zeros is none
    turned = any(one.name == "transB" and one.i for one in block.project.attribute)
    matrix = weight if turned else weight.T  # (3 d, d)
    nodes: list[onnx.NodeProto] = []

    def node(kind: str, inputs: Sequence[str], name: str, **settings: Any) -> str:
        domain = DOMAIN if kind == "FusedMatMul" else ""
        nodes.append(helper.make_node(kind, inputs, [name], name=f"{name}.node", domain=domain, **settings))
        return name

    minus = added(graph, f"{stem}.rest", np.array([-1]))
    by_head = node("Concat", ["tokens.count", minus, added(graph, f"{stem}.width", np.array([block.width]))],
                   f"{stem}.by_head", axis=0)  # fmt: skip
    tokens = "tokens.count"
    heads = added(graph, f"{stem}.heads", np.array([block.heads]))
    apart = node("Concat", [minus, heads, tokens, tokens], f"{stem}.apart", axis=0)
    together = node("Concat", [minus, tokens, tokens], f"{stem}.together", axis=0)
    own = []
    for at, (part, rows) in enumerate(zip(PARTS, np.split(matrix, 3), strict=True)):
        name = f"{stem}.{part}"
        offsets = [added(graph, f"{name}.bias", np.split(one, 3)[at]) for one in bias]
        inputs = [flat, added(graph, f"{name}.weight", rows), *offsets]
        own.append(node("Reshape", [node("Gemm", inputs, f"{name}.flat", transB=1), by_head], name))
    products = {"transBatchA": 1, "transBatchB": 1, "transB": 1, "alpha": block.scale}
    scores = node(
        "Reshape", [node("FusedMatMul", own[:2], f"{stem}.scores", **products), apart], f"{stem}.scores.apart"
    )
    shares = node("Softmax", [node("Add", [scores, block.bias], f"{stem}.masked")], f"{stem}.shares", axis=-1)
    mixed = node("FusedMatMul", [node("Reshape", [shares, together], f"{stem}.shares.together"), own[2]],
                 f"{stem}.mixed", transBatchB=1)  # fmt: skip
    back = node("Transpose", [mixed], f"{stem}.mixed.by_token", perm=[1, 0, 2])
    everything = added(graph, f"{stem}.flat", np.array([-1, matrix.shape[1]]))
    node("Reshape", [back, everything], block.out)
    return tuple(nodes)


def _same(before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    """Whether two encoders give the same states for rows of different lengths."""
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6])
    arrays: dict[str, Array] = {"input_ids": np.arange(21).reshape(3, 7) % _words(before), "attention_mask": mask}
    if before.graph.input[0].name == "lower":
        width = before.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
        states = np.random.default_rng(0).standard_normal((*mask.shape, width), np.float32)
        arrays = {"lower": states, "mask": mask.astype(np.float32)}
    if "features" in [one.name for one in before.graph.input]:
        arrays |= {"features": np.array([[0, 1], [1, 0], [0, 0]], np.int32), "weights": np.ones((3, 2), np.float32)}
    found = []
    for model in (before, after):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        states = session.run(None, arrays)[0]
        found.append(states[mask.astype(bool)])
    return found[0].shape == found[1].shape and bool(np.abs(found[0] - found[1]).max() <= CLOSE)


def _words(model: onnx.ModelProto) -> int:
    """The least number of rows that a table has which ids look up in."""
    lookups = [node.input[0] for node in readers(model.graph, "input_ids") if node.op_type == "Gather"]
    sizes = [one.dims[0] for one in model.graph.initializer if one.name in lookups and len(one.dims) == 2]
    return int(min(sizes, default=2))
