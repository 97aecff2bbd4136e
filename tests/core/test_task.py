"""Tasks from files and flags: who wins, where each setting came from, and what is said about a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Target
from tunewright.core.task import Task, parse_set, read_task, settings

TOML = """
name = "intents"
[inputs]
text = "text"
[[targets]]
column = "category"
[data]
train = "rows/train.csv"
test = "/data/test.csv"
[fit]
minutes = 2
[gates]
accuracy = ">= 0.90"
"accuracy.low" = ">= 0.85"
"""


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks" / "task.toml"
    path.parent.mkdir()
    path.write_text(TOML, encoding="utf-8")
    return path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "task.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None = None, flags: dict[str, Any] | None = None) -> TunewrightError:
    with pytest.raises(TunewrightError) as caught:
        read_task(path, flags)
    assert caught.value.exit_code == 2
    return caught.value


def test_nothing_given_is_the_default() -> None:
    task, sources = read_task()
    assert task == Task()
    assert set(sources.values()) == {"default"}
    assert set(sources) == set(settings(task))


def test_a_file_and_flags_give_values_and_sources(task_file: Path) -> None:
    task, sources = read_task(task_file, {"fit.minutes": 7, "seed": 3})
    assert (task.name, task.seed, task.fit.minutes, task.fit.epochs) == ("intents", 3, 7.0, 3)
    assert task.gates == {"accuracy": ">= 0.90", "accuracy.low": ">= 0.85"}
    said = {name: sources[name] for name in ("name", "seed", "fit.minutes", "fit.epochs", "inputs.text")}
    assert said == {
        "name": "file",
        "seed": "flag",
        "fit.minutes": "flag",
        "fit.epochs": "default",
        "inputs.text": "file",
    }
    assert sources["gates.accuracy.low"] == sources["targets.0.column"] == "file"


def test_relative_paths_count_from_the_file_and_flags_from_here(task_file: Path) -> None:
    task, _ = read_task(task_file, {"data.validation": "here.csv"})
    assert task.data.train == str(task_file.parent / "rows/train.csv")
    assert task.data.test == "/data/test.csv"
    assert task.data.validation == "here.csv"
    assert read_task(task_file, {"data.train": "mine.csv"})[0].data.train == "mine.csv"


@pytest.mark.parametrize(
    ("flags", "problem", "remedy"),
    [
        ({"fit.minuts": 2}, "the flags: unknown key 'fit.minuts'", "did you mean 'minutes'?"),
        ({"sead": 2}, "the flags: unknown key 'sead'", "did you mean 'seed'?"),
        ({"targets.0.colum": "a"}, "the flags: unknown key 'targets.0.colum'", "did you mean 'column'?"),
        ({"qqq": 2}, "the flags: unknown key 'qqq'", "use one of: "),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(flags: dict[str, Any], problem: str, remedy: str) -> None:
    error = refusal(flags=flags)
    assert error.problem == problem
    assert error.remedy.startswith(remedy)


def test_an_unknown_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[fit]\nmethd = 'probe'\n")
    error = refusal(path)
    assert error.problem == f"{path}: unknown key 'fit.methd'"
    assert error.remedy == "did you mean 'method'?"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"fit.minutes": 0}, "fit.minutes = 0: input should be greater than 0"),
        ({"fit.minutes": float("nan")}, "fit.minutes = nan"),
        ({"fit.precision": "fp8"}, "fit.precision = 'fp8'"),
        ({"fit": 3}, "fit = 3"),
        ({"gates.accuracy": "at least 0.9"}, "gates.accuracy = 'at least 0.9' is no limit"),
        ({"gates.accuracy": 0.9}, "gates.accuracy = 0.9"),
        ({"split.by": "group"}, 'split.by = "group" needs a column'),
        ({"split.by": "time"}, 'split.by = "time" needs a column'),
        ({"seed": -1}, "seed = -1"),
        ({"targets": [{"column": "a"}, {"column": "a"}]}, "two targets are named 'a'"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(flags: dict[str, Any], words: str) -> None:
    error = refusal(flags=flags)
    assert words in error.problem
    assert error.remedy


def test_the_name_of_a_doubled_target_is_the_doubled_one() -> None:
    error = refusal(flags={"targets": [{"column": "a"}, {"column": "b"}, {"column": "b"}]})
    assert "two targets are named 'b'" in error.problem


@pytest.mark.parametrize(
    ("text", "flags", "place"),
    [
        ("fit = 3", {"fit.minutes": 2}, "fit"),
        ("data = 'a.csv'", {"data.rename.old": "new"}, "data"),
        ("targets = 5", {"targets.0.column": "a"}, "targets"),
        ("targets = [5]", {"targets.0.column": "a"}, "targets.0"),
        ("[data]\ntrain = 'a.csv'", {"data.train.x.y": 1}, "data.train"),
    ],
)
def test_a_value_where_a_section_stands_is_said_so(
    tmp_path: Path, text: str, flags: dict[str, Any], place: str
) -> None:
    error = refusal(written(tmp_path, text), flags)
    assert f"{place} is a value, not a section" in error.problem
    assert error.remedy == "`tunewright schema` lists the keys"


@pytest.mark.parametrize("step", ["one", "-1", "7", "1000000000", "²"])
def test_a_target_that_is_not_in_the_list_is_said_so(step: str) -> None:
    error = refusal(flags={f"targets.{step}.column": "a"})
    assert step in error.problem
    assert error.remedy


def test_a_section_given_as_a_value_in_a_file_is_refused(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "split = 'by label'\n"))
    assert "split = 'by label'" in error.problem


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.toml").problem
    assert str(tmp_path) in refusal(tmp_path).problem
    broken = written(tmp_path, "[fit\nminutes = 2")
    assert refusal(broken).problem.startswith(f"{broken}: not TOML")
    broken.write_bytes(b"name = '\xff'")
    assert refusal(broken).problem.startswith(f"{broken}: not TOML")


@pytest.mark.parametrize("name", ["text", "a.b", "a.b.c", "2024", "0", "a b", "问题.正文", "."])
def test_input_columns_may_have_any_name(name: str, tmp_path: Path) -> None:
    by_name, sources = read_task(None, {"inputs": {name: "text"}})
    by_dots, _ = read_task(None, {f"inputs.{name}": "text"})
    quoted, told = read_task(written(tmp_path, f'[inputs]\n"{name}" = "text"\n'))
    assert by_name.inputs == by_dots.inputs == quoted.inputs == {name: "text"}
    assert sources[f"inputs.{name}"] == "flag"
    assert told[f"inputs.{name}"] == "file"


def test_other_tables_take_any_name_too() -> None:
    task, sources = read_task(
        None, {"data.rename.old.name": "text", "targets.0.column": "y", "targets.0.merge.a.b": ["c"]}
    )
    assert task.data.rename == {"old.name": "text"}
    assert task.targets[0].merge == {"a.b": ("c",)}
    assert sources["data.rename.old.name"] == "flag"


def test_flags_build_targets_one_by_one() -> None:
    task, sources = read_task(None, {"targets.0.column": "a", "targets.1.column": "b", "targets.1.kind": "regress"})
    assert [(one.column, one.kind, one.name) for one in task.targets] == [("a", "classify", "a"), ("b", "regress", "b")]
    assert sources["targets.0.kind"] == "default"
    assert sources["targets.1.kind"] == "flag"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("fit.minutes=2", ("fit.minutes", 2)),
        ("fit.learning_rate=1e-4", ("fit.learning_rate", 1e-4)),
        ("data.header=false", ("data.header", False)),
        ('gates.accuracy=">= 0.90"', ("gates.accuracy", ">= 0.90")),
        ("gates.accuracy=>= 0.90", ("gates.accuracy", ">= 0.90")),
        ("gates.accuracy.low=>= 0.85", ("gates.accuracy.low", ">= 0.85")),
        ("fit.backbone=minilm-en", ("fit.backbone", "minilm-en")),
        ("fit.prefix=", ("fit.prefix", "")),
        ('fit.prefix="query: "', ("fit.prefix", "query: ")),
        ('targets.0.labels=["a", "b"]', ("targets.0.labels", ["a", "b"])),
        (" seed = 3", ("seed", 3)),
        ("data.separator==", ("data.separator", "=")),
    ],
)
def test_set_reads_toml_or_plain_text(text: str, pair: tuple[str, Any]) -> None:
    assert parse_set(text) == pair


@pytest.mark.parametrize("text", ["fit.minutes", "=2", "", " = 2"])
def test_set_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(TunewrightError, match="is not key=value") as caught:
        parse_set(text)
    assert "--set fit.minutes=2" in caught.value.remedy


def test_a_dotted_gate_by_flag_reaches_the_task() -> None:
    task, sources = read_task(None, dict([parse_set("gates.accuracy.low=>= 0.85"), parse_set("gates.macro_f1=> 0.8")]))
    assert task.gates == {"accuracy.low": ">= 0.85", "macro_f1": "> 0.8"}
    assert sources["gates.accuracy.low"] == sources["gates.macro_f1"] == "flag"


def test_a_flag_that_replaces_a_section_covers_its_settings(task_file: Path) -> None:
    _, sources = read_task(task_file, {"targets": [{"column": "other", "kind": "regress"}]})
    assert sources["targets.0.column"] == "flag"
    assert sources["fit.minutes"] == "file"


def test_a_task_is_frozen() -> None:
    task = Task()
    with pytest.raises(ValidationError, match="frozen"):
        task.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        task.fit.minutes = 1.0  # type: ignore[misc]


def test_a_task_survives_json() -> None:
    task, _ = read_task(None, {"targets.0.column": "y", "inputs.a.b": "text", "targets.0.labels": ("x", "y")})
    assert Task.model_validate(json.loads(task.model_dump_json())) == task
    assert Task.model_validate(task.model_dump(mode="json")) == task


def test_the_json_schema_tells_every_key_and_what_it_is_for() -> None:
    schema = Task.model_json_schema()
    json.dumps(schema, allow_nan=False)
    sections = {name: one["properties"] for name, one in schema["$defs"].items()} | {"Task": schema["properties"]}
    assert set(sections) > {"Task", "Target", "Data", "Split", "Fit"}
    assert set(sections["Target"]) == set(Target.model_fields)
    for name, properties in sections.items():
        for key, told in properties.items():
            assert told.get("description") or "$ref" in told, f"{name}.{key} is not described"
    assert schema["additionalProperties"] is False


KEYS = st.sampled_from([*settings(Task()), "targets.0.column", "targets.1.labels", "targets.0", "inputs.a", "data.x.y"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())


@given(st.dictionaries(KEYS | st.text() | st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}"), VALUES, max_size=4))
def test_any_flags_give_a_task_or_a_problem_with_a_remedy(flags: dict[str, Any]) -> None:
    try:
        task, sources = read_task(None, flags)
    except TunewrightError as error:
        refused = error
    else:
        assert set(sources) == set(settings(task))
        return
    assert refused.problem
    assert refused.remedy


@given(st.text())
def test_any_set_gives_a_pair_or_a_problem(text: str) -> None:
    if "=" in text and text.partition("=")[0].strip():
        assert parse_set(text)[0] == text.partition("=")[0].strip()
        return
    with pytest.raises(TunewrightError, match="is not key=value"):
        parse_set(text)
