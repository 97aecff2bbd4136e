"""Operators of a graph: operations counted by hand, in fp32 and in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.compress import int8
from tunewright.compress._copy import Copy
from tunewright.core.bundle import read_manifest
from tunewright.runtime.operators import Operators, counted, operators

ROWS, TOKENS, WIDTH, LAYERS = 3, 5, 32, 2


def by_hand(inner: int) -> tuple[int, int]:
    """Operations of the products with constant matrices, and of those inside attention."""
    flat = ROWS * TOKENS
    matrices = WIDTH * 3 * WIDTH + WIDTH * WIDTH + 2 * WIDTH * inner
    return 2 * LAYERS * flat * matrices, 2 * LAYERS * 2 * flat * TOKENS * WIDTH


def of(folder: Path) -> Operators:
    ids = np.arange(ROWS * TOKENS).reshape(ROWS, TOKENS) + 5
    call = {"input_ids": ids, "attention_mask": np.ones_like(ids), "more": ids}
    return operators(folder / read_manifest(folder).parts["encoder.text"].file, [call])


def test_the_operations_of_an_encoder_are_those_counted_by_hand(tiny_bundle: Path) -> None:
    found = of(tiny_bundle)
    inner = int(read_manifest(tiny_bundle).backbone["config"]["intermediate_size"])
    assert found.operations == {"fp32": sum(by_hand(inner))}
    assert found.seconds["Gemm"] > 0
    assert list(found.seconds.values()) == sorted(found.seconds.values(), reverse=True)


def test_an_event_that_is_no_kernel_counts_nothing() -> None:
    args = {
        "op_name": "MatMul",
        "input_type_shape": [{"float": [2, 4, 8]}],
        "output_type_shape": [{"float": [2, 4, 3]}],
    }
    events: list[dict[str, Any]] = [
        {"cat": "Session", "name": "model_run", "dur": 50},
        {"cat": "Node", "name": "x_fence_before", "dur": 50, "args": args},
        {"cat": "Node", "name": "x_kernel_time", "dur": 30, "args": args},
        {"cat": "Node", "name": "y_kernel_time", "dur": 10, "args": {"op_name": "Add"}},
    ]
    found = counted(events)
    assert found.operations == {"fp32": 2 * 2 * 4 * 3 * 8}
    assert found.seconds == pytest.approx({"MatMul": 30e-6, "Add": 10e-6})


@pytest.mark.parametrize("setting", ["per tensor", "per channel, unsigned"])
def test_products_of_whole_numbers_are_told_apart(tiny_bundle: Path, tmp_path: Path, setting: str) -> None:
    copy = Copy.of(tiny_bundle, tmp_path / "int8")
    int8.run(copy, setting)
    copy.sealed("int8", setting, "")
    found = of(copy.folder)
    inner = int(read_manifest(tiny_bundle).backbone["config"]["intermediate_size"])
    matrices, attention = by_hand(inner)
    assert found.operations == {"int8": matrices, "fp32": attention}
