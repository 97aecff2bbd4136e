"""Wrong although sure: how many mistakes are made with a high score, and which they are.

Definition: a confident mistake is a row that is answered wrongly with a score of at least 0.9. For several labels per
row it is a row with at least one label that is called, or left out, wrongly with such a score.

Formula: share = confident mistakes / rows.

How to read: nobody checks what looks sure, so these mistakes reach users. Read them first, in the row file beside the
bundle: they often are wrong labels in the data, and mending those is the cheapest gain.

Source: Northcutt et al. 2021, Confident Learning (JAIR 70); interval of Wilson 1927 (JASA 22).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth", "inputs", "scores"})
KINDS = frozenset({"classify", "multilabel"})
REMEDY = "read the rows in the row file beside the bundle and mend wrong labels"

SURE = 0.9
SHOWN = 100


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("confident_mistakes",)


def run(context: Context) -> list[Finding]:
    """The share of confident mistakes; the rows themselves in a private exhibit."""
    sureness = _sureness(context)
    wrong = int((sureness >= SURE).sum())
    low, high = wilson(wrong, context.rows)
    note = f"{wrong} rows are wrong with a score of {SURE} or more"
    value, exhibits = wrong / context.rows, (_rows(context, sureness),)
    measured = (value, low, high, context.rows)
    return [Finding("mistakes", "confident_mistakes", *measured, source=WILSON, note=note, exhibits=exhibits)]


def _sureness(context: Context) -> Array:
    """(n,): the score of the wrong answer (the surest wrong label), 0 where the row is right."""
    proba, decided, truth = context.proba, context.decided, context.truth
    if truth.ndim == 2:
        said = np.where(decided > 0, proba, 1 - proba)
        return np.asarray(np.where(decided != truth, said, 0.0).max(1))
    return np.where(decided != truth, proba[np.arange(len(truth)), decided], 0.0)


def _rows(context: Context, sureness: Array) -> Exhibit:
    order = [int(row) for row in np.argsort(-sureness, kind="stable")[:SHOWN] if sureness[row] > 0]
    columns = ("place", *context.inputs, "truth", "answer", "score")
    rows = tuple(
        (
            context.place(row),
            *(str(column[row]) for column in context.inputs.values()),
            _named(context, context.truth[row]),
            _named(context, context.decided[row]),
            float(sureness[row]),
        )
        for row in order
    )
    return Exhibit("Most confident mistakes", "table", columns, rows, private=True)


def _named(context: Context, coded: Any) -> str:
    labels = context.kind.labels
    if np.ndim(coded):
        return ", ".join(labels[at] for at in np.flatnonzero(coded)) or "–"
    return labels[int(coded)]


ZH_DOC = """很有把握却答错：高分错误有多少，是哪些。

定义：高分错误指得分不低于0.9却答错的行。一行可有多个标签时，指至少有一个标签以这样的得分被误判（误报或漏报）的行。

公式：占比 = 高分错误行数 / 总行数。

解读：看起来有把握的回答没人复查，这些错误会直接到达用户。请先看它们（见模型包旁边的逐行文件）：其中往往是数据标错，
改正它们是成本最低的提升。

出处：Northcutt et al. 2021, Confident Learning (JAIR 70)；Wilson 1927（JASA 22）区间。
"""

ZH = {
    REMEDY: "查看模型包旁边的逐行文件，改正标错的标签",
    "confident_mistakes": "高分错误",
    "{} rows are wrong with a score of {} or more": "{} 行以不低于 {} 的得分答错",
    "Most confident mistakes": "最有把握的错误",
    "place": "位置",
}
