"""One graph in onnxruntime: inputs by name, others passed over, safe in several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tunewright.core.bundle import read_manifest
from tunewright.runtime.graphs import Graph


@pytest.fixture
def encoder(bundle: Path) -> Graph:
    return Graph(bundle / read_manifest(bundle).parts["encoder.text"].file, threads=1)


def test_a_graph_knows_its_inputs_and_outputs(encoder: Graph) -> None:
    assert set(encoder.inputs) == {"input_ids", "attention_mask"}
    assert set(encoder.outputs) == {"states", "mask"}


def test_arrays_that_it_has_no_input_for_are_left_out(encoder: Graph) -> None:
    ids = np.array([[2, 5, 3], [2, 3, 0]])
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    found = encoder({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids})
    assert found["states"].shape == (2, 3, 32)
    assert found["mask"].tolist() == mask.tolist()
    assert not found["states"][1].any()


def test_any_number_of_rows_and_steps_fits(encoder: Graph) -> None:
    for rows, steps in ((1, 1), (3, 40), (2, 0)):
        zeros = np.zeros((rows, steps), np.int64)
        assert encoder({"input_ids": zeros, "attention_mask": zeros})["states"].shape == (rows, steps, 32)


def test_several_threads_get_their_own_answers(encoder: Graph) -> None:
    def look_up(word: int) -> list[float]:
        ids = np.full((4, 9), word)
        states = encoder({"input_ids": ids, "attention_mask": np.ones_like(ids)})["states"]
        first: list[float] = states[0, 0].tolist()
        return first

    words = [*range(4, 60)] * 4
    alone = [look_up(word) for word in words]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look_up, words)) == alone
