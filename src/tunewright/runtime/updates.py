"""Low-rank updates beside the weights of a graph: one graph serves all bundles on a backbone, each with its own ones.

The graph has optional inputs, two for each layer that may be updated: ``LAYER.right`` (parts * r, in) and
``LAYER.left`` (out, r), or (parts, out / parts, r) where parts of the outputs have an update each. Left times right,
part by part, is added to the layer's weight, and any rank r fits. The file is an adapter of ONNX Runtime: it is mapped
into memory and given to the graph inside the runtime, which takes less time than as many inputs by name.

Source: Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685), section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tunewright.core.errors import DamagedBundle
from tunewright.core.types import Array
from tunewright.runtime.graphs import Graph

SUFFIX = ".onnx_adapter"


class Updates:
    """Updates in a file, ready to be given to a graph.

    options : of a run that is given them
    names : of the inputs that they are for

    Raises
    ------
    DamagedBundle
        It is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = frozenset(_opened(path).get_parameters())
        self._adapter = onnxruntime.LoraAdapter()  # the options hold no reference of their own
        self._adapter.Load(str(path.absolute()))
        self.options = onnxruntime.RunOptions()
        self.options.add_active_adapter(self._adapter)


class Updated:
    """A graph with updates, called as a graph. Safe to call from several threads.

    Raises
    ------
    DamagedBundle
        The updates are for other layers than the graph has.
    """

    def __init__(self, graph: Graph, updates: Updates) -> None:
        wrong = updates.names ^ set(graph.optional)
        if wrong:
            raise DamagedBundle(
                f"{updates.path}: these updates do not fit the graph beside them ({sorted(wrong)[0]})",
                "copy the bundle again, or fit it anew",
            )
        self.graph = graph
        self._updates = updates

    @cached_property
    def single(self) -> Updated:
        """As ``Graph.single``."""
        return Updated(self.graph.single, self._updates)

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        return self.graph(arrays, self._updates.options)


def read(path: Path) -> dict[str, Array]:
    """The tensors of a file of updates, by their names.

    Raises
    ------
    DamagedBundle
        It is no such file.
    """
    found = {name: np.array(value.numpy()) for name, value in _opened(path).get_parameters().items()}
    return dict(sorted(found.items()))


def write(tensors: Mapping[str, Array], path: Path) -> None:
    """Write a file of updates; equal tensors make equal bytes."""
    values = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensors[name])) for name in sorted(tensors)
    }
    content = onnxruntime.AdapterFormat()
    content.set_parameters(values)
    content.export_adapter(str(path))


def _opened(path: Path) -> Any:
    try:
        return onnxruntime.AdapterFormat.read_adapter(str(path))
    except RuntimeError as error:
        said = str(error).strip().splitlines()[-1].rpartition(")")[2].strip()
        raise DamagedBundle(f"{path}: it holds no updates: {said}", "copy the bundle again, or fit it anew") from None
