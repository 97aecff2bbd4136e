"""What is taken for what: the pairs of classes that are confused, largest first.

Definition: a confusion is a pair of classes a → b; its rows are those of class a that were answered as b. The largest
one is the pair with the most rows.

Formula: share = rows of a answered as b / rows of a. "Pairs for half of the errors" is the smallest number of pairs
that together hold half of all wrong rows.

How to read: few pairs for half of the errors mean that work on a few definitions and their examples pays; many pairs
mean that errors are spread out and more rows of every class are needed. Large pairs in both directions often mean
labels that people also mix up.

Source: Townsend 1971, Theoretical analysis of an alphabetic confusion matrix, Perception & Psychophysics 9; interval
of Wilson 1927 (JASA 22).
"""

from __future__ import annotations

import numpy as np

from tunewright.audit._context import Context
from tunewright.audit._counts import confusion
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth"})
KINDS = frozenset({"classify"})
REMEDY = "read the rows of the largest confusion in the row file: mend their labels, or label more of both classes"

SHOWN = 50
SHOWN_BARS = 12


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return "largest_confusion", "pairs_for_half_of_errors"


def run(context: Context) -> list[Finding]:
    """The largest confusion with the list of them all, and how concentrated the errors are."""
    matrix = confusion(context)
    wrong = matrix - np.diag(np.diag(matrix))
    pairs = _ranked(wrong)
    errors = int(wrong.sum())
    if not pairs:
        note = "no row is wrong"
        return [Finding("confusion", metric, 0.0, n=context.rows, note=note) for metric in metrics(context.kind)]
    ranked = np.cumsum([wrong[a, b] for a, b in pairs])
    half = int(np.searchsorted(ranked, errors / 2)) + 1
    note = f"of {len(pairs)} pairs that occur, with {errors} wrong rows"
    return [
        _largest(context, matrix, pairs),
        Finding("confusion", "pairs_for_half_of_errors", float(half), n=context.rows, note=note),
    ]


def _ranked(wrong: Array) -> list[tuple[int, int]]:
    """Pairs with at least one row, largest first; ties in order of the labels."""
    truth, decided = np.nonzero(wrong)
    order = np.argsort(-wrong[truth, decided], kind="stable")
    return list(zip(truth[order].tolist(), decided[order].tolist(), strict=True))


def _largest(context: Context, matrix: Array, pairs: list[tuple[int, int]]) -> Finding:
    (a, b), labels = pairs[0], context.kind.labels
    rows, n = int(matrix[a, b]), int(matrix[a].sum())
    low, high = wilson(rows, n)
    note = f"{labels[a]} → {labels[b]}: {rows} rows"
    exhibits = (_bars(context, matrix, pairs), _table(context, matrix, pairs))
    measured = (rows / n, low, high, n)
    return Finding("confusion", "largest_confusion", *measured, source=WILSON, note=note, exhibits=exhibits)


def _bars(context: Context, matrix: Array, pairs: list[tuple[int, int]]) -> Exhibit:
    labels = context.kind.labels
    rows = tuple((f"{labels[a]} → {labels[b]}", int(matrix[a, b])) for a, b in pairs[:SHOWN_BARS])
    return Exhibit("Largest confusions", "bars", ("truth → answer", "rows"), rows)


def _table(context: Context, matrix: Array, pairs: list[tuple[int, int]]) -> Exhibit:
    labels, size = context.kind.labels, matrix.sum(1)
    rows = tuple(
        (labels[a], labels[b], int(matrix[a, b]), float(matrix[a, b] / size[a]), int(matrix[b, a]))
        for a, b in pairs[:SHOWN]
    )
    columns = ("truth", "answer", "rows", "share of the class", "rows the other way")
    note = f"the {SHOWN} largest of {len(pairs)} pairs" if len(pairs) > SHOWN else ""
    return Exhibit("Confused pairs", "table", columns, rows, note)


ZH_DOC = """什么被认成了什么：被混淆的类别对，数量多者在前。

定义：混淆是一对类别 a → b，指真实类别为 a 却被答成 b 的行。最大的混淆是行数最多的一对。

公式：占比 = a 中被答成 b 的行数 / a 的行数。“占一半错误的类别对数”是合起来包含一半错误行所需的最少对数。

解读：若少数几对就占了一半错误，值得改进这几类的定义与样例；若错误分散在许多对上，则每一类都需要更多数据。两个方向都
很大的一对，往往是人也会混淆的标签。

出处：Townsend 1971, Theoretical analysis of an alphabetic confusion matrix, Perception & Psychophysics 9；Wilson
1927（JASA 22）区间。
"""

ZH = {
    REMEDY: "查看逐行文件中最大混淆的行：改正其标签，或为这两类标注更多数据",
    "largest_confusion": "最大的混淆",
    "pairs_for_half_of_errors": "占一半错误的类别对数",
    "no row is wrong": "没有错误的行",
    "{} → {}: {} rows": "{} → {}：{} 行",
    "of {} pairs that occur, with {} wrong rows": "共出现 {} 对，错误 {} 行",
    "Largest confusions": "最大的混淆",
    "Confused pairs": "被混淆的类别对",
    "the {} largest of {} pairs": "{1} 对中最大的 {0} 对",
    "truth → answer": "真实 → 回答",
    "share of the class": "占该类的比例",
    "rows the other way": "反方向行数",
}
