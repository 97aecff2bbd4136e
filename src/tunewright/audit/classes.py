"""How well each class is found: precision, recall, F1 and rows per class, the worst class first.

Definition: recall of a class is the share of its rows that are found; precision is the share of right ones among the
rows decided so. The worst class is the one with the lowest recall among classes of at least 10 test rows.

Formula: recall = hits / rows of the class; precision = hits / rows decided so; F1 = 2 · hits / (the sum of both).

How to read: a high total hides a class that is always missed; this table does not. The worst of many classes looks bad
by chance alone, so its interval is widened for having looked at all of them. Classes with fewer than 10 rows are shown
but not judged: collect more test rows for them.

Source: van Rijsbergen 1979, Information Retrieval, ch. 7; interval of Wilson 1927 (JASA 22), at the count moved by
under half a row (Thulin 2014), at level 1 - 0.05 / k (Bonferroni, for k classes).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._counts import Counts, count
from tunewright.audit._intervals import SHARE, share
from tunewright.core.types import Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth"})
KINDS = frozenset({"classify", "multilabel"})
REMEDY = "label more training rows of the worst class and of what it is taken for"

MIN_ROWS = 10
SHOWN_BARS = 15


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return "worst_class.recall", "classes_too_small"


def run(context: Context) -> list[Finding]:
    """The worst class with everything about all classes beside it, and how many are too small to judge."""
    counts = count(context)
    order = np.lexsort((-counts.true, np.nan_to_num(counts.recall, nan=2.0)))
    exhibits = (_bars(context, counts, order), _table(context, counts, order))
    return [replace(_worst(context, counts, order), exhibits=exhibits), _too_small(context, counts)]


def _worst(context: Context, counts: Counts, order: NDArray[np.int64]) -> Finding:
    measured = [int(at) for at in order if counts.true[at] >= MIN_ROWS]
    if not measured:
        return Finding("classes", "worst_class.recall", None, note=f"no class has {MIN_ROWS} rows to be judged by")
    worst, rows = measured[0], int(counts.true[measured[0]])
    low, high = share(_found(context, worst), 1 - 0.05 / len(measured))
    source = f"{SHARE}; widened for the worst of {len(measured)} classes"
    note = f"worst class: {context.kind.labels[worst]}"
    value = float(counts.recall[worst])
    return Finding("classes", "worst_class.recall", value, low, high, rows, source=source, note=note)


def _found(context: Context, at: int) -> NDArray[np.bool_]:
    """bool (rows of the class,): which of them are found."""
    if context.truth.ndim == 2:
        return np.asarray(context.decided[context.truth[:, at] > 0, at] > 0)
    return np.asarray(context.decided[context.truth == at] == at)


def _too_small(context: Context, counts: Counts) -> Finding:
    small = int((counts.true < MIN_ROWS).sum())
    note = f"classes with fewer than {MIN_ROWS} test rows, of {len(counts.true)}"
    return Finding("classes", "classes_too_small", float(small), n=context.rows, note=note)


def _bars(context: Context, counts: Counts, order: NDArray[np.int64]) -> Exhibit:
    rows = []
    for at in [int(at) for at in order if counts.true[at]][:SHOWN_BARS]:
        low, high = share(_found(context, at))
        rows.append((context.kind.labels[at], float(counts.recall[at]), low, high))
    title = "Recall of the classes that are found worst" if len(counts.true) > SHOWN_BARS else "Recall per class"
    return Exhibit(title, "bars", ("class", "recall", "low", "high"), tuple(rows), "bar = recall, line = 95 % interval")


def _table(context: Context, counts: Counts, order: NDArray[np.int64]) -> Exhibit:
    columns = ("class", "precision", "recall", "f1", "rows", "decided so")
    figures = (counts.precision, counts.recall, counts.f1)
    rows = tuple(
        (
            context.kind.labels[at],
            *(None if np.isnan(figure[at]) else float(figure[at]) for figure in figures),
            int(counts.true[at]),
            int(counts.said[at]),
        )
        for at in map(int, order)
    )
    return Exhibit("All classes, lowest recall first", "table", columns, rows)


ZH_DOC = """各类别识别得如何：每一类的精确率、召回率、F1 与行数，最差的类在前。

定义：召回率是某类的行中被找到的比例；精确率是判为该类的行中正确的比例。最差的类指至少有10行测试数据的类中召回率最低
者。

公式：召回率 = 命中数 / 该类行数；精确率 = 命中数 / 判为该类的行数；F1 = 2 · 命中数 / 两者行数之和。

解读：总体得分高，可能掩盖某一类总被认错；此表不会。在许多类中挑出的最差者，单凭偶然也会显得很差，所以它的区间已按类
别数放宽。不足10行的类只列出、不评判：请为它们补充测试数据。

出处：van Rijsbergen 1979, Information Retrieval, 第7章；Wilson 1927（JASA 22）区间，计数移动不足半行
（Thulin 2014），水平 1 - 0.05 / k（k 类，Bonferroni 校正）。
"""

ZH = {
    REMEDY: "为最差的类及其常被误认成的类标注更多训练数据",
    "worst_class.recall": "最差类的召回率",
    "classes_too_small": "数据过少的类",
    "worst class: {}": "最差的类：{}",
    "no class has {} rows to be judged by": "没有一个类达到可供评判的 {} 行",
    "classes with fewer than {} test rows, of {}": "{1} 个类中测试数据不足 {0} 行的类数",
    "Recall of the classes that are found worst": "召回率最低的类",
    "Recall per class": "各类召回率",
    "bar = recall, line = 95 % interval": "条 = 召回率，线 = 95%区间",
    "All classes, lowest recall first": "全部类别，召回率低者在前",
    "class": "类别",
    "decided so": "判为该类",
}
