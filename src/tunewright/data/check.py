"""What is wrong with the rows, before anything is learnt from them.

``TABLE`` says what stops ``fit`` and what only warns; the docs and ``tunewright check`` print it. A stop is a state
from which no sound model or no sound figure can come; everything that a user may well want to go on with is a warning.
A class with a single row is such a case: it stays among the training rows, where it can be learnt, and the report says
that it was not measured; only if no class has two rows, so that nothing could be held out at all, does it stop.

Inputs are equal when they are after Unicode NFC, with every run of white space as one space and none at the ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.task import Target, Task
from tunewright.data.language import languages
from tunewright.data.rows import JOINT, Rows, empty_inputs, empty_labels, folded

MAX_CELL_CHARS = 1_000_000
FEW_ROWS = 10
"""A share of fewer rows than this says next to nothing: 9 of 9 right still has a 95 % interval from 0.70 to 1."""
LANGUAGE_SHARE = 0.1
MEASURED_ROWS = 2000
"""Rows whose tokens are counted; more are estimated from so many."""
SHOWN = 3

TokensOf = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True)
class Rule:
    """A line of the table: what is looked for, what it means, what to do."""

    level: Literal["stop", "warn"]
    name: str
    what: str
    remedy: str


TABLE: tuple[Rule, ...] = (
    Rule("stop", "no_rows", "a part has no rows, or none that is not empty", "name a file with rows below its header"),
    Rule("stop", "empty_input", "all inputs of a row are empty or white space", "fill it, or pass --drop-empty"),
    Rule("stop", "empty_label", "a row has no label: empty, white space or NaN", "fill it, or pass --drop-empty"),
    Rule("stop", "huge_cell", "a cell is longer than a million characters", "shorten it; often a quote is not closed"),
    Rule("stop", "one_class", "all training rows have the same label (or number)", "add rows with other labels"),
    Rule(
        "stop",
        "unknown_label",
        "a label that no training row has, or that the task does not list",
        "add training rows of it",
    ),
    Rule(
        "stop",
        "nothing_to_hold_out",
        "no class has two rows and a part has to be cut off",
        "add rows, or name the label column",
    ),
    Rule(
        "warn",
        "single_row_class",
        "a class with one training row: learnt from, not measured",
        "add rows, or merge the class",
    ),
    Rule(
        "warn",
        "small_class",
        f"a class with fewer than {FEW_ROWS} test rows: its figures are chance",
        "add test rows of it",
    ),
    Rule("warn", "label_spelling", "labels that differ only by case or white space", "merge them"),
    Rule(
        "warn",
        "contradictory",
        "equal inputs with different labels in one part",
        "look at the rows and settle on one label",
    ),
    Rule(
        "warn",
        "duplicate",
        "rows that occur more than once in one part",
        "keep one of each, unless their number means something",
    ),
    Rule(
        "warn",
        "leaked",
        "held-out inputs that occur in training; the score is also given without them",
        "leave them out",
    ),
    Rule(
        "warn",
        "long_row",
        "rows longer than the window: they are cut into several",
        "set fit.max_tokens, or shorten them",
    ),
    Rule(
        "warn",
        "language_mix",
        f"a second language has {LANGUAGE_SHARE:.0%} of the rows or more",
        "use a multilingual backbone",
    ),
    Rule(
        "warn", "no_label", "multilabel rows without any label: they count as having none", "check that this is meant"
    ),
    Rule("warn", "dropped", "rows left out because they are empty (data.drop_empty)", "fill them to use them"),
    Rule("warn", "unused_merge", "a label to be merged that does not occur", "check its spelling"),
)
"""Everything that is looked for, in the order in which it is told."""

_RULES = {rule.name: rule for rule in TABLE}


@dataclass(frozen=True)
class Issue:
    """One thing found.

    place : of the first case, such as ``support.csv line 812``
    count : how many rows (or labels) it concerns
    """

    level: Literal["stop", "warn"]
    name: str
    problem: str
    place: str
    count: int
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem} → {self.remedy}"

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


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
            found.extend(_labels(at, target, given, task))
        found.extend(_leaked(given))
        found.extend(_languages(train, task))
        window = task.fit.max_tokens or window_tokens
        if max_tokens_of is not None and window:
            found.extend(issue for rows in given.values() for issue in long_rows(rows, task, max_tokens_of, window))
    rank = {rule.name: at for at, rule in enumerate(TABLE)}
    return sorted(found, key=lambda issue: rank[issue.name])


def check_labelled(rows: Rows, task: Task) -> list[Issue]:
    """What stops rows from being measured by a bundle: none at all, an empty or huge cell, a label it does not know.

    task : its targets list the labels that the bundle knows
    """
    found = list(_part("labelled", rows, task))
    for at, target in enumerate(task.targets):
        if len(rows) and target.labels and target.kind in ("classify", "multilabel"):
            found.extend(_unknown(at, target, {"labelled": rows}, {"labelled": _counts(rows, target)}, ()))
    return found


def stop_if_needed(issues: Sequence[Issue]) -> None:
    """Raise the first issue that stops, and say how many more do.

    Raises
    ------
    TunewrightError
        There is one.
    """
    stops = [issue for issue in issues if issue.level == "stop"]
    if stops:
        more = len(stops) - 1
        problems = "problem that stops" if more == 1 else "problems that stop"
        others = f" (and {more} more {problems})" if more else ""
        raise TunewrightError(f"{stops[0].place}: {stops[0].problem}{others}", stops[0].remedy)


def leaked_rows(train: Rows, held_out: Rows) -> NDArray[np.bool_]:
    """bool (n,): the row's input occurs in training too (after NFC and folding of white space)."""
    return held_out.keys.is_in(train.keys.unique().implode()).to_numpy()


def _issue(name: str, problem: str, place: str, count: int, remedy: str = "") -> Issue:
    rule = _RULES[name]
    return Issue(rule.level, name, problem, place, count, remedy or rule.remedy)


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
        yield _issue("dropped", problem, rows.first_dropped, rows.dropped)
    if not len(rows):
        why = "all of its rows are empty" if rows.dropped else "there are no rows"
        yield _issue("no_rows", f"{why} ({name} part)", rows.dataset.source, rows.dropped)
        return
    empty = empty_inputs(rows)
    if empty.any():
        place, count = _where(rows, empty)
        column = ", ".join(rows.inputs)
        yield _issue("empty_input", f"{column} is empty{_more(count)}", place, count)
    for target in task.targets:
        yield from _unlabelled(rows, target)
    yield from _huge(rows)
    yield from _repeated(rows, task, empty)


def _unlabelled(rows: Rows, target: Target) -> Iterator[Issue]:
    missing = empty_labels(rows, target.name)
    if missing.any():
        place, count = _where(rows, missing)
        yield _issue("empty_label", f"{target.column or target.name} is empty or NaN{_more(count)}", place, count)
    if target.kind == "multilabel":
        none = np.array([value == [] for value in rows.targets[target.name]], bool)
        if none.any():
            place, count = _where(rows, none)
            yield _issue("no_label", f"no label at all{_more(count)}", place, count)


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
            yield _issue("huge_cell", problem, place, count)


def _repeated(rows: Rows, task: Task, empty: NDArray[np.bool_]) -> Iterator[Issue]:
    """Contradictory and duplicate rows."""
    keys = rows.keys.to_frame().with_row_index("row").filter(pl.Series(~empty, dtype=pl.Boolean))
    if keys["key"].n_unique() == len(keys):
        return
    labels = [rows.label_keys(target.name).alias(f"l{at}") for at, target in enumerate(task.targets)]
    table = keys.with_columns([one.gather(keys["row"]) for one in labels])
    names = [one.name for one in labels]
    for name, target in zip(names, task.targets, strict=True):
        different = table.filter(pl.col(name).drop_nulls().n_unique().over("key") > 1)
        if len(different):
            yield _contradiction(rows, different, name, target)
    again = table.filter(pl.struct("key", *names).is_duplicated() & ~pl.struct("key", *names).is_first_distinct())
    if len(again):
        yield _issue("duplicate", f"{_rows(len(again))} repeated", rows.place(again["row"][0]), len(again))


def _contradiction(rows: Rows, different: pl.DataFrame, name: str, target: Target) -> Issue:
    texts = different["key"].n_unique()
    first = different.filter(pl.col("key") == different["key"][0])
    other = first.filter(pl.col(name) != first[name][0])
    said = " and ".join(_said(label.replace(JOINT, ", ")) for label in (first[name][0], other[name][0]))
    what = "input has" if texts == 1 else "inputs have"
    problem = f"{texts} {what} several values of {target.name}: here {said} ({rows.place(other['row'][0])})"
    return _issue("contradictory", problem, rows.place(first["row"][0]), len(different))


def _said(label: str) -> str:
    """A label in a message, not more than 60 characters of it."""
    return repr(label if len(label) <= 60 else label[:59] + "…")


def _rows(count: int) -> str:
    return f"{count} row is" if count == 1 else f"{count} rows are"


def _labels(at: int, target: Target, given: Mapping[str, Rows], task: Task) -> Iterator[Issue]:
    """What the labels of all parts together are looked at for."""
    if target.kind == "regress":
        yield from _one_number(target, given["training"])
        return
    if target.kind not in ("classify", "multilabel"):
        return
    counts = {name: _counts(rows, target) for name, rows in given.items()}
    train = counts["training"]
    fewest = 2 if target.kind == "classify" else 1
    if len(train) < fewest and len(given["training"]):
        only = next((_said(label) for label in train), "none")
        problem = f"{target.name} has a single label in training: {only}"
        yield _issue("one_class", problem, given["training"].dataset.source, len(given["training"]))
        return
    spelled = _spellings(counts)
    yield from _unknown(at, target, given, counts, spelled)
    yield from _spelling(at, target, given, counts, spelled)
    yield from _small(target, given, counts, task)
    olds = {old for group in target.merge.values() for old in group}
    raw = _raw_labels(given, target)
    for old in sorted(olds - raw):
        yield _issue("unused_merge", f"merge names {old!r}, which no row has", given["training"].dataset.source, 1)


def _raw_labels(given: Mapping[str, Rows], target: Target) -> set[str]:
    """Labels as they lie in the files, before merging."""
    if not target.merge:
        return set()
    found: set[str] = set(target.columns)
    for rows in given.values():
        for cell in rows.dataset.frame[target.column].unique().to_list() if target.column else ():
            found.add(str(cell))
            found.update(map(str.strip, cell if isinstance(cell, list) else str(cell).split(target.separator)))
    return found


def _one_number(target: Target, rows: Rows) -> Iterator[Issue]:
    values = {value for value in rows.targets[target.name] if value is not None}
    if len(values) < 2:
        said = next((f"{value:g}" for value in values), "none")
        problem = f"{target.name} has a single value in training: {said}"
        yield _issue("one_class", problem, rows.dataset.source, len(rows))


def _counts(rows: Rows, target: Target) -> dict[str, int]:
    """Label → rows, in the order of the labels."""
    values = rows.targets[target.name]
    flat = [
        label for value in values for label in (value if isinstance(value, list) else (value,)) if label is not None
    ]
    counted = pl.Series("label", flat, pl.String).value_counts().sort("label")
    return dict(counted.iter_rows())


def _first_place(rows: Rows, target: Target, label: str) -> str:
    values = rows.targets[target.name]
    return next(
        rows.place(at)
        for at, value in enumerate(values)
        if value == label or (isinstance(value, list) and label in value)
    )


def _spellings(counts: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """Groups of labels that are equal without case and white space, the most frequent of each first."""
    total: dict[str, int] = {}
    for one in counts.values():
        for label, count in one.items():
            total[label] = total.get(label, 0) + count
    alike: dict[str, list[str]] = {}
    names = list(total)
    for label, bare in zip(names, folded(pl.Series(names, dtype=pl.String)).to_list(), strict=True):
        alike.setdefault(bare.casefold(), []).append(label)
    return [sorted(group, key=lambda label: (-total[label], label)) for group in alike.values() if len(group) > 1]


def _merge_remedy(at: int, groups: Sequence[Sequence[str]]) -> str:
    """The flag that merges groups of labels, each into its first. A JSON text is a TOML text too."""
    pairs = ", ".join(f"{_quoted(one[0])} = [{', '.join(map(_quoted, one[1:]))}]" for one in groups)
    return f"merge them: --set 'targets.{at}.merge={{{pairs}}}'"


def _quoted(label: str) -> str:
    return json.dumps(label, ensure_ascii=False)


def _spelling(
    at: int,
    target: Target,
    given: Mapping[str, Rows],
    counts: Mapping[str, Mapping[str, int]],
    spelled: Sequence[Sequence[str]],
) -> Iterator[Issue]:
    if not spelled:
        return
    pairs = "; ".join(" and ".join(_said(label) for label in group) for group in spelled[:SHOWN])
    rare = spelled[0][-1]
    rows = next(given[name] for name, count in counts.items() if rare in count)
    more = f" and {len(spelled) - SHOWN} more" if len(spelled) > SHOWN else ""
    problem = f"labels that differ only by case or white space: {pairs}{more}"
    yield _issue("label_spelling", problem, _first_place(rows, target, rare), len(spelled), _merge_remedy(at, spelled))


def _unknown(
    at: int,
    target: Target,
    given: Mapping[str, Rows],
    counts: Mapping[str, Mapping[str, int]],
    spelled: Sequence[Sequence[str]],
) -> Iterator[Issue]:
    known = set(target.labels) or set(counts["training"])
    for name, rows in given.items():
        unknown = [label for label in counts[name] if label not in known]
        if not unknown:
            continue
        label, count = unknown[0], sum(counts[name][one] for one in unknown)
        more = f" (and {len(unknown) - 1} more labels)" if len(unknown) > 1 else ""
        why = "is not in the task's labels" if target.labels else "occurs in no training row"
        same = next(([*(one for one in group if one in known), label] for group in spelled if label in group), [label])
        if len(same) > 1:
            remedy = _merge_remedy(at, [same])
        else:
            close = nearest(label, known)
            remedy = close if close.startswith("did") else "add training rows of it, or leave these rows out"
        yield _issue(
            "unknown_label", f"label {_said(label)} {why}{more}", _first_place(rows, target, label), count, remedy
        )


def _small(
    target: Target, given: Mapping[str, Rows], counts: Mapping[str, Mapping[str, int]], task: Task
) -> Iterator[Issue]:
    """Classes with one training row, and with too few test rows to be measured."""
    train, rows = counts["training"], given["training"]
    single = [label for label, count in train.items() if count == 1]
    cut = "validation" not in given or ("test" not in given and task.split.test > 0)
    if target.kind == "classify" and len(single) == len(train) and cut:
        yield _issue("nothing_to_hold_out", "no label has two rows", rows.dataset.source, len(rows))
        return
    if single:
        more = f"; {len(single)} such classes" if len(single) > 1 else ""
        problem = f"{_said(single[0])} has a single training row: it is learnt from, but not measured{more}"
        yield _issue("single_row_class", problem, _first_place(rows, target, single[0]), len(single))
    if "test" in given:
        measured, of = {label: counts["test"].get(label, 0) for label in train}, given["test"]
    else:
        measured, of = {label: round(count * task.split.test) for label, count in train.items()}, rows
    few = {label: count for label, count in measured.items() if count < FEW_ROWS}
    if few and ("test" in given or task.split.test > 0):
        label, count = min(few.items(), key=lambda item: (item[1], item[0]))
        which = f"{len(few)} of {len(train)} classes have" if len(few) > 1 else f"1 of {len(train)} classes has"
        problem = (
            f"{which} fewer than {FEW_ROWS} test rows: {_said(label)} has {'about ' * ('test' not in given)}{count}"
        )
        yield _issue("small_class", problem, of.dataset.source, len(few))


def _leaked(given: Mapping[str, Rows]) -> Iterator[Issue]:
    for name in ("test", "validation"):
        if name not in given or not len(given[name]):
            continue
        rows = given[name]
        leaked = leaked_rows(given["training"], rows) & ~empty_inputs(rows)
        if leaked.any():
            place, count = _where(rows, leaked)
            what = "input occurs" if count == 1 else "inputs occur"
            yield _issue("leaked", f"{count} {name} {what} among the training rows too", place, count)


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
        yield _issue("language_mix", f"several languages: {said}", rows.dataset.source, count)


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
        yield _issue("long_row", problem, rows.place(int(sample[over][0])), count)
