"""The search space: what a range and choices mean, what is searched unasked, and what is said about a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit
from tunewright.core.space import Field, drawn, parse_search, read_space
from tunewright.core.task import Task, read_task, varied


def task(kind: str = "classify", **settings: Any) -> Task:
    flags = {"targets.0.kind": kind, "targets.0.column": "y", "fit.method": "full"}
    return read_task(None, flags | {name.replace("__", "."): value for name, value in settings.items()})[0]


def fields(**search: str) -> dict[str, Field]:
    searched = {f"search__fit__{name}": text for name, text in search.items()}
    return {field.name: field for field in read_space(task(**searched))}


def test_a_range_is_of_whole_numbers_where_the_setting_is_and_logarithmic_where_it_is_wide() -> None:
    found = fields(
        epochs="1..5", learning_rate="1e-5..1e-3", weight_decay="0..1", batch_rows="4..400", warmup="0.01..0.5"
    )
    assert found["fit.epochs"] == Field("fit.epochs", 1, 5)
    assert isinstance(found["fit.epochs"].low, int)
    assert found["fit.learning_rate"] == Field("fit.learning_rate", 1e-5, 1e-3)
    assert isinstance(found["fit.weight_decay"].low, float)
    assert {name for name, field in found.items() if field.log} == {"fit.learning_rate", "fit.batch_rows"}
    assert str(found["fit.learning_rate"]) == "1e-05..0.001, logarithmic"


def test_choices_have_the_type_of_the_setting_and_the_method_comes_first() -> None:
    found = fields(method="probe | full", average="0|0.99|0.990", prefix="a b|c..d")
    assert next(iter(found)) == "fit.method"
    assert found["fit.method"].choices == ("probe", "full")
    assert found["fit.average"].choices == (0.0, 0.99)
    assert found["fit.prefix"].choices == ("a b", "c..d")
    assert str(found["fit.method"]) == "probe|full"


def test_a_task_file_holds_it_as_a_table_and_flags_win(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text('[fit]\nmethod = "full"\n[search]\nfit.epochs = "1..5"\n"fit.warmup" = "0..0.2"\n')
    found, sources = read_task(path, {"search.fit.epochs": "2..3"})
    assert found.search == {"fit.epochs": "2..3", "fit.warmup": "0..0.2"}
    assert sources["search.fit.warmup"] == "file"
    assert [str(field) for field in read_space(found)] == ["2..3", "0..0.2"]


@pytest.mark.parametrize(
    ("name", "text", "problem", "remedy"),
    [
        ("fit.learning_rat", "1..2", "search fit.learning_rat: there is no such setting", "mean 'fit.learning_rate'"),
        ("epochs", "1..2", "there is no such setting", "mean 'fit.epochs'"),
        ("seed", "1..2", r"search seed: only settings of \[fit\] are searched", "use --set seed=VALUE"),
        ("split.validation", "0.1..0.2", "all trials share their rows and parts", "use --set split.validation=VALUE"),
        ("fit.epochs", "5..1", "search fit.epochs = '5..1': upside down", r"write 1..5"),
        ("fit.epochs", "3..3", "a single value", "use --set fit.epochs=3"),
        ("fit.epochs", "3", "neither a range nor choices", "write a..b or a|b; for one value --set fit.epochs=3"),
        ("fit.epochs", "0..3", "search: fit.epochs = '0': input should be greater than or equal to 1", "schema"),
        ("fit.epochs", "1..2.5", "search: fit.epochs = '2.5': input should be a valid integer", "schema"),
        ("fit.warmup", "0..1", "search: fit.warmup = '1': input should be less than 1", "schema"),
        ("fit.average", "0|x", "search: fit.average = 'x': input should be a valid number", "schema"),
        ("fit.method", "a..b", "search fit.method = 'a..b': a text has no range", "list choices"),
        ("fit.method", "probe|ful", "there is no method 'ful'", "mean 'full'"),
        ("fit.precision", "fp32|fp8", "fit.precision = 'fp8'", "schema"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(name: str, text: str, problem: str, remedy: str) -> None:
    with pytest.raises(TunewrightError, match=problem) as caught:
        read_space(task().model_copy(update={"search": {name: text}}))
    assert remedy in caught.value.remedy


def test_what_no_method_at_hand_makes_use_of_is_refused() -> None:
    searched = {"search__fit__epochs": "1..3"}
    with pytest.raises(TunewrightError, match=r"search fit\.epochs: method probe makes no use of it"):
        read_space(task(fit__method="probe", **searched))
    assert len(read_space(task(search__fit__method="probe|full", **searched))) == 2


def test_for_a_method_without_steps_only_the_rest_is_drawn() -> None:
    space = read_space(
        task(search__fit__method="probe|full", search__fit__epochs="1..3", search__fit__max_tokens="16|32")
    )
    assert [field.name for field in drawn(space, "probe")] == ["fit.max_tokens"]
    assert [field.name for field in drawn(space, "full")] == ["fit.epochs", "fit.max_tokens"]


def test_unasked_it_is_the_method_where_that_is_auto_and_the_steps() -> None:
    steps = ["fit.batch_rows", "fit.epochs", "fit.learning_rate"]
    assert [field.name for field in read_space(task())] == steps
    auto = read_space(task(fit__method="auto"))
    assert [field.name for field in auto] == ["fit.method", *steps]
    assert {"probe", "full"} <= set(auto[0].choices) <= set(plugins.names("methods"))
    with pytest.raises(TunewrightError, match="method probe has nothing that is searched unless it is named"):
        read_space(task(fit__method="probe"))


def test_every_setting_of_steps_is_one_of_the_task() -> None:
    from tunewright.core.space import STEPS

    assert set(STEPS) <= set(Fit.model_fields)


@pytest.mark.parametrize("text", ["fit.epochs", "=1..2", "fit.epochs="])
def test_a_flag_that_is_no_pair(text: str) -> None:
    with pytest.raises(TunewrightError, match="is not key=values → write for example --search fit.epochs=1..5"):
        parse_search(text)


def test_a_task_is_varied_as_it_would_have_been_read() -> None:
    before = task(fit__epochs=2)
    after = varied(before, {"fit.epochs": 4, "search": {}})
    assert after == task(fit__epochs=4)
    assert before.fit.epochs == 2
    with pytest.raises(TunewrightError, match="the settings: unknown key 'fit.epoch' → did you mean 'epochs'?"):
        varied(before, {"fit.epoch": 4})
