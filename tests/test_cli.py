"""The command line as a user meets it: help, JSON for programs, files of answers, settings, Ctrl-C."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer

import tunewright
from tunewright import samples
from tunewright.cli import app
from tunewright.core import plugins
from tunewright.core.task import Task

pytestmark = pytest.mark.usefixtures("traced_once")

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")
COLUMNS = ("--text", "text", "--label", "intent")
VERBS = sorted(command.callback.__name__ for command in app.registered_commands if command.callback is not None)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ── help ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_verbs_are_those_of_the_documentation(cli: Callable[..., Any]) -> None:
    wanted = ["audit", "card", "check", "compare", "compress", "evaluate", "explain", "export", "fit", "key", "models"]
    wanted += ["predict", "pretrain", "sample", "schema", "serve", "show", "speed", "tune"]
    assert wanted == VERBS
    told = cli("--help")
    assert told.code == 0
    assert all(re.search(rf"\b{verb}\b", told.out) for verb in VERBS)


def test_the_version_is_said(cli: Callable[..., Any]) -> None:
    told = cli("--version")
    assert (told.code, told.out) == (0, f"tunewright {tunewright.__version__}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_its_own_options_allow(cli: Callable[..., Any], verb: str) -> None:
    told = cli(verb, "--help")
    assert told.code == 0
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", told.out).split())
    example = re.search(rf"Example: tunewright {verb}\b([^>(]*)", text)
    assert example is not None, text
    known = {option for one in parameters(verb) for option in (*one.opts, *one.secondary_opts)}
    assert set(re.findall(r"(?<=\s)--[a-z-]+", example[1].partition("With ")[0].partition(" Arguments")[0])) <= known
    assert all(getattr(one, "help", None) for one in parameters(verb)), "an option without help"


def parameters(verb: str) -> list[Any]:
    group: Any = typer.main.get_command(app)
    return list(group.commands[verb].params)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_show_json_has_what_programs_read(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    told = json.loads(cli("show", tiny_bundle, "--json").out)
    wanted = ["name", "targets", "method", "backbone", "size_bytes", "digest", "metrics", "fit", "data"]
    assert set(wanted) <= set(told)
    assert told["name"] == "tiny"
    assert [set(target) >= {"name", "kind", "labels"} for target in told["targets"]] == [True]
    assert len(told["targets"][0]["labels"]) == 8
    for metric in ("accuracy", "macro_f1"):
        one = told["metrics"][metric]
        assert one["low"] <= one["value"] <= one["high"]
        assert one["n"] == 80
    assert told["fit"]["seconds"] > 0
    assert told["fit"]["peak_rss_bytes"] > 1e6
    assert all(rung["peak_rss_bytes"] > 1e6 for rung in told["fit"]["rungs"])
    assert told["fit"]["seed"] == 0
    assert told["data"]["train_rows"] + told["data"]["validation_rows"] == 240
    assert told["data"]["test_rows"] == 80
    assert told["data"]["digest"].startswith("sha256:")
    assert told["digest"] == tunewright.load(tiny_bundle).manifest.digest
    assert told["size_bytes"] > 100_000


def test_show_for_people_says_the_same(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    told, said = json.loads(cli("show", tiny_bundle, "--json").out), cli("show", tiny_bundle).out
    accuracy = told["metrics"]["accuracy"]
    for piece in ("tiny", told["method"], told["backbone"], "8 labels", told["digest"], f"{accuracy['value']:.4f}"):
        assert piece in said
    assert "n = 80" in said
    assert "80 test; judged on the test rows" in said


def test_check_json_is_a_list_of_issues(cli: Callable[..., Any], tiny_backbone: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(TRAIN.read_text(encoding="utf-8") + "far too long " * 50 + ",return_item\n", encoding="utf-8")
    told = cli("check", rows, *COLUMNS, "--set", f"fit.backbone={tiny_backbone}", "--json")
    issues = json.loads(told.out)
    assert {"level", "name", "problem", "place", "count", "remedy"} == {key for issue in issues for key in issue}
    assert {"small_class", "long_row"} <= {issue["name"] for issue in issues}
    assert f"{rows} line 242" in {issue["place"] for issue in issues}
    said = cli("check", rows, *COLUMNS, "--set", f"fit.backbone={tiny_backbone}").out
    assert "nothing stops a fit" in said
    assert all(issue["remedy"] in said for issue in issues)


def test_evaluate_json_has_findings_with_interval_and_n(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    told = json.loads(cli("evaluate", tiny_bundle, TEST, "--json").out)
    accuracy = next(one for one in told["findings"] if one["metric"] == "accuracy" and not one["slice"])
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["n"] == 80
    shown = json.loads(cli("show", tiny_bundle, "--json").out)["metrics"]["accuracy"]
    assert {key: accuracy[key] for key in shown} == pytest.approx(shown)
    said = cli("evaluate", tiny_bundle, TEST).out
    assert re.search(rf"^accuracy +{accuracy['value']:.4f} \(95 % interval .* n = 80\)$", said, re.MULTILINE)


def test_evaluate_reads_another_label_column(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    pl.read_csv(TEST).rename({"intent": "category"}).write_csv(tmp_path / "other.csv")
    wanted = cli("evaluate", tiny_bundle, TEST, "--json")
    assert cli("evaluate", tiny_bundle, tmp_path / "other.csv", "--label", "category", "--json").out == wanted.out


def test_models_json_says_where_each_one_is(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e5-small").mkdir()
    (tmp_path / "e5-small" / "config.json").write_text("{}")
    monkeypatch.setenv("TUNEWRIGHT_MODELS", str(tmp_path))
    told = {one["name"]: one for one in json.loads(cli("models", "--json").out)}
    assert {"minilm-en", "e5-small"} <= set(told)
    for one in told.values():
        assert {"languages", "parameters", "licence", "hub", "found"} <= set(one)
    assert told["e5-small"]["found"] == [{"source": "cache", "folder": str(tmp_path / "e5-small")}]
    said = cli("models").out
    assert all(one["licence"] in said and one["name"] in said for one in told.values())
    assert str(tmp_path / "e5-small") in said


# ── the schema ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_schema_describes_every_setting(cli: Callable[..., Any]) -> None:
    schema = json.loads(cli("schema").out)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    sections = [schema, *schema["$defs"].values()]
    references = re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))
    assert set(references) == set(schema["$defs"])
    named = {name for section in sections for name in section["properties"]}
    assert {"inputs", "targets", "gates", "minutes", "merge", "column", "encoding"} <= named
    described = [one for section in schema["$defs"].values() for one in section["properties"].values()]
    assert all(one.get("description") for one in described)


@pytest.mark.parametrize("kind", plugins.names("kinds"))
def test_a_task_file_of_every_kind_fits_the_schema_and_comes_back_unchanged(cli: Callable[..., Any], kind: str) -> None:
    text = f"""
        inputs = {{ subject = "text", body = "text" }}
        gates = {{ accuracy = ">= 0.5" }}
        [[targets]]
        column = "category"
        kind = "{kind}"
        [data]
        train = "train.csv"
        [split]
        by = "group"
        column = "customer"
        [fit]
        minutes = 2
    """
    task = Task.model_validate(tomllib.loads(text))
    assert Task.model_validate(json.loads(task.model_dump_json())) == task
    schema = json.loads(cli("schema").out)
    agrees(tomllib.loads(text), schema, schema)
    agrees(task.model_dump(mode="json"), schema, schema)
    with pytest.raises(AssertionError):
        agrees({"fit": {"minuts": 2}}, schema, schema)


def agrees(value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    """The part of JSON schema that the task's schema uses."""
    if "$ref" in schema:
        agrees(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    elif "anyOf" in schema:
        assert any(fits(value, one, whole) for one in schema["anyOf"])
    elif schema.get("type") == "object":
        assert isinstance(value, dict)
        for name, one in value.items():
            inside = schema.get("properties", {}).get(name, schema.get("additionalProperties", False))
            assert inside is not False, name
            agrees(one, inside, whole)
    elif schema.get("type") == "array":
        assert isinstance(value, list)
        for one in value:
            agrees(one, schema["items"], whole)
    else:
        types: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool}
        types["null"] = type(None)
        assert isinstance(value, types[schema["type"]])
        assert value in schema.get("enum", [value])


def fits(value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    try:
        agrees(value, schema, whole)
    except AssertionError:
        return False
    return True


# ── sample rows ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sample_writes_the_rows_and_names_them(cli: Callable[..., Any], tmp_path: Path) -> None:
    told = cli("sample", tmp_path / "rows")
    assert told.code == 0
    assert [Path(line).name for line in told.out.splitlines()] == samples.names()
    assert (tmp_path / "rows" / "support_train.csv").read_bytes() == TRAIN.read_bytes()
    assert cli("sample", tmp_path / "rows").code == 0
    (tmp_path / "rows" / "support_train.csv").write_text("mine")
    again = cli("sample", tmp_path / "rows")
    assert (again.code, "it exists already and holds something else" in again.err) == (2, True)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ASKED = b"id,text,when\n7,where is my parcel?,monday\n3,,tuesday\n5,I want my money back,friday\n"


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    (tmp_path / "new.csv").write_bytes(ASKED)
    return tmp_path / "new.csv"


def test_predict_keeps_columns_and_order_and_adds_its_own(
    cli: Callable[..., Any], tiny_bundle: Path, asked: Path
) -> None:
    ran = cli("predict", tiny_bundle, asked)
    assert (ran.code, ran.err) == (0, "")
    rows = rows_of(ran.out)
    assert list(rows[0]) == ["id", "text", "when", "prediction", "score"]
    kept = [{key: row[key] for key in ("id", "text", "when")} for row in rows]
    assert kept == rows_of(ASKED.decode())
    wanted = tunewright.load(tiny_bundle).predict(["where is my parcel?", "", "I want my money back"])
    assert [row["prediction"] for row in rows] == [one.label or "" for one in wanted]
    assert float(rows[0]["score"]) == pytest.approx(wanted[0].score, abs=1e-6)
    assert rows[1]["score"] == ""


def test_predict_writes_the_same_in_every_format(
    cli: Callable[..., Any], tiny_bundle: Path, asked: Path, tmp_path: Path
) -> None:
    wanted = rows_of(cli("predict", tiny_bundle, asked).out)
    for suffix in ("csv", "jsonl", "parquet", "tsv", "xlsx", "csv.gz"):
        ran = cli("predict", tiny_bundle, asked, "--out", tmp_path / f"answers.{suffix}")
        assert (ran.code, ran.out, ran.err) == (0, "", ""), suffix
        rows = read_back(tmp_path / f"answers.{suffix}")
        assert list(rows[0]) == list(wanted[0]), suffix
        for row, want in zip(rows, wanted, strict=True):
            got = {name: "" if cell is None else str(cell) for name, cell in row.items()}
            assert {**got, "score": ""} == {**want, "score": ""}, suffix
            assert (got["score"] == "") == (want["score"] == "")
            assert float(got["score"] or 0) == pytest.approx(float(want["score"] or 0), abs=1e-6)


def read_back(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        case ".parquet":
            return pl.read_parquet(path).to_dicts()
        case ".xlsx":
            return pl.read_excel(path).to_dicts()
        case ".gz":
            return list(rows_of(gzip.decompress(path.read_bytes()).decode()))
    return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False).to_dicts()


def test_predict_lists_the_best_labels(cli: Callable[..., Any], tiny_bundle: Path, asked: Path) -> None:
    rows = rows_of(cli("predict", tiny_bundle, asked, "--top", 3).out)
    listed = [json.loads(row["candidates"]) for row in rows]
    assert [len(one) for one in listed] == [3, 0, 3]
    scores = [one["score"] for one in listed[0]]
    assert scores == sorted(scores, reverse=True)
    assert listed[0][0] == {"label": rows[0]["prediction"], "score": pytest.approx(float(rows[0]["score"]))}


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ([], ASKED),
        (["--format", "csv"], ASKED),
        (["--separator", ";"], ASKED.replace(b",", b";").replace(b"?;", b"?;")),
        (["--no-header", "--columns", "id,text,when"], ASKED.partition(b"\n")[2]),
        (
            ["--format", "jsonl"],
            b"\n".join(
                (
                    b'{"id": 7, "text": "where is my parcel?", "when": "monday"}',
                    b'{"id": 3, "text": "", "when": "tuesday"}',
                    b'{"id": 5, "text": "I want my money back", "when": "friday"}',
                )
            ),
        ),
    ],
)
def test_predict_reads_standard_input(
    cli: Callable[..., Any], tiny_bundle: Path, asked: Path, words: list[str], sent: bytes
) -> None:
    wanted = rows_of(cli("predict", tiny_bundle, asked).out)
    ran = cli("predict", tiny_bundle, "-", *words, stdin=sent)
    assert (ran.code, ran.err) == (0, "")
    assert rows_of(ran.out) == wanted


def test_predict_reads_texts_that_look_like_numbers(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    ran = cli("predict", tiny_bundle, "-", stdin=b'{"text": 5}\n{"text": 6}\n')
    assert (ran.code, ran.err) == (0, "")
    assert all(row["prediction"] for row in rows_of(ran.out))


def test_a_reader_that_has_seen_enough_is_no_error(tiny_bundle: Path, tmp_path: Path) -> None:
    pl.concat([pl.read_csv(TRAIN)] * 60).write_csv(tmp_path / "many.csv")
    with subprocess.Popen(
        command("predict", tiny_bundle, tmp_path / "many.csv"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"text,intent,prediction,score\n"
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 0


# ── fit ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", "from tunewright.cli import main; main()", *map(str, words)]


def test_fit_prints_every_setting_with_its_source_and_stores_both(
    cli: Callable[..., Any], tiny_backbone: Path, tmp_path: Path
) -> None:
    (tmp_path / "task.toml").write_text(
        f'seed = 3\n[fit]\nbackbone = "{tiny_backbone}"\nmethod = "probe"\nminutes = 1\n[split]\nvalidation = 0.25\n'
    )
    out = tmp_path / "out"
    ran = cli("fit", TRAIN, *COLUMNS, "--task", tmp_path / "task.toml", "--minutes", 2, "--out", out)
    assert (ran.code, ran.out) == (0, "")
    lines = [re.fullmatch(r"setting  (\S+) = (.*)  \((\w+)\)", line) for line in ran.err.splitlines()]
    printed = {line[1]: (json.loads(line[2]), line[3]) for line in lines if line}
    assert printed["fit.minutes"] == (2.0, "flag")
    assert printed["inputs.text"] == ("text", "flag")
    assert printed["seed"] == (3, "file")
    assert printed["split.validation"] == (0.25, "file")
    assert printed["fit.epochs"] == (3, "default")
    assert {source for _, source in printed.values()} == {"default", "file", "flag"}
    schema = json.loads(cli("schema").out)
    assert {f"fit.{name}" for name in schema["$defs"]["Fit"]["properties"]} <= set(printed)

    manifest = tunewright.load(out).manifest
    assert manifest.run["sources"] == {name: source for name, (_, source) in printed.items()}
    assert manifest.task["fit"]["minutes"] == 2.0
    assert manifest.task["seed"] == 3
    assert manifest.task["split"]["validation"] == 0.25

    assert re.search(r"^ +\d+\.\d s  backbone \S*tiny-bert .*pooling mean", ran.err, re.MULTILINE)
    assert re.search(r"^note  .*classes have fewer than 10 test rows.* → ", ran.err, re.MULTILINE)
    assert re.search(r"^accuracy 0\.\d+ \(95 % interval .*, n = 48\)$", ran.err, re.MULTILINE)
    assert f"released: {out}" in ran.err
    assert (out / "report.html").is_file()
    log = [json.loads(line) for line in (tmp_path / "out.run" / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (log[0]["event"], log[-1]["event"]) == ("settings", "released")
    assert list((tmp_path / "out.run").glob("staged*")) == []


# ── Ctrl-C ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(words: Sequence[object], times: int) -> tuple[int, list[str]]:
    """Runs a fit and presses Ctrl-C at the first epoch, and again when it has been heard; exit code and lines."""
    said: list[str] = []
    awaited = ["epoch 1 of", "stopping"][:times]
    with subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            said.append(line.rstrip())
            if awaited and awaited[0] in line:
                awaited.pop(0)
                os.kill(running.pid, signal.SIGINT)
    return running.returncode, said


@pytest.fixture(scope="module")
def long_training(tiny_backbone: Path) -> tuple[object, ...]:
    settings = ("fit.epochs=1000", "fit.patience=1000", "fit.batch_rows=16")
    words = [word for setting in settings for word in ("--set", setting)]
    return ("fit", TRAIN, *COLUMNS, "--backbone", tiny_backbone, "--method", "full", *words)


@pytest.mark.slow
def test_the_first_ctrl_c_ships_the_best_so_far(
    cli: Callable[..., Any], long_training: tuple[object, ...], tmp_path: Path
) -> None:
    code, said = interrupted((*long_training, "--out", tmp_path / "out"), times=1)
    assert code == 0, "\n".join(said)
    assert "Traceback" not in "\n".join(said)
    assert not any("epoch 3 of" in line for line in said)
    manifest = tunewright.load(tmp_path / "out").manifest
    assert manifest.run["interrupted"] is True
    assert manifest.method["stopped"] == "interrupted"
    assert json.loads(cli("show", tmp_path / "out", "--json").out)["fit"]["interrupted"] is True
    assert "interrupted" in cli("show", tmp_path / "out").out


@pytest.mark.slow
def test_the_second_ctrl_c_leaves_everything_as_it_was(
    long_training: tuple[object, ...], tiny_bundle: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "out"))
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, said = interrupted((*long_training, "--out", out, "--force"), times=2)
    assert code == 130, "\n".join(said)
    assert "Traceback" not in "\n".join(said)
    assert said[-2].startswith("tunewright: stopped before anything was shipped; nothing was changed")
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.run"]
    assert said[-1].endswith("→ start the command again: it goes on from what was kept")
    left = sorted(path.name.partition("-")[0] for path in (tmp_path / "out.run").iterdir())
    assert left == ["lock", "run.jsonl", "train.jsonl", "work"]
