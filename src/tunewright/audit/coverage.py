"""What is won by leaving unsure rows to people: accuracy by the share of rows that are answered.

Definition: rows are answered from the surest to the least sure. Coverage is the share of rows that is answered, risk
the share of wrong ones among them. AURC is the area under the curve of risk over coverage.

Formula: risk at i = wrong rows among the i surest / i; AURC = mean of the risk at 1, 2, … n. Rows of equal score share
their errors evenly.

How to read: accuracy at 80 % is what users see if the least sure fifth goes to a person. A model whose scores say
nothing has the same accuracy at every coverage, and an AURC equal to its error rate; lower is better. Choose the score
from which to answer in the table.

Source: El-Yaniv & Wiener 2010 (JMLR 11); Geifman & El-Yaniv 2017, Selective Classification for Deep Neural Networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, WILSON, Interval, bias_corrected, draw_count, draws, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth", "scores"})
KINDS = frozenset({"classify"})
REMEDY = "try --method full, or answer fewer rows: the report's table shows the score from which to answer"

SHARES = (90, 80)
POINTS = 60
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("aurc", *(f"accuracy_at_{share}" for share in SHARES))


def run(context: Context) -> list[Finding]:
    """AURC with the curve, and the accuracy of the surest 90 and 80 % of rows."""
    confidence = context.proba[np.arange(context.rows), context.decided]
    order = np.argsort(-confidence, kind="stable")
    ranked, wrong = confidence[order], (context.decided != context.truth)[order].astype(np.float64)
    tie = np.concatenate([[0], np.cumsum(ranked[1:] != ranked[:-1])])
    risk = risk_by_rows(wrong, tie)
    exhibits = (_curve(risk), _thresholds(ranked, wrong))
    low, high = _interval(wrong, tie, context.seed)
    area = Finding("coverage", "aurc", float(risk.mean()), low, high, context.rows, source=BOOTSTRAP, exhibits=exhibits)
    return [area, *(_at(risk, share) for share in SHARES)]


def risk_by_rows(wrong: Array, tie: Array) -> NDArray[np.float64]:
    """Risk after each row, surest first.

    wrong : (n,), 1 where the answer is wrong; tie : (n,), rising, equal where scores are equal

    >>> risk_by_rows(np.array([0., 1., 0.]), np.array([0, 1, 1])).round(3).tolist()
    [0.0, 0.25, 0.333]
    """
    shared = np.bincount(tie, weights=wrong) / np.maximum(np.bincount(tie), 1)
    return np.asarray(np.cumsum(shared[tie]) / np.arange(1, len(wrong) + 1))


def _interval(wrong: Array, tie: Array, seed: int) -> Interval:
    n, drawn = len(wrong), []
    for index in draws(n, seed, draw_count(n)):
        rows = np.repeat(np.arange(n), np.bincount(index, minlength=n))  # the draw in order of score
        drawn.append(risk_by_rows(wrong[rows], tie[rows]).mean())
    return bias_corrected(float(risk_by_rows(wrong, tie).mean()), np.array(drawn))


def _at(risk: Array, share: int) -> Finding:
    n = -(-len(risk) * share // 100)
    value = 1 - float(risk[n - 1])
    note = f"the surest {share} % of rows"
    return Finding("coverage", f"accuracy_at_{share}", value, *wilson(value * n, n), n, source=WILSON, note=note)


def _curve(risk: Array) -> Exhibit:
    n = len(risk)
    rows = []
    for at in np.unique(np.linspace(max(1, n // POINTS), n, POINTS).astype(int)).tolist():
        right = at * (1 - float(risk[at - 1]))
        rows.append((at / n, right / at, *wilson(right, at)))
    note = "answering only the surest rows; band = 95 % interval"
    return Exhibit("Accuracy by coverage", "curve", ("coverage", "accuracy", "low", "high"), tuple(rows), note)


def _thresholds(ranked: Array, wrong: Array) -> Exhibit:
    rows = []
    for threshold in THRESHOLDS:
        answered = int((ranked >= threshold).sum())
        errors = int(wrong[:answered].sum())
        accuracy = (answered - errors) / answered if answered else None
        rows.append((threshold, answered / len(ranked), accuracy, answered, errors))
    columns = ("score from", "share answered", "accuracy", "rows", "wrong rows")
    return Exhibit("What a limit on the score gives", "table", columns, tuple(rows))


ZH_DOC = """把没有把握的行交给人处理能赢得什么：准确率随作答比例的变化。

定义：按把握从大到小依次作答。覆盖率是作答的行所占比例，风险是其中答错的比例。AURC 是风险–覆盖率曲线下的面积。

公式：第 i 行处的风险 = 最有把握的 i 行中的错误数 / i；AURC = 第1至 n 行处风险的平均。得分相同的行平摊其错误。

解读：“80%覆盖率的准确率”是把最没把握的五分之一交给人工后用户看到的准确率。若得分毫无信息，则各覆盖率下准确率相同，
AURC 等于错误率；AURC 越低越好。可在表中选择从多少分起作答。

出处：El-Yaniv & Wiener 2010 (JMLR 11)；Geifman & El-Yaniv 2017, Selective Classification for Deep Neural Networks。
"""

ZH = {
    REMEDY: "尝试 --method full，或少回答一些行：报告中的表给出从多少分起作答",
    "the surest {} % of rows": "最有把握的 {}% 的行",
    "Accuracy by coverage": "准确率随覆盖率的变化",
    "answering only the surest rows; band = 95 % interval": "只回答最有把握的行；色带 = 95%区间",
    "What a limit on the score gives": "设定得分下限的效果",
    "score from": "得分下限",
    "share answered": "作答比例",
    "wrong rows": "错误行",
}
