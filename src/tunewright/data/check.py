"""What is wrong with the rows, before anything is learnt from them.

Inputs are equal when they are after Unicode NFC, with every run of white space as one space and none at the ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.data.issues import JUDGED_ROWS, LANGUAGE_SHARE, TABLE, Issue, case, told_label
from tunewright.data.labels import counts_of, of_labels, unknown_labels, unknown_review
from tunewright.data.language import languages
from tunewright.data.rows import JOINT, Rows, empty_inputs, empty_labels, unlabelled

MAX_CELL_CHARS = 1_000_000
MEASURED_ROWS = 2000
"""Rows whose tokens are counted; more are estimated from so many."""

TokensOf = Callable[[Sequence[str]], Sequence[int]]


def check(
    train: Rows,
    test: Rows | None,
    validation: Rows | None,
    task: Task,
    *,
    max_tokens_of: TokensOf | None = None,
    window_tokens: int = 0,
) -> list[Issue]:
    """Look for everything in ``TABLE``; what stops comes first.

    test, validation : None where they are still to be cut off the training rows
    max_tokens_of : how many tokens each text has; without it the lengths are not looked at
    window_tokens : the longest window, where ``fit.max_tokens`` is 0
    """
    parts = {"training": train, "test": test, "validation": validation}
    given = {name: rows for name, rows in parts.items() if rows is not None}
    found = [issue for name, rows in given.items() for issue in _part(name, rows, task)]
    if len(train):
        for at, target in enumerate(task.targets):
            found.extend(_of_target(target, task, of_labels(at, target, given, task)))
        found.extend(unknown_review(train, task))
        found.extend(_leaked(given))
        found.extend(_languages(train, task))
        window = task.fit.max_tokens or window_tokens
        if max_tokens_of is not None and window:
            found.extend(issue for rows in given.values() for issue in long_rows(rows, task, max_tokens_of, window))
    rank = {rule.name: at for at, rule in enumerate(TABLE)}
    return sorted(found, key=lambda issue: rank[issue.name])


def check_labelled(rows: Rows, task: Task) -> list[Issue]:
    """What stops rows from being measured by a bundle: none at all, an empty or huge cell, a label it does not know.

    Rows that are few are told of, too.

    task : its targets list the labels that the bundle knows
    """
    found = list(_part("labelled", rows, task))
    if 0 < len(rows) < JUDGED_ROWS:
        problem = f"{len(rows)} {'row is' if len(rows) == 1 else 'rows are'} few to judge by: look at the intervals"
        found.append(case("few_rows", problem, rows.dataset.source, len(rows)))
    for at, target in enumerate(task.targets):
        if len(rows) and target.labels and target.kind in ("classify", "multilabel"):
            unknown = unknown_labels(at, target, {"labelled": rows}, {"labelled": counts_of(rows, target)}, ())
            found.extend(_of_target(target, task, unknown))
    return found


def _of_target(target: Target, task: Task, issues: Iterable[Issue]) -> Iterator[Issue]:
    """Issues whose problem names the target, where the task has several."""
    for issue in issues:
        named = len(task.targets) == 1 or issue.problem.startswith(f"{target.name} ")
        yield issue if named else replace(issue, problem=f"{target.name}: {issue.problem}")


def leaked_rows(train: Rows, held_out: Rows) -> NDArray[np.bool_]:
    """bool (n,): the row's input occurs in training too (after NFC and folding of white space)."""
    return held_out.keys.is_in(train.keys.unique().implode()).to_numpy()


def _where(rows: Rows, mask: NDArray[np.bool_]) -> tuple[str, int]:
    """Place of the first row under a mask, and how many there are."""
    at = np.flatnonzero(mask)
    return rows.place(int(at[0])), len(at)


def _more(count: int) -> str:
    return f" ({count} such rows)" if count > 1 else ""


def _part(name: str, rows: Rows, task: Task) -> Iterator[Issue]:
    """What each part is looked at for by itself."""
    if rows.dropped:
        problem = f"{rows.dropped} empty row{'s' if rows.dropped > 1 else ''} left out"
        yield case("dropped", problem, rows.first_dropped, rows.dropped)
    if not len(rows):
        why = "all of its rows are empty" if rows.dropped else "there are no rows"
        yield case("no_rows", f"{why} ({name} part)", rows.dataset.source, rows.dropped)
        return
    empty = empty_inputs(rows)
    if empty.any():
        place, count = _where(rows, empty)
        column = ", ".join(rows.inputs)
        yield case("empty_input", f"{column} is empty{_more(count)}", place, count)
    yield from _unlabelled(rows, task)
    yield from _huge(rows)
    yield from _repeated(rows, task, empty)


def _unlabelled(rows: Rows, task: Task) -> Iterator[Issue]:
    """Rows that no target has a value of; of several targets, also those that some lack."""
    missing = unlabelled(rows)
    if missing.any():
        place, count = _where(rows, missing)
        columns = ", ".join(target.column or target.name for target in task.targets)
        are = "is empty or NaN" if len(task.targets) == 1 else "are all empty or NaN"
        yield case("empty_label", f"{columns} {are}{_more(count)}", place, count)
    for target in task.targets:
        part = empty_labels(rows, target.name) & ~missing
        if part.any():
            place, count = _where(rows, part)
            rest = ", ".join(one.name for one in task.targets if one is not target)
            problem = f"{target.name} has no value in {count:,} of {len(rows):,} rows: they only teach {rest}"
            yield case("part_label", problem, place, count)
        yield from _of_target(target, task, _no_label(rows, target))


def _no_label(rows: Rows, target: Target) -> Iterator[Issue]:
    if target.kind == "multilabel":
        none = np.array([value == [] for value in rows.targets[target.name]], bool)
        if none.any():
            place, count = _where(rows, none)
            yield case("no_label", f"no label at all{_more(count)}", place, count)


def _huge(rows: Rows) -> Iterator[Issue]:
    for column, values in rows.inputs.items():
        if not values or not isinstance(values[0], str):
            continue
        lengths = pl.Series(values, dtype=pl.String).str.len_chars().to_numpy()
        huge = lengths > MAX_CELL_CHARS
        if huge.any():
            place, count = _where(rows, huge)
            longest = int(lengths.max())
            problem = f"{column} has {longest:,} characters, more than {MAX_CELL_CHARS:,}"
            yield case("huge_cell", problem, place, count)


def _repeated(rows: Rows, task: Task, empty: NDArray[np.bool_]) -> Iterator[Issue]:
    """Contradictory and duplicate rows."""
    keys = rows.keys.to_frame().with_row_index("row").filter(pl.Series(~empty, dtype=pl.Boolean))
    if keys["key"].n_unique() == len(keys):
        return
    labels = [rows.label_keys(target.name).alias(f"l{at}") for at, target in enumerate(task.targets)]
    table = keys.with_columns([one.gather(keys["row"]) for one in labels])
    names = [one.name for one in labels]
    for name, target in zip(names, task.targets, strict=True):
        known = table.filter(pl.col(name).is_not_null())
        different = known.filter(pl.col(name).n_unique().over("key") > 1)
        if len(different):
            yield _contradiction(rows, different, name, target)
    again = table.filter(pl.struct("key", *names).is_duplicated() & ~pl.struct("key", *names).is_first_distinct())
    if len(again):
        yield case("duplicate", f"{_rows(len(again))} repeated", rows.place(again["row"][0]), len(again))


def _contradiction(rows: Rows, different: pl.DataFrame, name: str, target: Target) -> Issue:
    texts = different["key"].n_unique()
    first = different.filter(pl.col("key") == different["key"][0])
    other = first.filter(pl.col(name) != first[name][0])
    said = " and ".join(told_label(label.replace(JOINT, ", ")) for label in (first[name][0], other[name][0]))
    what = "input has" if texts == 1 else "inputs have"
    problem = f"{texts} {what} several values of {target.name}: here {said} ({rows.place(other['row'][0])})"
    return case("contradictory", problem, rows.place(first["row"][0]), len(different))


def _rows(count: int) -> str:
    return f"{count} row is" if count == 1 else f"{count} rows are"


def _leaked(given: Mapping[str, Rows]) -> Iterator[Issue]:
    for name in ("test", "validation"):
        if name not in given or not len(given[name]):
            continue
        rows = given[name]
        leaked = leaked_rows(given["training"], rows) & ~empty_inputs(rows)
        if leaked.any():
            place, count = _where(rows, leaked)
            what = "input occurs" if count == 1 else "inputs occur"
            yield case("leaked", f"{count} {name} {what} among the training rows too", place, count)


def _texts(rows: Rows, task: Task) -> list[list[str]]:
    return [rows.inputs[column] for column, modality in task.inputs.items() if modality == "text"]


def _languages(rows: Rows, task: Task) -> Iterator[Issue]:
    columns = _texts(rows, task)
    if not columns:
        return
    shares = languages([" ".join(cells) for cells in zip(*columns, strict=True)])
    second = list(shares.values())[1:2]
    if second and second[0] >= LANGUAGE_SHARE:
        said = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.01)
        count = round((1 - next(iter(shares.values()))) * len(rows))
        yield case("language_mix", f"several languages: {said}", rows.dataset.source, count)


def long_rows(rows: Rows, task: Task, tokens_of: TokensOf, window: int) -> Iterator[Issue]:
    """Rows with more tokens than the window; only texts with more bytes than that can have them."""
    columns = _texts(rows, task)
    if not columns or not len(rows):
        return
    texts = pl.Series("text", [" ".join(cells) for cells in zip(*columns, strict=True)], pl.String)
    able = np.flatnonzero(texts.str.len_bytes().to_numpy() > window)
    if not len(able):
        return
    sample = able[:: max(1, -(-len(able) // MEASURED_ROWS))]
    tokens = np.asarray(tokens_of(texts.gather(sample).to_list()))
    over = tokens > window
    if over.any():
        count = round(float(over.mean()) * len(able))
        about = "about " if len(sample) < len(able) else ""
        rows_are = "row is" if count == 1 else "rows are"
        longest = int(tokens.max())
        problem = f"{about}{count} {rows_are} longer than the window of {window} tokens (the longest: {longest})"
        yield case("long_row", problem, rows.place(int(sample[over][0])), count)
