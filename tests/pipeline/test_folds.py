"""Cross-validation from rows to the files beside a bundle: who answered what, what is told, what a kill leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tunewright
from tunewright import samples
from tunewright.core.run import Run
from tunewright.core.task import read_task
from tunewright.data.folds import Fold
from tunewright.kinds.classify import Classify
from tunewright.pipeline import folds as folds_module
from tunewright.pipeline import show
from tunewright.pipeline.folds import check_folds, crossed
from tunewright.pipeline.parts import Parts, read_parts
from tunewright.train import checkpoint, out_of_fold
from tunewright.train.context import Context

pytestmark = pytest.mark.usefixtures("traced_once")

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")
LEXICAL = {"fit.method": "lexical", "fit.threads": 1}
WORDS = ["alpha", "beta", "gamma", "delta"]


def told_rows() -> dict[str, list[Any]]:
    """Only a row's own token tells its label: a model that saw the row is right on it, another can only guess."""
    draws = np.random.default_rng(5)
    texts = ["".join(draws.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(60)]
    return {"text": texts, "label": draws.permutation(["a", "b"] * 30).tolist()}


def parts_of(rows: Any, flags: dict[str, Any]) -> tuple[Any, Parts]:
    plain = {"inputs.text": "text", "targets.0.column": "label", **LEXICAL}
    task, _ = read_task(None, plain | flags | ({"data.train": str(rows)} if isinstance(rows, Path) else {}))
    return task, read_parts(task, rows)


def run_in(folder: Path, minutes: float = 5.0) -> Run:
    folder.mkdir(exist_ok=True)
    run = Run(folder, folder / "out", minutes)
    run.work = folder / "work"
    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A bundle without a test part, of the sample rows in five folds."""
    told: list[dict[str, Any]] = []
    out = tmp_path_factory.mktemp("folds") / "out"
    settings = LEXICAL | {"split.folds": 5}
    predictor = tunewright.fit(TRAIN, out=out, text="text", label="intent", settings=settings, listener=told.append)
    return SimpleNamespace(out=out, predictor=predictor, told=told, lines=lines(out.with_name("out.folds.jsonl")))


def test_each_row_is_answered_once_and_no_text_is_told(fitted: SimpleNamespace) -> None:
    source = TRAIN.read_text(encoding="utf-8").splitlines()
    assert [one["row"] for one in fitted.lines] == list(range(2, len(source) + 1)), "line numbers, in order"
    labels = set(fitted.predictor.kind.labels)
    for one in fitted.lines:
        assert set(one) == {"row", "fold", "truth", "prediction", "score", "probabilities"}
        assert source[one["row"] - 1].endswith(one["truth"])
        assert set(one["probabilities"]) == labels
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert one["score"] == pytest.approx(one["probabilities"][one["prediction"]], abs=1e-5)
    assert {one["fold"] for one in fitted.lines} == {1, 2, 3, 4, 5}


def test_the_findings_are_those_of_all_rows(fitted: SimpleNamespace) -> None:
    right = [one["prediction"] == one["truth"] for one in fitted.lines]
    manifest = fitted.predictor.manifest
    assert manifest.metrics["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert manifest.metrics["accuracy"]["n"] == len(right)
    assert manifest.metrics["accuracy"]["low"] < np.mean(right) < manifest.metrics["accuracy"]["high"]
    each = [np.mean([r for r, one in zip(right, fitted.lines, strict=True) if one["fold"] == at]) for at in range(1, 6)]
    shown = show(fitted.out)["cross_validation"]
    assert [one["accuracy"] for one in shown["each"]] == pytest.approx(each)
    assert shown["metrics"]["fold_mean.accuracy"]["value"] == pytest.approx(np.mean(each))
    assert shown["metrics"]["fold_spread.accuracy"]["value"] == pytest.approx(np.std(each, ddof=1))
    assert (shown["folds"], shown["rows"]) == (5, len(right))


def test_the_report_says_where_its_figures_come_from(fitted: SimpleNamespace) -> None:
    manifest = fitted.predictor.manifest
    assert (manifest.data["judged_on"], manifest.data["test_rows"]) == ("cross-validation", 0)
    report = json.loads((fitted.out / "report.json").read_text(encoding="utf-8"))
    first = report["findings"][0]
    assert (first["audit"], first["metric"], first["slice"]) == ("folds", "accuracy", "")
    assert first["source"].startswith("cross-validation with 5 folds; Wilson")
    own = [one for one in report["findings"] if one["audit"] == "accuracy" and one["metric"] == "accuracy"]
    assert [one["slice"] for one in own if one["slice"] != "without leaked rows"] == ["validation part"]
    page = (fitted.out / "report.html").read_text(encoding="utf-8")
    assert "Fold by fold" in page
    assert "逐折结果" in page
    said = [record.get("say", "") for record in fitted.told]
    assert any("fold 3 of 5: learning from 192 rows, judged on 48" in line for line in said)
    assert any(line.startswith(f"cross-validation with 5 folds: accuracy {first['value']:.4f} (95 %") for line in said)


def test_a_gate_without_a_test_part_reads_cross_validation(fitted: SimpleNamespace, tmp_path: Path) -> None:
    value = fitted.predictor.manifest.metrics["accuracy"]["value"]
    settings = LEXICAL | {"split.folds": 5, "gates.accuracy": f">= {value + 0.001:.6f}"}
    with pytest.raises(tunewright.GateMissed, match=rf"gate accuracy .* is missed: {value:.3f} .*n = 240"):
        tunewright.fit(TRAIN, out=tmp_path / "out", text="text", label="intent", settings=settings)
    assert not (tmp_path / "out.folds.jsonl").exists()
    assert lines(tmp_path / "out.refused.folds.jsonl") == fitted.lines


def test_a_given_test_part_is_what_the_gates_read(cli: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ["--folds", 2, "--method", "lexical", "--text", "text", "--label", "intent", "--quiet"]
    gates = ["--set", 'gates.accuracy=">= 0"', "--set", 'gates.accuracy.cross-validation=">= 0"']
    ran = cli("fit", TRAIN, "--test", TEST, "--out", out, *flags, *gates)
    assert (ran.code, ran.err) == (0, "")
    shown = json.loads(cli("show", out, "--json").out)
    assert (shown["data"]["judged_on"], shown["metrics"]["accuracy"]["n"]) == ("test", shown["data"]["test_rows"])
    assert shown["cross_validation"]["metrics"]["accuracy"]["n"] == 240
    findings = json.loads((out / "report.json").read_text(encoding="utf-8"))["findings"]
    gated = {(one["audit"], one["slice"]) for one in findings if one["limit"]}
    assert gated == {("accuracy", ""), ("folds", "cross-validation")}
    again = cli("fit", TRAIN, "--test", TEST, "--out", out, *flags[2:], "--force")
    assert again.code == 0
    assert not out.with_name("out.folds.jsonl").exists(), "of an earlier bundle"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"gates.folds.accuracy": ">= 0"}, "gates.folds.accuracy needs cross-validation → pass --folds 5"),
        ({"gates.fold_mean.accuracy": ">= 0"}, "gates.fold_mean.accuracy needs cross-validation"),
        (
            {"split.folds": 3, "targets.0.column": "a", "targets.1.column": "b"},
            "split.folds = 3: cross-validation is for one target, and the task has 2 → leave one target in the task",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_read(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(tunewright.TunewrightError) as caught:
        check_folds(read_task(None, flags)[0])
    assert said in str(caught.value)


def test_more_folds_than_rows_of_a_label_is_a_user_error(cli: Callable[..., Any], tmp_path: Path) -> None:
    ran = cli("fit", TRAIN, "--text", "text", "--label", "intent", "--folds", 200, "--out", tmp_path / "out", "--quiet")
    assert ran.code == 2
    assert "split.folds = 200, but label" in ran.err
    assert "set split.folds to 30 or fewer, add rows of it, or merge it with another label" in ran.err


def test_no_fold_has_seen_the_rows_that_it_answers(tmp_path: Path) -> None:
    """Each row has a token of its own and a label by chance: seen rows are answered right, unseen ones by chance."""
    task, parts = parts_of(told_rows(), {"split.folds": 5})
    everything = Fold(np.arange(60), np.arange(60))
    seen = out_of_fold._fitted(folds_module._contexts(task, parts.pool, run_in(tmp_path / "seen"))(1, everything))
    truth = seen.kind.encode(parts.pool.targets["label"])
    assert np.mean(seen.kind.decide(seen.logits) == truth) > 0.95
    found = crossed(task, parts, run_in(tmp_path / "run"))
    assert found is not None
    found.write(tmp_path / "folds.jsonl")
    told = lines(tmp_path / "folds.jsonl")
    assert [one["row"] for one in told] == list(range(60))
    right = sum(one["prediction"] == one["truth"] for one in told)
    assert 15 <= right <= 45, "four standard deviations around a half"


@pytest.mark.parametrize(("by", "column"), [("group", "who"), ("time", "when")])
def test_folds_by_group_and_by_time(by: str, column: str, tmp_path: Path) -> None:
    rows = {
        "text": [f"{WORDS[at % 4]} number {at}" for at in range(80)],
        "label": ["xy"[at % 4 % 2] for at in range(80)],
        "who": [f"user {at // 8}" for at in range(80)],
        "when": list(range(80)),
    }
    task, parts = parts_of(rows, {"split.folds": 3, "split.by": by, "split.column": column})
    found = crossed(task, parts, run_in(tmp_path))
    assert found is not None
    found.write(tmp_path / "folds.jsonl")
    told = lines(tmp_path / "folds.jsonl")
    assert len(told) == (80 if by == "group" else 60)
    assert [one["row"] for one in told] == (list(range(80)) if by == "group" else list(range(20, 80)))
    if by == "group":
        assert all(len({one["fold"] for one in told if one["row"] // 8 == group}) == 1 for group in range(10))
    values = {one.metric: one for one in found.findings(task)}
    assert values["accuracy"].n == len(told)
    assert values["accuracy"].value == 1.0, "a word decides"


@pytest.mark.parametrize("kind", ["multilabel", "regress"])
def test_other_kinds(kind: str, tmp_path: Path) -> None:
    texts = [f"{WORDS[at % 4]} {WORDS[at // 4 % 4]} {at}" for at in range(64)]
    values = {
        "multilabel": ["|".join(sorted(set(text.split()[:2]))) for text in texts],
        "regress": [float(at % 4) for at in range(64)],
    }[kind]
    task, parts = parts_of({"text": texts, "label": values}, {"split.folds": 2, "targets.0.kind": kind})
    found = crossed(task, parts, run_in(tmp_path))
    assert found is not None
    found.write(tmp_path / "folds.jsonl")
    told = lines(tmp_path / "folds.jsonl")
    assert len(told) == 64
    assert ("probabilities" in told[0]) is (kind == "multilabel")
    assert isinstance(told[0]["truth"], list if kind == "multilabel" else float)
    first = found.findings(task)[0]
    assert first.value is not None
    assert first.value > 0.5, first


class Cut(Exception):
    """What stands for a kill."""


FULL = {"fit.method": "full", "fit.epochs": 2, "fit.batch_rows": 16, "fit.learning_rate": 3e-3, "fit.average": 0.0}
FULL |= {"split.folds": 5, "fit.precision": "fp32", "targets.0.column": "intent", "fit.minutes": 60}


def steps_until(run: Run, last: int = 10**9) -> list[str]:
    """The places of all steps of a run, which ends at the last one."""
    made: list[str] = []
    real = run.progress

    def progress(stage: str, share: float, **facts: Any) -> None:
        real(stage, share, **facts)
        if stage == "train":
            made.append(stage)
            if len(made) == last:
                raise Cut

    run.progress = progress  # type: ignore[method-assign]
    return made


def test_a_kill_in_the_third_fold_costs_no_more_than_that_fold(
    tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    task, parts = parts_of(TRAIN, FULL | {"fit.backbone": str(tiny_backbone)})
    run = run_in(tmp_path / "whole")
    steps = steps_until(run)
    whole = crossed(task, parts, run)
    all_steps = len(steps)
    per_fold = all_steps // 5
    run = run_in(tmp_path / "cut")
    steps_until(run, 2 * per_fold + 5)
    with pytest.raises(Cut):
        crossed(task, parts, run)
    assert sorted(path.name for path in (tmp_path / "cut" / "work" / "folds").iterdir()) == ["1", "2"]
    again = run_in(tmp_path / "cut")
    steps = steps_until(again)
    found = crossed(task, parts, again)
    assert len(steps) == all_steps - (2 * per_fold + 4), "the step that was cut is made again"
    assert whole is not None
    assert found is not None
    for one, other in zip(whole.answers, found.answers, strict=True):
        assert np.array_equal(one.logits, other.logits)
        assert (one.kind, one.method, one.learnt) == (other.kind, other.method, other.learnt)


def test_damaged_answers_are_made_again(tmp_path: Path) -> None:
    task, parts = parts_of(told_rows(), {"split.folds": 2})
    whole = crossed(task, parts, run_in(tmp_path))
    (path,) = (tmp_path / "work" / "folds" / "2").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    found = crossed(task, parts, run_in(tmp_path))
    assert whole is not None
    assert found is not None
    assert all(np.array_equal(a.logits, b.logits) for a, b in zip(whole.answers, found.answers, strict=True))


def test_all_folds_share_one_pass_of_the_frozen_encoder(tiny_backbone: Path, tmp_path: Path) -> None:
    probe = {"fit.method": "probe", "fit.backbone": str(tiny_backbone), "targets.0.column": "intent", "split.folds": 5}
    task, parts = parts_of(TRAIN, probe | {"fit.precision": "fp32"})
    run = run_in(tmp_path)
    said: list[str] = []
    run._listener = lambda record: said.append(record.get("say", ""))
    crossed(task, parts, run)
    embedded = [line for line in said if line.startswith("embedding")]
    assert embedded == ["embedding 240 training and validation rows"]


def test_every_fold_has_an_equal_share_of_the_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = out_of_fold._fitted

    def fitted(context: Context) -> Any:
        seen.append(context.run.left)
        return real(context)

    monkeypatch.setattr(out_of_fold, "_fitted", fitted)
    task, parts = parts_of(told_rows(), {"split.folds": 4, "fit.minutes": 50})
    run = run_in(tmp_path, 50)
    crossed(task, parts, run)
    assert seen == pytest.approx([600] * 4, rel=0.02)
    assert run.seconds == 3000


def test_an_interrupted_cross_validation_gives_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = out_of_fold._fitted

    def fitted(context: Context) -> Any:
        context.run.interrupted = "fold3" in context.branch
        return real(context)

    monkeypatch.setattr(out_of_fold, "_fitted", fitted)
    task, parts = parts_of(told_rows(), {"split.folds": 5})
    found = crossed(task, parts, run_in(tmp_path))
    assert found is not None
    assert len(found.answers) == 2
    findings = found.findings(task)
    assert {one.note for one in findings} == {"not run, because it was interrupted after 2 of 5 folds"}
    assert all(one.value is None for one in findings)


def test_answers_of_different_lengths_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ragged(self: Classify, logits: Any, windows: Any) -> Any:
        out = np.empty(windows.rows, object)
        out[:] = [np.zeros(2)] * windows.rows
        return out

    monkeypatch.setattr(Classify, "gather", ragged)
    task, parts = parts_of(told_rows(), {"split.folds": 2})
    with pytest.raises(
        tunewright.TunewrightError, match="split.folds does not fit kind 'classify', whose answers differ"
    ):
        crossed(task, parts, run_in(tmp_path))


def test_without_folds_there_is_nothing_to_do(tmp_path: Path) -> None:
    task, parts = parts_of(told_rows(), {})
    assert crossed(task, parts, run_in(tmp_path)) is None
    assert folds_module.pool_of(task, parts) is None
