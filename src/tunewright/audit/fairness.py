"""Whether groups are treated alike: how often each is answered right, and how often each gets each label.

Definition: for each column that the task names in `audit.groups`, the rows of each value are a group. The gap is the
difference between the group that is answered best and the one that is answered worst. Demographic parity asks that
every group gets a label equally often; equalised odds that, among rows that have the label, and among rows that have
it not, every group gets it equally often.

Formula: group_gap = max over groups of the metric - min; of numbers the metric is the mean absolute error.
demographic_parity_difference = max over labels of the largest difference in P(answer = label | group);
equalized_odds_difference = max over labels of the larger one of the same differences in P(answer = label | truth =
label, group) and P(answer = label | truth ≠ label, group).

How to read: 0 is best for all differences. What chance alone would make of no difference stands beside each: only what
exceeds it is a fault. A gap that the interval holds above 0 is one. Groups of fewer than 30 rows, and labels with fewer
than 10 rows in a group, are too small to be judged, so that a gate on them is missed: collect more rows, or leave the
cell empty in rows of groups that are not to be judged. A difference in demographic parity is a fault only where groups
do not differ in truth.

Source: Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning; Bird et al. 2020, Fairlearn, whose
MetricFrame is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tunewright.audit._column import ODDS, PARITY, Column, measure
from tunewright.audit._context import Context
from tunewright.audit._groups import MOST, Grouped
from tunewright.core.types import Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth", "groups"})
KINDS = frozenset({"classify", "multilabel", "regress"})
BY_GROUP = True
REMEDY = "set fairness.reweigh or fairness.augment, or label more rows of the group that is answered worst"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings; each is of a column, and ``group.…`` of a group in it."""
    of_labels = (PARITY, ODDS) if kind.labels else ()
    metric = measure(kind)
    return (f"group.{metric}", "group_gap", f"worst_group.{metric}", *of_labels)


def wanted(context: Context) -> bool:
    """Whether a fit says anything of it: where the task names groups, or a gate on them."""
    return (
        bool(context.groups) or bool(context.task and context.task.audit.groups) or context.gated(metrics(context.kind))
    )


def run(context: Context) -> list[Finding]:
    """Every column of groups, one after the other."""
    columns = [Grouped.of(column, values) for column, values in context.groups.items()]
    return [finding for column in columns for finding in _column(context, column)]


def _column(context: Context, grouped: Grouped) -> list[Finding]:
    why = _unfit(grouped)
    if why:
        names = metrics(context.kind)[1:]
        return [Finding("fairness", name, None, slice=grouped.column, note=f"not run, because {why}") for name in names]
    measured = Column(context, grouped)
    worst = measured.worst()
    found = [measured.gap(), replace(worst, exhibits=(*measured.tables(), *_before_and_after(context, grouped)))]
    return [*measured.groups(), *found, *(measured.rates() if context.kind.labels else ())]


def _unfit(grouped: Grouped) -> str:
    if not grouped.names:
        return f"no row has a value in column {grouped.column!r}"
    if len(grouped.names) == 1:
        return f"column {grouped.column!r} has one value: there is nothing to compare"
    if len(grouped.names) > MOST:
        return f"column {grouped.column!r} has {len(grouped.names)} values: it holds no groups"
    return ""


def _before_and_after(context: Context, grouped: Grouped) -> Iterator[Exhibit]:
    """What the thresholds that `fairness.thresholds` asks for changed on these rows."""
    if not getattr(context.kind, "offsets", ()):
        return
    plain = replace(context.kind, offsets=())  # type: ignore[type-var]
    both = [Column(one, grouped) for one in (replace(context, kind=plain), context)]
    rows = (
        ("group_gap", *(float(np.ptp(one.values)) for one in both)),
        (f"worst_group.{both[0].metric}", *(float(one.values.min()) for one in both)),
        (both[0].metric, *(one.value_of(np.arange(len(one.at))) for one in both)),
    )
    title = f"Before and after thresholds, groups of {grouped.column}"
    yield Exhibit(title, "table", ("measure", "before", "after"), rows)


ZH_DOC = """各群体是否被同等对待：每个群体答对的比例，以及得到各标签的比例。

定义：对任务在 `audit.groups` 中列出的每一列，取值相同的行为一个群体。差距是答得最好的群体与最差的群体之差。人口均等要求
各群体得到某标签的比例相同；均等机会（equalised odds）要求在确有该标签的行中、以及没有该标签的行中，各群体得到它的比例都
相同。

公式：group_gap = 各群体指标的最大值 - 最小值；数值任务的指标为平均绝对误差。demographic_parity_difference = 对标签取最
大的 P(回答 = 标签 | 群体) 之最大差；equalized_odds_difference = 对标签取最大的 P(回答 = 标签 | 真实 = 标签, 群体) 与
P(回答 = 标签 | 真实 ≠ 标签, 群体) 两个最大差中的较大者。

解读：各项差异以 0 为最佳。每项旁边给出“仅凭偶然”的数值：只有超出它的部分才是缺陷。区间在 0 以上的差距才可确认。不足 30
行的群体，以及在某群体中不足 10 行的标签，都太小而无法评判，针对它们的门槛视为未达标：请收集更多数据，或把不参与评判的
群体的单元格留空。只有当各群体的真实情况相同时，人口均等的差异才是缺陷。

出处：Hardt, Price 与 Srebro 2016, Equality of Opportunity in Supervised Learning；Bird et al. 2020, Fairlearn（使用其
MetricFrame）。
"""

ZH = {
    REMEDY: "设置 fairness.reweigh 或 fairness.augment，或为答得最差的群体标注更多数据",
    "group.accuracy": "群体准确率",
    "group.micro_f1": "群体微平均 F1",
    "group.mae": "群体平均绝对误差",
    "group_gap": "群体差距",
    "worst_group.accuracy": "最差群体的准确率",
    "worst_group.micro_f1": "最差群体的微平均 F1",
    "worst_group.mae": "最差群体的平均绝对误差",
    PARITY: "人口均等之差",
    ODDS: "均等机会之差",
    "worst group: {}": "最差的群体：{}",
    "from {} to {}; by chance alone {}": "从 {} 到 {}；仅凭偶然为 {}",
    "largest for {}; mean over labels {}; by chance alone {}": "最大者为 {}；各标签平均 {}；仅凭偶然为 {}",
    "too small to be judged: fewer than {} rows": "太小，无法评判：不足 {} 行",
    "too small to be judged: groups with fewer than {} rows: {}": "太小，无法评判：不足 {} 行的群体：{}",
    "too small to be judged: labels with or without which a group has fewer than {} rows: {}": (
        "太小，无法评判：某群体中有或没有该标签的行不足 {} 行：{}"
    ),
    "not run, because no row has a value in column {}": "未运行，因为列 {} 中没有任何值",
    "not run, because column {} has one value: there is nothing to compare": (
        "未运行，因为列 {} 只有一个值：没有可比较的群体"
    ),
    "not run, because column {} has {} values: it holds no groups": "未运行，因为列 {} 有 {} 个值：它不是群体列",
    "Groups of {}": "{} 的各群体",
    "bar = value, line = 95 % interval; the group that is answered worst stands first": (
        "条 = 数值，线 = 95%区间；答得最差的群体在前"
    ),
    "How far the groups of {} lie apart, by label": "{} 各群体之间的差异（按标签）",
    "largest difference between two groups": "两个群体之间的最大差",
    "Before and after thresholds, groups of {}": "调整判定门限前后，{} 的各群体",
    "group": "群体",
    "label": "标签",
    "said": "得到该标签",
    "found": "正确识别",
    "said wrongly": "误得该标签",
    "rows in the smallest group": "最小群体中的行数",
    "measure": "指标",
    "before": "之前",
    "after": "之后",
    "mae": "平均绝对误差",
    "micro_f1": "微平均 F1",
}
