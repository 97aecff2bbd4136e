"""What a compressed bundle answers otherwise than the one that it was made from, with or without labels.

Definition: a row flips if the compressed bundle decides it otherwise. The score shift is by how much the scores move.
For numbers, a row flips if its number moves by more than a twentieth of the spread of all.

Formula: flips = rows decided otherwise / rows. score_shift = mean |score after - score before|, of the label that was
decided before, or of all labels where a row may have several; for numbers mean |after - before| / standard deviation.

How to read: a flip is no error by itself: rows near the border between two labels flip first, from right to wrong and
back. Where the rows have labels, the section "compare" tells which. Read the flipped rows beside the bundle.

Source: Hooker et al. 2019, What Do Compressed Deep Neural Networks Forget? Intervals: Wilson 1927.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"before", "logits"})
KINDS = frozenset({"classify", "multilabel", "regress"})
ON_REQUEST = True
REMEDY = "try the next safer step, or compress the bundle without this one"

MOVED = 0.05


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("flips", "score_shift")


def run(context: Context) -> list[Finding]:
    """Flips with their rows, where no audit that knows the truth shows them; and how far the scores moved."""
    before = context.before
    assert before is not None
    flipped, n = _flipped(before, context), context.rows
    count = int(flipped.sum())
    low, high = wilson(count, n)
    exhibits = (_rows(before, context, flipped),) if context.inputs is not None and context.truth is None else ()
    note = f"{count} of {n} rows"
    return [
        Finding("compress", "flips", count / n, low, high, n, source=WILSON, note=note, exhibits=exhibits),
        Finding("compress", "score_shift", _shift(before, context), n=n),
    ]


def _flipped(before: Context, after: Context) -> NDArray[np.bool_]:
    old, new = before.decided, after.decided
    if not after.kind.labels:
        return np.asarray(np.abs(new - old).ravel() > MOVED * _spread(old))
    other = old != new
    return np.asarray(other.any(1) if other.ndim == 2 else other)


def _shift(before: Context, after: Context) -> float:
    old, new = before.decided, after.decided
    if not after.kind.labels:
        return float(np.abs(new - old).mean() / _spread(old))
    moved = np.abs(after.proba - before.proba)
    return float(moved.mean() if old.ndim == 2 else moved[np.arange(len(old)), old].mean())


def _spread(numbers: Array) -> float:
    return float(np.std(numbers)) or 1.0


def _rows(before: Context, after: Context, flipped: NDArray[np.bool_]) -> Exhibit:
    inputs = after.inputs or {}
    rows = tuple(
        (
            after.place(row),
            *(str(column[row]) for column in inputs.values()),
            *(_said(one, row) for one in (before, after)),
        )
        for row in np.flatnonzero(flipped).tolist()
    )
    return Exhibit("Rows that flipped", "table", ("place", *inputs, "before", "after"), rows, private=True)


def _said(context: Context, row: int) -> str | float:
    labels, decided = context.kind.labels, context.decided[row]
    if not labels:
        return float(np.ravel(decided)[0])
    if np.ndim(decided):
        return ", ".join(labels[at] for at in np.flatnonzero(decided)) or "–"
    return labels[int(decided)]


ZH_DOC = """压缩后的模型包与原模型包相比，哪些回答不同；有无标签均可。

定义：压缩后的模型包若对某行作出不同的判断，则该行翻转。得分变化是得分移动的幅度。对数值而言，若某行的数值移动超过全部
数值离散程度的二十分之一，则该行翻转。

公式：flips = 判断不同的行数 / 行数。score_shift = |之后得分 - 之前得分| 的均值，取之前判定的标签；一行可有多个标签时取
全部标签；对数值取 |之后 - 之前| 的均值 / 标准差。

解读：翻转本身并非错误：处于两个标签边界附近的行最先翻转，有由对变错的，也有由错变对的。若数据有标签，“对比”一节会说明
是哪一种。请查看模型包旁的翻转行。

出处：Hooker et al. 2019, What Do Compressed Deep Neural Networks Forget? 区间：Wilson 1927。
"""

ZH = {
    REMEDY: "尝试下一种更稳妥的设置，或不用这一步压缩",
    "flips": "翻转",
    "score_shift": "得分变化",
    "{} of {} rows": "{1} 行中的 {0} 行",
    "Rows that flipped": "翻转的行",
    "What was tried": "尝试过的设置",
    "step": "步骤",
    "setting": "设置",
    "size in MB": "大小（MB）",
    "p50 in ms": "p50（毫秒）",
    "p99 in ms": "p99（毫秒）",
    "rows per second": "每秒行数",
    "measure": "指标",
    "value": "值",
    "low": "下限",
    "high": "上限",
    "lost": "损失",
    "lost, low": "损失下限",
    "lost, high": "损失上限",
    "largest recall lost": "召回率最大损失",
    "score shift": "得分变化",
    "outcome": "结果",
}
