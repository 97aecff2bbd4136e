"""The measured product: a graph that ONNX's own checker takes, that multiplies, and a rate above nothing."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from tunewright.runtime import peak as module
from tunewright.runtime.peak import FORMS, peak, product


@pytest.mark.parametrize("form", FORMS)
def test_the_graph_is_valid_and_multiplies(form: str) -> None:
    types = {"fp32": (np.float32, np.float32), "int8": (np.uint8, np.int8)}[form]
    rng = np.random.default_rng(0)
    left, matrix = rng.integers(0, 99, (module.SIDE, 7)), rng.integers(-99, 99, (7, 300))
    content = product(FORMS[form], matrix.astype(types[1]))
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == [FORMS[form].operator]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"left": left.astype(types[0])})[0], left @ matrix)


def test_a_rate_is_operations_over_the_seconds_of_the_fastest_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDE", 32)
    monkeypatch.setattr(module, "ROUNDS", 2)
    times = iter([0.0, 2.0, 10.0, 11.0])  # rounds of 2 s and 1 s
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    assert peak("int8", threads=3) == 2 * 32**3 * module.EACH * 3
