"""Weights in 16-bit floats on the disk, computed in 32 bits: half the size, hardly another number.

A cast stands before each weight; ONNX Runtime carries it out once, when the bundle is loaded. Rows of tables are cast
when they are read, so that tables stay small in memory too. Speed is that of fp32.

Source: IEEE 754-2019, binary16: 11 bits of precision, so a weight is off by at most 1/2048 of itself.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from tunewright.compress._copy import Copy
from tunewright.compress._graph import added, cast, is_lookup, placed, readers, removed
from tunewright.core.errors import TunewrightError

SETTINGS = ("weights in fp16",)
SMALL = 256
"""Numbers below which a tensor is not worth a cast."""
LARGEST = float(np.finfo(np.float16).max)


def run(copy: Copy, setting: str) -> None:
    """Change the float32 tensors of all parts.

    Raises
    ------
    TunewrightError
        No part has any.
    """
    changed = 0
    for part in copy.manifest.parts:
        model = copy.graph(part)
        halved, kept = halve(model.graph)
        if kept:
            copy.notes.append(f"{part}: kept in fp32, since fp16 cannot hold their numbers: {', '.join(kept)}")
        if halved:
            changed += halved
            copy.notes.append(f"{part}: {halved} tensors in fp16")
            copy.put(part, model)
    if not changed:
        raise TunewrightError("no weight in this bundle is in fp32", "leave fp16 out")


def halve(graph: onnx.GraphProto) -> tuple[int, list[str]]:
    """How many tensors are float16 now, and the names of those that it cannot hold."""
    found = {
        one.name: numpy_helper.to_array(one)
        for one in graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT and np.prod(one.dims) >= SMALL
    }
    kept = [name for name, one in found.items() if not np.abs(one).max() <= LARGEST]
    ready = [name for name in found if name not in kept]
    for name in ready:
        half = added(graph, f"{name}_fp16", found[name].astype(np.float16))
        removed(graph, name)
        lookups = readers(graph, name)
        if all(is_lookup(node, name) for node in lookups):
            for node in lookups:
                out = node.output[0]
                node.input[0], node.output[0] = half, f"{out}.fp16"
                placed(graph, node, [cast(f"{out}.fp16", out)])
        else:
            placed(graph, None, [cast(half, name)])
    return len(ready), kept
