"""The report's words in English and Chinese. An audit brings those of its own in ``ZH`` and ``ZH_DOC``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

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

AUDITS: dict[str, str] = {
    "accuracy": "准确性",
    "attack": "攻击",
    "calibration": "校准",
    "classes": "各类别",
    "clusters": "簇",
    "compare": "对比",
    "compress": "压缩",
    "confusion": "混淆",
    "counterfactual": "身份词替换",
    "coverage": "覆盖率",
    "explanations": "解释",
    "fairness": "公平性",
    "folds": "交叉验证",
    "invariance": "行为测试",
    "mistakes": "高分错误",
    "leakage": "泄漏",
    "membership": "成员推断",
    "pii": "个人信息",
    "residuals": "残差",
    "review": "人工复核",
    "robustness": "稳健性",
    "size": "大小",
    "slices": "数据片",
    "speed": "速度",
}

CHINESE: dict[str, str] = {
    "Report": "评估报告",
    "Released": "已发布",
    "Refused": "已拒绝",
    "Measured": "已评估",
    "Every gate holds.": "所有门槛均达标。",
    "{} of {} gates missed, so this bundle is not released.": "{1} 项门槛中有 {0} 项未达标，此模型包不予发布。",
    "No gate is set, so nothing could be refused.": "未设置门槛，因此没有可以拒绝的依据。",
    "{} measurements have no value; the sections below say why.": "有 {} 项测量没有结果，原因见下文各节。",
    "Gates": "门槛",
    "Contents": "目录",
    "not run": "未运行",
    "the limit lies inside the interval: judge on more test rows before changing the model": (
        "该要求落在区间之内：先用更多测试数据评估，再考虑改动模型"
    ),
    "see that the audit {} can run, or take the gate out": "请先让审计 {} 能够运行，或去掉该门槛",
    "label more training rows, or try --method full with more --minutes": (
        "标注更多训练数据，或用 --method full 并增加 --minutes"
    ),
    "Gate": "门槛",
    "Limit": "要求",
    "Value": "数值",
    "95 % interval": "95%区间",
    "Rows": "行数",
    "Outcome": "结果",
    "holds": "达标",
    "missed": "未达标",
    "Next step": "下一步",
    "Looks wrong, though no gate asks for it": "看起来不对，尽管没有相应的门槛",
    "What it may mean": "可能的含义",
    "What was measured": "测量内容",
    "How to read it": "如何解读",
    "Formula and source": "公式与出处",
    "Source": "来源",
    "Measure": "指标",
    "Remark": "说明",
    "Show all {} rows": "显示全部 {} 行",
    "The data": "数据",
    "What the check of the rows found": "数据检查的发现",
    "Nothing to remark on.": "没有需要说明的问题。",
    "How the model was made": "模型的来历",
    "Method": "方法",
    "Methods that were tried": "尝试过的方法",
    "Validation score": "验证得分",
    "Gain": "增益",
    "80 % lower bound of the gain": "增益的80%下界",
    "Seconds": "秒数",
    "Weights, MB": "权重，MB",
    "Trainable": "可训练参数",
    "Peak MB": "内存峰值，MB",
    "Training of {}": "{} 的训练过程",
    "step": "步",
    "loss of training": "训练损失",
    "Kept": "采用",
    "yes": "是",
    "no": "否",
    "Pretrained model": "预训练模型",
    "Every setting and where it came from": "全部设置及其来源",
    "Setting": "设置",
    "name": "名称",
    "train_rows": "训练行",
    "validation_rows": "验证行",
    "test_rows": "测试行",
    "digest": "摘要",
    "family": "系列",
    "source": "来源",
    "licence": "许可",
    "width": "宽度",
    "pooling": "池化",
    "pinned": "已固定",
    "notes": "说明",
    "seconds": "秒数",
    "peak_rss_bytes": "内存峰值（字节）",
    "seed": "随机种子",
    "interrupted": "曾被中断",
    "judged_on": "评估所用数据",
    "default": "默认",
    "file": "文件",
    "flag": "参数",
    "Level": "级别",
    "Problem": "问题",
    "Remedy": "办法",
    "warning": "提示",
    "stops a fit": "阻止训练",
    "classify": "单标签分类",
    "multilabel": "多标签分类",
    "regress": "数值回归",
    "Task": "任务",
    "Classes": "类别数",
    "Training rows": "训练行",
    "Test rows": "测试行",
    "Facts of the run": "运行信息",
    "The rows themselves lie beside the bundle, in the file that ends in .rows.html, and never in it.": (
        "逐行数据在模型包旁边以 .rows.html 结尾的文件中，绝不在模型包内。"
    ),
    "Rows of {}": "{} 的逐行数据",
    "The rows themselves lie beside this page, in rows.jsonl.": "逐行数据在本页旁边的 rows.jsonl 中。",
    "A and B answered the same rows; B is the new one.": "A 与 B 回答了同样的行；B 是新的模型。",
    "The two bundles": "两个模型包",
    "Compared": "已对比",
    "Passed": "已达标",
    "Missed": "未达标",
    "{} of {} gates missed.": "{1} 项门槛中有 {0} 项未达标。",
    "These rows hold your data. This file is not part of the bundle: keep it where the data may be.": (
        "这些行含有您的数据。此文件不属于模型包：请存放在允许存放这些数据的地方。"
    ),
    "Random seed": "随机种子",
    "Data digest": "数据摘要",
    "class": "类别",
    "precision": "精确率",
    "recall": "召回率",
    "f1": "F1",
    "rows": "行数",
    "truth": "真实",
    "answer": "回答",
    "accuracy": "准确率",
    "coverage": "覆盖率",
    "score": "得分",
    "place": "位置",
    "low": "下限",
    "high": "上限",
    "not run, because {} and {}": "未运行，因为{}，且{}",
    "not run, because {}": "未运行，因为{}",
    "failed: {}": "运行失败：{}",
    "there are no answers of a model": "没有模型的回答",
    "the rows have no labels": "数据没有标签",
    "the inputs themselves are not at hand": "没有输入原文",
    "it is not known which rows occur in training": "不知道哪些行出现在训练集中",
    "the labels of the training rows are not at hand": "没有训练数据的标签",
    "there is no model at hand to ask": "没有可调用的模型",
    "{} is not installed → {}": "未安装 {} → {}",
    "there is no other model to compare with": "没有可供对比的另一个模型",
    "the training rows are not at hand": "没有训练数据",
    "there was no cross-validation": "没有做交叉验证",
    "the model gives no vectors": "模型不给出向量",
    "the model is no bundle at hand": "该模型不是手头的模型包",
    "the model cannot be fitted anew here": "此处无法重新训练该模型",
    "the rows have no further columns": "数据没有其他列",
    "no column of groups is at hand": "没有分组列",
    "the task is not known": "任务未知",
    "the language is not known": "语言未知",
    "the model gives labels without scores": "模型只给出标签，没有得分",
    "the minutes were over": "时间已用完",
    "there are no rows": "没有数据行",
}

IN_UNITS = ("mae", "rmse", "bias", "error_")
"""How the names of measures begin that are in the unit of the target."""

NESTED = frozenset({"not run, because {} and {}", "not run, because {}"})
"""Keys whose ``{}`` are texts of the report again; elsewhere they are names and numbers of the user."""

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
