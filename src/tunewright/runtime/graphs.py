"""Graphs in onnxruntime: one session per part of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tunewright.core.errors import DamagedBundle
from tunewright.core.types import Array
from tunewright.runtime.processor import overflows

EXACT = "session.x64quantprecision"
SPIN_US = 500
"""How long a thread waits for work in a loop. From one operator to the next that is enough; for as long as onnxruntime
would by itself, a second thread costs as much CPU at the start as the whole graph (30 ms for `minilm-en` in int8)."""

onnxruntime.disable_telemetry_events()

SAID = 300
"""Characters of onnxruntime's own words in an error."""


class Graph:
    """A graph with named inputs and outputs. Safe to call from several threads.

    Parameters
    ----------
    threads : threads of one call
    spin : let the threads wait for work in a loop. For one graph of a process only: the idle threads of a second one
        would take the processors from the first (measured: 26 % of `predict`).
    tensors : in place of those of these names that the graph reads from other files
    """

    def __init__(
        self, path: Path, threads: int, *, spin: bool = False, tensors: Mapping[str, Array] | None = None
    ) -> None:
        self.threads = threads
        self._path, self._tensors = path, tensors
        options = options_of(threads, spin=spin)
        if tensors:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(one)) for one in tensors.values()]
            options.add_external_initializers(list(tensors), values)
        self._session = _session(path, options)
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self.optional = tuple(one.name for one in self._session.get_overridable_initializers())
        self.outputs = tuple(one.name for one in self._session.get_outputs())

    @cached_property
    def single(self) -> Graph:
        """The same graph with one thread for each call, for calls in parallel; made when it is first needed."""
        return self if self.threads == 1 else Graph(self._path, 1, tensors=self._tensors)

    def __call__(self, arrays: Mapping[str, Array], options: onnxruntime.RunOptions | None = None) -> dict[str, Array]:
        """Run it on the arrays that it has inputs for; others are left out. Optional inputs come with the options."""
        values = self._session.run(self.outputs, {name: arrays[name] for name in self.inputs}, options)
        return dict(zip(self.outputs, values, strict=True))


def options_of(threads: int, *, spin: bool = False) -> onnxruntime.SessionOptions:
    """How a session computes: so many threads in one call, and what is the same for all graphs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US if spin else 0))
    # Plans of memory are kept per shape, and nearly every batch has a shape of its own.
    options.enable_mem_pattern = False
    if overflows():  # then weights are taken as unsigned: exact everywhere, but at half the speed where VNNI is
        options.add_session_config_entry(EXACT, "1")
    return options


def _session(path: Path, options: Any) -> Any:
    """A session of a graph, as data: operators that onnxruntime has itself, and tensors of the graph's own folder.

    Raises
    ------
    DamagedBundle
        onnxruntime takes it for no such graph.
    """
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime."):
            raise
        said = " ".join(str(error).split())[:SAID]
        raise DamagedBundle(f"{path}: it cannot be run: {said}", "copy the bundle again, or fit it anew") from None
