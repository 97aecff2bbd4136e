"""Cross-validation: every row answered by a fit that had not seen it, so that all rows are judged.

Definition: the rows are cut into folds; for each, a model of its own is fitted on the others and answers the rows of
the fold. Equal inputs and, by group, whole groups lie in one fold; by time, each fold comes after what was learnt.

Formula: each metric is computed once on the answers of all folds together. Mean and spread (standard deviation with
k - 1) are those of the metric computed within each of the k folds.

How to read: the value is that of the way of fitting, on rows like these; the model that ships has learnt from more
rows than any fold's and is mostly a little better. The interval tells how much depends on which rows were judged. The
spread tells how much a result changes with the rows that are learnt from and judged; no interval is given for the
mean, since the fits share most of their rows and no unbiased one is known.

Source: Stone 1974 (JRSS B 36); answers taken together: Forman and Scholz 2010 (SIGKDD Explorations 12); no unbiased
estimate of the variance over folds: Bengio and Grandvalet 2004 (JMLR 5).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunewright.audit._context import Context, Folds
from tunewright.audit._measured import measured, names
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"folds"})
KINDS = None
ON_REQUEST = True
REMEDY = "try --method full with more --minutes, or label more rows like those that are answered wrongly"

CROSS = "cross-validation"
"""What the findings are a slice of, where there is a test part too."""


def metrics(kind: Kind) -> tuple[str, ...]:
    """The metrics of the kind, and mean and spread over the folds of those that stand first."""
    return (*names(kind), *(f"fold_{what}.{name}" for name in kind.headline for what in ("mean", "spread")))


def run(context: Context) -> list[Finding]:
    """All metrics over all folds, then mean and spread of the first ones, with the folds one by one beside them."""
    folds = context.folds
    assert folds is not None
    part = "" if folds.instead else CROSS
    if len(folds.learnt) < folds.asked:
        note = f"not run, because it was interrupted after {len(folds.learnt)} of {folds.asked} folds"
        return [Finding("folds", name, None, slice=part, note=note) for name in metrics(context.kind)]
    each = [_of_fold(context.kind, folds, at) for at in range(1, folds.asked + 1)]
    found = _over_all(context, folds) + _over_folds(context.kind, folds, each)
    found[0] = replace(found[0], exhibits=(_table(context.kind, folds, each),))
    return [replace(one, slice=part) for one in found]


def _over_all(context: Context, folds: Folds) -> list[Finding]:
    note = f"{len(folds.truth)} rows in {folds.asked} folds, each answered by a fit that had not seen it"
    found = measured("folds", context.kind, folds.decided, folds.truth, context.seed)
    return [
        replace(one, source=f"{CROSS} with {folds.asked} folds; {one.source}", note=one.note or note) for one in found
    ]


def _of_fold(kind: Kind, folds: Folds, at: int) -> dict[str, float]:
    index: Array = np.flatnonzero(folds.fold == at)
    return kind.metrics(folds.decided[index], folds.truth[index])


def _over_folds(kind: Kind, folds: Folds, each: list[dict[str, float]]) -> list[Finding]:
    found = []
    for name in kind.headline:
        values = np.array([one[name] for one in each])
        source = f"{CROSS} with {folds.asked} folds, computed within each"
        told = {"mean": float(values.mean()), "spread": float(values.std(ddof=1))}
        found += [Finding("folds", f"fold_{what}.{name}", told[what], n=len(each), source=source) for what in told]
    return found


def _table(kind: Kind, folds: Folds, each: list[dict[str, float]]) -> Exhibit:
    rows = []
    for at, one in enumerate(each, 1):
        counts = folds.learnt[at - 1], int((folds.fold == at).sum())
        rows.append((at, folds.methods[at - 1], *counts, *(one[name] for name in kind.headline)))
    return Exhibit(
        "Fold by fold", "table", ("fold", "method", "rows learnt from", "rows judged", *kind.headline), tuple(rows)
    )


ZH_DOC = """交叉验证：每一行都由没有见过它的模型来回答，因此所有行都得到评估。

定义：把数据分成若干折；对每一折，用其余各折单独训练一个模型，再由它回答这一折的行。输入相同的行（按组划分时为
整个组）总在同一折中；按时间划分时，每一折都晚于所学的数据。

公式：每个指标在所有折的答案上合并计算一次。均值与离散度（分母为 k - 1 的标准差）来自在 k 折中分别计算的指标。

解读：该数值衡量的是这种训练方式在同类数据上的表现；最终发布的模型学到的行比任何一折都多，通常略好。区间说明结果
在多大程度上取决于被评估的是哪些行。离散度说明结果随所学与所评的行变化多少；均值不附区间，因为各折的训练数据大部分
相同，没有已知的无偏估计。

出处：Stone 1974（JRSS B 36）；合并各折答案：Forman 与 Scholz 2010（SIGKDD Explorations 12）；各折方差没有无偏
估计：Bengio 与 Grandvalet 2004（JMLR 5）。
"""

NAMES = {
    "accuracy": "准确率",
    "macro_f1": "宏平均 F1",
    "micro_f1": "微平均 F1",
    "subset_accuracy": "完全匹配率",
    "r2": "决定系数 R²",
    "mae": "平均绝对误差",
    "spearman": "秩相关系数（Spearman）",
}

ZH = {
    REMEDY: "用 --method full 并增加 --minutes，或标注更多与答错的行相似的数据",
    CROSS: "交叉验证",
    "validation part": "验证部分",
    "{} rows in {} folds, each answered by a fit that had not seen it": "{1} 折共 {0} 行，每行均由没有见过它的模型回答",
    "not run, because it was interrupted after {} of {} folds": "未运行，因为在 {1} 折中完成 {0} 折后被中断",
    "not defined on these rows": "在这些行上无定义",
    "Fold by fold": "逐折结果",
    "fold": "折",
    "method": "方法",
    "rows learnt from": "学习的行数",
    "rows judged": "评估的行数",
    **NAMES,
    **{f"fold_mean.{name}": f"各折均值：{shown}" for name, shown in NAMES.items()},
    **{f"fold_spread.{name}": f"各折离散度：{shown}" for name, shown in NAMES.items()},
}
