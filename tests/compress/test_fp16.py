"""16-bit weights: each is the nearest float16; those that it cannot hold stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tunewright.compress._copy import Copy
from tunewright.compress.fp16 import halve
from tunewright.core.bundle import read_manifest
from tunewright.runtime.predictor import Predictor


def test_weights_are_rounded_and_the_bundle_is_half_as_large(
    make: Callable[..., Copy], tiny_bundle: Path, tmp_path: Path
) -> None:
    small, whole = make("fp16", "weights in fp16"), Copy.of(tiny_bundle, tmp_path / "whole")
    old = {one.name: numpy_helper.to_array(one) for one in whole.graph("encoder.text").graph.initializer}
    new = {one.name: numpy_helper.to_array(one) for one in small.graph("encoder.text").graph.initializer}
    name = "layers.0.up.weight"
    assert name not in new
    assert new[f"{name}_fp16"].dtype == np.float16
    assert (np.abs(new[f"{name}_fp16"] - old[name]) <= np.abs(old[name]) / 2048 + 1e-7).all()
    sizes = [sum(path.stat().st_size for path in one.folder.glob("weights/encoder*")) for one in (small, whole)]
    assert sizes[0] < 0.6 * sizes[1]
    texts = ["my card was stolen"]
    a, b = (next(iter(Predictor.load(one, 1).logits(texts).values())) for one in (tiny_bundle, small.folder))
    assert 0 < np.abs(a - b).max() < 0.01 * a.std()


def test_a_number_beyond_fp16_stays_in_fp32() -> None:
    large, plain = np.full((16, 16), 1e6, np.float32), np.full((16, 16), 0.1, np.float32)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "large"], ["y"]), helper.make_node("MatMul", ["y", "plain"], ["z"])],
        "two",
        [value("x", TensorProto.FLOAT, ["n", 16])],
        [value("z", TensorProto.FLOAT, ["n", 16])],
        [numpy_helper.from_array(large, "large"), numpy_helper.from_array(plain, "plain")],
    )
    assert halve(graph) == (1, ["large"])
    assert {one.name: one.data_type for one in graph.initializer} == {
        "large": TensorProto.FLOAT,
        "plain_fp16": TensorProto.FLOAT16,
    }
    onnx.checker.check_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))


@pytest.mark.parametrize(("name", "lower"), [("top-0", "layers.0.up"), ("lora-0", "words")])
def test_both_parts_of_an_encoder_are_halved_and_updates_are_not(
    name: str, lower: str, make: Callable[..., Copy], halved_bundles: dict[str, Path]
) -> None:
    copy = make("fp16", "weights in fp16", bundle=halved_bundles[name])
    for part, layer in (("encoder.text", lower), ("upper.text", "layers.1.up")):
        (half,) = (one for one in copy.graph(part).graph.initializer if one.name == f"{layer}.weight_fp16")
        assert half.data_type == TensorProto.FLOAT16
    assert copy.manifest.parts["upper.text"].updates == read_manifest(halved_bundles[name]).parts["upper.text"].updates
    texts = ["my card was stolen"]
    a, b = (Predictor.load(one, 1).embed(texts) for one in (halved_bundles[name], copy.folder))
    assert 0 < np.abs(a - b).max() < 0.01
