"""Whether answers of several labels keep their two rates: true labels left out, wrong labels said; and what stays open.

Definition: at a stated rate of errors every label of a row is said, stays open or is left out. Kept is the share of a
row's true labels that are said or stay open, over the rows that have a label; right is the share of the labels said
that are true, 1 where none is said. Both are promised to be 1 - the rate, each on the average over rows.

Formula: with n validation rows and the loss of each (share of its true labels below a limit; the largest share of wrong
ones among its labels from the limit on), the limit is the best one at which (sum of losses + 1) / (n + 1) is no larger
than the rate. Worst label: the least share kept of the labels with 10 rows or more, at 95 %.

How to read: the interval of both shares should hold the promise (0.90, 0.95), or lie above it. Open labels are what a
person has to look at: a better model leaves fewer, and answers more rows in full. The promise is on all rows together
and on rows like those that the model was fitted on. The least share of many labels lies low by chance; a large gap to
the promise asks for unsure.per_class = true.

Source: Angelopoulos, Bates, Fisch, Lei & Schuster 2022, Conformal Risk Control (ICLR 2024). Intervals of means of
shares: Wilson 1927, which is too wide where the shares of a row are not 0 or 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, bootstrap, wilson
from tunewright.audit.conformal import LEVELS, ROWS_OF_A_CLASS, SAME, SHOWN, WHY, WORST
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.kinds._promise import Scores

NEEDS = frozenset({"logits", "truth"})
KINDS = frozenset({"multilabel"})
REMEDY = "fit with more validation rows (--set split.validation=0.2), or promise less (--set unsure.error=0.1)"

FEW = "not run, because no label has 10 rows"
NONE = "not run, because no row has a label"
OF_LABELS = "of the labels with 10 rows or more, at 95 %"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    of_levels = [f"{name}_{level}" for level in LEVELS for name in ("kept", "right", "open", "whole")]
    return (*of_levels, "worst_label_kept")


def run(context: Context) -> list[Finding]:
    """Shares kept and right, open labels of a row, and rows answered in full, at 90 and 95 %; the worst label."""
    promise = getattr(context.kind, "promise", None)
    why = WHY if promise is None else SAME if _same_rows(context) else ""
    if why:
        return [Finding("conformal_labels", name, None, note=why) for name in metrics(context.kind)]
    found = [one for level, error in LEVELS.items() for one in _at_level(context, level, error)]
    return [*found, _worst(context)]


class Kept(NamedTuple):
    """Answers at a rate.

    inside : bool (n, k), true labels that are said or stay open
    kept : (m,), of the rows that have a label, the share of these; right : (n,), of the labels said, the share of true
    open : (n,), how many labels
    """

    inside: NDArray[np.bool_]
    kept: NDArray[np.float64]
    right: NDArray[np.float64]
    open: NDArray[np.int64]

    @classmethod
    def at(cls, context: Context, error: float) -> Kept:
        """What the model answers to the rows at a rate of errors."""
        said, unsure = context.kind.promise.at(error).parted(context.proba)  # type: ignore[attr-defined]
        true = context.truth > 0
        inside, true_of_row, said_of_row = (said | unsure) & true, true.sum(1), said.sum(1)
        having = true_of_row > 0
        right = np.where(said_of_row > 0, (said & true).sum(1) / np.maximum(said_of_row, 1), 1.0)
        return cls(inside, inside.sum(1)[having] / true_of_row[having], right, unsure.sum(1))


def _same_rows(context: Context) -> bool:
    """Whether the rows are those that the kept scores come from: there the shares are what they are by construction."""
    theirs = context.kind.promise  # type: ignore[attr-defined]
    per_class = len(theirs.left_out) > 1
    ours = type(theirs).of(context.proba, context.truth, theirs.error, per_class=per_class)
    pairs = list(zip((*ours.left_out, ours.wrong), (*theirs.left_out, theirs.wrong), strict=True))
    return all(_alike(one, other) for one, other in pairs)


def _alike(one: Scores, other: Scores) -> bool:
    if (one.rows, len(one.values)) != (other.rows, len(other.values)):
        return False
    return not one.values or float(np.abs(np.array(one.values) - other.values).mean()) < 2e-6


def _at_level(context: Context, level: str, error: float) -> list[Finding]:
    found, n = Kept.at(context, error), context.rows
    mean = float(found.open.mean())
    drawn = bootstrap(lambda rows: {"open": float(found.open[rows].mean())}, n, context.seed)["open"]
    whole = int((found.open == 0).sum())
    exhibits = (_table(context),) if level == "95" else ()
    return [
        _share(f"kept_{level}", found.kept, exhibits),
        _share(f"right_{level}", found.right),
        Finding("conformal_labels", f"open_{level}", mean, *bias_corrected(mean, drawn), n, source=BOOTSTRAP),
        Finding("conformal_labels", f"whole_{level}", whole / n, *wilson(whole, n), n, source=WILSON),
    ]


def _share(name: str, shares: NDArray[np.float64], exhibits: tuple[Exhibit, ...] = ()) -> Finding:
    n = len(shares)
    if not n:
        return Finding("conformal_labels", name, None, note=NONE, exhibits=exhibits)
    interval = wilson(float(shares.sum()), n)
    return Finding("conformal_labels", name, float(shares.mean()), *interval, n, source=WILSON, exhibits=exhibits)


def _worst(context: Context) -> Finding:
    hits, rows = Kept.at(context, LEVELS["95"]).inside.sum(0), (context.truth > 0).sum(0)
    found = np.flatnonzero(rows >= ROWS_OF_A_CLASS)
    if not len(found):
        return Finding("conformal_labels", "worst_label_kept", None, note=FEW)
    order = found[np.argsort(hits[found] / rows[found], kind="stable")].tolist()
    shares = [(float(hits[at] / rows[at]), *wilson(int(hits[at]), int(rows[at]))) for at in order]
    lines = [(context.kind.labels[at], int(rows[at]), *one) for at, one in zip(order, shares, strict=True)]
    columns = ("label", "rows", "kept", "low", "high")
    exhibit = Exhibit("Labels that are kept least", "table", columns, tuple(lines[:WORST]))
    n = int(rows[order[0]])
    return Finding(
        "conformal_labels", "worst_label_kept", *shares[0], n, source=WILSON, note=OF_LABELS, exhibits=(exhibit,)
    )


def _table(context: Context) -> Exhibit:
    lines = []
    for error in SHOWN:
        found = Kept.at(context, error)
        kept = float(found.kept.mean()) if len(found.kept) else None
        lines.append(
            (1 - error, kept, float(found.right.mean()), float(found.open.mean()), float((found.open == 0).mean()))
        )
    columns = ("promised", "kept", "right", "open labels", "answered in full")
    return Exhibit("What a promise costs", "table", columns, tuple(lines))


ZH_DOC = """多标签的回答是否守住两个错误率：被漏掉的真实标签，被误说的标签；还有多少标签悬而未决。

定义：在给定的错误率下，每一行的每个标签或被说出，或待定，或被排除。保留率是一行的真实标签中被说出或待定者所占的比例，只计
有标签的行；正确率是说出的标签中为真者所占的比例，未说出任何标签时为1。二者各自对各行取平均，都承诺为1减去错误率。

公式：设有 n 个验证行及其损失（真实标签低于界限的比例；自界限以上误说标签所占比例的最大值），界限取使（损失之和 + 1）/
（n + 1）不大于错误率的最佳值。最差标签：行数不少于10的标签中，95%水平下的最低保留率。

解读：两个比例的区间应包含承诺值（0.90、0.95）或高于它。待定的标签需要人来看：模型越好，待定越少，完整回答的行越多。承诺
针对全部行，且只对与训练数据同类的行成立。标签很多时，最低保留率会因偶然而偏低；若与承诺相差很大，可设
unsure.per_class = true。

出处：Angelopoulos, Bates, Fisch, Lei & Schuster 2022, Conformal Risk Control（ICLR 2024）。比例均值的区间用 Wilson
1927；当一行的比例并非 0 或 1 时它偏宽。
"""

ZH = {
    REMEDY: "用更多验证数据（--set split.validation=0.2），或降低承诺（--set unsure.error=0.1）",
    **{
        f"{name}_{level}": f"{level}%承诺下的{chinese}"
        for level in LEVELS
        for name, chinese in (
            ("kept", "保留率"),
            ("right", "正确率"),
            ("open", "平均待定标签数"),
            ("whole", "完整回答比例"),
        )
    },
    "worst_label_kept": "最差标签的保留率",
    WHY: "未运行，因为模型没有保存错误率所依据的得分",
    SAME: "未运行，因为所保存的得分正来自这些行：请另给测试数据",
    FEW: "未运行，因为没有任何标签达到10行",
    NONE: "未运行，因为没有一行有标签",
    OF_LABELS: "行数不少于10的标签，95%水平",
    "What a promise costs": "承诺的代价",
    "promised": "承诺",
    "kept": "保留率",
    "right": "正确率",
    "open labels": "待定标签",
    "answered in full": "完整回答",
    "label": "标签",
    "low": "下限",
    "high": "上限",
    "Labels that are kept least": "保留率最低的标签",
}
"""Chinese for what stands in findings and exhibits."""
