"""How far off the numbers are: bias, typical and large errors, and where in the range they lie.

Definition: the residual of a row is the predicted number minus the true one. Bias is their mean; the other findings
are quantiles of their size.

Formula: bias = mean(predicted - true); error_p50, error_p90, error_p95 = quantiles of |predicted - true|.

How to read: in the unit of the target. A bias above 0 means that the numbers are too high on the whole. error_p90 =
0.8 means that nine of ten rows are off by at most 0.8. In the plot by predicted value the line should lie at 0
everywhere: a slope means that extremes are pulled towards the middle, or pushed apart.

Source: Cook & Weisberg 1982, Residuals and Influence in Regression; bias-corrected bootstrap of Efron & Tibshirani
1993, An Introduction to the Bootstrap, ch. 14.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, bias_corrected, bootstrap
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth"})
KINDS = frozenset({"regress"})
REMEDY = "label more training rows where the report shows the largest residuals, or try --method full"

QUANTILES = (50, 90, 95)
BINS = 10
SHOWN = 100


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("bias", *(f"error_p{at}" for at in QUANTILES))


def run(context: Context) -> list[Finding]:
    """Bias and error quantiles, the residuals by predicted value, their histogram, and the worst rows (private)."""
    residuals = context.decided - context.truth
    drawn = bootstrap(lambda index: _statistics(residuals[index]), context.rows, context.seed)
    exhibits = [_by_prediction(context.decided, residuals), _histogram(residuals)]
    if context.inputs is not None:
        exhibits.append(_worst(context, residuals))
    findings = [
        Finding("residuals", name, value, *bias_corrected(value, drawn[name]), context.rows, source=BOOTSTRAP)
        for name, value in _statistics(residuals).items()
    ]
    return [replace(findings[0], exhibits=tuple(exhibits)), *findings[1:]]


def _statistics(residuals: Array) -> dict[str, float]:
    sizes = np.quantile(np.abs(residuals), [at / 100 for at in QUANTILES]).tolist()
    return {"bias": float(residuals.mean())} | {f"error_p{at}": size for at, size in zip(QUANTILES, sizes, strict=True)}


def _by_prediction(decided: Array, residuals: Array) -> Exhibit:
    """Mean residual in tenths of the rows, by predicted value, with ± 1.96 standard errors."""
    rows = []
    for part in np.array_split(np.argsort(decided, kind="stable"), min(BINS, max(1, len(decided) // 5))):
        mean, error = float(residuals[part].mean()), float(residuals[part].std(ddof=1) if len(part) > 1 else 0.0)
        half = 1.96 * error / math.sqrt(len(part))
        rows.append((float(decided[part].mean()), mean, mean - half, mean + half))
    columns = ("predicted", "mean residual", "low", "high")
    return Exhibit("Mean residual by predicted value", "curve", columns, tuple(rows), "band = 95 % interval")


def _histogram(residuals: Array) -> Exhibit:
    counts, edges = np.histogram(residuals, bins=min(15, max(3, int(np.sqrt(len(residuals))))))
    rows = tuple((f"{low:.3g} … {high:.3g}", int(n)) for low, high, n in zip(edges, edges[1:], counts, strict=False))
    return Exhibit("Residuals", "bars", ("predicted - true", "rows"), rows)


def _worst(context: Context, residuals: Array) -> Exhibit:
    order = np.argsort(-np.abs(residuals), kind="stable")[:SHOWN].tolist()
    rows = tuple(
        (
            context.place(row),
            *(str(column[row]) for column in context.inputs.values()),
            float(context.truth[row]),
            float(context.decided[row]),
            float(residuals[row]),
        )
        for row in order
    )
    columns = ("place", *context.inputs, "truth", "answer", "residual")
    return Exhibit("Largest residuals", "table", columns, rows, private=True)


ZH_DOC = """数值偏差多大：偏倚、常见误差与大误差，以及它们出现在取值范围的何处。

定义：一行的残差是预测值减去真实值。偏倚是残差的平均；其余各项是残差绝对值的分位数。

公式：偏倚 = mean(预测 - 真实)；error_p50、error_p90、error_p95 = |预测 - 真实| 的分位数。

解读：单位与目标相同。偏倚大于0表示整体偏高。error_p90 = 0.8 表示十行中有九行的误差不超过0.8。按预测值绘制的曲线应处
处接近0：若有斜率，说明极端值被拉向中间，或被推得更远。

出处：Cook & Weisberg 1982, Residuals and Influence in Regression；Efron & Tibshirani 1993, An Introduction to
theBootstrap, 第14章的偏差校正自助法。
"""

ZH = {
    REMEDY: "在报告显示残差最大的范围内标注更多训练数据，或尝试 --method full",
    "bias": "偏倚",
    "Mean residual by predicted value": "按预测值的平均残差",
    "band = 95 % interval": "色带 = 95%区间",
    "Residuals": "残差",
    "Largest residuals": "最大的残差",
    "predicted": "预测值",
    "predicted - true": "预测 - 真实",
    "mean residual": "平均残差",
    "residual": "残差",
    "place": "位置",
}
