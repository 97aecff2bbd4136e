"""Graphs are the trained model, hold each tensor once, and are refused where they are not."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import tunewright
from tunewright import samples
from tunewright.core.bundle import Manifest, read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Ragged, Windows
from tunewright.heads._pooled import Embed
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.methods import probe
from tunewright.runtime.graphs import Graph
from tunewright.train import export
from tunewright.train.assemble import same_numbers, subset
from tunewright.train.export import TOLERANCE, compare, rows_to_compare
from tunewright.train.outputs import logits_of

Make = Callable[..., Any]
LABELS = Classify(("a", "b", "c"))
TRAIN, TEST = (samples.path(f"support_{part}.csv") for part in ("train", "test"))


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def test_equal_logits_pass_and_the_figures_are_told(logits: np.ndarray) -> None:
    near = logits + np.float32(0.5 * TOLERANCE * logits.std())
    facts = compare(logits, near, LABELS)
    assert facts["rows"] == 50
    assert facts["spread"] == pytest.approx(logits.std())
    assert facts["largest_difference"] == pytest.approx(0.5 * TOLERANCE, rel=1e-2)


def test_a_difference_above_the_limit_is_refused_with_its_figures(logits: np.ndarray) -> None:
    wrong = logits.copy()
    wrong[7, 1] += 0.5 * logits.std()
    message = r"differ from the trained model: by 5\.\d+e-01 of the logits' spread \(limit 0\.001\), \d of 50 rows"
    with pytest.raises(TunewrightError, match=message) as told:
        compare(logits, wrong, LABELS)
    assert "nothing was shipped" in told.value.remedy


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(value: float, logits: np.ndarray) -> None:
    wrong = logits.copy()
    wrong[0, 0] = value
    with np.errstate(invalid="ignore"), pytest.raises(TunewrightError, match="differ from the trained model"):
        compare(logits, wrong, LABELS)


def test_a_decision_may_differ_only_where_the_two_best_are_as_good_as_equal() -> None:
    close = np.array([[1.0, 1.0 + 1e-5, -9.0], [5.0, 0.0, 0.0]], np.float32)
    turned = np.array([[1.0 + 1e-5, 1.0, -9.0], [5.0, 0.0, 0.0]], np.float32)
    assert compare(close, turned, LABELS)["largest_difference"] < TOLERANCE
    assert export._same(close, turned, LABELS, 1e-4).tolist() == [True, True]
    assert export._same(close, turned, LABELS, 1e-6).tolist() == [False, True]


def test_kinds_without_a_best_label_are_held_to_the_logits_alone(logits: np.ndarray) -> None:
    assert compare(logits, logits, Multilabel(("a", "b", "c"), (0.5,) * 3))["largest_difference"] == 0.0
    ragged = np.empty(2, object)
    ragged[:] = [logits[:2], logits[:5]]
    assert compare(ragged, ragged, LABELS)["rows"] == 2
    other = np.empty(2, object)
    other[:] = [logits[:2], logits[:5] + 1]
    with pytest.raises(TunewrightError, match="differ"):
        compare(ragged, other, LABELS)


def test_logits_that_are_all_alike_have_no_spread_to_divide_by() -> None:
    assert compare(np.ones((3, 3)), np.ones((3, 3)), LABELS)["spread"] == 1.0


def windows_of(cost: np.ndarray) -> Windows:
    return Windows(len(cost), np.arange(len(cost)), cost, {"ids": Ragged.of([range(one) for one in cost])})


def test_the_rows_to_compare_hold_the_shortest_and_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "COMPARED_ROWS", 300)
    cost = np.random.default_rng(0).permutation(np.arange(1, 1001))
    chosen = rows_to_compare(windows_of(cost), seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == 300
    assert set(range(1, 51)) | set(range(951, 1001)) <= set(cost[chosen].tolist())
    np.testing.assert_array_equal(chosen, rows_to_compare(windows_of(cost), seed=0))
    assert sorted(rows_to_compare(windows_of(cost[:200]), seed=0).tolist()) == list(range(200))


def test_a_subset_is_windows_each_a_row_of_its_own() -> None:
    windows = Windows(2, np.array([0, 0, 1]), np.array([3, 1, 2]), {"ids": Ragged.of([[1, 2, 3], [4], [5, 6]])})
    picked = subset(windows, np.array([2, 0]))
    assert (picked.rows, picked.owner.tolist(), picked.cost.tolist()) == (2, [0, 1], [2, 3])
    assert [one.tolist() for one in picked.data["ids"]] == [[5, 6], [1, 2, 3]]


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    return read_manifest(tiny_bundle)


def test_graphs_hold_no_weights_of_their_own(tiny_bundle: Path, manifest: Manifest) -> None:
    for part in manifest.parts.values():
        graph = onnx.load(tiny_bundle / part.file, load_external_data=False).graph
        inside = sum(len(one.raw_data) for one in graph.initializer)
        assert inside < 1024, f"{part.file} holds {inside} bytes of tensors"
        named = {entry.value for one in graph.initializer for entry in one.external_data if entry.key == "location"}
        assert named <= set(part.data)


def test_each_tensor_is_stored_once(tiny_bundle: Path, manifest: Manifest) -> None:
    stored: list[tuple[str, str]] = []
    size = 0
    for path in (tiny_bundle / "weights").iterdir():
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        stored += [(path.name.split("-")[0], name) for name in header if name != "__metadata__"]
        size += path.stat().st_size
    assert len(stored) == len(set(stored))
    assert sum(path.endswith(".safetensors") for path in manifest.files) == 2
    assert size > 0.5 * manifest.size_bytes - (tiny_bundle / "modality" / "text" / "tokenizer.json").stat().st_size


def test_file_names_tell_their_content(tiny_bundle: Path, manifest: Manifest) -> None:
    for path, entry in manifest.files.items():
        if path.endswith((".onnx", ".safetensors")):
            assert path.rpartition("-")[2].partition(".")[0] == entry["sha256"][:12]
    assert oct((tiny_bundle / manifest.parts["head.intent"].data[0]).stat().st_mode)[-3:] == "644"


def test_graphs_tell_nothing_of_the_trace(tiny_bundle: Path, manifest: Manifest) -> None:
    for part in manifest.parts.values():
        content = (tiny_bundle / part.file).read_bytes()
        assert not any(word in content for word in (b"site-packages", b".py", b"/src/", b"pkg.torch"))


def test_graphs_take_any_number_of_rows_and_tokens(tiny_bundle: Path, manifest: Manifest) -> None:
    encoder = Graph(tiny_bundle / manifest.parts["encoder.text"].file, 1)
    for rows, tokens in ((1, 1), (1, 64), (7, 3)):
        ids = np.full((rows, tokens), 9)
        found = encoder({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert found["states"].shape == (rows, tokens, 32)


def exported(context: Any, folder: Path) -> tuple[Any, Any]:
    """The probe's model and the predictor-like runner of its graphs."""
    fitted = probe.fit(context)
    heads = {"head.y": fitted.head, "embed": Embed(context.backbone.pooling)}
    parts = export.export(folder, "text", context.backbone.modality, context.train.windows, fitted.encoder, heads)
    graphs = {name: Graph(folder / part.file, 1) for name, part in parts.items()}

    class Runner:
        def run(self, windows: Windows, names: list[str], batches: Any = None) -> dict[str, list[Any]]:
            out: dict[str, list[Any]] = {name: [None] * len(windows) for name in names}
            for index in batches or [np.array([at]) for at in range(len(windows))]:
                encoded = graphs["encoder.text"](context.backbone.modality.batch(windows, index))
                for name in names:
                    for at, window in enumerate(index.tolist()):
                        out[name][window] = graphs[name](encoded)["logits"][at]
            return out

    return fitted, Runner()


def test_graphs_say_what_the_model_says(make_context: Make, tmp_path: Path, traced_once: None) -> None:
    context = make_context()
    fitted, runner = exported(context, tmp_path / "graphs")
    windows = context.validation.windows
    pieces = runner.run(windows, ["head.y", "embed"])
    np.testing.assert_allclose(
        context.kind.gather(pieces["head.y"], windows),
        logits_of(context, fitted.encoder, fitted.head, context.validation),
        atol=1e-5,
    )
    np.testing.assert_allclose(np.stack(pieces["embed"]), context.validation_embeddings, atol=1e-5)
    facts = same_numbers(context, fitted, runner, windows, pieces)
    assert facts["largest_difference"] < TOLERANCE
    assert facts["rows"] == 40


def test_a_graph_that_fails_under_padding_only_is_found(make_context: Make, tmp_path: Path, traced_once: None) -> None:
    context = make_context()
    fitted, runner = exported(context, tmp_path / "graphs")
    windows = context.validation.windows
    pieces = runner.run(windows, ["head.y"])
    honest = runner.run

    def careless(windows: Windows, names: list[str], batches: Any = None) -> dict[str, list[Any]]:
        found = honest(windows, names, batches)
        if batches is None:
            return found
        return {name: [None if one is None else one + 1 for one in values] for name, values in found.items()}

    runner.run = careless
    with pytest.raises(TunewrightError, match="differ from the trained model"):
        same_numbers(context, fitted, runner, windows, pieces)


def test_a_falsified_graph_is_not_shipped(
    tiny_backbone: Path, tmp_path: Path, traced_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight in the file of the encoder is other than the trained one."""
    store = export._stored

    def falsified(folder: Path, name: str, weights: dict[str, torch.Tensor]) -> str:
        if name.startswith("encoder."):
            weights = {**weights, "layers.0.up.weight": weights["layers.0.up.weight"] * 1.5}
        return store(folder, name, weights)

    monkeypatch.setattr(export, "_stored", falsified)
    settings = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1}
    with pytest.raises(TunewrightError, match="the exported graphs differ from the trained model: by .* of the logits"):
        tunewright.fit(TRAIN, text="text", label="intent", out=tmp_path / "x", settings=settings)
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.run" / "staged").exists()


def test_the_same_rows_and_seed_give_the_same_bundle(
    tiny_bundle: Path, tiny_backbone: Path, tmp_path: Path, process: Callable[..., Any]
) -> None:
    """Another process learns, traces and writes it once more; only what tells of the run may differ."""
    own = {"backbone": tiny_backbone, "method": "probe", "threads": 1}
    settings = [word for name, value in own.items() for word in ("--set", f"fit.{name}={value}")]
    files = (TRAIN, "--test", TEST, "--text", "text", "--label", "intent", "--out", tmp_path / "tiny")
    done = process("fit", *files, *settings, "--quiet")
    assert done.code == 0, done.err
    one, other = read_manifest(tiny_bundle), read_manifest(tmp_path / "tiny")
    assert one.files == other.files
    assert one.digest == other.digest
    assert one.metrics == other.metrics
