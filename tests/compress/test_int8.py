"""8-bit weights: what they are, against a computation by hand; what stays; that any processor can load them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tunewright.compress import int8
from tunewright.compress._copy import Copy
from tunewright.core.errors import TunewrightError
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf

TEXTS = ["my card was stolen", "where is my refund?"]


def tensors(copy: Copy, part: str = "encoder.text") -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in copy.graph(part).graph.initializer}


def test_a_table_is_rows_times_their_scales_and_a_row_is_off_by_half_a_step_at_most(
    make: Callable[..., Copy], tiny_bundle: Path, tmp_path: Path
) -> None:
    whole = tensors(Copy.of(tiny_bundle, tmp_path / "whole"))["words.weight"]
    small = tensors(make("int8", "per channel"))
    assert "words.weight" not in small
    rows, scales = small["words.weight_int8"], small["words.weight_row_scale"]
    assert rows.dtype == np.int8
    largest = np.abs(whole).max(1)
    assert np.allclose(scales.ravel()[largest > 0], largest[largest > 0] / 127, rtol=1e-6)
    assert not rows[largest == 0].any()
    assert (np.abs(rows * scales - whole) <= scales / 2 + 1e-7).all()


def test_per_channel_has_a_scale_per_column_and_seven_bits_are_half_as_many(make: Callable[..., Copy]) -> None:
    one = tensors(make("int8", "per tensor", name="a"))
    each = tensors(make("int8", "per channel", name="b"))
    seven = tensors(make("int8", "per channel, 7 bits", name="c"))
    unsigned = tensors(make("int8", "per channel, unsigned", name="d"))
    matrices = [name for name in one if name.endswith("_quantized")]
    assert len(matrices) == 12  # six in each of two layers
    for name in matrices:
        stem = name.removesuffix("_quantized")
        assert one[f"{stem}_scale"].size == 1
        assert each[f"{stem}_scale"].shape == (each[name].shape[1],)
        assert one[name].dtype == each[name].dtype == np.int8
        assert unsigned[name].dtype == np.uint8
        assert 64 < np.abs(each[name].astype(int)).max() <= 128
        assert np.abs(seven[name].astype(int)).max() <= 64


def test_words_may_stay_and_what_stays_is_said(make: Callable[..., Copy]) -> None:
    copy = make("int8", "per channel, words in fp32")
    assert tensors(copy)["words.weight"].dtype == np.float32
    assert any("kept in fp32" in note and "Gather" in note for note in copy.notes)
    assert not any("Gather" in note for note in make("int8", "per channel", name="other").notes)


def test_an_operator_that_cannot_be_quantised_is_kept_and_said(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Copy.of(tiny_bundle, tmp_path / "copy")
    model = copy.graph("encoder.text")
    weight = numpy_helper.from_array(np.eye(32, dtype=np.float32), "extra")
    model.graph.initializer.append(weight)
    last = next(node for node in model.graph.node if "states" in node.output)
    last.output[list(last.output).index("states")] = "before_extra"
    model.graph.node.append(helper.make_node("Einsum", ["before_extra", "extra"], ["states"], equation="btd,de->bte"))
    copy.put("encoder.text", model)
    int8.run(copy, "per channel")
    assert any("kept in fp32" in note and "1 Einsum" in note for note in copy.notes)
    copy.sealed("int8", "per channel", "")
    whole, small = (Predictor.load(one, 1).embed(TEXTS) for one in (tiny_bundle, copy.folder))
    assert np.abs(whole - small).max() < 0.1


def test_a_matrix_that_two_nodes_read_is_turned_round_once() -> None:
    rng = np.random.default_rng(0)
    matrix, bias = rng.normal(size=(40, 40)).astype(np.float32), np.zeros(40, np.float32)
    value = helper.make_tensor_value_info
    gemm = {"transB": 1, "alpha": 1.0, "beta": 1.0}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["y"], **gemm),
            helper.make_node("Gemm", ["y", "w", "b"], ["z"], **gemm),
        ],
        "tied",
        [value("x", TensorProto.FLOAT, ["n", 40])],
        [value("z", TensorProto.FLOAT, ["n", 40])],
        [numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert int8.matrices(model) == 2
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = rng.normal(size=(3, 40)).astype(np.float32)
    assert np.allclose(session.run(None, {"x": x})[0], x @ matrix.T @ matrix.T, rtol=1e-4, atol=1e-3)


def test_the_graph_loads_and_says_the_same_without_optimisations(make: Callable[..., Copy]) -> None:
    copy = make("int8", "per tensor")
    path = copy.folder / copy.manifest.parts["encoder.text"].file
    predictor = Predictor.load(copy.folder, 1)
    windows = predictor.modality.windows([TEXTS])
    arrays = predictor.modality.batch(windows, np.arange(2))
    states = []
    for level in (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    ):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        states.append(session.run(["states"], {one.name: arrays[one.name] for one in session.get_inputs()})[0])
    assert np.abs(states[0] - states[1]).max() < 0.05 * states[1].std()


def test_what_has_no_weights_or_is_in_fp16_is_refused(
    make: Callable[..., Copy], tiny_bundle: Path, tmp_path: Path
) -> None:
    halved = make("fp16", "weights in fp16")
    with pytest.raises(TunewrightError, match="int8 stands after fp16 → put it first"):
        int8.run(halved, "per tensor")
    bare = Copy.of(tiny_bundle, tmp_path / "bare")
    zero = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Cast", ["input_ids"], ["states"], to=TensorProto.FLOAT)],
        "bare",
        [zero("input_ids", TensorProto.INT64, ["b", "t"])],
        [zero("states", TensorProto.FLOAT, ["b", "t"])],
    )
    bare.put("encoder.text", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    with pytest.raises(TunewrightError, match="nothing in this bundle can be quantised to int8"):
        int8.run(bare, "per tensor")


def test_compressing_what_is_compressed_is_refused(make: Callable[..., Copy], tmp_path: Path) -> None:
    copy = make("int8", "per tensor")
    with pytest.raises(TunewrightError, match=r"compressed already \(int8, from sha256:whole\)"):
        Copy.of(copy.folder, tmp_path / "twice")


def test_a_file_of_graphs_is_plain_onnx(make: Callable[..., Copy]) -> None:
    copy = make("int8", "per channel")
    onnx.checker.check_model(str(copy.folder / copy.manifest.parts["encoder.text"].file))


@pytest.mark.parametrize("method", ["top", "lora"])
def test_of_an_encoder_in_two_parts_both_are_changed_and_the_lower_one_stays_equal(
    method: str, make: Callable[..., Copy], halved_bundles: dict[str, Path]
) -> None:
    folders = [halved_bundles[f"{method}-{at}"] for at in (0, 1)]
    one, other = (make("int8", "per tensor", name=str(at), bundle=folder) for at, folder in enumerate(folders))
    by_part = [sum(name.endswith("_quantized") for name in tensors(one, part)) for part in one.manifest.encoder]
    assert by_part == {"top": [6, 6], "lora": [0, 8]}[method], "six in each layer where both parts are token-major"
    assert "words.weight_int8" in tensors(one)
    assert one.manifest.parts["encoder.text"] == other.manifest.parts["encoder.text"]
    assert one.manifest.format == {"top": 3, "lora": 4}[method]
    shelf = Shelf()
    pair = [Predictor.load(copy.folder, 1, shelf) for copy in (one, other)]
    assert pair[0].encoder is pair[1].encoder
    assert len(shelf.graphs) == 1 + {"top": 2, "lora": 1}[method] + 2 + 1, "of lora the upper part is shared as well"
    for small, folder in zip(pair, folders, strict=True):
        assert np.abs(small.embed(TEXTS) - Predictor.load(folder, 1).embed(TEXTS)).max() < 0.1
