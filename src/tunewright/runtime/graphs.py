"""Graphs in onnxruntime: one session per part of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from tunewright.core.types import Array

onnxruntime.disable_telemetry_events()


class Graph:
    """A graph with named inputs and outputs. Safe to call from several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # An arena that only grows would keep the memory of the longest batch for ever.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self.outputs = tuple(one.name for one in self._session.get_outputs())

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run it on the arrays that it has inputs for; others are left out."""
        values = self._session.run(None, {name: arrays[name] for name in self.inputs})
        return dict(zip(self.outputs, values, strict=True))
