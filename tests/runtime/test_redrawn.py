"""Weights that are drawn anew: another model of the same make, the same one for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import TunewrightError
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.redrawn import drawn_like, reads, redrawn
from tunewright.train.rebuild import rebuild


def test_it_answers_otherwise_and_by_its_seed(predictor: Predictor, texts: list[str]) -> None:
    some = [texts[:20]]
    trained, one, again, other = (
        next(iter(model.logits_of(some).values()))
        for model in (predictor, redrawn(predictor, 1), redrawn(predictor, 1), redrawn(predictor, 2))
    )
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 0.01
    assert abs(np.corrcoef(trained.ravel() - trained.mean(), one.ravel() - one.mean())[0, 1]) < 0.5
    assert np.array_equal(trained, next(iter(predictor.logits_of(some).values()))), "the model itself is left alone"


def test_a_tensor_keeps_its_shape_its_type_its_mean_and_its_spread() -> None:
    values = np.random.default_rng(0).normal(3.0, 0.5, (200, 50)).astype(np.float32)
    found = drawn_like(values, "a", 1)
    assert (found.shape, found.dtype) == (values.shape, values.dtype)
    assert found.mean() == pytest.approx(3.0, abs=0.02)
    assert found.std() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(found.ravel(), values.ravel())[0, 1]) < 0.05
    assert not np.array_equal(found, drawn_like(values, "b", 1))
    assert np.array_equal(drawn_like(np.full(3, 2.0, np.float32), "a", 1), [2, 2, 2])


def test_which_tensors_a_graph_reads(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    long = "layer." * 30
    kept = [numpy_helper.from_array(np.ones(2, np.float32), name) for name in ("kept", long)]
    node = helper.make_node("Sum", ["kept", long], ["out"], name="node.of.gone")
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, [2])
    graph = helper.make_model(helper.make_graph([node], "g", [], [value], kept)).SerializeToString()
    assert [reads(graph, name) for name in ("kept", long, "node.of.gone", "out", "kep")] == [True, True] + [False] * 3
    assert onnx.load_from_string(graph).graph.initializer


def test_a_model_without_weights_of_its_own_is_refused(planted: Any) -> None:
    from tunewright.kinds.classify import Classify

    with pytest.raises(TunewrightError, match="the model is no bundle at hand → name a bundle's folder"):
        redrawn(planted({"label": Classify(("a", "b"))}, {"label": {}}), 0)


def test_updates_are_drawn_anew_too(halved_bundles: dict[str, Path]) -> None:
    texts, folder = ["where is my refund?", "my card was stolen"], halved_bundles["lora-0"]
    drawn, network = redrawn(Predictor.load(folder, 1), 1), rebuild(folder, seed=1)
    arrays = network.modality.batch(network.modality.windows([texts]), np.arange(2))
    with torch.no_grad():
        states, mask = network.encoder(**{name: torch.from_numpy(value) for name, value in arrays.items()})
        wanted = network.heads["intent"](states, mask).numpy()
    np.testing.assert_allclose(drawn.logits(texts)["intent"], wanted, atol=1e-4)
    assert not np.allclose(drawn.logits(texts)["intent"], Predictor.load(folder, 1).logits(texts)["intent"], atol=0.1)


def test_an_encoder_in_two_parts_is_drawn_as_one_in_one_part_is(halved_bundles: dict[str, Path]) -> None:
    texts = [["where is my refund?", "my card was stolen"]]
    whole, parted = (
        next(iter(redrawn(Predictor.load(halved_bundles[name], 1), 1).logits_of(texts).values()))
        for name in ("whole", "top-0")
    )
    np.testing.assert_allclose(whole, parted, atol=1e-4)
