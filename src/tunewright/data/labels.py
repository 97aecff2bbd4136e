"""What is wrong with the labels of a target: too few, unknown, spelled in two ways, too rare to be measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tunewright.core.errors import nearest
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.data.issues import FEW_ROWS, Issue, case, told_label
from tunewright.data.rows import Rows, folded

SHOWN = 3


def of_labels(at: int, target: Target, given: Mapping[str, Rows], task: Task) -> Iterator[Issue]:
    """What the labels of all parts together are looked at for."""
    if target.kind == "regress":
        yield from _one_number(target, given["training"])
        return
    if target.kind not in ("classify", "multilabel"):
        return
    counts = {name: counts_of(rows, target) for name, rows in given.items()}
    train = counts["training"]
    fewest = 2 if target.kind == "classify" else 1
    if len(train) < fewest and len(given["training"]):
        only = next((told_label(label) for label in train), "none")
        problem = f"{target.name} has a single label in training: {only}"
        yield case("one_class", problem, given["training"].dataset.source, len(given["training"]))
        return
    spelled = _spellings(counts)
    yield from unknown_labels(at, target, given, counts, spelled)
    yield from _spelling(at, target, given, counts, spelled)
    yield from _small(target, given, counts, task)
    olds = {old for group in target.merge.values() for old in group}
    raw = _raw_labels(given, target)
    for old in sorted(olds - raw):
        yield case("unused_merge", f"merge names {old!r}, which no row has", given["training"].dataset.source, 1)


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
        yield case("one_class", problem, rows.dataset.source, len(rows))


def counts_of(rows: Rows, target: Target) -> dict[str, int]:
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
    pairs = "; ".join(" and ".join(told_label(label) for label in group) for group in spelled[:SHOWN])
    rare = spelled[0][-1]
    rows = next(given[name] for name, count in counts.items() if rare in count)
    more = f" and {len(spelled) - SHOWN} more" if len(spelled) > SHOWN else ""
    problem = f"labels that differ only by case or white space: {pairs}{more}"
    yield case("label_spelling", problem, _first_place(rows, target, rare), len(spelled), _merge_remedy(at, spelled))


def unknown_labels(
    at: int,
    target: Target,
    given: Mapping[str, Rows],
    counts: Mapping[str, Mapping[str, int]],
    spelled: Sequence[Sequence[str]],
) -> Iterator[Issue]:
    """Labels that the task does not list, or that no training row has; the first of each part is named."""
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
        yield case(
            "unknown_label", f"label {told_label(label)} {why}{more}", _first_place(rows, target, label), count, remedy
        )


def _small(
    target: Target, given: Mapping[str, Rows], counts: Mapping[str, Mapping[str, int]], task: Task
) -> Iterator[Issue]:
    """Classes with one training row, and with too few test rows to be measured."""
    train, rows = counts["training"], given["training"]
    single = [label for label, count in train.items() if count == 1]
    cut = "validation" not in given or ("test" not in given and task.split.test > 0)
    if target.kind == "classify" and len(single) == len(train) and cut:
        yield case("nothing_to_hold_out", "no label has two rows", rows.dataset.source, len(rows))
        return
    if single:
        more = f"; {len(single)} such classes" if len(single) > 1 else ""
        problem = f"{told_label(single[0])} has a single training row: it is learnt from, but not measured{more}"
        yield case("single_row_class", problem, _first_place(rows, target, single[0]), len(single))
    if "test" in given:
        measured, of = {label: counts["test"].get(label, 0) for label in train}, given["test"]
    else:
        measured, of = {label: round(count * task.split.test) for label, count in train.items()}, rows
    few = {label: count for label, count in measured.items() if count < FEW_ROWS}
    if few and ("test" in given or task.split.test > 0):
        label, count = min(few.items(), key=lambda item: (item[1], item[0]))
        which = f"{len(few)} of {len(train)} classes have" if len(few) > 1 else f"1 of {len(train)} classes has"
        about = "" if "test" in given else "about "
        problem = f"{which} fewer than {FEW_ROWS} test rows: {told_label(label)} has {about}{count}"
        yield case("small_class", problem, of.dataset.source, len(few))


def unknown_review(train: Rows, task: Task) -> Iterator[Issue]:
    """Labels that people are to look at always, and that the model will never give."""
    counted = [target for target in task.targets if target.kind in ("classify", "multilabel")]
    known = {label for target in counted for label in counts_of(train, target)}
    known |= {label for target in task.targets for label in target.labels}
    others = any(target.kind != "regress" and target not in counted for target in task.targets)
    for label in task.review.labels if not others else ():  # what labels another kind has, its own code knows
        if label not in known:
            problem = f"review.labels names {told_label(label)}, which no training row has"
            yield case("unknown_review", problem, train.dataset.source, 1, nearest(label, known))
