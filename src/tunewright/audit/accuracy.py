"""How often the answers are right: every metric of the kind, with 95 % intervals.

Definition: each metric compares what the model decided with the labels of rows that it has not seen. Baseline is what
one constant answer, the most common one in the training rows, would reach on the same rows.

Formula: accuracy = right rows / rows. F1 of a class = 2 · hits / (rows of the class + rows decided so); macro F1 is
its mean over classes, so that a small class counts as much as a large one. Balanced accuracy is the mean recall.

How to read: 1 is perfect (0 for errors and losses), and the baseline is the least that a model must beat. The interval
tells how far the value could lie from the one on endless rows like these: with few rows it is wide. "Without leaked
rows" leaves out test rows whose input also occurs in training; if the value drops there, the model has learned rows by
heart.

Source: shares of rows by the interval of E. B. Wilson 1927 (JASA 22), at the count moved by under half a row (Thulin
2014, arXiv 1402.6536); means over classes by inverted tests (Carpenter 1999, JRSS B 61), on draws from smoothed tables;
the others by a bias-corrected bootstrap over rows of up to 1,000 draws (Efron & Tibshirani 1993, An Introduction to the
Bootstrap, ch. 14).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, Interval, wilson
from tunewright.audit._measured import SHARES, measured, names
from tunewright.core.types import Array, Finding, Kind

NEEDS = frozenset({"logits", "truth"})
KINDS = None
REMEDY = "try --method full with more --minutes, or label more rows like those that are answered wrongly"

CLEAN = "without leaked rows"


def metrics(kind: Kind) -> tuple[str, ...]:
    """The metrics of the kind, and the baseline of the first one."""
    return (*names(kind), f"baseline.{kind.headline[0]}")


def run(context: Context) -> list[Finding]:
    """All metrics on all rows, then on the rows that do not occur in training, then the baseline."""
    everything = _measure(context, np.arange(context.rows))
    return [*everything, *_without_leaked(context, everything), _baseline(context)]


def _measure(context: Context, index: Array) -> list[Finding]:
    return measured("accuracy", context.kind, context.decided[index], context.truth[index], context.seed)


def _without_leaked(context: Context, everything: list[Finding]) -> list[Finding]:
    headline = context.kind.headline
    if context.leaked is None:
        note = "not run, because it is not known which rows occur in training"
        return [Finding("accuracy", name, None, slice=CLEAN, note=note) for name in headline]
    leaked = np.asarray(context.leaked, bool)
    note = f"{int(leaked.sum()):,} of {context.rows:,} rows occur in training"
    if leaked.all():
        return [Finding("accuracy", name, None, slice=CLEAN, note=note) for name in headline]
    clean = everything if not leaked.any() else _measure(context, np.flatnonzero(~leaked))
    return [replace(finding, slice=CLEAN, note=note) for finding in clean if finding.metric in headline]


def _baseline(context: Context) -> Finding:
    """What the most common answer of the training rows reaches (the mean, for numbers)."""
    name = context.kind.headline[0]
    metric = f"baseline.{name}"
    if context.train is None:
        note = "not run, because the labels of the training rows are not at hand"
        return Finding("accuracy", metric, None, note=note)
    train = np.asarray(context.train.truth)
    if train.dtype == object:  # rows of different lengths
        return Finding("accuracy", metric, None, note="not run, because this kind has no constant answer")
    constant = _constant(train)
    decided = np.broadcast_to(constant, np.shape(context.truth)).astype(context.truth.dtype)
    value = context.kind.metrics(decided, context.truth)[name]
    low, high = _baseline_interval(name, value, context.rows)
    source, note = (WILSON if low is not None else ""), _said(context, constant)
    return Finding("accuracy", metric, value, low, high, context.rows, source=source, note=note)


def _constant(truth: Array) -> Array:
    if truth.dtype.kind == "f":
        return np.asarray(truth.mean(0))
    found, counts = np.unique(truth, axis=0, return_counts=True)
    return np.asarray(found[counts.argmax()])


def _baseline_interval(name: str, value: float, n: int) -> Interval | tuple[None, None]:
    return wilson(value * n, n) if name in SHARES else (None, None)


def _said(context: Context, constant: Array) -> str:
    if constant.ndim == 0 and constant.dtype.kind in "iu" and context.kind.labels:
        return f"always answering {context.kind.labels[int(constant)]!r}"
    return "always giving the most common answer" if constant.dtype.kind != "f" else "always answering the mean"


ZH_DOC = """模型答对的比例：该任务类型的全部指标，附95%置信区间。

定义：每个指标都把模型的判断与它没有见过的数据的标签相比较。基线指始终给出训练数据中最常见的答案所能达到的水平。

公式：准确率 = 答对的行数 / 总行数。某一类的 F1 = 2 · 命中数 / (该类行数 + 判为该类的行数)；宏平均 F1是各类 F1 的平
均，小类与大类同等重要。平衡准确率是各类召回率的平均。

解读：1 为满分（误差与损失则为 0）；模型至少要超过基线。置信区间说明：若有无穷多同类数据，真实值可能落在多大
范围内；行数少则区间宽。“去除泄漏行”一项去掉了输入文本在训练集中也出现过的测试行；若该值明显下降，
说明模型只是记住了这些行。

出处：行数比例用 E. B. Wilson 1927（JASA 22）的区间，计数移动不足半行（Thulin 2014）；各类平均值用反演检验的区间
（Carpenter 1999, JRSS B 61），由平滑后的表抽样得到；其他指标用至多1000次的偏差校正自助法（Efron & Tibshirani 1993,
An Introduction to the Bootstrap, 第14章）。
"""

ZH = {
    REMEDY: "用 --method full 并增加 --minutes，或标注更多与答错的行相似的数据",
    CLEAN: "去除泄漏行",
    "{} of {} rows occur in training": "{1} 行中有 {0} 行出现在训练集中",
    "not run, because it is not known which rows occur in training": "未运行，因为不知道哪些行出现在训练集中",
    "not run, because the labels of the training rows are not at hand": "未运行，因为没有训练数据的标签",
    "not run, because this kind has no constant answer": "未运行，因为该任务类型没有常数答案",
    "always answering the mean": "始终回答平均值",
    "always answering {}": "始终回答 {}",
    "always giving the most common answer": "始终给出最常见的答案",
    "not defined on these rows": "在这些行上无定义",
    "{} of {} classes have fewer than {} rows: the interval may be too narrow": (
        "{1} 个类中有 {0} 个不足 {2} 行：区间可能过窄"
    ),
}
