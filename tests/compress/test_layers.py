"""What is written of an encoder's layers, what is not described, and that native code answers as the graph does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tunewright.compress._copy import Copy
from tunewright.compress._layers import layers_of, tensors_of
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import DamagedBundle
from tunewright.runtime import native
from tunewright.runtime.graphs import Graph
from tunewright.runtime.layers import Layers
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf

TEXTS = ["my card was stolen", "where is my refund?", "", "hello, I was charged twice for one and the same order"]


@pytest.fixture(scope="module")
def blended(blend: Callable[[Path], Path], broad_backbone: Path) -> Path:
    return blend(broad_backbone)


@pytest.fixture
def copy(make: Callable[..., Copy], broad_bundle: Path) -> Copy:
    return make("int8", "per channel", bundle=broad_bundle)


def loaded(copy: Copy) -> Layers:
    part = copy.manifest.parts["encoder.text"]
    return Layers.load(copy.folder / part.layers, [copy.folder / one for one in part.data])


@pytest.mark.parametrize("setting", ["per tensor", "per channel", "per channel, 7 bits", "per channel, words in fp32"])
def test_layers_are_described_and_named_tensors_stand_beside_the_graph(
    make: Callable[..., Copy], broad_bundle: Path, setting: str
) -> None:
    copy = make("int8", setting, bundle=broad_bundle)
    part = copy.manifest.parts["encoder.text"]
    assert part.layers in part.files
    assert part.layers in read_manifest(copy.folder).files
    found, tensors = loaded(copy), copy.tensors("encoder.text")
    assert (found.heads, found.width, found.inner, len(found.layers)) == (2, 64, 128, 2)
    assert (found.words.scales is None) == ("words in fp32" in setting)
    for number, layer in enumerate(found.layers):
        stem = f"layers.{number}.up.weight_turned"
        assert np.array_equal(layer.up.weights, tensors[f"{stem}_quantized"])
        assert np.array_equal(layer.up.scales, np.broadcast_to(tensors[f"{stem}_scale"].ravel(), 128))
        assert np.array_equal(layer.norm.bias, tensors[f"layers.{number}.norm.bias"])
    query = loaded(copy).layers[1].query
    assert not np.array_equal(query.weights, found.layers[1].key.weights)


def test_where_a_product_has_no_bias_it_is_zero(make: Callable[..., Copy]) -> None:
    found = loaded(make("int8", "per channel"))  # a BERT as it is drawn
    assert not found.layers[1].down.bias.any()
    assert found.layers[1].down.bias.shape == (32,)


def test_other_steps_describe_nothing(make: Callable[..., Copy], broad_bundle: Path, tiny_bundle: Path) -> None:
    for step, setting in (("fp16", "weights in fp16"), ("int8", "per channel, unsigned")):
        copy = make(step, setting, bundle=broad_bundle, name=setting)
        assert copy.manifest.parts["encoder.text"].layers == ""
        assert "layers" not in json.loads((copy.folder / "bundle.json").read_text())["parts"]["encoder.text"]
    assert all(not one.layers for one in read_manifest(broad_bundle).parts.values())


def test_a_description_goes_with_the_graph_that_it_describes(make: Callable[..., Copy], copy: Copy) -> None:
    part = copy.manifest.parts["encoder.text"]
    model = copy.graph("encoder.text")
    for one in model.graph.node:
        if one.op_type == "Gelu":
            one.op_type = "Relu"
            del one.attribute[:]
    copy.put("encoder.text", model)
    assert copy.manifest.parts["encoder.text"].layers == ""
    assert not (copy.folder / part.layers).exists()


def changed(model: onnx.ModelProto, how: str) -> onnx.ModelProto:
    graph = model.graph
    if how == "gelu":
        node = next(one for one in graph.node if one.op_type == "Gelu")
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("approximate", "tanh"))
    elif how == "epsilon":
        node = [one for one in graph.node if one.op_type == "LayerNormalization"][2]
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("epsilon", 0.5))
    elif how == "scale of attention":
        node = next(one for one in graph.node if any(own.name == "alpha" for own in one.attribute))
        next(own for own in node.attribute if own.name == "alpha").f = 0.2
    elif how == "zero point":
        name = next(one.input[3] for one in graph.node if one.op_type == "MatMulInteger")
        tensor = next(one for one in graph.initializer if one.name == name)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.int8(1), name))
    elif how == "residual":
        node = next(one for one in graph.node if one.op_type == "LayerNormalization" and "attention" in one.input[1])
        total = next(one for one in graph.node if node.input[0] in one.output)
        total.input[0] = total.input[1]
    elif how == "position":
        cut = next(one for one in graph.node if one.op_type == "Slice")
        tensor = next(one for one in graph.initializer if one.name == cut.input[1])
        tensor.CopyFrom(numpy_helper.from_array(np.array([2]), tensor.name))
    else:
        graph.output[0].name = "other"
    return model


@pytest.mark.parametrize(
    "how", ["gelu", "epsilon", "scale of attention", "zero point", "residual", "position", "states"]
)
def test_a_graph_that_is_otherwise_in_one_place_is_not_described(copy: Copy, how: str) -> None:
    assert layers_of(copy.graph("encoder.text")) is not None
    assert layers_of(changed(copy.graph("encoder.text"), how)) is None


def test_every_named_tensor_is_there(copy: Copy) -> None:
    told = layers_of(copy.graph("encoder.text"))
    assert told is not None
    names = list(tensors_of(told))
    assert len(names) == 6 + 2 * 22
    assert set(names) <= set(copy.beside("encoder.text"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("heads"), "heads"),
        (lambda told: told.update(heads=5), "heads of another shape"),
        (lambda told: told.update(layers=[]), "heads of another shape"),
        (lambda told: told["layers"][0]["up"].reverse(), "up of another shape"),
        (lambda told: told["layers"][1].update(query=["gone", "gone", "gone"]), "gone"),
        (lambda told: told["embedding"].update(words="norm.weight"), "words of another shape"),
    ],
)
def test_a_wrong_description_is_a_damaged_bundle(
    copy: Copy, change: Callable[[dict[str, object]], object], said: str
) -> None:
    path = copy.folder / copy.manifest.parts["encoder.text"].layers
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(DamagedBundle, match=rf"does not describe the encoder: .*({said})"):
        loaded(copy)


def test_native_code_answers_as_the_graph(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, "off")
    by_graph = Predictor.load(copy.folder, threads=2)
    assert isinstance(by_graph.encoder.graph, Graph)
    monkeypatch.delenv(native.SWITCH)
    if not native.usable():
        pytest.skip("no native code here")
    layers = loaded(copy)
    arrays = by_graph.modality.batch(windows := by_graph.modality.windows([TEXTS]), np.arange(len(windows)))
    mask = arrays["attention_mask"][..., None]
    expected = by_graph.encoder.graph(arrays)["states"] * mask
    found = native.NativeEncoder(layers, 2)(arrays)["states"]
    # The graph's padding counts in the range that its bytes span, so the two are as alike as two batches are.
    assert np.abs(found - expected).mean() < 0.02
    assert np.abs(found - expected).max() < 0.3


def test_n_grams_beside_the_tokens_are_described_and_computed_too(
    make: Callable[..., Copy], blended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = make("int8", "per channel", bundle=blended)
    part = copy.manifest.parts["encoder.text_ngrams"]
    layers = Layers.load(copy.folder / part.layers, [copy.folder / one for one in part.data])
    assert layers.ngrams is not None
    assert layers.ngrams.rows.dtype == np.int8
    if not native.usable():
        pytest.skip("no native code here")
    by_native = Predictor.load(copy.folder, threads=2)
    assert isinstance(by_native.encoder.graph, native.NativeEncoder)
    monkeypatch.setenv(native.SWITCH, "off")
    by_graph = Predictor.load(copy.folder, threads=2)
    arrays = by_graph.modality.batch(windows := by_graph.modality.windows([TEXTS]), np.arange(len(windows)))
    expected, found = (one.encoder.graph(arrays)["states"] for one in (by_graph, by_native))
    assert found.shape == expected.shape
    assert np.allclose(found[..., 64:], expected[..., 64:], atol=1e-5)
    real = arrays["attention_mask"].astype(bool)
    assert np.abs(found[real] - expected[real]).mean() < 0.02
    assert np.abs(by_native.predict_proba(TEXTS) - by_graph.predict_proba(TEXTS)).max() < 0.05


@pytest.mark.parametrize("wins", [True, False])
def test_what_is_loaded_is_what_won(copy: Copy, wins: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not native.usable():
        pytest.skip("no native code here")
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / str(wins)))
    monkeypatch.setattr("tunewright.runtime.fastest._wins", lambda *_: wins)
    shelf = Shelf()
    service = Predictor.load(copy.folder, threads=1, shelf=shelf)
    later = Predictor.load(copy.folder, threads=1)
    for predictor in (service, later):
        assert isinstance(predictor.encoder.graph, native.NativeEncoder if wins else Graph)
    assert sum(isinstance(one, native.NativeEncoder) for one in shelf.graphs) == wins
    assert [one.reason for one in predictor.predict(TEXTS)] == [None, None, "empty", None]


def test_a_damaged_description_is_found_by_its_digest(copy: Copy) -> None:
    if not native.usable():
        pytest.skip("no native code here")
    path = copy.folder / copy.manifest.parts["encoder.text"].layers
    path.write_text(path.read_text().replace("linear", "lineal"))
    with pytest.raises(DamagedBundle, match="the file is damaged"):
        Predictor.load(copy.folder)
