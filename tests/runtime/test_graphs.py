"""One graph in onnxruntime: inputs by name, others passed over, safe in several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tunewright.core.bundle import read_manifest
from tunewright.runtime import processor
from tunewright.runtime.graphs import EXACT, SPIN_US, Graph, options_of
from tunewright.runtime.peak import FORMS, product


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


def test_a_single_is_the_same_graph_with_one_thread(bundle: Path, encoder: Graph) -> None:
    wide = Graph(bundle / read_manifest(bundle).parts["encoder.text"].file, threads=2)
    assert encoder.single is encoder
    assert wide.single is wide.single
    assert wide.single.threads == 1
    ids = np.array([[2, 5, 3], [2, 3, 0]])
    arrays = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    assert np.allclose(wide(arrays)["states"], wide.single(arrays)["states"], atol=1e-6)


@pytest.mark.parametrize(("spin", "wait"), [(True, ("1", str(SPIN_US))), (False, ("0", "0"))])
def test_idle_threads_wait_in_a_loop_for_a_moment_at_the_most(spin: bool, wait: tuple[str, str]) -> None:
    options = options_of(2, spin=spin)
    names = ("session.intra_op.allow_spinning", "session.intra_op.spin_duration_us")
    assert tuple(options.get_session_config_entry(name) for name in names) == wait


def without(monkeypatch: pytest.MonkeyPatch, folder: Path, flags: str) -> None:
    """Let the processor say that it has these features alone."""
    file = folder / "cpuinfo"
    file.write_text(f"model name : x\nflags : {flags}\n", encoding="utf-8")
    monkeypatch.setattr(processor, "CPUINFO", file)


def test_without_vnni_products_of_whole_numbers_are_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, tmp_path, "avx2")
    options = options_of(1)
    assert options.get_session_config_entry(EXACT) == "1"
    rng = np.random.default_rng(0)
    left, matrix = rng.integers(200, 256, (1024, 64)), rng.integers(100, 128, (64, 32))  # sums of two leave 16 bits
    content = product(FORMS["int8"], matrix.astype(np.int8))
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"left": left.astype(np.uint8)})[0], left @ matrix)


@pytest.mark.parametrize("flags", ["avx2 avx_vnni", "avx512_vnni", "amx_int8"])
def test_with_vnni_nothing_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    without(monkeypatch, tmp_path, flags)
    with pytest.raises(RuntimeError):  # the entry was never made
        options_of(1).get_session_config_entry(EXACT)
