"""Whether the scores can be taken at their word: calibration error, Brier score and the reliability diagram.

Definition: a model is calibrated if, of the answers that it gives with a score of 0.8, 80 % are right. The expected
calibration error (ECE) is the mean distance between score and share of right answers. For several labels per row,
every label of every row counts as one yes-or-no answer.

Formula: ECE = Σ (rows in bin / rows) · |mean score - share right|, over 15 bins of equal width. Brier = mean of Σ (p -
y)² over classes (over labels, its mean). Confidence gap = mean score - share right.

How to read: ECE 0.02 means that scores are off by 2 points on average; 0 is perfect. A positive gap means that the
model is surer than it should be. Even a perfect model shows some ECE by chance, given as "ECE by chance"; only what
exceeds it is a fault. Brier is 0 at best and rises with wrong and with unsure answers alike. "Before" is the same model
without the calibration that was fitted on validation rows.

Source: Naeini et al. 2015 (AAAI); Guo et al. 2017, On Calibration of Modern Neural Networks; Brier 1950, Monthly
Weather Review 78. Interval of ECE: bootstrap mirrored at the estimate, since drawing rows anew raises it; it starts at
0 where chance alone explains the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, MIRRORED, bias_corrected, draw_count, draws, reflected, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"logits", "truth", "scores"})
KINDS = frozenset({"classify", "multilabel"})
REMEDY = "calibrate on more validation rows (--set split.validation=0.2)"

BINS = 15
BEFORE = "without the calibration that was fitted on validation rows"
UNCALIBRATED = "not run, because the model keeps no calibration that could be left out"
ENOUGH_ROWS, ENOUGH_WRONG = 100, 10
"""With fewer rows, or fewer wrong answers, bootstrap intervals hold the true value in 40 to 95 % of simulated draws."""
DIAGONAL = "on the dashed line scores are true; below it the model is too sure of itself"


@dataclass(frozen=True)
class Scores:
    """One score and whether it was right, for each answer.

    confidence, right : (n,) or, with several labels per row, (n, k)
    brier : (n,), each row's own
    """

    confidence: Array
    right: Array
    brier: NDArray[np.float64]


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return "ece", "ece_by_chance", "confidence_gap", "brier", "ece_before", "brier_before"


def run(context: Context) -> list[Finding]:
    """ECE with its diagram, what it would be by chance, the signed gap, and the Brier score."""
    scores = scores_of(context)
    table = bin_table(scores)
    value, drawn = ece(table.sum(0)), _drawn(context, scores, table)
    gap = float((scores.confidence - scores.right).mean())
    brier, n = float(scores.brier.mean()), context.rows
    chance, note = _by_chance(scores, context.seed), "mean ECE if every score were true"
    low, high = reflected(value, drawn["ece"])
    low = 0.0 if value <= np.quantile(chance, 0.975) else low  # as small as that, it may be all chance
    few, source = _few(scores), BOOTSTRAP
    return [
        Finding("calibration", "ece", value, low, high, n, source=MIRRORED, note=few, exhibits=(_diagram(scores),)),
        Finding("calibration", "ece_by_chance", float(chance.mean()), n=n, note=note),
        Finding("calibration", "confidence_gap", gap, *bias_corrected(gap, drawn["gap"]), n, source=source, note=few),
        Finding("calibration", "brier", brier, *bias_corrected(brier, drawn["brier"]), n, source=source, note=few),
        *_before(context),
    ]


def _few(scores: Scores) -> str:
    """A remark where the intervals cannot be relied on."""
    rows, wrong = len(scores.brier), int((~scores.right).sum())
    if rows >= ENOUGH_ROWS and wrong >= ENOUGH_WRONG:
        return ""
    return f"only {rows} rows and {wrong} wrong answers: the interval may be too narrow"


def _before(context: Context) -> list[Finding]:
    """ECE and Brier score of the kind as it is without its calibration."""
    raw = context.kind.raw() if hasattr(context.kind, "raw") else context.kind
    if raw == context.kind:
        return [Finding("calibration", name, None, note=UNCALIBRATED) for name in ("ece_before", "brier_before")]
    other = replace(context, kind=raw)
    scores, n = scores_of(other), context.rows
    table = bin_table(scores)
    value, brier, drawn = ece(table.sum(0)), float(scores.brier.mean()), _drawn(other, scores, table)
    bounds, diagram = reflected(value, drawn["ece"]), _diagram(scores, "Reliability diagram before calibration")
    own = Finding("calibration", "ece_before", value, *bounds, n, source=MIRRORED, note=BEFORE, exhibits=(diagram,))
    interval = bias_corrected(brier, drawn["brier"])
    return [own, Finding("calibration", "brier_before", brier, *interval, n, source=BOOTSTRAP, note=BEFORE)]


def scores_of(context: Context) -> Scores:
    """The score of each decided label, or of each yes-or-no where a row has any number of labels."""
    proba, truth = context.proba, context.truth
    rows = np.arange(len(truth))
    if truth.ndim == 2:
        return Scores(proba, truth > 0, ((proba - truth) ** 2).mean(1))
    right = context.decided == truth
    of_truth = proba[rows, truth]
    return Scores(proba[rows, context.decided], right, (proba**2).sum(1) - 2 * of_truth + 1)


def ece(sums: Array) -> float:
    """From (BINS, 2): sum of scores and sum of right answers per bin, both already divided by all answers."""
    return float(np.abs(sums[:, 0] - sums[:, 1]).sum())


def bin_of(confidence: Array) -> NDArray[np.int64]:
    """Bin 0..14 of each score; the bins are closed above, as in Guo et al."""
    return np.asarray(np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1))


def bin_table(scores: Scores) -> NDArray[np.float64]:
    """float64 (n, BINS, 2): what each row adds to the sums of scores and of right answers in each bin."""
    n = len(scores.brier)
    flat = (np.arange(n).repeat(scores.confidence.size // n) * BINS) + bin_of(scores.confidence).ravel()
    sums = [np.bincount(flat, weights=one.ravel(), minlength=n * BINS) for one in (scores.confidence, scores.right)]
    return np.stack(sums, 1).reshape(n, BINS, 2) / scores.confidence.size


def _drawn(context: Context, scores: Scores, table: Array) -> dict[str, NDArray[np.float64]]:
    """A draw is a count per row, so its sums are one product of matrices."""
    n = context.rows
    wide = np.concatenate([table.reshape(n, -1), scores.brier[:, None] / n], 1)
    drawn = draws(n, context.seed, draw_count(n * BINS))
    sums = np.stack([np.bincount(index, minlength=n) @ wide for index in drawn])
    bins = sums[:, :-1].reshape(len(sums), BINS, 2)
    gaps = bins[:, :, 0] - bins[:, :, 1]
    return {"ece": np.abs(gaps).sum(1), "gap": gaps.sum(1), "brier": sums[:, -1]}


def _by_chance(scores: Scores, seed: int) -> NDArray[np.float64]:
    """ECEs that come out when answers are right exactly as often as their scores say; 200 draws, fewer of many rows."""
    generator = np.random.default_rng(seed)
    confidence, at = scores.confidence.ravel(), bin_of(scores.confidence).ravel()
    said = np.bincount(at, weights=confidence, minlength=BINS)
    count = max(40, min(200, 20_000_000 // len(at)))
    drawn = [np.bincount(at, weights=generator.random(len(at)) < confidence, minlength=BINS) for _ in range(count)]
    return np.asarray(np.abs(said - np.stack(drawn)).sum(1) / len(at))


def _diagram(scores: Scores, title: str = "Reliability diagram") -> Exhibit:
    at, confidence, right = bin_of(scores.confidence).ravel(), scores.confidence.ravel(), scores.right.ravel()
    rows = []
    for step in range(BINS):
        inside = at == step
        n, hits = int(inside.sum()), int(right[inside].sum())
        if n:
            mean = float(confidence[inside].mean())
            rows.append((step / BINS, (step + 1) / BINS, mean, hits / n, *wilson(hits, n), n))
    columns = ("from", "to", "mean score", "share right", "low", "high", "answers")
    return Exhibit(title, "reliability", columns, tuple(rows), DIAGONAL)


ZH_DOC = """得分是否可信：校准误差、Brier 得分与可靠性图。

定义：若模型以0.8分给出的回答中恰有80%正确，则称其校准良好。期望校准误差（ECE）是得分与正确比例之间的平均差距。一行
可有多个标签时，每行的每个标签都算作一次是非判断。

公式：ECE = Σ（箱内行数 / 总行数）· |平均得分 - 正确比例|，等宽15箱。Brier = 各类 Σ (p - y)² 的平均（多标签时对标签
取平均）。置信差 = 平均得分 - 正确比例。

解读：ECE 为0.02，表示得分平均偏差2个百分点；0为最佳。置信差为正，表示模型过于自信。即使是完美校准的模型，也会因偶然
而有一定的 ECE，见“偶然 ECE”；只有超出它的部分才是缺陷。Brier 最佳为0，答错与犹豫都会使其上升。“校准前”是同一模型去掉在
验证数据上所做校准后的结果。

出处：Naeini et al. 2015 (AAAI)；Guo et al. 2017, On Calibration of Modern Neural Networks；Brier 1950, Monthly
WeatherReview 78。ECE 的区间：以估计值为中心反射的自助法，因为重抽样会使 ECE 偏高；若仅凭偶然即可解释，则区间从0开始。
"""

ZH = {
    "only {} rows and {} wrong answers: the interval may be too narrow": "只有 {} 行、{} 个错误答案：区间可能过窄",
    REMEDY: "用更多验证数据校准（--set split.validation=0.2）",
    "confidence_gap": "置信差",
    "mean ECE if every score were true": "若每个得分都属实时的平均 ECE",
    "ece_before": "校准前的 ECE",
    "brier_before": "校准前的 Brier 得分",
    BEFORE: "去掉在验证数据上所做的校准",
    UNCALIBRATED: "未运行，因为模型没有可去掉的校准",
    "Reliability diagram": "可靠性图",
    "Reliability diagram before calibration": "校准前的可靠性图",
    DIAGONAL: "虚线上得分属实；在其下方则模型过于自信",
    "from": "起",
    "to": "止",
    "mean score": "平均得分",
    "share right": "正确比例",
    "answers": "回答数",
}
