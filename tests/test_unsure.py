""" "I don't know" from end to end: a fit that promises a rate, its report, Python, files of answers and HTTP."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import tunewright
from tunewright import samples
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.runtime.predictor import Predictor

STRANGE = [
    "photosynthesis turns sunlight into sugar",
    "the violin concerto in D major was written in 1878",
    "granite is an igneous rock",
    "qwzx vbnm plok ujhy",
] * 3


@pytest.fixture(scope="module")
def out(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the sample rows that promises a rate of errors, and turns strange rows away."""
    folder = tmp_path_factory.mktemp("unsure")
    with (folder / "strange.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in STRANGE)])
    asked = {"unsure.error": 0.4, "unsure.out_of_scope": 0.1, "audit.strange": str(folder / "strange.csv")}
    fixed = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1, "split.validation": 0.3}
    tunewright.fit(
        samples.path("support_train.csv"),
        test=samples.path("support_test.csv"),
        text="text",
        label="intent",
        out=folder / "bundle",
        settings=fixed | asked,
    )
    return folder / "bundle"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    with samples.path("support_test.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def predictor(out: Path) -> Predictor:
    return tunewright.load(out)


def test_the_bundle_holds_what_it_needs_and_no_row(out: Path) -> None:
    manifest = read_manifest(out)
    spec = manifest.targets[0]["spec"]
    assert spec["promise"]["error"] == 0.4
    assert spec["scope"]["share"] == 0.1
    assert set(spec["scope"]["areas"]) >= {"probability", "energy", "nearest", "mahalanobis", "combined"}
    assert manifest.task["audit"]["strange"] == ""
    if spec["scope"]["file"]:
        assert spec["scope"]["file"] in manifest.files


def test_the_audits_measure_it(out: Path) -> None:
    found = {(one["audit"], one["metric"]): one for one in json.loads((out / "report.json").read_text())["findings"]}
    assert 0.7 < found["conformal", "covered_90"]["value"] <= 1
    assert found["conformal", "set_size_95"]["value"] >= found["conformal", "set_size_90"]["value"]
    assert found["out_of_scope", "rejected"]["n"] == 60 or found["out_of_scope", "rejected"]["value"] is not None
    assert found["out_of_scope", "auroc"]["value"] is not None
    assert found["out_of_scope", "strange_rejected"]["n"] == len(STRANGE)
    assert found["calibration", "ece_before"]["value"] is not None


def test_every_answer_has_a_label_or_a_reason(predictor: Predictor, texts: list[str]) -> None:
    answers = predictor.predict([*texts, *STRANGE, ""])
    reasons = {one.reason for one in answers}
    assert {"unsure", "empty", None} <= reasons <= {"unsure", "empty", "out_of_scope", None}
    for one in answers:
        assert (one.label is None) == (one.reason is not None)
        assert one.reason in (None, "empty") or one.candidates
    assert answers[-1].reason == "empty"


def test_strange_rows_are_turned_away_where_the_score_says_so(predictor: Predictor, texts: list[str]) -> None:
    scope, kind = predictor.scopes["intent"], predictor.kind
    asked = [*texts, *STRANGE]
    outside = scope.outside(kind, predictor.logits(asked)["intent"], predictor.embed(asked))
    answers = predictor.predict(asked)
    assert [one.reason == "out_of_scope" for one in answers] == outside.tolist()
    assert 0 < outside.sum() < len(asked)
    assert outside[: len(texts)].mean() < 0.25  # the budget was 0.1; the backbone is random, so strange rows look known


def test_the_rate_can_be_asked_for_in_each_call(predictor: Predictor, texts: list[str]) -> None:
    def unsure(error: float | None) -> int:
        return sum(one.reason == "unsure" for one in predictor.predict(texts, error=error))

    assert unsure(0) == 0
    assert unsure(None) == unsure(0.4) < unsure(0.05)
    sizes = [predictor.kind.at_error(error).promise.sets(predictor.predict_proba(texts)).sum() for error in (0.3, 0.1)]  # type: ignore[attr-defined]
    assert sizes[0] < sizes[1]
    with pytest.raises(TunewrightError, match=r"error = 0\.9: this is no rate"):
        predictor.predict(texts, error=0.9)


def test_files_of_answers_have_the_reason(
    out: Path, texts: list[str], tmp_path: Path, cli: Callable[..., Any], predictor: Predictor
) -> None:
    asked = tmp_path / "asked.csv"
    with asked.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    ran = cli("predict", out, asked, "--out", tmp_path / "answers.csv", "--error", "0.2")
    assert ran.code == 0, ran.err
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = predictor.predict(texts, error=0.2)
    assert [row["reason"] for row in rows] == [one.reason or "" for one in answers]
    assert [row["prediction"] for row in rows] == [one.label or "" for one in answers]
    listed = [[one["label"] for one in json.loads(row["candidates"])] for row in rows]
    assert listed == [[one.label for one in answer.candidates or ()] for answer in answers]
    refused = cli("predict", out, asked, "--error", "0.8")
    assert refused.code == 2
    assert "error = 0.8: this is no rate from 0 to 0.5" in refused.err


def test_the_service_says_it_too(predictor: Predictor, texts: list[str]) -> None:
    from tunewright.serve.http import application

    with TestClient(application({"intents": predictor})) as client:
        body = client.post("/predict", json={"inputs": texts, "error": 0.2}).json()
        answers = predictor.predict(texts, error=0.2)
        assert [one.get("reason") for one in body["predictions"]] == [one.reason for one in answers]
        unsure = next(one for one in body["predictions"] if one.get("reason") == "unsure")
        assert unsure["label"] is None
        assert set(unsure["candidates"][0]) == {"label", "score"}
        plain = client.post("/predict", json={"inputs": texts}).json()["predictions"]
        assert [one.get("reason") for one in plain] == [one.reason for one in predictor.predict(texts)]
        refused = client.post("/predict", json={"inputs": texts, "error": 0.6})
        assert (refused.status_code, refused.json()["problem"]) == (422, '"error" is out of its range 0 to 0.5')


def test_a_damaged_detector_is_found(out: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    file = read_manifest(copy).targets[0]["spec"]["scope"]["file"]
    if not file:
        pytest.skip("the chosen detector keeps nothing")
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(DamagedBundle, match="the file is damaged"):
        tunewright.load(copy)


def test_a_bundle_of_an_older_fit_says_that_it_keeps_no_scores(texts: list[str]) -> None:
    old = tunewright.load(Path(__file__).parent / "runtime" / "bundles" / "format-1")
    with pytest.raises(TunewrightError, match="this bundle keeps no scores that a rate of errors rests on"):
        old.predict(texts, error=0.05)
    assert np.isfinite(old.predict_proba(texts)).all()


@pytest.fixture(scope="module")
def several(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of several labels a row that promises a rate of errors."""
    folder = tmp_path_factory.mktemp("several")
    for part in ("train", "test"):
        with samples.path(f"support_{part}.csv").open(encoding="utf-8", newline="") as file:
            rows = [(row["text"], row["intent"] + "|question" * ("?" in row["text"])) for row in csv.DictReader(file)]
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "topics"), *rows])
    fixed = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1, "split.validation": 0.3}
    tunewright.fit(
        folder / "train.csv",
        test=folder / "test.csv",
        text="text",
        label="topics",
        kind="multilabel",
        out=folder / "bundle",
        settings=fixed | {"unsure.error": 0.3},
    )
    return folder / "bundle"


def test_several_labels_keep_a_promise_from_the_fit_to_the_service(
    several: Path, texts: list[str], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    from tunewright.serve.http import application

    found = {
        (one["audit"], one["metric"]): one for one in json.loads((several / "report.json").read_text())["findings"]
    }
    for name in ("kept_90", "right_90"):
        assert found["conformal_labels", name]["high"] >= 0.9
    predictor = tunewright.load(several)
    assert read_manifest(several).targets[0]["spec"]["promise"]["error"] == 0.3
    plain, asked, strict = (predictor.predict([*texts, ""], error=error) for error in (0, None, 0.1))
    assert {one.reason for one in plain} == {None, "empty"}
    assert asked == predictor.predict([*texts, ""], error=0.3)
    assert sum(len(one.candidates or ()) for one in strict) > sum(len(one.candidates or ()) for one in asked) > 0
    for one in asked[:-1]:
        assert (one.reason == "unsure") == bool(one.candidates)
        assert not set(one.labels) & {other.label for other in one.candidates or ()}

    path = tmp_path / "asked.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    ran = cli("predict", several, path, "--out", tmp_path / "answers.csv", "--error", "0.1")
    assert ran.code == 0, ran.err
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows] == [one.reason or "" for one in strict[:-1]]
    assert [row["prediction"] for row in rows] == ["|".join(one.labels) for one in strict[:-1]]
    listed = [[one["label"] for one in json.loads(row["candidates"])] for row in rows]
    assert listed == [[one.label for one in answer.candidates or ()] for answer in strict[:-1]]

    with TestClient(application({"topics": predictor})) as client:
        body = client.post("/predict", json={"inputs": texts, "error": 0.1}).json()["predictions"]
    assert [one["labels"] for one in body] == [one.labels for one in strict[:-1]]
    assert [one.get("reason") for one in body] == [one.reason for one in strict[:-1]]
    told = [[one["label"] for one in answer.get("candidates") or ()] for answer in body]
    assert told == listed
