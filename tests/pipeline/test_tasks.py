"""One task from a file, named arguments and settings; what of it goes into a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.pipeline.tasks import describe, plain_data, portable


def test_arguments_win_over_the_file_and_settings_over_both(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text(
        'seed = 1\n[inputs]\nbody = "text"\n[[targets]]\ncolumn = "a"\n[data]\ntrain = "a.csv"\n[fit]\nepochs = 2\n'
    )
    task, sources = describe("b.csv", task=tmp_path / "task.toml", label="b", settings={"fit.minutes": 1, "seed": 2})
    assert task.data.train == "b.csv"
    assert task.targets[0].column == task.targets[0].name == "b"
    assert dict(task.inputs) == {"body": "text"}
    assert (task.seed, task.fit.minutes, task.fit.epochs) == (2, 1, 2)
    told = {name: sources[name] for name in ("data.train", "seed", "inputs.body", "fit.epochs", "fit.patience")}
    assert told == {
        "data.train": "flag",
        "seed": "flag",
        "inputs.body": "file",
        "fit.epochs": "file",
        "fit.patience": "default",
    }


def test_files_of_a_task_count_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('[inputs]\nt = "text"\n[[targets]]\ncolumn = "a"\n[data]\ntrain = "a.csv"\n')
    assert describe(task=tmp_path / "task.toml")[0].data.train == str(tmp_path / "a.csv")


def test_several_columns_of_labels_and_of_text() -> None:
    task, _ = describe(text=["subject", "body"], label=["late", "broken"], kind="multilabel")
    assert list(task.inputs) == ["subject", "body"]
    assert task.targets[0].columns == ("late", "broken")
    assert task.targets[0].kind == "multilabel"


def test_targets_are_named_by_their_columns() -> None:
    task, sources = describe(text="t", target=["intent", "stars:regress", "a:b:multilabel"])
    told = [(one.name, one.column, one.kind, one.weight) for one in task.targets]
    assert told == [
        ("intent", "intent", "classify", 1.0), ("stars", "stars", "regress", 1.0), ("a:b", "a:b", "multilabel", 1.0)
    ]  # fmt: skip
    assert sources["targets.1.kind"] == "flag"
    assert describe(text="t", target="intent")[0] == describe(text="t", label="intent")[0]


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({"label": "a"}, "no input column is named → pass --text"),
        ({"text": "t"}, "no label column is named → pass --label"),
        ({"text": "t", "label": "a", "kind": "regres"}, "there is no kind 'regres' → did you mean 'regress'"),
        ({"text": "t", "label": "a", "settings": {"fit.method": "ful"}}, "no method 'ful' → did you mean 'full'"),
        ({"text": "t", "label": "a", "settings": {"fit.method": "x"}}, "no method 'x' → use one of: adalora"),
        ({"text": "t", "label": "a", "settings": {"targets.1.kind": "regress"}}, "target 'labels' names no column"),
        ({"text": "t", "target": "a:regres"}, "there is no kind 'regres' → write COLUMN:KIND; did you mean 'regress'"),
        ({"text": "t", "target": ":regress"}, "--target ':regress' names no column"),
        ({"text": "t", "target": ["a", "b"], "label": "c"}, "--target stands beside --label or --kind"),
        ({"text": "t", "target": ["a", "a:regress"]}, "two targets are named 'a'"),
    ],
)
def test_what_cannot_be_fitted_is_told_at_once(named: dict[str, object], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        describe(**named)  # type: ignore[arg-type]


def test_a_bundle_keeps_no_place_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    settings = {"fit.backbone": str(tmp_path / "backbone"), "fit.threads": 1, "name": "mine", "fit.epochs": 7}
    task, _ = describe(tmp_path / "a.csv", test=tmp_path / "b.csv", text="t", label="a", settings=settings)
    record = portable(task)
    assert str(tmp_path) not in str(record)
    again = Task.model_validate(record)
    assert again.fit.backbone == "backbone"
    assert again.fit.epochs == 7
    assert (again.name, again.fit.threads, again.data.train) == ("", 0, "")
    assert again.targets == task.targets


def test_further_files_are_read_under_the_same_names_but_in_their_own_encoding() -> None:
    settings = {"data.rename": {"body": "t"}, "data.encoding": "gb18030", "data.drop_empty": True}
    data = plain_data(describe(text="t", label="a", settings=settings)[0])
    assert data.rename == {"body": "t"}
    assert (data.encoding, data.drop_empty, data.format) == ("auto", False, "auto")
