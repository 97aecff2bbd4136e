"""From trained modules to the graphs of a bundle, and the proof that both say the same."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import optimizer
from onnxscript.rewriter import onnx_fusions
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from tunewright.core.bundle import ENCODER, UPPER, Part, sha256
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Kind, Modality, Windows
from tunewright.runtime.updates import SUFFIX, write
from tunewright.train.opened import opened
from tunewright.train.updates import Factors, tensors

OPSET = 20
TOLERANCE = 1e-3
"""Largest difference that is allowed, as a part of the spread of the logits."""
COMPARED_ROWS = 5_000

Axes = Mapping[str, tuple[str, ...]]


def export(
    folder: Path,
    modality_name: str,
    modality: Modality,
    example: Windows,
    encoder: nn.Module,
    heads: Mapping[str, nn.Module],
    upper: nn.Module | None = None,
    updates: Mapping[str, Factors] | None = None,
) -> dict[str, Part]:
    """Write one graph for the encoder and one per head; each tensor is stored once, in ``weights/``.

    Parameters
    ----------
    example : the graphs are traced on two of these windows, with free numbers of rows and steps
    upper : module of (lower, mask), where ``encoder`` is the lower half of one: it has a graph of its own
    updates : layer → update that stands beside its weight in ``upper``
    heads : part name (``head.TARGET``, ``embed``) → module of (states, mask)
    """
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    encoder, heads = encoder.cpu().eval(), {name: head.cpu().eval() for name, head in heads.items()}
    two = np.arange(2) % len(example)  # one row would be traced as a constant
    arrays = {name: torch.from_numpy(value) for name, value in modality.batch(example, two).items()}
    with torch.no_grad():
        states, mask = encoder(**arrays)
    name = f"{ENCODER}{modality_name}"
    parts = {name: _part(folder, name, encoder, arrays, modality.axes, ("states", "mask"))}
    steps = next(axes[1] for axes in modality.axes.values() if len(axes) > 1)
    # An encoder that pools by itself gives one state per row, whatever its inputs' length.
    inner = ("rows",) if mask.shape[1] == 1 < max(one.shape[1] for one in arrays.values()) else ("rows", steps)
    axes = {"states": inner, "lower": inner, "mask": inner}
    if upper is not None:
        name, lower = f"{UPPER}{modality_name}", {"lower": states, "mask": mask}
        parts[name] = _part(folder, name, upper.cpu().eval(), lower, axes, ("states",), updates)
    for name, head in heads.items():
        parts[name] = _part(folder, name, head, {"states": states, "mask": mask}, axes, ("logits",))
    return parts


def _part(
    folder: Path,
    name: str,
    module: nn.Module,
    arrays: Mapping[str, Any],
    axes: Axes,
    outputs: Sequence[str],
    updates: Mapping[str, Factors] | None = None,
) -> Part:
    weights = {key: value.detach().contiguous() for key, value in module.state_dict().items()}
    data = _stored(folder, name, weights) if weights else ""
    program = opened(_traced(module, arrays, axes, outputs), updates or {})
    if data:
        _point_at(program.graph, folder, data)
    path = _named_by_content(folder, name, ".onnx", program.SerializeToString(deterministic=True))
    return Part("onnx", path, (data,) if data else (), _beside(folder, name, updates) if updates else "")


def _beside(folder: Path, name: str, updates: Mapping[str, Factors]) -> str:
    unnamed = folder / "weights" / f"unnamed{SUFFIX}"
    write(tensors(updates), unnamed)
    final = f"weights/{name}-{sha256(unnamed)[:12]}{SUFFIX}"
    unnamed.rename(folder / final)
    return final


def _stored(folder: Path, name: str, weights: Mapping[str, torch.Tensor]) -> str:
    path = folder / "weights" / "unnamed.safetensors"
    try:
        save_file(dict(weights), path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))  # the library's text is all that tells of a full disk
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
    path.chmod(0o644)  # the library writes for the owner alone, but a service may run as another user
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    final = f"weights/{name}-{digest[:12]}.safetensors"
    path.rename(folder / final)
    return final


def _named_by_content(folder: Path, name: str, suffix: str, content: bytes) -> str:
    path = f"{name}-{hashlib.sha256(content).hexdigest()[:12]}{suffix}"
    (folder / path).write_bytes(content)
    return path


def _traced(module: nn.Module, arrays: Mapping[str, Any], axes: Axes, outputs: Sequence[str]) -> onnx.ModelProto:
    shapes = {name: dict(enumerate(axes[name])) for name in arrays}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of a vision library that is not needed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                kwargs=dict(arrays),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                optimize=False,
            )
            assert program is not None
            optimizer.optimize_ir(program.model, should_fold=_folded)
            onnx_fusions.fuse(program.model)
            # Named last: an input that is handed on has only now become an output with a name of its own.
            graph = program.model.graph
            for value, name in zip((*graph.inputs, *graph.outputs), (*arrays, *outputs), strict=True):
                value.name = name
    finally:
        logger.setLevel(level)
    proto: onnx.ModelProto = program.model_proto
    _forget_how(proto)
    return proto


def _folded(node: Any) -> bool | None:
    """Torch's own rule, but a weight that is only turned stays the one that was trained, and is stored once."""
    return False if node.op_type == "Transpose" else None


def _forget_how(proto: onnx.ModelProto) -> None:
    """Leave out what tells of the trace (stack traces, paths), so that equal models are equal bytes."""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]


def _point_at(graph: onnx.GraphProto, folder: Path, data: str) -> None:
    """Let every initializer that stands in the safetensors file read its bytes from there."""
    with open(folder / data, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    for tensor in graph.initializer:
        entry = header.get(tensor.name)
        if entry is None:
            continue
        begin, end = entry["data_offsets"]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": data, "offset": 8 + length + begin, "length": end - begin}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))


def rows_to_compare(windows: Windows, seed: int) -> NDArray[np.int64]:
    """Up to 5,000 windows: the shortest, the longest, and a draw of the others."""
    order = np.argsort(windows.cost, kind="stable")
    if len(order) <= COMPARED_ROWS:
        return order
    ends = np.concatenate([order[:50], order[-50:]])
    drawn = np.random.default_rng(seed).choice(order[50:-50], COMPARED_ROWS - len(ends), replace=False)
    return np.sort(np.concatenate([ends, drawn]))


def compare(trained: Array, exported: Array, kind: Kind) -> dict[str, float]:
    """Hold logits of the exported graphs against those of the trained model, both in fp32.

    Returns
    -------
    rows, spread (standard deviation of the trained logits), largest_difference (as a part of the spread)

    Raises
    ------
    TunewrightError
        A difference is above 1e-3 of the spread, or a decision differs although its margin is wider than that.
    """
    one, other = _flat(trained), _flat(exported)
    spread = float(one.std()) or 1.0
    largest = float(np.abs(one - other).max(initial=0.0)) / spread
    wrong = int((~_same(trained, exported, kind, TOLERANCE * spread)).sum())
    if not largest <= TOLERANCE or wrong:
        raise TunewrightError(
            f"the exported graphs differ from the trained model: by {largest:.2e} of the logits' spread "
            f"(limit {TOLERANCE:g}), {wrong} of {len(trained):,} rows decided otherwise",
            "nothing was shipped; report it with the backbone's name and the versions of torch, onnx and onnxruntime",
        )
    return {"rows": len(trained), "spread": spread, "largest_difference": largest}


def _flat(logits: Array) -> Array:
    if logits.dtype == object:
        return np.concatenate([np.ravel(row) for row in logits]) if len(logits) else np.zeros(0, np.float32)
    return logits.ravel()


def _same(trained: Array, exported: Array, kind: Kind, margin: float) -> NDArray[np.bool_]:
    """Whether each row is decided alike, or its two best logits are closer than ``margin``."""
    if trained.dtype == object or trained.shape[1] < 2 or kind.closed_form != "logistic":
        return np.ones(len(trained), bool)
    best = np.sort(trained, axis=1)[:, -2:]
    alike: NDArray[np.bool_] = (kind.decide(trained) == kind.decide(exported)) | (best[:, 1] - best[:, 0] <= margin)
    return alike
