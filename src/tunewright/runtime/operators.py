"""Where a graph's time goes: seconds of each operator, and the operations of its products of matrices."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnxruntime

from tunewright.core.types import Array
from tunewright.runtime.graphs import options_of
from tunewright.runtime.updates import Updates

PRODUCTS = {
    **dict.fromkeys(("Gemm", "MatMul", "FusedGemm", "FusedMatMul"), "fp32"),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul"), "int8"),
}
"""Operator → the form of its products."""


@dataclass(frozen=True)
class Operators:
    """What a graph did.

    seconds : operator → time in it, by ONNX Runtime's own clock
    operations : form (``fp32``, ``int8``) → operations of its products, a multiplication and an addition being two
    """

    seconds: dict[str, float]
    operations: dict[str, float]

    def __add__(self, other: Operators) -> Operators:
        """What two graphs did, one after the other."""
        seconds = Counter(self.seconds) + Counter(other.seconds)
        return Operators(dict(seconds.most_common()), dict(Counter(self.operations) + Counter(other.operations)))


def operators(graph: Path, calls: Iterable[Mapping[str, Array]], updates: Updates | None = None) -> Operators:
    """Run a graph on each of the calls, in one thread, and add up what its operators did.

    updates : those that it is given in every call
    """
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(1)
        options.enable_profiling = True
        options.profile_file_prefix = f"{folder}/operators"
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_inputs()]
        for arrays in calls:
            session.run(None, {name: arrays[name] for name in names}, updates and updates.options)
        told = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return counted(told)


def counted(events: Iterable[Mapping[str, Any]]) -> Operators:
    """From the events of ONNX Runtime's profile."""
    seconds: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    for event in events:
        if event.get("cat") != "Node" or not str(event.get("name")).endswith("_kernel_time"):
            continue
        name = event["args"]["op_name"]
        seconds[name] += event["dur"] / 1e6
        if name in PRODUCTS:
            operations[PRODUCTS[name]] += _operations(event["args"])
    return Operators(dict(seconds.most_common()), dict(operations))


def _operations(event: Mapping[str, Any]) -> int:
    """2 m n k: the result has m n numbers (of all matrices), the rows of the left side have k."""
    left, result = (next(iter(event[name][0].values())) for name in ("input_type_shape", "output_type_shape"))
    return 2 * int(prod(result)) * int(left[-1] if left else 1)
