"""A model judged by every audit, through the whole line: from Python and from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tunewright
from tunewright import samples
from tunewright.audit import Context, _run
from tunewright.core import plugins
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding
from tunewright.pipeline import audit
from tunewright.report import words

pytestmark = pytest.mark.usefixtures("traced_once")

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")
FIELDS = {"audit", "metric", "value", "low", "high", "n", "limit", "passed", "slice", "source", "note"}
FAST = "accuracy,classes"


def values(found: Any) -> dict[str, float]:
    return {one.metric: one.value for one in found.findings if not one.slice and one.value is not None}


@pytest.fixture(scope="module")
def test_rows() -> pl.DataFrame:
    return pl.read_csv(TEST)


@pytest.fixture(scope="module")
def two_targets(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory, traced_once: None) -> Path:
    """A bundle with gates, groups and two targets."""
    rows = pl.read_csv(TRAIN).with_columns(asks=pl.col("text").str.contains("?", literal=True).cast(pl.String))
    out = tmp_path_factory.mktemp("audited") / "two"
    own = {"fit.backbone": str(tiny_backbone), "fit.method": "lexical", "fit.threads": 1, "audit.groups": ["shop"]}
    own |= {"gates.intent.accuracy": ">= 0.01", "gates.asks.ece": "<= 0.99"}
    rows = rows.with_columns(shop=pl.Series(["north", "south"] * len(rows)).head(len(rows)))
    tunewright.fit(rows, test=rows, text="text", target=["intent", "asks"], out=out, settings=own)
    return out


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the audits raises, whatever it is given."""

    def run(context: Context) -> Any:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(plugins.load("audits", "calibration"), "run", run)
    return "calibration"


# ── from Python ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bundle_has_the_figures_of_evaluate_and_those_of_the_costly_audits(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = {name: plugins.load("audits", name) for name in plugins.names("audits")}
    told: list[dict[str, Any]] = []
    for name, one in plugin.items():  # each is tested by itself, and takes seconds
        if getattr(one, "COSTLY", False):
            monkeypatch.setattr(one, "run", lambda context, name=name: [Finding(name, "quick", 1.0, n=context.rows)])
            monkeypatch.setattr(one, "NEEDS", frozenset())
    found = audit(tiny_bundle, pl.read_csv(TEST).head(5), listener=told.append)
    evaluated = tunewright.evaluate(tiny_bundle, pl.read_csv(TEST).head(5))
    wanted = {(one.audit, one.metric, one.slice): one.value for one in evaluated}
    given = {(one.audit, one.metric, one.slice): one.value for one in found.findings}
    assert {key: given[key] for key in wanted} == pytest.approx(wanted, nan_ok=True)
    suited = {name for name, one in plugin.items() if _run.suits(one, tunewright.load(tiny_bundle).kind)}
    asked = {name for name in suited if not getattr(plugin[name], "ON_REQUEST", False)}
    costly = {name for name in asked if getattr(plugin[name], "COSTLY", False)}
    assert {one.audit for one in found.findings if one.metric == "quick"} == costly
    assert {"explanations", "robustness"} <= costly
    ran = [one["now"] for one in told if one["event"] == "progress"]
    assert sorted(ran) == sorted(asked)
    assert set(ran[-len(costly) :]) == costly  # the quick ones first
    assert [issue["problem"] for one in told if one["event"] == "check" for issue in one["issues"]] == [
        "5 rows are few to judge by: look at the intervals"
    ]


def test_the_package_is_the_verb_when_it_is_called(tiny_bundle: Path) -> None:
    found = tunewright.audit(tiny_bundle, TEST, only=["accuracy"])  # type: ignore[operator]
    assert {one.audit for one in found.findings} == {"accuracy"}
    assert callable(tunewright.audit)
    assert tunewright.audit.Context is Context


def test_rows_without_labels_leave_out_what_needs_them(tiny_bundle: Path, test_rows: pl.DataFrame) -> None:
    told: list[dict[str, Any]] = []
    only = ["accuracy", "calibration", "size"]
    found = audit(tiny_bundle, test_rows.select("text").head(12), only=only, listener=told.append)
    notes = {one.note for one in found.findings if one.audit in ("accuracy", "calibration")}
    assert notes == {"not run, because the rows have no labels"}
    assert any(one.value is not None for one in found.findings if one.audit == "size")
    said = [one["say"] for one in told if one["event"] == "audit"]
    assert said[0] == "the rows have no column intent: audits that need labels do not run"
    gated = audit(tiny_bundle, test_rows.select("text"), only=only[:1], settings={"gates.accuracy": ">= 0.1"})
    assert [one.metric for one in gated.missed] == ["accuracy"]
    assert str(gated.refusal).startswith("gate accuracy >= 0.1 is missed: not run, because the rows have no labels → ")


def test_training_rows_tell_what_is_leaked(tiny_bundle: Path, test_rows: pl.DataFrame) -> None:
    train = pl.concat([pl.read_csv(TRAIN).select(test_rows.columns), test_rows.head(10)])
    found = audit(tiny_bundle, test_rows, train=train, only=["accuracy"])
    clean = {one.slice: one.note for one in found.findings if one.metric == "accuracy" and one.slice}
    assert clean == {"without leaked rows": f"10 of {len(test_rows)} rows occur in training"}
    assert values(found)["baseline.accuracy"] > 0
    without = audit(tiny_bundle, test_rows, only=["accuracy"])
    assert "baseline.accuracy" not in values(without)


def test_shadow_models_are_fitted_as_the_bundle_was(tmp_path: Path, test_rows: pl.DataFrame) -> None:
    own = {"fit.method": "lexical", "fit.threads": 1}
    tunewright.fit(TRAIN, text="text", label="intent", out=tmp_path / "words", settings=own)
    told = audit(tmp_path / "words", test_rows, train=TRAIN, only=["shadow"])
    assert [one.note for one in told.findings] == ["240 training rows against 80 others"] * 2
    assert 0.4 < values(told)["shadow_auc"] < 1
    assert values(told) == values(audit(tmp_path / "words", test_rows, train=TRAIN, only=["shadow"]))
    silent = audit(tmp_path / "words", test_rows, only=["shadow"]).findings
    assert silent[0].note == (
        "not run, because the model cannot be fitted anew here and the training rows are not at hand"
    )


def test_further_columns_and_groups_are_at_hand(
    tiny_bundle: Path, test_rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Context] = []
    monkeypatch.setattr(plugins.load("audits", "classes"), "run", lambda context: seen.append(context) or [])
    rows = test_rows.with_columns(shop=pl.lit("north"), age=pl.lit(7))
    audit(tiny_bundle, rows, groups=["shop"], only=["classes"], settings={"seed": 5})
    (context,) = seen
    assert set(context.others) == {"shop", "age", *test_rows.columns} - {"text", "intent"}
    assert set(context.groups) == {"shop"}
    assert (context.seed, context.folder, context.language) == (5, tiny_bundle, "en")
    assert context.predictor is not None
    assert context.ask({"text": rows["text"].to_list()}) == pytest.approx(context.logits, abs=1e-5)
    assert context.task.audit.groups == ("shop",)


def test_no_audit_begins_when_the_minutes_are_over(tiny_bundle: Path) -> None:
    found = audit(tiny_bundle, TEST, minutes=0.0, settings={"gates.accuracy": ">= 0.1"})
    assert {one.note for one in found.findings} == {"not run, because the minutes were over"}
    assert [one.metric for one in found.missed] == ["accuracy"]


def test_a_task_file_says_how_to_judge(tiny_bundle: Path, test_rows: pl.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "judge.toml"
    file.write_text(
        'seed = 3\n[inputs]\nwords = "text"\n[data]\nrename = {message = "text"}\n[fit]\nminutes = 9\n'
        '[audit]\ngroups = ["shop"]\n[gates]\naccuracy = ">= 0.99"\n',
        encoding="utf-8",
    )
    rows = test_rows.rename({"text": "message"}).with_columns(shop=pl.lit("north"))
    found = audit(tiny_bundle, rows, task=file, only=["accuracy"])
    assert found.seed == 3
    assert [(one.metric, one.limit) for one in found.missed] == [("accuracy", ">= 0.99")]
    over = audit(tiny_bundle, rows, task=file, only=["accuracy"], settings={"gates.accuracy": ">= 0.01"})
    assert over.refusal is None


# ── what stops it ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({"only": ["acuracy"]}, r"there is no audit 'acuracy' → did you mean 'accuracy'\?"),
        ({"groups": ["gendr"]}, r"there is no column 'gendr'; its columns are: .*gender.* → did you mean 'gender'\?"),
        ({"groups": ["intent"]}, "--group intent: the model reads or predicts this column → name another column"),
        ({"label": "topc"}, "there is no column 'topc'"),
        ({"settings": {"gates.acuracy": ">= 0.9"}}, "gates.acuracy: no audit measures this → did you mean 'accuracy'"),
        ({"settings": {"gates.accuracy": "0.9"}}, "the flags: gates.accuracy = '0.9' is no limit → write for example"),
        (
            {"settings": {"gates.ece": "<= 0.1"}, "only": ["accuracy"]},
            "gates.ece: calibration measures this, and it does not run here → add calibration to --only",
        ),
        ({"train": {"text": ["a"]}}, "there is no column 'intent'"),
        ({"train": {"text": ["a"], "intent": ["zzz"]}}, "row 0: label 'zzz' is not in the task's labels"),
        ({"out": "."}, "it exists already → choose another --out"),
    ],
)
def test_what_is_not_known_is_named_before_anything_runs(
    tiny_bundle: Path, test_rows: pl.DataFrame, named: dict[str, Any], problem: str
) -> None:
    rows = test_rows.with_columns(gender=pl.lit("f"))
    with pytest.raises(TunewrightError, match=problem):
        audit(tiny_bundle, rows, **({"minutes": 0.0} | named))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({"text": ["a"], "intent": ["return_itme"]}, "row 0: label 'return_itme' is not .* did you mean 'return_item'"),
        ({"text": ["a", "b"], "intent": ["return_item", None]}, "row 1: intent is empty or NaN → fill it"),
        ({"text": [" "]}, "row 0: text is empty → fill it"),
        ({"text": []}, "there are no rows"),
        ({"txt": ["a"]}, r"there is no column 'text'; its columns are: txt → did you mean 'txt'\?"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(tiny_bundle: Path, rows: dict[str, list[Any]], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        audit(tiny_bundle, rows)


def test_gates_of_the_bundle_on_audits_that_are_left_out_are_told_and_not_passed(two_targets: Path) -> None:
    told: list[dict[str, Any]] = []
    rows = pl.read_csv(TEST).with_columns(asks=pl.lit("true"))
    found = audit(two_targets, rows, only=["accuracy"], listener=told.append)
    assert [(one.name, one.passed) for one in found.findings if one.limit] == [("intent.accuracy", True)]
    said = [one["say"] for one in told if one["event"] == "audit"]
    assert "gates that are not looked at, since their audits do not run: asks.ece" in said
    assert "the rows have no column shop: its groups are not at hand" in said


def test_of_several_targets_those_are_judged_that_the_rows_have_labels_of(two_targets: Path, tmp_path: Path) -> None:
    found = audit(two_targets, TEST, only=["accuracy", "calibration"], out=tmp_path / "audit")
    by = {one.name: one for one in found.findings if not one.slice}
    assert by["intent.accuracy"].value is not None
    assert by["asks.accuracy"].note == "not run, because the rows have no labels"
    assert [one.name for one in found.missed] == ["asks.ece"]
    page = (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")
    assert 'id="accuracy-intent"' in page
    assert 'id="calibration-asks"' in page
    assert "1 of 2 gates missed." in page
    with pytest.raises(TunewrightError, match="--label topic: the model has several targets → leave it out; .* intent"):
        audit(two_targets, TEST, label="topic")


def test_evaluate_takes_rows_without_the_columns_of_groups(two_targets: Path) -> None:
    rows = pl.read_csv(TEST).with_columns(asks=pl.lit("true"))
    plain, grouped = (tunewright.evaluate(two_targets, one) for one in (rows, rows.with_columns(shop=pl.lit("north"))))
    accuracy = [next(one.value for one in found if one.name == "intent.accuracy") for found in (plain, grouped)]
    assert accuracy[0] == accuracy[1]


# ── from the command line ────────────────────────────────────────────────────────────────────────────────────────────


def test_json_has_findings_digests_and_seed(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    done = cli("audit", tiny_bundle, TEST, "--only", FAST, "--seed", 4, "--json", "--out", tmp_path / "audit")
    assert done.code == 0
    told = json.loads(done.out)
    assert set(told) == {"findings", "alarms", "bundle", "data", "seed"}
    assert (told["bundle"], told["seed"]) == (read_manifest(tiny_bundle).digest, 4)
    assert told["data"].startswith("sha256:")
    for one in told["findings"]:
        assert set(one) == FIELDS
        assert one["audit"] in FAST.split(",")
    record = json.loads((tmp_path / "audit" / "report.json").read_text(encoding="utf-8"))
    assert record["findings"] == told["findings"]
    assert record["audited"] == {"bundle": told["bundle"], "data": told["data"]}
    assert (record["seed"], record["data"]["test_rows"]) == (4, len(pl.read_csv(TEST)))
    assert "audit accuracy" in done.err  # progress, beside the JSON


def test_the_folder_holds_a_report_and_the_rows_beside_it(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    done = cli("audit", tiny_bundle, TEST, "--only", "accuracy,mistakes,confusion", "--out", out, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json", "rows.html", "rows.jsonl"]
    page, record = ((out / name).read_text(encoding="utf-8") for name in ("report.html", "report.json"))
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows
    texts = set(pl.read_csv(TEST)["text"])
    shown = [row["text"] for row in rows if row.get("text")]
    assert shown
    assert set(shown) <= texts
    assert not [text for text in texts if text in page or text in record]
    assert f"report in {out / 'report.html'}" in done.out


def test_a_missed_gate_ends_with_3_and_says_what_to_try(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    gates = ["--set", 'gates.accuracy=">= 0.999"', "--set", 'gates.macro_f1=">= 0.001"']
    done = cli("audit", tiny_bundle, TEST, "--only", FAST, *gates, "--out", tmp_path / "audit", "--json")
    told = {one["metric"]: one for one in json.loads(done.out)["findings"] if not one["slice"]}
    accuracy = told["accuracy"]
    assert done.code == 3
    assert (accuracy["limit"], accuracy["passed"]) == (">= 0.999", False)
    assert (told["macro_f1"]["limit"], told["macro_f1"]["passed"]) == (">= 0.001", True)
    wanted = f"tunewright: gate accuracy >= 0.999 is missed: {accuracy['value']:.3f} (95 % interval "
    wanted += f"{accuracy['low']:.3f}–{accuracy['high']:.3f}, n = {accuracy['n']})"
    assert wanted in done.err
    assert f"(the report: {tmp_path / 'audit' / 'report.html'})" in done.err
    remedy = plugins.load("audits", "accuracy").REMEDY
    assert f"→ {remedy}" in done.err
    page = (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")
    assert "1 of 2 gates missed." in page
    assert "2 项门槛中有 1 项未达标。" in page
    shown = cli("audit", tiny_bundle, TEST, "--only", FAST, *gates).out.splitlines()
    assert [line.split("  ")[:2] for line in shown if line.startswith(("accuracy >=", "macro_f1 >="))] == [
        ["accuracy >= 0.999", "missed"],
        ["macro_f1 >= 0.001", "holds"],
    ]


def test_an_audit_that_raises_is_told_the_others_stand_and_its_gate_is_missed(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path, raising: str
) -> None:
    out, gate = tmp_path / "audit", ["--set", 'gates.ece="<= 0.5"']
    done = cli("audit", tiny_bundle, TEST, "--only", f"accuracy,{raising}", *gate, "--out", out, "--json")
    told = json.loads(done.out)["findings"]
    failed = {one["metric"]: one["note"] for one in told if one["audit"] == raising}
    assert set(failed) == set(plugins.load("audits", raising).metrics(tunewright.load(tiny_bundle).kind))
    assert set(failed.values()) == {failed["ece"]}
    assert failed["ece"].startswith("failed: ZeroDivisionError: nothing to divide by (test_audit.py line ")
    assert all(one["value"] is not None for one in told if one["metric"] == "accuracy" and not one["slice"])
    assert done.code == 3
    assert "gate ece <= 0.5 is missed: failed: ZeroDivisionError: nothing to divide by" in done.err
    assert f"see that the audit {raising} can run, or take the gate out" in done.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "failed: ZeroDivisionError: nothing to divide by" in page
    shown = cli("audit", tiny_bundle, TEST, "--only", f"accuracy,{raising}", "--quiet")
    assert shown.code == 0
    assert "failed: ZeroDivisionError" in shown.out


@pytest.mark.parametrize(
    ("words_given", "problem"),
    [
        (("--only", "acuracy"), "there is no audit 'acuracy'"),
        (("--group", "shop,gendr"), "there is no column 'shop'"),
        (("--set", 'gates.acuracy=">= 0.9"'), "gates.acuracy: no audit measures this"),
        (("--task", "nowhere.toml"), "nowhere.toml: there is no such file"),
    ],
)
def test_errors_end_with_2(cli: Callable[..., Any], tiny_bundle: Path, words_given: Any, problem: str) -> None:
    done = cli("audit", tiny_bundle, TEST, *words_given)
    assert done.code == 2
    assert f"tunewright: {problem}" in done.err.replace(f"{TEST}: ", "")


def test_every_reason_that_an_audit_is_not_run_is_there_in_chinese() -> None:
    for reason in (*_run.WORDS.values(), "the minutes were over"):
        said = words.translate(f"not run, because {reason}")
        assert said.startswith("未运行，因为")
        assert reason not in said
