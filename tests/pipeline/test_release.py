"""From rows to a released bundle: every kind, every way to state a task, every event told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import tunewright
from tunewright import samples
from tunewright.core.bundle import digest_of

pytestmark = pytest.mark.usefixtures("traced_once")

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")
TOPICS = {"return_item": "goods", "product_question": "goods", "payment_failed": "money", "refund_missing": "money"}


@pytest.fixture(scope="module")
def two_topics() -> pl.DataFrame:
    """Sample rows with one or two labels each, both in one cell and as columns of 0 and 1."""
    frame = pl.read_csv(TRAIN)
    topic = pl.col("intent").replace_strict(TOPICS, default="order")
    long = pl.col("text").str.len_chars() > 60
    return frame.select(
        "text",
        pl.when(long).then(topic + "; long").otherwise(topic).alias("topics"),
        *((topic == name).cast(pl.Int8).alias(name) for name in ("goods", "money", "order")),
        long.cast(pl.Int8).alias("long"),
    )


def test_labels_in_one_cell_of_a_polars_frame_judged_on_the_validation_part(
    two_topics: pl.DataFrame, tiny_backbone: Path, tmp_path: Path
) -> None:
    told: list[dict[str, Any]] = []
    predictor = tunewright.fit(
        two_topics,
        out=tmp_path / "topics",
        text="text",
        label="topics",
        kind="multilabel",
        settings={
            "fit.backbone": str(tiny_backbone),
            "fit.method": "probe",
            "targets.0.separator": ";",
            "split.test": 0,
        },
        listener=told.append,
    )
    assert predictor.kind.labels == ("goods", "long", "money", "order")
    manifest = predictor.manifest
    assert (manifest.data["judged_on"], manifest.data["test_rows"]) == ("validation", 0)
    assert manifest.data["validation_rows"] == 24
    assert manifest.metrics["micro_f1"]["n"] == 24
    assert len(manifest.targets[0]["spec"]["thresholds"]) == 4
    answer = predictor.predict(["Where is my order? " * 5])[0]
    assert set(answer.labels) <= set(predictor.kind.labels)
    assert len(answer.labels) == len(answer.scores)

    events = [record["event"] for record in told]
    assert (events[0], events[-1]) == ("settings", "released")
    assert {"check", "backbone", "method", "embed", "rung", "progress", "export", "audit", "result"} <= set(events)
    assert any("judging on 24 validation rows" in record.get("say", "") for record in told)
    shares = [record["share"] for record in told if record["event"] == "progress"]
    assert all(0 < share <= 1 for share in shares)
    logged = (tmp_path / "topics.run" / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in logged] == [one for one in events if one != "progress"]
    report = (tmp_path / "topics" / "report.html").read_text(encoding="utf-8")
    assert "validation" in report


def test_one_column_per_label_and_a_given_validation_part_by_flags(
    cli: Callable[..., Any], two_topics: pl.DataFrame, tiny_backbone: Path, tmp_path: Path
) -> None:
    two_topics.head(200).write_csv(tmp_path / "train.csv")
    two_topics.tail(40).write_csv(tmp_path / "validation.csv")
    labels = [word for name in ("goods", "money", "order", "long") for word in ("--label", name)]
    ran = cli(
        *("fit", tmp_path / "train.csv", "--text", "text", *labels, "--kind", "multilabel"),
        *("--set", f"data.validation={tmp_path / 'validation.csv'}", "--out", tmp_path / "out"),
        *("--backbone", tiny_backbone, "--method", "probe", "--quiet"),
    )
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    manifest = tunewright.load(tmp_path / "out").manifest
    assert set(manifest.targets[0]["labels"]) == {"goods", "money", "order", "long"}
    assert (manifest.data["train_rows"], manifest.data["validation_rows"], manifest.data["test_rows"]) == (160, 40, 40)
    found = tunewright.evaluate(tmp_path / "out", two_topics.tail(40))
    assert next(one for one in found if one.metric == "micro_f1").n == 40
    answered = cli("predict", tmp_path / "out", tmp_path / "validation.csv", "--prefix", "m_", "--top", 2)
    assert answered.out.splitlines()[0] == "text,topics,goods,money,order,long,m_prediction,m_score,m_candidates"


def test_a_number_from_two_text_columns_of_a_pandas_frame_judged_on_the_latest_rows(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(TRAIN)
    days = pd.date_range("2026-01-01", periods=len(frame), freq="D")
    frame = frame.assign(length=frame["text"].str.len(), day=days.strftime("%d.%m.%Y"))
    predictor = tunewright.fit(
        frame,
        out=tmp_path / "length",
        text=["intent", "text"],
        label="length",
        kind="regress",
        settings={
            "fit.backbone": str(tiny_backbone),
            "fit.method": "probe",
            "split.by": "time",
            "split.column": "day",
            "gates.mae": "< 1000",
        },
    )
    manifest = predictor.manifest
    assert list(manifest.inputs) == ["intent", "text"]
    assert (manifest.data["judged_on"], manifest.data["test_rows"]) == ("test", 48)
    assert {"r2", "mae", "spearman"} <= set(manifest.metrics)
    short, long = predictor.predict(
        [{"intent": "a", "text": "hm"}, {"intent": "order_status", "text": "where is it " * 9}]
    )
    assert short.value < long.value
    with pytest.raises(tunewright.TunewrightError, match="one value, but the inputs are intent, text"):
        predictor.predict(["hm"])
    found = tunewright.evaluate(tmp_path / "length", frame.tail(48))
    told = manifest.metrics["mae"]["value"]
    assert next(one for one in found if one.metric == "mae").value == pytest.approx(told)


def test_one_task_by_file_by_flags_and_from_python_is_one_bundle(
    cli: Callable[..., Any], tiny_bundle: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    told = tunewright.load(tiny_bundle).manifest
    given = {name for name, source in told.run["sources"].items() if source == "flag" and name.startswith("fit.")}
    fit = {name: told.task["fit"][name.removeprefix("fit.")] for name in sorted(given)}
    fit |= {"fit.backbone": str(tiny_backbone), "fit.threads": 1}  # which a bundle keeps no trace of
    lines = [f"{name} = {json.dumps(value)}" for name, value in fit.items()]
    places = [f'data.train = "{TRAIN}"', f'data.test = "{TEST}"', 'inputs.text = "text"']
    (tmp_path / "task.toml").write_text("\n".join([*places, *lines, '[[targets]]\ncolumn = "intent"']))
    by_file, by_flags = tmp_path / "file" / "tiny", tmp_path / "flags" / "tiny"
    assert cli("fit", "--task", tmp_path / "task.toml", "--out", by_file, "--quiet").code == 0
    flags = [word for name, value in fit.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    ran = cli("fit", TRAIN, "--test", TEST, "--text", "text", "--label", "intent", *flags, "--out", by_flags, "--quiet")
    assert ran.code == 0
    digests = {tunewright.load(one).manifest.digest for one in (by_file, by_flags, tiny_bundle)}
    assert len(digests) == 1
    assert digests == {digest_of(json.loads((tiny_bundle / "bundle.json").read_text(encoding="utf-8")))}
    assert tunewright.load(by_file).manifest.run["sources"]["fit.backbone"] == "file"
    assert tunewright.load(by_flags).manifest.run["sources"]["fit.backbone"] == "flag"


def test_the_rows_of_a_report_lie_beside_the_bundle_and_never_in_it(tiny_bundle: Path) -> None:
    beside = tiny_bundle.with_name(tiny_bundle.name + ".rows.jsonl")
    shown = [json.loads(line) for line in beside.read_text(encoding="utf-8").splitlines()]
    assert shown
    texts = pl.read_csv(TEST)["text"].to_list()
    assert any(text in beside.read_text(encoding="utf-8") for text in texts)
    for path in (path for path in tiny_bundle.rglob("*") if path.suffix in (".json", ".html", ".md")):
        content = path.read_text(encoding="utf-8")
        assert not any(text in content for text in texts), path
