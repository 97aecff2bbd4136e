"""A third party's modality, backbone family and per-step kind go through the whole line; nothing in src/ knows them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import tunewright
from tunewright import pipeline
from tunewright.core import plugins
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Ragged, Windows
from tunewright.serve.http import application

SITE = Path(__file__).parent / "site"
SOURCES = Path(tunewright.__file__).parent
FITTED = {"fit.threads": 1, "fit.batch_rows": 16, "fit.average": 0.0, "fit.precision": "fp32"}
Columns = dict[str, list[str]]


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    """The made-up distribution, as pip would leave it: a folder on ``sys.path`` with its ``dist-info``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SITE)
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "strips"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def steps(installed: None) -> ModuleType:
    return sys.modules[plugins.load("kinds", "steps").__module__]


@pytest.fixture(scope="module")
def stripnet(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of width 16, as a folder."""
    import torch
    from safetensors.torch import save_file
    from strips.stripnet import Net

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("backbones") / "stripnet-16"
    folder.mkdir()
    save_file(Net(16).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "stripnet", "width": 16, "max_frames": 6}))
    return folder


def levels(rows: int, seed: int) -> Columns:
    """Strips of 1 to 12 frames; a frame's label says which third of 0 to 1 its value lies in."""
    draws = np.random.default_rng(seed)
    strips = [draws.random(length).round(2) for length in draws.integers(1, 13, rows)]
    labels = [np.array(["low", "middle", "high"])[(strip * 3).astype(int).clip(0, 2)] for strip in strips]
    return {"trace": [" ".join(map(str, strip)) for strip in strips], "level": [" ".join(row) for row in labels]}


@pytest.fixture(scope="module")
def strip_settings(stripnet: Path) -> dict[str, object]:
    own = {"inputs.trace": "strip", "fit.backbone": str(stripnet), "fit.epochs": 12, "fit.learning_rate": 0.02}
    return FITTED | own | {"gates.step_accuracy": ">= 0.9"}


@pytest.fixture(scope="module")
def strip_bundle(strip_settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted, judged by a gate, released."""
    out = tmp_path_factory.mktemp("bundles") / "levels"
    tunewright.fit(levels(240, 1), test=levels(60, 2), label="level", kind="steps", out=out, settings=strip_settings)
    return out


def test_the_plugins_are_found_by_their_entry_points_and_told_without_an_import() -> None:
    assert "strip" in plugins.names("modalities")
    assert "stripnet" in plugins.names("backbones")
    assert plugins.summary("heads", "steps").startswith("One label per step")
    assert plugins.load("kinds", "steps").__name__ == "Steps"


def test_nothing_in_the_package_knows_them() -> None:
    texts = [path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py")]
    assert len(texts) > 50
    assert [name for text in texts for name in ("stripnet", "StepLabels", "modalities.strip") if name in text] == []


def test_the_bundle_names_every_plugin_and_holds_no_code(strip_bundle: Path) -> None:
    manifest = read_manifest(strip_bundle)
    assert manifest.inputs == {"trace": "strip"}
    assert manifest.modalities == {"strip": {"max_frames": 6}}
    assert manifest.backbone["family"] == "stripnet"
    assert manifest.targets[0]["spec"] == {"labels": ["high", "low", "middle"]}
    assert set(manifest.parts) == {"encoder.strip", "head.level", "embed"}
    assert {Path(name).suffix for name in manifest.files} == {".onnx", ".safetensors", ".json"}


def test_the_audit_measures_the_kinds_own_metrics_with_intervals(strip_bundle: Path) -> None:
    measured = read_manifest(strip_bundle).metrics
    assert measured["step_accuracy"]["value"] > 0.9
    assert measured["step_accuracy"]["low"] < measured["step_accuracy"]["value"] < measured["step_accuracy"]["high"]
    assert measured["exact_match"]["n"] == 60
    findings = json.loads((strip_bundle / "report.json").read_text(encoding="utf-8"))["findings"]
    assert [one["note"] for one in findings if "failed" in one["note"]] == []
    assert [one["passed"] for one in findings if one["limit"]] == [True]
    assert "Step accuracy" in (strip_bundle / "report.html").read_text(encoding="utf-8")


def test_the_predictor_answers_per_frame_across_windows(strip_bundle: Path) -> None:
    rows = levels(40, 3)
    answers = tunewright.load(strip_bundle).predict(rows)
    assert [len(one.labels) for one in answers] == [len(cell.split()) for cell in rows["trace"]]
    assert max(len(one.labels) for one in answers) > 6
    right = [one == other for answer, cell in zip(answers, rows["level"], strict=True)
             for one, other in zip(answer.labels, cell.split(), strict=True)]  # fmt: skip
    assert np.mean(right) > 0.9
    assert tunewright.load(strip_bundle).predict([""])[0].reason == "empty"


def test_answers_do_not_depend_on_their_neighbours(strip_bundle: Path) -> None:
    predictor = tunewright.load(strip_bundle)
    rows = levels(30, 4)["trace"]
    together = predictor.predict_proba(rows)
    for row, alone in enumerate(predictor.predict_proba([one])[0] for one in rows):
        np.testing.assert_allclose(together[row], alone, atol=1e-6)
    assert predictor.embed(rows).shape == (30, 16)


def test_the_service_answers_with_the_kinds_own_body(strip_bundle: Path) -> None:
    predictor = tunewright.load(strip_bundle)
    cells = ["0.1 0.9 0.5 0.2 0.7 0.95 0.05", "0.4"]
    with TestClient(application({"levels": predictor})) as client:
        answer = client.post("/v1/levels/predict", json={"inputs": [cells[0], {"trace": cells[1]}]}).json()
        schema = client.get("/openapi.json").json()["components"]["schemas"]["levels-level"]
        refused = client.post("/predict", json={"inputs": ["0.1 up"]})
        assert client.get("/").status_code == 200
    assert answer["bundle"] == predictor.manifest.digest
    assert [one["labels"] for one in answer["predictions"]] == [one.labels for one in predictor.predict(cells)]
    assert answer["predictions"][0]["labels"][:2] == ["low", "high"]
    assert {"id", "target", "labels", "scores", "reason"} == set(schema["properties"])
    assert refused.status_code == 422
    assert refused.json()["problem"] == "row 0: '0.1 up' is no strip"


def test_files_are_answered_and_measured(strip_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    pl.DataFrame(levels(20, 5)).write_csv(path)
    answered = pl.concat(pipeline.predict(strip_bundle, path))
    assert answered.columns == ["trace", "level", "prediction"]
    exact = float((answered["level"] == answered["prediction"]).mean())
    found = {one.metric: one.value for one in pipeline.evaluate(strip_bundle, path) if not one.slice}
    assert found["exact_match"] == pytest.approx(exact)
    assert pipeline.show(strip_bundle)["targets"][0]["kind"] == "steps"


def test_it_is_handed_over_as_graphs_and_has_no_hugging_face_form(strip_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="this bundle has no Hugging Face form → use --to onnx"):
        pipeline.export(strip_bundle, "hf", tmp_path / "hf")
    out = pipeline.export(strip_bundle, "onnx", tmp_path / "onnx")
    assert {path.name for path in out.glob("*.onnx")} == {"encoder.strip.onnx", "head.level.onnx", "embed.onnx"}


def test_a_backbone_of_another_modality_is_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    settings = {"inputs.trace": "strip", "fit.backbone": str(tiny_backbone)}
    with pytest.raises(TunewrightError, match="reads text, not strip → choose a backbone of that modality"):
        tunewright.fit(levels(60, 1), label="level", kind="steps", out=tmp_path / "out", settings=settings)


def test_a_row_with_too_few_labels_is_named(strip_settings: dict[str, object], tmp_path: Path) -> None:
    rows = levels(60, 1)
    rows["level"] = [cell + " low" for cell in rows["level"]]
    with pytest.raises(TunewrightError, match=r"row 0 has \d+ steps and \d+ labels → write one label for each step"):
        tunewright.fit(rows, label="level", kind="steps", out=tmp_path / "out", settings=strip_settings)
    assert not (tmp_path / "out").exists()


def test_words_of_several_windows_are_counted_once(steps: ModuleType) -> None:
    spans = [[(0, 0), (0, 3), (3, 5), (0, 0)], [(0, 0), (5, 8), (9, 11), (0, 0)], [(0, 0), (1, 4), (0, 0)]]
    cost = np.array([len(one) for one in spans])
    windows = Windows(2, np.array([0, 0, 1]), cost, {}, Ragged(np.concatenate(spans), np.append(0, cost.cumsum())))
    assert [one.tolist() for one in steps.steps_of(windows)] == [[1], [2], [1]]
    kind = steps.Steps(("a", "b"))
    truth = kind.spread(kind.encode(["b a", "b"]), windows)
    assert [one.tolist() for one in truth] == [[-100, 1, -100, -100], [-100, -100, 0, -100], [-100, 1, -100]]
    pieces = [np.arange(2 * length).reshape(length, 2) for length in cost]
    assert [one.tolist() for one in kind.gather(pieces, windows)] == [[[2, 3], [4, 5]], [[2, 3]]]


@pytest.fixture(scope="module")
def word_bundle(
    tiny_backbone: Path, sample_rows: dict[str, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same kind on words of texts that are longer than a window: does a word start with a vowel?"""
    out = tmp_path_factory.mktemp("bundles") / "vowels"
    parts = [vowels([row["text"] for row in sample_rows[f"support_{part}.csv"]]) for part in ("train", "test")]
    own = {"fit.backbone": str(tiny_backbone), "fit.max_tokens": 10, "fit.epochs": 5, "fit.learning_rate": 0.01}
    tunewright.fit(parts[0], test=parts[1], text="text", label="vowel", kind="steps", out=out, settings=FITTED | own)
    return out


def vowels(texts: list[str]) -> Columns:
    labels = [" ".join("yes" if word[0].lower() in "aeiou" else "no" for word in text.split()) for text in texts]
    return {"text": texts, "vowel": labels}


def test_the_per_step_kind_tags_words_of_texts(word_bundle: Path) -> None:
    manifest = read_manifest(word_bundle)
    assert manifest.inputs == {"text": "text"}
    assert manifest.metrics["step_accuracy"]["value"] > 0.9
    text = "an unusually long question about every order of our old account is asked here in one breath"
    (answer,) = tunewright.load(word_bundle).predict([text])
    assert len(answer.labels) == len(text.split())
    right = [one == other for one, other in zip(answer.labels, vowels([text])["vowel"][0].split(), strict=True)]
    assert np.mean(right) > 0.8
