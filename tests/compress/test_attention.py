"""Token-major attention: the same states as before, fewer copies, and graphs of another make are left alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from tunewright.compress import _attention
from tunewright.compress._attention import token_major
from tunewright.compress._copy import Copy

LAYERS = 2


@pytest.fixture
def encoder(tiny_bundle: Path, tmp_path: Path) -> onnx.ModelProto:
    return Copy.of(tiny_bundle, tmp_path / "whole").graph("encoder.text")


def states(model: onnx.ModelProto, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["states"], {"input_ids": ids, "attention_mask": mask})[0]
    return found


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 9), (5, 3), (4, 12)])
def test_the_states_are_those_of_the_graph_before(encoder: onnx.ModelProto, rows: int, tokens: int) -> None:
    changed, layers = token_major(encoder)
    assert layers == LAYERS
    rng = np.random.default_rng(rows)
    ids = rng.integers(1, 60, (rows, tokens))
    mask = (np.arange(tokens) < rng.integers(1, tokens + 1, (rows, 1))).astype(np.int64)
    real = mask.astype(bool)
    assert np.allclose(states(encoder, ids, mask)[real], states(changed, ids, mask)[real], atol=1e-5)


def test_one_copy_of_the_states_is_left_in_a_layer_and_two_around_all(encoder: onnx.ModelProto) -> None:
    before, after = (Counter(node.op_type for node in one.graph.node) for one in (encoder, token_major(encoder)[0]))
    assert before["Transpose"] == 3 * LAYERS
    assert after["Transpose"] == LAYERS + 2
    assert before["MatMul"] == after["FusedMatMul"] == 2 * LAYERS
    onnx.checker.check_model(token_major(encoder)[0])


def test_the_graph_that_was_given_is_not_changed(encoder: onnx.ModelProto) -> None:
    content = encoder.SerializeToString(deterministic=True)
    token_major(encoder)
    assert encoder.SerializeToString(deterministic=True) == content


@pytest.mark.parametrize("what", ["scale by a value", "another turn", "another input", "no encoder at all"])
def test_a_graph_of_another_make_stays_as_it_was(encoder: onnx.ModelProto, what: str) -> None:
    graph = encoder.graph
    makers = {out: node for node in graph.node for out in node.output}
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    product = makers[makers[softmax.input[0]].input[0]]
    if what == "scale by a value":
        makers[product.input[0]].input[1] = "mask"
    elif what == "another turn":
        makers[product.input[1]].attribute[0].ints[:] = [0, 1, 2, 3]
    elif what == "another input":
        graph.input.append(helper.make_tensor_value_info("token_type_ids", 7, ["b", "t"]))
    else:
        del graph.node[:]
    kept, layers = token_major(encoder)
    assert layers == 0
    assert kept is encoder


def test_a_change_that_gives_other_states_is_thrown_away(
    encoder: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _attention._rewritten

    def wrong(model: onnx.ModelProto) -> int:
        layers = real(model)
        for one in model.graph.initializer:
            if one.name.endswith("value.weight"):
                one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one) * 2, one.name))
        return layers

    monkeypatch.setattr(_attention, "_rewritten", wrong)
    assert token_major(encoder)[1] == 0
