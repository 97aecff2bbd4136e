"""The report's words: metrics, headings, numbers and sentences, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from tunewright.report.chinese import AUDITS, CHINESE, NESTED

Pair = tuple[str, str]
"""A text in English and in Chinese."""

METRICS: dict[str, Pair] = {
    "accuracy": ("Accuracy", "准确率"),
    "macro_f1": ("Macro F1", "宏平均 F1"),
    "micro_f1": ("Micro F1", "微平均 F1"),
    "balanced_accuracy": ("Balanced accuracy", "平衡准确率"),
    "subset_accuracy": ("Subset accuracy", "完全匹配率"),
    "hamming_loss": ("Hamming loss", "汉明损失"),
    "r2": ("R²", "决定系数 R²"),
    "mae": ("Mean absolute error", "平均绝对误差"),
    "rmse": ("Root mean squared error", "均方根误差"),
    "spearman": ("Rank correlation (Spearman)", "秩相关系数（Spearman）"),
    "ece": ("Calibration error (ECE)", "期望校准误差 ECE"),
    "ece_by_chance": ("ECE by chance", "偶然 ECE"),
    "aurc": ("Area under risk–coverage (AURC)", "风险–覆盖率曲线下面积 AURC"),
    "brier": ("Brier score", "Brier 得分"),
    "accuracy_at_90": ("Accuracy at 90 % coverage", "覆盖率90%时的准确率"),
    "accuracy_at_80": ("Accuracy at 80 % coverage", "覆盖率80%时的准确率"),
    "error_p50": ("Median error", "误差中位数"),
    "error_p90": ("Error of the 90th percentile", "误差的90%分位数"),
    "error_p95": ("Error of the 95th percentile", "误差的95%分位数"),
}

IN_UNITS = ("mae", "rmse", "bias", "error_")
"""How the names of measures begin that are in the unit of the target."""

PREFIXES: dict[str, Pair] = {
    "baseline.": ("Baseline {}", "基线{}"),
    "difference.": ("Difference in {}", "{}之差"),
    "p.": ("P value of {}", "{}的 p 值"),
    "unreviewed.": ("Without review: {}", "免复核{}"),
}
"""How names of measures begin that are made of the name of another."""

UNBOUNDED = (*IN_UNITS, "difference.", "rows_needed")
"""How the names of measures begin that do not lie between 0 and 1."""


def translate(text: str, own: Mapping[str, str] | None = None) -> str:
    """The Chinese of a text, or the text itself; ``own`` (an audit's ``ZH``) is looked into first.

    A key with ``{}`` stands for any text there: ``"of {} pairs"`` finds ``"of 12 pairs"``.

    >>> translate("Show all 77 rows")
    '显示全部 77 行'
    """
    for words in filter(None, (own, CHINESE)):
        if text in words:
            return words[text]
    for words in filter(None, (own, CHINESE)):
        for key, chinese in words.items():
            found = _pattern(key).fullmatch(text) if "{}" in key else None
            if found:
                inner = (translate(one, own) if key in NESTED else one for one in found.groups())
                return _filled(chinese, list(inner))
    return text


def metric(name: str, own: Mapping[str, str] | None = None) -> Pair:
    """What a metric is called.

    >>> metric("macro_f1")
    ('Macro F1', '宏平均 F1')
    >>> metric("typo.drop")
    ('Typo drop', 'typo.drop')
    """
    for prefix, (english, chinese) in PREFIXES.items():
        if name.startswith(prefix):
            inner = metric(name.removeprefix(prefix), own)
            return english.format(inner[0].lower() if inner[0][1:2].islower() else inner[0]), chinese.format(inner[1])
    known = METRICS.get(name, (_humane(name), name))
    return known[0], (own or {}).get(name, known[1])


def of_target(pair: Pair, target: str) -> Pair:
    """A text with the name of its target before it, if there is one.

    >>> of_target(("Accuracy", "准确率"), "urgency")
    ('urgency: Accuracy', 'urgency：准确率')
    """
    return (f"{target}: {pair[0]}", f"{target}：{pair[1]}") if target else pair


def title(audit: str) -> Pair:
    """Heading of an audit's section."""
    return _humane(audit), AUDITS.get(audit, _humane(audit))


def sentence(name: str, value: float | None, low: float | None, high: float | None, n: int) -> Pair:
    """A finding as a manager would say it, with its interval and n.

    >>> sentence("accuracy", 0.927, 0.917, 0.936, 3080)[0]
    'Of 100 new rows about 93 are answered right (95 % interval 91.7–93.6, n = 3,080).'
    """
    if value is None:
        english, chinese = metric(name)
        return f"{english} could not be measured.", f"{chinese}未能测得。"
    say = SENTENCES.get(name, _plainly(name))
    return say(value, low, high, n)


def number(value: float | None) -> str:
    """Three decimals below 100, one above, thousands grouped; counts plain.

    >>> number(0.92711), number(3080), number(None), number(12345.678)
    ('0.927', '3,080', '–', '12,345.7')
    """
    if value is None or value != value:
        return "–"
    if float(value).is_integer() and (isinstance(value, int) or value == 0 or abs(value) >= 2):
        return f"{int(value):,}"
    if 0 < abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.1f}"


def span(low: float | None, high: float | None) -> str:
    """An interval.

    >>> span(0.88, 0.9), span(-0.03, 0.01), span(None, None)
    ('0.880–0.900', '-0.030 … 0.010', '')
    """
    if low is None or high is None:
        return ""
    return f"{number(low)}{'–' if low >= 0 else ' … '}{number(high)}"


Say = Callable[[float, float | None, float | None, int], Pair]


def _of_rows(value: float, low: float | None, high: float | None, n: int) -> Pair:
    per = 100 if value < 0.995 else 1000
    interval = "" if low is None or high is None else f"{low * per:.1f}–{high * per:.1f}"
    english = f"Of {per:,} new rows about {value * per:.0f} are answered right"
    chinese = f"每 {per:,} 条新数据中，约有 {value * per:.0f} 条答对"
    return _with_interval(english, chinese, interval, n)


def _variance(value: float, low: float | None, high: float | None, n: int) -> Pair:
    interval = "" if low is None or high is None else f"{low * 100:.1f}–{high * 100:.1f}"
    english = f"The model explains about {value * 100:.0f} % of how the numbers differ from each other"
    return _with_interval(english, f"模型约解释了数值差异的 {value * 100:.0f}%", interval, n)


def _plainly(name: str) -> Say:
    def say(value: float, low: float | None, high: float | None, n: int) -> Pair:
        english, chinese = metric(name)
        interval = span(low, high)
        return _with_interval(f"{english} is {number(value)}", f"{chinese}为 {number(value)}", interval, n)

    return say


def _with_interval(english: str, chinese: str, interval: str, n: int) -> Pair:
    if not interval:
        return f"{english} (n = {n:,}).", f"{chinese}（n = {n:,}）。"
    return f"{english} (95 % interval {interval}, n = {n:,}).", f"{chinese}（95%区间 {interval}，n = {n:,}）。"


SENTENCES: dict[str, Say] = {"accuracy": _of_rows, "r2": _variance}


def _humane(name: str) -> str:
    words = re.sub(r"[._]+", " ", name).strip()
    return words[:1].upper() + words[1:]


@cache
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(piece) for piece in key.split("{}")), re.DOTALL)


def _filled(template: str, values: list[str]) -> str:
    """Put values where ``{}`` stand, in order, or where ``{0}``, ``{1}`` … do."""
    following = iter(values)
    return re.sub(r"\{(\d*)\}", lambda found: values[int(found[1])] if found[1] else next(following), template)
