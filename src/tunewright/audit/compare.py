"""Whether B answers better than A: the difference on the same rows, which rows flipped, and if it may be chance.

Definition: A and B are two models that answer the same labelled rows. A difference is the measure of B minus that of
A. It counts as real where its 95 % interval leaves out 0 and a paired test gives p < 0.05.

Formula: accuracy: McNemar's exact test, two-sided binomial on the b + c rows that only one of both answers right; other
measures: the share of random swaps of both models' answers, row by row, that give a difference as large. Rows for 80 %
power, with ψ = (b + c) / n and δ = |b - c| / n: (1.96 √ψ + 0.84 √(ψ - δ²))² / δ².

How to read: rows that both answer right or both wrong tell nothing, so a few flips can decide and many may not. "300
rows cannot tell these apart; about 240 more would" is no proof that they are equal: it says how many rows a difference
like the one seen here would need, if it is real. Read the rows that turned wrong before you release B. P values of
classes are raised for having looked at all of them (Holm); their intervals are not widened.

Source: McNemar 1947 (Psychometrika 12); Noreen 1989, Computer-Intensive Methods for Testing Hypotheses, and Yeh 2000
(COLING); Connor 1987 (Biometrics 43); Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10; Holm 1979
(Scandinavian Journal of Statistics 6). Intervals of differences: bias-corrected bootstrap over rows, both models on the
same draws (Efron & Tibshirani 1993, ch. 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunewright.audit._changes import beside, classes, flips, scores
from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, Interval, bias_corrected, bootstrap, draw_count
from tunewright.audit._measured import SHARES, measured
from tunewright.audit._pair import Pair, judged_by
from tunewright.audit._paired import (
    CONNOR,
    MCNEMAR,
    NORMAL,
    SWAPPED,
    mcnemar,
    rows_needed,
    rows_needed_by_error,
    swapped,
)
from tunewright.audit._sentence import ZH as SENTENCES
from tunewright.audit._sentence import Change, sentence
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"before", "logits", "truth"})
KINDS = frozenset({"classify", "multilabel", "regress"})
ON_REQUEST = True
IN_WORDS = True
REMEDY = "read the rows that turned wrong, and label more rows like them"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    names = judged_by(kind)
    common = (*names, *(f"difference.{name}" for name in names), *(f"p.{name}" for name in names), "rows_needed")
    if not kind.labels:
        return (*common, "farther_off", "nearer")
    flipped = ("right_to_wrong", "wrong_to_right", "other_changes")
    return (*common, *flipped, "mean_score", "ece", *(f"difference.{name}" for name in ("mean_score", "ece", "recall")))


def run(context: Context) -> list[Finding]:
    """Differences, their p values and the rows needed; what flipped; scores and classes; then A and B by themselves."""
    assert context.before is not None
    pair = Pair(context.before, context)
    values = pair.differences()
    drawn = bootstrap(pair.differences, context.rows, context.seed, context.truth.size)
    spans = {name: bias_corrected(value, drawn[name]) for name, value in values.items()}
    p, needed = _p_values(pair), _needed(pair, values, drawn)
    found = [_difference(pair, name, values[name], spans[name], len(drawn[name])) for name in values]
    found += [
        Finding("compare", f"p.{name}", one, n=context.rows, source=MCNEMAR if name in SHARES else SWAPPED)
        for name, one in p.items()
    ]
    found += [needed, *flips(pair)]
    if context.kind.labels:
        found += [*scores(pair), *classes(pair)]
    found += _each(pair)
    told = _told(pair, values, spans, p, needed)
    return [replace(found[0], note=told, exhibits=(_side_by_side(found),)), *found[1:]]


def _p_values(pair: Pair) -> dict[str, float]:
    count = draw_count(max(pair.b.rows, pair.truth.size))
    found = swapped(pair.swapped, pair.differs, pair.b.seed, count)
    shares = {name: mcnemar(*_discordant(pair)) for name in found if name in SHARES}
    return found | shares


def _discordant(pair: Pair) -> tuple[int, int]:
    a, b = pair.right
    return int((a & ~b).sum()), int((b & ~a).sum())


def _difference(pair: Pair, name: str, value: float, span: Interval, count: int) -> Finding:
    a, b = pair.metrics(pair.of_a)[name], pair.metrics(pair.of_b)[name]
    source = f"{BOOTSTRAP}; {count} draws, the same for both"
    return Finding("compare", f"difference.{name}", value, *span, pair.b.rows, source=source, note=beside(a, b))


def _needed(pair: Pair, values: dict[str, float], drawn: dict[str, Array]) -> Finding:
    """Rows in all that would show the difference of the first measure, if it is what was seen here."""
    name, n = next(iter(values)), pair.b.rows
    share = name in SHARES
    total = rows_needed(*_discordant(pair), n) if share else rows_needed_by_error(values[name], drawn[name].std(), n)
    if total is None:
        return Finding("compare", "rows_needed", None, n=n, note="no difference was seen")
    note = "rows in all for 80 % power, if the difference is the one seen here"
    return Finding("compare", "rows_needed", float(total), n=n, source=CONNOR if share else NORMAL, note=note)


def _told(
    pair: Pair, values: dict[str, float], spans: dict[str, Interval], p: dict[str, float], needed: Finding
) -> str:
    if not pair.differs.any():
        return f"A and B answer all {pair.b.rows:,} rows alike"
    changes = {name: Change(name, value, spans[name], p[name]) for name, value in values.items()}
    return sentence(changes, None if needed.value is None else int(needed.value), pair.b.rows)


def _side_by_side(findings: Sequence[Finding]) -> Exhibit:
    """Every difference of all rows, between what it is the difference of."""
    value = {(one.metric, one.slice): one.value for one in findings}
    rows = []
    for one in findings:
        name = one.metric.removeprefix("difference.")
        if name != one.metric and not one.slice:
            measured = (one.value, one.low, one.high, value.get((f"p.{name}", "")))
            rows.append((name, value[name, "A"], value[name, "B"], *measured))
    columns = ("measure", "value of A", "value of B", "difference", "low", "high", "p")
    return Exhibit("A and B side by side", "table", columns, tuple(rows))


def _each(pair: Pair) -> list[Finding]:
    """The same measures of A and of B by themselves."""
    wanted = judged_by(pair.b.kind)
    return [
        replace(one, slice=name)
        for name, decided in (("A", pair.of_a), ("B", pair.of_b))
        for one in measured("compare", pair.b.kind, decided, pair.truth, pair.b.seed)
        if one.metric in wanted
    ]


ZH_DOC = """B 是否比 A 答得更好：同样的行上相差多少、哪些行改变了、差异是否可能出于偶然。

定义：A 与 B 是回答同一批有标签数据的两个模型。差异是 B 的指标减去 A 的指标。若其95%区间不含0，且配对检验 p < 0.05，则
视为真实的差异。

公式：准确率用 McNemar 精确检验：对只有一方答对的 b + c 行做双侧二项检验；其他指标：逐行随机交换两个模型的回答，差异不
小于实际差异的比例。80%检验效能所需行数：ψ = (b + c) / n，δ = |b - c| / n，行数 = (1.96 √ψ + 0.84 √(ψ - δ²))² / δ²。

解读：两者都答对或都答错的行不提供信息，因此少数改变的行可能决定结果，多数也可能说明不了什么。“不足以区分”并不证明两者
相等，而是说明：若此处所见的差异属实，还需多少行才能确认。发布 B 之前，请先看由对变错的行。各类的 p 值已因同时查看多个
类而上调（Holm），其区间未放宽。

出处：McNemar 1947（Psychometrika 12）；Noreen 1989, Computer-Intensive Methods for Testing Hypotheses；Yeh 2000
（COLING）；Connor 1987（Biometrics 43）；Newcombe 1998（Statistics in Medicine 17, 2635-2650）方法10；Holm 1979
（Scandinavian Journal of Statistics 6）。差异的区间：对行的偏差校正自助法，两个模型用同样的抽样（Efron & Tibshirani
1993, 第14章）。
"""

ZH = {
    REMEDY: "查看由对变错的行，并标注更多与其相似的数据",
    **SENTENCES,
    "{} in A, {} in B; p = {} for {} classes": "A 为 {0}，B 为 {1}；p = {2}（{3} 个类）",
    "{} in A, {} in B": "A 为 {}，B 为 {}",
    "{} of {} rows": "{1} 行中的 {0} 行",
    "rows in all for 80 % power, if the difference is the one seen here": "若差异即为此处所见，80%检验效能所需的总行数",
    "no difference was seen": "未见差异",
    "not defined on these rows": "在这些行上无定义",
    "right_to_wrong": "由对变错",
    "wrong_to_right": "由错变对",
    "other_changes": "由错变为另一种错",
    "farther_off": "误差变大",
    "nearer": "误差变小",
    "rows_needed": "所需行数",
    "recall": "召回率",
    "mean_score": "平均得分",
    "A and B side by side": "A 与 B 对照",
    "Recall of each class": "各类召回率",
    "Rows that changed": "改变的行",
    "measure": "指标",
    "difference": "差异",
    "value of A": "A 的值",
    "value of B": "B 的值",
    "p": "p 值",
    "recall of A": "A 的召回率",
    "recall of B": "B 的召回率",
    "change": "变化",
    "answer of A": "A 的回答",
    "answer of B": "B 的回答",
    "score of A": "A 的得分",
    "score of B": "B 的得分",
}
