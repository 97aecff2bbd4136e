"""Whether sets of labels hold the true one as often as promised, how large they are, and how many rows are answered.

Definition: at a stated rate of errors the model gives a set of labels that may be true. Coverage is the share of rows
whose set holds the true label; it is promised to be 1 - the rate. A row is answered where its set has one label alone.

Formula: a label is in the set where 1 - p is no larger than the ⌈(n + 1)(1 - rate)⌉-th smallest 1 - p of the true
labels of n validation rows. Worst class: the least coverage of the classes with 10 rows or more, at 95 %.

How to read: the interval of the coverage should hold the promise (0.90, 0.95). The promise is on all rows together: of
100 rows, 5 at the most get a set, or a single answer, without the true label. It says nothing of rows of another kind
than those that the model was fitted on. Small sets and a large share of single answers are what a better model gives.
The least coverage of many classes lies low by chance; a large gap to the promise asks for unsure.per_class = true.

Source: Vovk et al. 2005, Algorithmic Learning in a Random World; Sadinle et al. 2019, JASA 114; Angelopoulos & Bates
2023, Conformal Prediction: A Gentle Introduction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, bootstrap, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth"})
KINDS = frozenset({"classify"})
REMEDY = "fit with more validation rows (--set split.validation=0.2), or promise less (--set unsure.error=0.1)"

LEVELS = {"90": 0.1, "95": 0.05}
SHOWN = (0.2, 0.1, 0.05, 0.02, 0.01)
"""Rates in the table."""
ROWS_OF_A_CLASS = 10
WORST = 10
"""Classes in the table."""
WHY = "not run, because the model keeps no scores that a rate of errors rests on"
SAME = "not run, because these are the rows that the kept scores come from: name other rows as test part"
FEW = "not run, because no class has 10 rows"
OF_CLASSES = "of the classes with 10 rows or more, at 95 %"
SINGLE_WRONG = "of all rows: answered with a single label, and it is wrong"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    of_levels = [f"{name}_{level}" for level in LEVELS for name in ("covered", "set_size", "single", "single_wrong")]
    return (*of_levels, "worst_class_covered")


def run(context: Context) -> list[Finding]:
    """Coverage, size of the sets and share of single answers at 90 and 95 %; the worst class."""
    promise = getattr(context.kind, "promise", None)
    why = WHY if promise is None else SAME if _same_rows(context) else ""
    if why:
        return [Finding("conformal", name, None, note=why) for name in metrics(context.kind)]
    found = [one for level, error in LEVELS.items() for one in _at_level(context, level, error)]
    return [*found, _worst(context)]


def _same_rows(context: Context) -> bool:
    """Whether the rows are those that the kept scores come from: there coverage is what it is by construction."""
    groups = context.kind.promise.groups  # type: ignore[attr-defined]
    scores = 1 - context.proba[np.arange(context.rows), context.truth]
    parts = [scores] if len(groups) == 1 else [scores[context.truth == at] for at in range(len(groups))]
    if [len(part) for part in parts] != [one.rows for one in groups]:
        return False
    ours = np.concatenate(
        [np.sort(part)[np.array(one.ranks, int) - 1] for part, one in zip(parts, groups, strict=True)]
    )
    apart = np.abs(ours - np.concatenate([one.values for one in groups])).mean()
    # Kept scores of a scaled kind come from factors of other folds, so they are near to those of the same rows.
    return bool(apart < (0.02 if getattr(context.kind, "factors", ()) else 2e-6))


def sets_at(context: Context, error: float) -> NDArray[np.bool_]:
    """bool (n, k): the set of each row at a rate of errors."""
    held: NDArray[np.bool_] = context.kind.promise.at(error).sets(context.proba)  # type: ignore[attr-defined]
    return held


def _at_level(context: Context, level: str, error: float) -> list[Finding]:
    held, n = sets_at(context, error), context.rows
    inside, sizes = held[np.arange(n), context.truth], held.sum(1)
    single, wrong = sizes == 1, (sizes == 1) & ~inside
    mean = float(sizes.mean())
    drawn = bootstrap(lambda rows: {"size": float(sizes[rows].mean())}, n, context.seed)["size"]
    exhibits = (_table(context),) if level == "95" else ()
    covered, answered, missed = (int(one.sum()) for one in (inside, single, wrong))
    return [
        _share(f"covered_{level}", covered, n, exhibits=exhibits),
        Finding("conformal", f"set_size_{level}", mean, *bias_corrected(mean, drawn), n, source=BOOTSTRAP),
        _share(f"single_{level}", answered, n),
        _share(f"single_wrong_{level}", missed, n, note=SINGLE_WRONG),
    ]


def _share(name: str, hits: int, n: int, note: str = "", exhibits: tuple[Exhibit, ...] = ()) -> Finding:
    return Finding("conformal", name, hits / n, *wilson(hits, n), n, source=WILSON, note=note, exhibits=exhibits)


def _worst(context: Context) -> Finding:
    held = sets_at(context, LEVELS["95"])
    inside, k = held[np.arange(context.rows), context.truth], context.kind.size
    rows, hits = (np.bincount(of, minlength=k) for of in (context.truth, context.truth[inside]))
    kept = np.flatnonzero(rows >= ROWS_OF_A_CLASS)
    if not len(kept):
        return Finding("conformal", "worst_class_covered", None, note=FEW)
    order = kept[np.argsort(hits[kept] / rows[kept], kind="stable")]
    at = int(order[0])
    bounds = wilson(int(hits[at]), int(rows[at]))
    exhibit = _classes(context, order[:WORST], rows, hits)
    value = float(hits[at] / rows[at])
    return Finding(
        "conformal", "worst_class_covered", value, *bounds, int(rows[at]), source=WILSON, note=OF_CLASSES,
        exhibits=(exhibit,),
    )  # fmt: skip


def _table(context: Context) -> Exhibit:
    lines = []
    for error in SHOWN:
        held, n = sets_at(context, error), context.rows
        inside, sizes = held[np.arange(n), context.truth], held.sum(1)
        hits, single = int(inside.sum()), int((sizes == 1).sum())
        wrong = int(((sizes == 1) & ~inside).sum())
        lines.append((1 - error, hits / n, *wilson(hits, n), float(sizes.mean()), single / n, wrong / n))
    columns = ("promised", "covered", "low", "high", "mean set size", "single answers", "single and wrong")
    return Exhibit("What a promise costs", "table", columns, tuple(lines))


def _classes(context: Context, order: Array, rows: Array, hits: Array) -> Exhibit:
    lines = tuple(
        (context.kind.labels[at], int(rows[at]), hits[at] / rows[at], *wilson(int(hits[at]), int(rows[at])))
        for at in order.tolist()
    )
    lines = tuple((label, n, float(share), low, high) for label, n, share, low, high in lines)
    return Exhibit("Classes with the least coverage", "table", ("class", "rows", "covered", "low", "high"), lines)


ZH_DOC = """标签集合是否如承诺般包含真实标签，集合有多大，有多少行得到回答。

定义：在给定的错误率下，模型给出一个可能为真的标签集合。覆盖率是集合包含真实标签的行所占比例，承诺为1减去错误率。集合
恰有一个标签时，该行即得到回答。

公式：若某标签的 1 - p 不大于 n 个验证行真实标签的 1 - p 中第 ⌈(n + 1)(1 - 错误率)⌉ 小者，则它属于集合。最差类别：
行数不少于10的类别中，95%水平下的最低覆盖率。

解读：覆盖率的区间应包含承诺值（0.90、0.95）。承诺针对全部行：每100行中至多5行的集合或单一回答不含真实标签。对于与训练
数据不同类的行，它不作任何保证。模型越好，集合越小，单一回答越多。类别很多时，最低覆盖率会因偶然而偏低；若与承诺相差很大，
可设 unsure.per_class = true。

出处：Vovk et al. 2005, Algorithmic Learning in a Random World；Sadinle et al. 2019, JASA 114；Angelopoulos & Bates
2023, Conformal Prediction: A Gentle Introduction。
"""

ZH = {
    REMEDY: "用更多验证数据（--set split.validation=0.2），或降低承诺（--set unsure.error=0.1）",
    "covered_90": "90%承诺下的覆盖率",
    "covered_95": "95%承诺下的覆盖率",
    "set_size_90": "90%承诺下的平均集合大小",
    "set_size_95": "95%承诺下的平均集合大小",
    "single_90": "90%承诺下的单一回答比例",
    "single_95": "95%承诺下的单一回答比例",
    "single_wrong_90": "90%承诺下单一且错误的比例",
    "single_wrong_95": "95%承诺下单一且错误的比例",
    "worst_class_covered": "最差类别的覆盖率",
    WHY: "未运行，因为模型没有保存错误率所依据的得分",
    SAME: "未运行，因为所保存的得分正来自这些行：请另给测试数据",
    FEW: "未运行，因为没有任何类别达到10行",
    OF_CLASSES: "行数不少于10的类别，95%水平",
    SINGLE_WRONG: "占全部行：以单一标签回答且答错",
    "What a promise costs": "承诺的代价",
    "promised": "承诺",
    "covered": "覆盖率",
    "low": "下限",
    "high": "上限",
    "mean set size": "平均集合大小",
    "single answers": "单一回答",
    "single and wrong": "单一且错误",
    "Classes with the least coverage": "覆盖率最低的类别",
}
"""Chinese for what stands in findings and exhibits."""
