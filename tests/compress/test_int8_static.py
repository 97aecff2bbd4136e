"""Ranges measured beforehand: against a computation by hand, and what the graph says afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tunewright.compress import int8_static
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.core.errors import TunewrightError

TEXTS = ["my card was stolen", "where is my refund?", "I want to change my address"]


def test_one_product_is_what_rounded_numbers_give() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 30)).astype(np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [value("x", TensorProto.FLOAT, ["n", 40])],
        [value("y", TensorProto.FLOAT, ["n", 30])],
        [numpy_helper.from_array(matrix, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (node,) = int8_static.products(model.graph)
    int8_static.as_whole_numbers(model.graph, node, (-1.0, 3.0), int8_static.How())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.uniform(-3, 5, size=(6, 40)).astype(np.float32)
    scale, steps = np.float32(4 / 255), np.abs(matrix).max(0) / 127
    whole = np.clip(np.rint(x / scale) + 64, 0, 255) - 64
    expected = (whole @ np.rint(matrix / steps)) * steps * scale
    assert np.allclose(session.run(None, {"x": x})[0], expected, rtol=1e-4, atol=1e-4)
    assert np.abs(whole * scale).max() <= 3.01  # what lies beyond the range is cut off


def test_no_range_is_looked_for_in_the_graph_and_notes_say_from_what_they_are(make: Callable[..., Copy]) -> None:
    copy = make("int8_static", "whole ranges", TEXTS)
    kinds = [node.op_type for node in copy.graph("encoder.text").graph.node]
    assert "DynamicQuantizeLinear" not in kinds
    assert kinds.count("MatMulInteger") == 8
    assert kinds.count("QuantizeLinear") == 8
    assert "8 matrices and" in copy.notes[0]
    assert "ranges from 3 texts" in copy.notes[0]
    own = {one.name: numpy_helper.to_array(one) for one in copy.graph("encoder.text").graph.initializer}
    seven = make("int8_static", "whole ranges, 7 bits", TEXTS, "seven").tensors("encoder.text")
    for name in (name for name in own if name.endswith("weight_int8") and name.startswith("layers")):
        assert np.abs(seven[name]).max() <= 63 < np.abs(own[name].astype(int)).max()


def test_fp16_before_it_and_a_model_without_products_are_refused(
    make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    copy = make("fp16", "weights in fp16")
    with pytest.raises(TunewrightError, match="int8_static stands after fp16"):
        int8_static.run(copy, "whole ranges")
    static = make("distill", "static", TEXTS, "static", lessons("static", rows=20))
    with pytest.raises(TunewrightError, match="no product in this bundle can be quantised beforehand → use --to int8"):
        int8_static.run(static, "whole ranges")
    assert isinstance(onnx.load(static.folder / static.manifest.parts["encoder.text"].file), onnx.ModelProto)


def test_an_encoder_in_two_parts_is_refused(make: Callable[..., Copy], halved_bundles: dict[str, Path]) -> None:
    message = (
        r"does not fit an encoder in two parts \(fit.shared\): ranges from your texts .* → use --to int8, which leaves"
    )
    with pytest.raises(TunewrightError, match=message):
        make("int8_static", "whole ranges", TEXTS, bundle=halved_bundles["top-0"])
