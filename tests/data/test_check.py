"""What stops and what warns: each line of the table, by its message, place and remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.people import Review
from tunewright.core.task import Task, parse_set, read_task
from tunewright.data.check import check, check_labelled, leaked_rows
from tunewright.data.dataset import read
from tunewright.data.issues import TABLE, Issue, stop_if_needed
from tunewright.data.rows import Rows, columns_of, rows_of


def task(kind: str = "classify", drop_empty: bool = False, **target: Any) -> Task:
    named = {"column": "label", "kind": kind, **target}
    return Task.model_validate({"inputs": {"text": "text"}, "targets": [named], "data": {"drop_empty": drop_empty}})


def part(path: Path, lines: Sequence[str], wanted: Task) -> Rows:
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return rows_of(read(path, wanted.data, columns_of(wanted)), wanted)


class Found:
    """Issues by name, with file names in place of paths."""

    def __init__(self, folder: Path, issues: list[Issue]) -> None:
        self.issues = issues
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        return any(issue.name == name for issue in self.issues)

    def __getitem__(self, name: str) -> Issue:
        (issue,) = [issue for issue in self.issues if issue.name == name]
        return issue

    def said(self, name: str) -> str:
        return str(self[name]).replace(f"{self.folder}/", "")

    @property
    def names(self) -> list[str]:
        return [issue.name for issue in self.issues]


@pytest.fixture
def look(tmp_path: Path) -> Any:
    def looked(
        train: Sequence[str], test: Sequence[str] | None = None, wanted: Task | None = None, **more: Any
    ) -> Found:
        wanted = wanted or task()
        rows = part(tmp_path / "train.csv", train, wanted)
        held = None if test is None else part(tmp_path / "test.csv", test, wanted)
        return Found(tmp_path, check(rows, held, None, wanted, **more))

    return looked


def many(rows: int = 60, prefix: str = "text", labels: str = "ab") -> list[str]:
    return [f"{prefix} number {at},{labels[at % len(labels)]}" for at in range(rows)]


def test_good_rows_have_no_issues(look: Any) -> None:
    assert look(many(200), many(60, "other")).issues == []
    stop_if_needed([])


def test_the_table_names_every_level_once() -> None:
    names = [rule.name for rule in TABLE]
    assert len(set(names)) == len(names)
    levels = [rule.level for rule in TABLE]
    assert levels == sorted(levels)  # "stop" before "warn"


def test_header_only(look: Any) -> None:
    found = look([])
    assert (
        found.said("no_rows") == "train.csv: there are no rows (training part) → name a file with rows below its header"
    )
    assert found.names == ["no_rows"]
    with pytest.raises(TunewrightError, match="there are no rows"):
        stop_if_needed(found.issues)


def test_no_rows_in_the_test_part(look: Any) -> None:
    assert "test.csv: there are no rows (test part)" in look(many(), []).said("no_rows")


def test_only_empty_rows(look: Any) -> None:
    found = look([",", ","], wanted=task(drop_empty=True))
    assert found.said("no_rows").startswith("train.csv: all of its rows are empty (training part)")


def test_a_single_class(look: Any) -> None:
    found = look(many(labels="a"))
    assert (
        found.said("one_class") == "train.csv: label has a single label in training: 'a' → add rows with other labels"
    )


@pytest.mark.parametrize("cell", ["", "   ", "NaN"])
def test_no_label(look: Any, cell: str) -> None:
    rows = [*many(10), f"x,{cell}", f"y,{cell}", *many(10, "more")]
    found = look(rows)
    assert found.said("empty_label") == (
        "train.csv line 12: label is empty or NaN (2 such rows) → fill it, or pass --drop-empty"
    )
    assert found["empty_label"].level == "stop"
    dropped = look(rows, wanted=task(drop_empty=True))
    assert "empty_label" not in dropped
    assert dropped.said("dropped").startswith("train.csv line 12: 2 empty rows left out")
    assert dropped["dropped"].level == "warn"


def test_no_text(look: Any) -> None:
    found = look([*many(10), "  ,a"])
    assert found.said("empty_input") == "train.csv line 12: text is empty → fill it, or pass --drop-empty"


def test_how_many_more_stop(look: Any) -> None:
    issues = look([*many(10), " ,a", "x,"], [" ,a"]).issues
    with pytest.raises(TunewrightError, match=r"line 12: text is empty \(and 2 more problems that stop\) → fill it"):
        stop_if_needed(issues)


def test_a_huge_cell(look: Any) -> None:
    found = look([*many(10), f"{'x' * 1_000_001},a"])
    assert found["huge_cell"].level == "stop"
    assert found.said("huge_cell").startswith(
        "train.csv line 12: text has 1,000,001 characters, more than 1,000,000 → "
    )
    assert "huge_cell" not in look([*many(10), f"{'x' * 1_000_000},a"])


def test_a_class_with_one_row_warns_while_others_can_be_measured(look: Any) -> None:
    found = look([*many(), "once,rare"])
    assert found["single_row_class"].level == "warn"
    assert found.said("single_row_class") == (
        "train.csv line 62: 'rare' has a single training row: it is learnt from, but not measured"
        " → add rows, or merge the class"
    )
    stop_if_needed(found.issues)


def test_only_classes_with_one_row_stop(look: Any) -> None:
    found = look(["a,x", "b,y", "c,z"])
    assert found.said("nothing_to_hold_out").startswith("train.csv: no label has two rows → ")
    assert found["nothing_to_hold_out"].level == "stop"


def test_unknown_test_label(look: Any) -> None:
    found = look(many(), [*many(30, "other"), "new,c"])
    assert found.said("unknown_label") == (
        "test.csv line 32: label 'c' occurs in no training row → add training rows of it, or leave these rows out"
    )
    close = look([*many(), "x,transfer", "y,transfer"], ["z,transferr"])
    assert close["unknown_label"].remedy == "did you mean 'transfer'?"


def test_label_that_the_task_does_not_list(look: Any) -> None:
    found = look([*many(), "x,c", "y,c"], wanted=task(labels=("a", "b")))
    assert "train.csv line 62: label 'c' is not in the task's labels" in found.said("unknown_label")


@pytest.mark.parametrize("odd", ["card ", "Card", " card", "CARD"])
def test_labels_that_differ_by_case_or_space(look: Any, tmp_path: Path, odd: str) -> None:
    rows = [*(f"text {at},card" for at in range(30)), *(f"other {at},loan" for at in range(30)), f"x,{odd}", f"y,{odd}"]
    found = look(rows)
    assert found["label_spelling"].level == "warn"
    place = (
        f"train.csv line 62: labels that differ only by case or white space: 'card' and {odd!r} → merge them: --set "
    )
    assert found.said("label_spelling").startswith(place)
    again = look(rows, wanted=merged_as_told(found["label_spelling"].remedy))
    assert "label_spelling" not in again
    assert "unused_merge" not in again


def merged_as_told(remedy: str) -> Task:
    """The task after the flag that a remedy names."""
    flag = re.search(r"--set '(.*)'$", remedy)
    assert flag is not None
    key, value = parse_set(flag[1])
    flags = {"inputs.text": "text", "targets.0.column": "label", key: value}
    return read_task(None, flags)[0]


def test_a_test_label_that_is_only_written_otherwise(look: Any) -> None:
    found = look([*many(), "x,card", "y,card"], ['z,"card ""x"" "', "w,card "])
    unknown = found["unknown_label"]
    assert unknown.level == "stop"
    spelled = look([*many(), "x,card", "y,card"], ["w,card "])["unknown_label"]
    assert merged_as_told(spelled.remedy).targets[0].merge == {"card": ("card ",)}


def test_a_merge_of_what_is_not_there(look: Any) -> None:
    found = look(many(90, labels="abc"), wanted=task(merge={"a": ["c", "gone"]}))
    assert found.said("unused_merge") == "train.csv: merge names 'gone', which no row has → check its spelling"
    assert found["unused_merge"].level == "warn"


def test_small_classes(look: Any) -> None:
    found = look([*many(200), *(f"few {at},c" for at in range(5))], [*many(40, "other"), "z,c"])
    assert found.said("small_class") == (
        "test.csv: 1 of 3 classes has fewer than 10 test rows: 'c' has 1 → add test rows of it"
    )
    estimated = look([*many(200), *(f"few {at},c" for at in range(20))])
    assert "'c' has about 4" in estimated.said("small_class")


def test_contradictions_and_duplicates(look: Any) -> None:
    found = look([*many(), "the same,a", "other,b", " the  same,b", "once more,a", "once more,a"])
    assert found.said("contradictory").startswith(
        "train.csv line 62: 1 input has several values of label: here 'a' and 'b' (train.csv line 64) → "
    )
    assert found["contradictory"].count == 2
    assert found.said("duplicate").startswith("train.csv line 66: 1 row is repeated → ")
    assert {found["contradictory"].level, found["duplicate"].level} == {"warn"}


def test_test_texts_that_occur_in_training(look: Any, tmp_path: Path) -> None:
    found = look(many(100), ["new,a", "text number 3,b", "text  number 4,a", *many(30, "other")])
    assert found.said("leaked").startswith("test.csv line 3: 2 test inputs occur among the training rows too → ")
    assert found["leaked"].count == 2
    train, test = (rows_of(read(tmp_path / f"{name}.csv"), task()) for name in ("train", "test"))
    assert leaked_rows(train, test).tolist() == [False, True, True, *[False] * 30]


def test_a_validation_part_is_looked_at_too(tmp_path: Path) -> None:
    train = part(tmp_path / "train.csv", many(100), task())
    validation = part(tmp_path / "valid.csv", ["text number 3,b", "new,"], task())
    names = [issue.name for issue in check(train, None, validation, task())]
    assert names == ["empty_label", "leaked"]


def test_long_rows(look: Any) -> None:
    rows = [*many(), f"{'word ' * 40},a", f"{'word ' * 30},b"]
    found = look(rows, max_tokens_of=lambda texts: [len(text.split()) for text in texts], window_tokens=35)
    assert found.said("long_row").startswith(
        "train.csv line 62: 1 row is longer than the window of 35 tokens (the longest: 40)"
    )
    assert "long_row" not in look(rows, max_tokens_of=lambda texts: [len(text.split()) for text in texts])


def test_several_languages(look: Any) -> None:
    chinese = [f"我的卡{'在哪里' * (at + 1)},{'ab'[at % 2]}" for at in range(20)]
    found = look([*(f"where is my card {at},{'ab'[at % 2]}" for at in range(60)), *chinese])
    assert "train.csv: several languages: en 75%, zh 25%" in found.said("language_mix")
    assert found["language_mix"].count == 20


def test_several_labels(look: Any) -> None:
    wanted = task("multilabel")
    found = look(
        [*(f"text {at},a|b" for at in range(40)), *(f"other {at},b" for at in range(40)), "none,"], wanted=wanted
    )
    assert found.said("no_label").startswith("train.csv line 82: no label at all → ")
    assert found.issues[0].level == "warn"
    assert look(["x,", "y,"], wanted=wanted)["one_class"].level == "stop"


def test_numbers(look: Any) -> None:
    found = look(["x,1", "y,1.0", "z,1"], wanted=task("regress"))
    assert found.said("one_class").startswith("train.csv: label has a single value in training: 1 → ")
    assert look([f"text {at},{at}" for at in range(30)], wanted=task("regress")).issues == []


def both(tmp_path: Path, lines: Sequence[str]) -> Found:
    targets = [{"column": "label"}, {"column": "stars", "kind": "regress"}]
    wanted = Task.model_validate({"inputs": {"text": "text"}, "targets": targets})
    (tmp_path / "train.csv").write_text("\n".join(["text,label,stars", *lines]) + "\n")
    rows = rows_of(read(tmp_path / "train.csv", wanted.data, columns_of(wanted)), wanted)
    return Found(tmp_path, check(rows, None, None, wanted))


def test_of_several_targets_a_row_may_lack_some_but_not_all(tmp_path: Path) -> None:
    rows = [f"{line},{at}" for at, line in enumerate(many(100))]
    found = both(tmp_path, [*rows, "x,,3", "y,,4", "z,a,"])
    of_label, of_stars = [str(issue) for issue in found.issues if issue.name == "part_label"]
    assert "train.csv line 102: label has no value in 2 of 103 rows: they only teach stars → fill them" in of_label
    assert "train.csv line 104: stars has no value in 1 of 103 rows: they only teach label" in of_stars
    assert "empty_label" not in found
    none = both(tmp_path, [*rows, "x,,"])
    assert none.said("empty_label") == (
        "train.csv line 102: label, stars are all empty or NaN → fill it, or pass --drop-empty"
    )
    assert none["empty_label"].level == "stop"
    assert "part_label" not in none


def test_of_several_targets_each_issue_names_its_own(tmp_path: Path) -> None:
    found = both(tmp_path, [*(f"text {at},{'ab'[at % 2]},1" for at in range(100)), "x,c,1", "x,c,"])
    assert found.said("one_class").startswith("train.csv: stars has a single value in training: 1 → ")
    assert ": label: " in found.said("small_class")
    assert "contradictory" not in found


def test_issues_are_json(look: Any) -> None:
    record = look([])["no_rows"].record()
    assert set(record) == {"level", "name", "problem", "place", "count", "remedy"}


def test_a_label_to_be_reviewed_that_no_row_has_stops(look: Any) -> None:
    wanted = task().model_copy(update={"review": Review(labels=("refund", "refunt"))})
    rows = [f"text number {at},{label}" for label in ("refund", "order") for at in range(12)]
    found = look(rows, wanted=wanted)
    said = "train.csv: review.labels names 'refunt', which no training row has → did you mean 'refund'?"
    assert found.said("unknown_review") == said
    assert found["unknown_review"].level == "stop"


@pytest.mark.parametrize(("count", "said"), [(1, ["1 row is few"]), (29, ["29 rows are few"]), (30, [])])
def test_few_rows_to_judge_by_are_told_of(tmp_path: Path, count: int, said: list[str]) -> None:
    rows = part(tmp_path / "test.csv", many(count), task())
    found = [issue for issue in check_labelled(rows, task()) if issue.name == "few_rows"]
    assert [issue.problem.partition(" to judge")[0] for issue in found] == said


def test_rows_that_no_target_is_read_of_are_not_unlabelled(tmp_path: Path) -> None:
    wanted = task().model_copy(update={"targets": ()})
    (tmp_path / "plain.csv").write_text("text\n" + "\n".join(f"text number {at}" for at in range(40)) + "\n\n")
    rows = rows_of(read(tmp_path / "plain.csv", wanted.data), wanted)
    assert check_labelled(rows, wanted) == []


def test_every_rule_is_reached_by_these_tests() -> None:
    text = Path(__file__).read_text()
    assert [rule.name for rule in TABLE if f'"{rule.name}"' not in text] == []
