"""Two bundles on the same rows, through the whole line: from Python and from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tunewright
from tunewright import samples
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError

pytestmark = pytest.mark.usefixtures("traced_once")

TEST = samples.path("support_test.csv")
FIELDS = {"audit", "metric", "value", "low", "high", "n", "limit", "passed", "slice", "source", "note"}


@pytest.fixture(scope="module")
def make(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory, traced_once: None) -> Callable[..., Path]:
    """Fits a bundle on rows of the English samples: ``make("named", frame, label="intent")``."""
    folder = tmp_path_factory.mktemp("compared")
    settings = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1}

    def fit(name: str, rows: pl.DataFrame, **named: Any) -> Path:
        own = named.pop("settings", {})
        tunewright.fit(rows, test=rows, text="text", out=folder / name, settings=settings | own, **named)
        return folder / name

    return fit


@pytest.fixture(scope="module")
def train() -> pl.DataFrame:
    return pl.read_csv(samples.path("support_train.csv"))


@pytest.fixture(scope="module")
def smaller(make: Callable[..., Path], train: pl.DataFrame) -> Path:
    """A bundle that learnt from every third row."""
    return make("smaller", train.gather_every(3), label="intent")


def test_the_differences_are_those_of_evaluating_each(smaller: Path, tiny_bundle: Path) -> None:
    found = tunewright.compare(smaller, tiny_bundle, TEST)
    by = {(one.metric, one.slice): one for one in found.findings}
    old, new = (
        {one.metric: one for one in tunewright.evaluate(bundle, TEST) if not one.slice}
        for bundle in (smaller, tiny_bundle)
    )
    for name in ("accuracy", "macro_f1"):
        assert by[f"difference.{name}", ""].value == pytest.approx(new[name].value - old[name].value)  # type: ignore[operator]
        assert (by[name, "A"].low, by[name, "B"].low) == (old[name].low, new[name].low)
    assert by["ece", "B"].value == pytest.approx(new["ece"].value)
    answers = [tunewright.load(bundle).predict(pl.read_csv(TEST)) for bundle in (smaller, tiny_bundle)]
    truth = pl.read_csv(TEST)["intent"].to_list()
    right = np.array([[one.label == true for one, true in zip(some, truth, strict=True)] for some in answers])
    assert by["right_to_wrong", ""].value == pytest.approx(np.mean(right[0] & ~right[1]))
    assert by["wrong_to_right", ""].value == pytest.approx(np.mean(~right[0] & right[1]))
    assert found.sentence.endswith(".")
    assert found.sentence_zh.endswith("。")


def test_a_bundle_compared_with_itself_is_alike(tiny_bundle: Path) -> None:
    found = tunewright.compare(tiny_bundle, tiny_bundle, TEST)
    rows = len(pl.read_csv(TEST))
    assert found.sentence == f"A and B answer all {rows} rows alike."
    assert found.sentence_zh == f"A 与 B 对全部 {rows} 行的回答相同。"
    assert {one.value for one in found.findings if one.metric.startswith("difference.")} == {0.0}
    assert {one.value for one in found.findings if one.metric.startswith("p.")} == {1.0}


def test_the_command_line_prints_json_and_writes_the_folder(
    smaller: Path, tiny_bundle: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    done = cli("compare", smaller, tiny_bundle, TEST, "--json", "--out", tmp_path / "compared")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert set(told) == {"findings", "sentence", "compared", "data", "rows", "seed"}
    assert set(told["sentence"]) == {"en", "zh"}
    for name, bundle in (("A", smaller), ("B", tiny_bundle)):
        manifest = read_manifest(bundle)
        assert told["compared"][name] == {
            "name": bundle.name,
            "method": "probe",
            "backbone": manifest.backbone["name"],
            "digest": manifest.digest,
        }
    assert told["data"].startswith("sha256:")
    assert told["rows"] == len(pl.read_csv(TEST))
    for one in told["findings"]:
        assert set(one) == FIELDS
        assert one["audit"] == "compare"
        assert one["low"] is None or one["low"] <= one["value"] <= one["high"]
    check_folder(tmp_path / "compared", told)


def check_folder(folder: Path, told: dict[str, Any]) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "rows.jsonl"]
    record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert record["findings"] == told["findings"]
    assert record["compared"] == told["compared"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert told["sentence"]["en"] in page.replace("\u2060", "")
    assert told["sentence"]["zh"] in page.replace("\u2060", "")
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    flips = ("right_to_wrong", "wrong_to_right", "other_changes")
    shares = [one["value"] for one in told["findings"] if one["metric"] in flips]
    assert len(rows) == round(sum(shares) * told["rows"]) > 0
    texts = dict(zip(*(pl.read_csv(TEST)[name].to_list() for name in ("text", "intent")), strict=True))
    for row in rows:
        assert texts[row["text"]] == row["truth"]
        assert row["answer of A"] != row["answer of B"]
        assert row["text"] not in page
        assert row["text"] not in json.dumps(record, ensure_ascii=False)


def test_the_terminal_shows_sentence_differences_and_flips(
    smaller: Path, tiny_bundle: Path, cli: Callable[..., Any]
) -> None:
    shown = cli("compare", smaller, tiny_bundle, TEST).out
    found = tunewright.compare(smaller, tiny_bundle, TEST)
    lines = shown.splitlines()
    assert lines[0].startswith("A  smaller: probe on tiny-bert, sha256:")
    assert lines[2] == found.sentence
    assert lines[5].split() == ["measure", "value", "of", "A", "value", "of", "B", "difference", "low", "high", "p"]
    assert [line.split()[0] for line in lines[6:10]] == ["accuracy", "macro_f1", "mean_score", "ece"]
    for name in ("right_to_wrong", "wrong_to_right", "other_changes"):
        assert sum(line.startswith(name) for line in lines) == 1


def test_five_rows_are_enough_to_say_that_they_are_too_few(smaller: Path, tiny_bundle: Path) -> None:
    rows = pl.read_csv(TEST).head(5)
    for order in ((smaller, tiny_bundle), (tiny_bundle, smaller)):
        sentence = tunewright.compare(*order, rows).sentence
        assert sentence.startswith(("5 rows cannot tell these apart", "A and B answer all 5 rows alike"))


def test_another_label_column_and_other_targets_names_are_one_target_each(
    make: Callable[..., Path], train: pl.DataFrame, tiny_bundle: Path
) -> None:
    topic = make("topic", train.gather_every(3).rename({"intent": "topic"}), label="topic")
    rows = pl.read_csv(TEST)
    plain = tunewright.compare(topic, tiny_bundle, rows)
    named = tunewright.compare(topic, tiny_bundle, rows.rename({"intent": "wanted"}), label="wanted")
    assert named.findings == plain.findings


def test_several_targets_are_compared_each(make: Callable[..., Path], train: pl.DataFrame) -> None:
    rows = train.with_columns(length=pl.col("text").str.len_chars() / 10)
    targets = ["intent", "length:regress"]
    old, new = (
        make(name, some, target=targets) for name, some in (("few", rows.gather_every(3)), ("many", rows.head(150)))
    )
    judged = rows.head(60).with_columns(pl.when(pl.int_range(60) > 9).then("length").alias("length"))
    found = tunewright.compare(old, new, judged)
    n = {one.name: one.n for one in found.findings if one.metric in ("difference.accuracy", "difference.mae")}
    assert n == {"intent.difference.accuracy": 60, "length.difference.mae": 50}
    assert found.sentence.count("intent: ") == found.sentence.count("length: ") == 1
    assert {one.target for one in found.findings} == {"intent", "length"}


def test_bundles_that_cannot_be_compared_are_named(
    make: Callable[..., Path], train: pl.DataFrame, tiny_bundle: Path, cli: Callable[..., Any]
) -> None:
    known = sorted(train["intent"].unique())
    fewer = train.filter(pl.col("intent") != known[0]).gather_every(3)
    other = fewer.with_columns(pl.col("intent").replace(known[1], "a new one"))
    labels = make("labels", other, label="intent")
    lengths = train.gather_every(3).with_columns(intent=pl.col("text").str.len_chars())
    numbers = make("numbers", lengths, label="intent", kind="regress")
    two = make("two", train.gather_every(3).with_columns(tone=pl.col("intent")), target=["intent", "tone"])
    apart = f"only {labels} has a new one; only {tiny_bundle} has {known[0]}, {known[1]}"
    for old, problem in (
        (labels, f"target intent: the labels differ: {apart}"),
        (numbers, f"target intent: the kinds differ: regress in {numbers}, classify in {tiny_bundle}"),
        (two, f"the targets differ: only {two} has tone"),
    ):
        with pytest.raises(TunewrightError) as raised:
            tunewright.compare(old, tiny_bundle, TEST)
        assert raised.value.problem == problem
    done = cli("compare", labels, tiny_bundle, TEST)
    assert done.code == 2
    assert "the labels differ" in done.err


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({"text": ["a"], "intent": ["zzz"]}, "row 0: label 'zzz' is not in the task's labels"),
        ({"text": ["a"], "intent": [None]}, "row 0: intent is empty or NaN → fill it"),
        ({"text": ["a"]}, "no column 'intent'"),
        ({"text": [], "intent": []}, "there are no rows"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(tiny_bundle: Path, rows: dict[str, list[Any]], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        tunewright.compare(tiny_bundle, tiny_bundle, rows)


def test_a_folder_that_exists_stays_as_it_is(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(TunewrightError, match="out: it exists already → choose another --out"):
        tunewright.compare(tiny_bundle, tiny_bundle, TEST, out=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_report_that_fails_leaves_nothing(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no space")

    monkeypatch.setattr("tunewright.report.write_lines", fails)
    with pytest.raises(RuntimeError, match="no space"):
        tunewright.compare(tiny_bundle, tiny_bundle, TEST, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_is_not_there_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="there is no such folder"):
        tunewright.compare(tmp_path / "none", tiny_bundle, TEST)


def test_a_damaged_bundle_is_not_compared(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / read_manifest(tiny_bundle).parts["head.intent"].file).write_bytes(b"")
    with pytest.raises(TunewrightError, match="the file is damaged"):
        tunewright.compare(tmp_path / "damaged", tiny_bundle, TEST)
