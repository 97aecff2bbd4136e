"""Several targets through the whole line: one fit, one encoder, one head, calibration, section and answer for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import tunewright
from tunewright import pipeline
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.serve.http import application

pytestmark = pytest.mark.usefixtures("traced_once")

Columns = dict[str, list[Any]]
TARGETS = ["intent", "tone", "length:regress"]
TEXTS = ["where is my parcel?", "please cancel the order that i placed this morning"]


@pytest.fixture(scope="module")
def rows(sample_rows: dict[str, list[dict[str, str]]]) -> dict[str, Columns]:
    """Part → columns; each label column lacks some of its cells, in other rows than the others."""

    def made(some: list[dict[str, str]]) -> Columns:
        texts = [row["text"] for row in some]
        return {
            "text": texts,
            "intent": [row["intent"] for row in some],
            "tone": [None if at % 5 == 0 else "asks" if "?" in text else "says" for at, text in enumerate(texts)],
            "length": [None if at % 4 == 1 else len(text) / 10 for at, text in enumerate(texts)],
        }

    return {part: made(sample_rows[f"support_{part}.csv"]) for part in ("train", "test")}


@pytest.fixture(scope="module")
def settings(tiny_backbone: Path) -> dict[str, Any]:
    return {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1}


@pytest.fixture(scope="module")
def bundle(
    rows: dict[str, Columns], settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, traced_once: None
) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "several"
    told: list[dict[str, Any]] = []
    tunewright.fit(
        rows["train"], test=rows["test"], text="text", target=TARGETS, out=out, settings=settings, listener=told.append
    )
    (said,) = [one["say"] for one in told if one["event"] == "split"]
    assert said == "parts that are cut off are stratified by intent, the first target with labels"
    return out


def test_a_bundle_holds_one_encoder_and_a_head_for_each(bundle: Path, rows: dict[str, Columns]) -> None:
    manifest = read_manifest(bundle)
    assert [(one["name"], one["kind"], len(one["labels"])) for one in manifest.targets] == [
        ("intent", "classify", 8),
        ("tone", "classify", 2),
        ("length", "regress", 0),
    ]
    assert set(manifest.parts) == {"encoder.text", "head.intent", "head.tone", "head.length", "embed"}
    assert manifest.targets[0]["spec"]["temperature"] != manifest.targets[1]["spec"]["temperature"] != 1.0
    known = [value for value in rows["test"]["tone"] if value is not None]
    assert manifest.metrics["tone.accuracy"]["n"] == len(known) < len(rows["test"]["tone"])
    assert manifest.metrics["intent.accuracy"]["n"] == len(rows["test"]["intent"])
    share = max(known.count("asks"), known.count("says")) / len(known)
    assert manifest.metrics["tone.baseline.accuracy"]["value"] == pytest.approx(share)
    assert set(manifest.run["export"]) == {"intent", "tone", "length"}
    told = json.loads((bundle / "reference.json").read_text())
    assert set(told["targets"]) == {"intent", "tone", "length"}
    assert "label_shares" in told["targets"]["tone"]
    assert "value_quantiles" in told["targets"]["length"]


def test_answers_are_mappings_by_target(bundle: Path) -> None:
    predictor = tunewright.load(bundle)
    found = predictor.predict([*TEXTS, " "], top=2)
    assert [list(one) for one in found] == [["intent", "tone", "length"]] * 3
    assert len(found[0]["intent"].candidates) == 2
    assert found[0]["length"].value > 0
    assert {one.reason for one in found[2].values()} == {"empty"}
    assert predictor.predict([]) == []
    assert list(predictor.answers(TEXTS, targets=["tone"])) == ["tone"]
    proba = predictor.predict_proba(TEXTS)
    assert {name: one.shape for name, one in proba.items()} == {"intent": (2, 8), "tone": (2, 2)}


def test_rows_are_judged_for_each_target_they_have(bundle: Path, rows: dict[str, Columns]) -> None:
    told = read_manifest(bundle).metrics
    found = {one.name: one for one in tunewright.evaluate(bundle, rows["test"]) if not one.slice}
    assert {name for name in told if "baseline" not in name} <= set(found)
    for name in ("intent.accuracy", "tone.ece", "length.mae"):
        assert found[name].value == pytest.approx(told[name]["value"])
    none = rows["test"] | {"tone": [None] * len(rows["test"]["tone"])}
    found = {one.name: one for one in tunewright.evaluate(bundle, none) if not one.slice}
    assert found["tone.accuracy"].value is None
    assert found["tone.accuracy"].note == "not run, because there are no rows"
    assert found["intent.accuracy"].value is not None


@pytest.mark.parametrize(
    ("change", "label", "problem"),
    [
        ({}, "intent", "--label intent: the bundle has several targets → leave it out; .* intent, tone, length"),
        ({"tone": ["shouts"]}, None, "row 0: tone: label 'shouts' is not in the task's labels"),
        ({"tone": [None], "intent": [None], "length": [None]}, None, "row 0: intent, tone, length are all empty"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(bundle: Path, change: Columns, label: str | None, problem: str) -> None:
    one = {"text": ["where is it"], "intent": ["order_status"], "tone": ["asks"], "length": [1.0]}
    with pytest.raises(TunewrightError, match=problem):
        tunewright.evaluate(bundle, one | change, label=label)


def test_a_file_of_answers_has_columns_for_each(bundle: Path) -> None:
    (found,) = pipeline.predict(bundle, {"text": TEXTS}, prefix="m_", top=1)
    assert found.columns == [
        "text", "m_prediction_intent", "m_score_intent", "m_candidates_intent",
        "m_prediction_tone", "m_score_tone", "m_candidates_tone", "m_prediction_length",
    ]  # fmt: skip
    with pytest.raises(TunewrightError, match="the rows have a column 'score_tone' already → pass --prefix"):
        next(pipeline.predict(bundle, {"text": TEXTS, "score_tone": [1, 2]}))


def test_the_report_has_a_section_for_each(bundle: Path) -> None:
    page = (bundle / "report.html").read_text(encoding="utf-8")
    for target, audit in (("intent", "accuracy"), ("tone", "calibration"), ("length", "residuals")):
        assert f'id="{audit}-{target}"' in page
        assert f'href="#{audit}-{target}"' in page
    assert "tone: Accuracy" in page
    assert "tone：准确" in page
    assert "intent (classify), tone (classify), length (regress)" in page
    record = json.loads((bundle / "report.json").read_text(encoding="utf-8"))
    assert {one["target"] for one in record["findings"]} == {"intent", "tone", "length"}
    assert {one["target"] for one in record["exhibits"]} == {"intent", "tone", "length"}
    card = (bundle / "card.md").read_text(encoding="utf-8")
    assert "| tone: Accuracy |" in card
    lines = bundle.with_name("several.rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["target"] for line in lines} >= {"intent", "length"}


def test_show_lists_each(bundle: Path, cli: Callable[..., Any]) -> None:
    ran = cli("show", bundle)
    assert ran.code == 0
    assert re.findall(r"^target +(\w+) \((\w+)", ran.out, re.M) == [
        ("intent", "classify"), ("tone", "classify"), ("length", "regress")
    ]  # fmt: skip
    assert re.findall(r"^(\w+\.\w+) ", ran.out, re.M) == [
        "intent.accuracy", "intent.macro_f1", "tone.accuracy", "tone.macro_f1",
        "length.r2", "length.mae", "length.spearman",
    ]  # fmt: skip


def test_other_programs_get_every_head(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.export(bundle, "onnx", tmp_path / "onnx")
    about = json.loads((tmp_path / "onnx" / "about.json").read_text())
    assert {"head.intent", "head.tone", "head.length"} <= set(about["graphs"])
    folder = pipeline.export(bundle, "hf", tmp_path / "hf")
    (snippet,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(snippet, names)
    theirs, ours = names["logits"](TEXTS), tunewright.load(bundle).logits(TEXTS)
    assert list(theirs) == list(ours) == ["intent", "tone", "length"]
    for name, logits in ours.items():
        np.testing.assert_allclose(theirs[name].numpy(), logits, atol=1e-4)


def test_the_service_answers_for_each_or_for_those_named(bundle: Path) -> None:
    app = application({"several": tunewright.load(bundle)})
    with TestClient(app) as client:
        body = client.post("/predict", json={"inputs": TEXTS}).json()
        assert [one["target"] for one in body["predictions"]] == ["intent", "tone", "length"] * 2
        few = client.post("/predict", json={"inputs": TEXTS, "targets": ["length", "tone"]}).json()
        assert [one["target"] for one in few["predictions"]] == ["tone", "length"] * 2
        assert few["predictions"][0]["label"] == body["predictions"][1]["label"]
        refused = client.post("/predict", json={"inputs": TEXTS, "targets": ["tune"]})
        assert (refused.status_code, refused.json()["remedy"]) == (422, "did you mean 'tone'?")
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
    each = schemas["several-answer"]["properties"]["predictions"]["items"]["anyOf"]
    assert len(each) == 3


def test_a_plain_gate_holds_for_each_and_a_named_one_for_its_own(
    rows: dict[str, Columns], settings: dict[str, Any], tmp_path: Path
) -> None:
    words = settings | {"fit.method": "lexical"}
    named = {"text": "text", "target": TARGETS, "test": rows["test"], "force": True, "out": tmp_path / "gated"}
    limits = {"gates.tone.accuracy": ">= 0.5", "gates.accuracy": ">= 0.1", "gates.mae": "<= 100"}
    tunewright.fit(rows["train"], settings=words | limits, **named)
    with pytest.raises(GateMissed, match=r"^gate tone\.accuracy >= 1\.5 is missed: 0\.") as refused:
        tunewright.fit(rows["train"], settings=words | {"gates.tone.accuracy": ">= 1.5"}, **named)
    assert "intent" not in refused.value.problem
    with pytest.raises(GateMissed, match=r"gate intent\.accuracy .* gate tone\.accuracy"):
        tunewright.fit(rows["train"], settings=words | {"gates.accuracy": ">= 1.5"}, **named)
    with pytest.raises(TunewrightError, match=r"gates\.tone\.acuracy: .* → did you mean 'tone\.accuracy'"):
        tunewright.fit(rows["train"], settings=words | {"gates.tone.acuracy": ">= 0.5"}, **named)
    with pytest.raises(TunewrightError, match=r"gates\.length\.accuracy: no audit measures this"):
        tunewright.fit(rows["train"], settings=words | {"gates.length.accuracy": ">= 0.5"}, **named)


def test_the_command_line_names_targets(
    rows: dict[str, Columns], tiny_backbone: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    pl.DataFrame(rows["train"]).write_csv(tmp_path / "train.csv")
    words = ("--text", "text", "--target", "intent", "--target", "length:regress")
    ran = cli("check", tmp_path / "train.csv", *words, "--set", f"fit.backbone={tiny_backbone}")
    assert "length has no value in 60 of 240 rows: they only teach intent" in ran.out
    out = tmp_path / "out"
    ran = cli("fit", tmp_path / "train.csv", *words, "--method", "probe", "--backbone", tiny_backbone, "--out", out)
    assert ran.code == 0, ran.err
    assert "intent.accuracy 0." in ran.err
    assert "length.r2 " in ran.err
    ran = cli("predict", out, "-", "--format", "jsonl", "--out", tmp_path / "found.jsonl", stdin=b'{"text": "a b"}\n')
    assert ran.code == 0, ran.err
    (found,) = map(json.loads, (tmp_path / "found.jsonl").read_text().splitlines())
    assert list(found) == ["text", "prediction_intent", "score_intent", "prediction_length"]


def test_a_task_file_lists_targets_and_their_gates(
    rows: dict[str, Columns], tiny_backbone: Path, tmp_path: Path
) -> None:
    """Without labels of one's own in a row the others are learnt from it; a row without any stops."""
    (tmp_path / "task.toml").write_text(
        '[inputs]\ntext = "text"\n[[targets]]\ncolumn = "intent"\nweight = 2.0\n[[targets]]\ncolumn = "tone"\n'
        f'name = "manner"\n[gates]\nmanner.accuracy = ">= 0.2"\n[fit]\nmethod = "full"\nepochs = 1\nthreads = 1\n'
        f'backbone = "{tiny_backbone}"\n'
    )
    predictor = tunewright.fit(rows["train"], test=rows["test"], task=tmp_path / "task.toml", out=tmp_path / "out")
    assert list(predictor.kinds) == ["intent", "manner"]
    assert predictor.manifest.method["name"] == "full"
    assert predictor.manifest.task["targets"][0]["weight"] == 2.0
    empty = {name: [*values, None if name != "text" else "nothing known"] for name, values in rows["train"].items()}
    with pytest.raises(TunewrightError, match="row 240: intent, tone are all empty or NaN → fill it, or pass --drop"):
        tunewright.fit(empty, test=rows["test"], task=tmp_path / "task.toml", out=tmp_path / "more")


def test_a_search_is_judged_by_all_targets(rows: dict[str, Columns], settings: dict[str, Any], tmp_path: Path) -> None:
    tuned = pipeline.tune(
        rows["train"],
        test=rows["test"],
        text="text",
        target=TARGETS[:2],
        out=tmp_path / "tuned",
        trials=1,
        search={"fit.max_tokens": "16|32"},
        settings=settings,
    )
    assert list(tuned.predictor.kinds) == ["intent", "tone"]
    (trial,) = tuned.record["trials"]
    assert 0 < trial["values"]["score"] <= 1


def test_a_student_learns_all_targets_and_takes_the_teachers_answers_where_a_row_lacks_a_label(
    bundle: Path, rows: dict[str, Columns], tmp_path: Path
) -> None:
    free = {"compress.accuracy_lost": 1.0, "compress.flips": 1.0, "compress.epochs": 3}
    done = pipeline.compress(
        bundle, rows["test"], to="distill=layers=1", train=rows["train"], out=tmp_path / "student", settings=free
    )
    assert done.tried[-1]["outcome"] == "kept"
    student = tunewright.load(tmp_path / "student")
    assert list(student.kinds) == ["intent", "tone", "length"]
    (answer,) = student.predict(TEXTS[:1])
    assert answer["intent"].label in student.kinds["intent"].labels
    assert 0 < answer["length"].value < 20
