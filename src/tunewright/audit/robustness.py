"""What slips of the pen cost: how many more rows are answered wrongly when their texts say the same in another form.

Definition: rows are drawn by the seed and changed by rule, so that their meaning stays: typing errors, case, spaces,
signs, look-alike letters, contractions, a sentence that has nothing to do with it, near words; in Chinese homophones,
characters of like shape, traditional characters, pinyin, the width of letters. At most 300 rows of each change, those
that it finds something in; about one word in ten is changed, or the whole text where the change is of that sort.

Formula: drop = share of the changed rows answered rightly before the change minus after it (of several labels: all of
them right). Flips = share of the changed rows whose answer is another one, right or wrong.

How to read: a drop of 0.05 says that of 100 such texts 5 more are answered wrongly. Where the interval holds 0, these
rows show no drop. Flips without a drop are a warning, too: the model decides by what should not matter. Near words are
found by the model's own vectors, which after training hold what it has learnt: read their examples before you believe
the figure.

Source: Belinkov & Bisk 2018 (synthetic noise); Ribeiro et al. 2020, CheckList; Jin et al. 2020, TextFooler (near
words); interval of a paired difference by Newcombe 1998, method 10; of shares by Wilson 1927.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.audit import _altered
from tunewright.audit._altered import FEWEST, ROWS, SHOWN, Altered, altered, change_of, few, shown, text_columns, unfit
from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.audit._nearby import Nearby
from tunewright.audit._paired import NEWCOMBE, newcombe
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.data.changes import fitting
from tunewright.data.changes._some import CHINESE, SPACED

NEEDS = frozenset({"ask", "inputs", "logits"})
KINDS = frozenset({"classify", "multilabel"})
COSTLY = True
REMEDY = "train with --set objectives.fgm=0.3, or add training rows with such texts"

NEAR = "synonym"
"""Not a rule, but found by the model's vectors."""
MORE = 100
"""Rows that are looked at for near words beside those that are asked: not every text stays near."""
WORST = 3
"""Examples of each change."""


def ways() -> list[str]:
    """The changes that keep the meaning."""
    return [*fitting("same"), NEAR]


def metrics(kind: Kind) -> tuple[str, ...]:
    """Drop and flips of each change."""
    return tuple(f"{way}.{name}" for way in ways() for name in ("drop", "flips"))


def run(context: Context) -> list[Finding]:
    """Drop and flips of each change; a table of all, and privately the worst examples."""
    found = {way: _asked(context, way) for way in ways()}
    measured = {way: one for way, one in found.items() if isinstance(one, Altered)}
    findings = [finding for way, one in found.items() for finding in _findings(way, one)]
    if not measured:
        return findings
    first = next(at for at, one in enumerate(findings) if one.value is not None)
    exhibits = (_table(findings, measured), _worst(measured))
    return [replace(one, exhibits=exhibits) if at == first else one for at, one in enumerate(findings)]


def _asked(context: Context, way: str) -> Altered | str:
    """The rows changed in one way; or why not."""
    if context.ask is None:
        return "not run, because there is no model at hand to ask"
    reason = _no_words(context) if way == NEAR else unfit(way, context)
    if reason:
        return reason
    one = altered(context, _near(context) if way == NEAR else change_of(way, context.seed))
    return one if len(one) >= FEWEST else f"not run, because only {len(one)} rows are changed by it"


def _no_words(context: Context) -> str:
    if not text_columns(context.inputs):
        return "not run, because no input is a text"
    if context.embed is None:
        return "not run, because the model gives no vectors"
    return (
        ""
        if context.language in SPACED | CHINESE
        else f"not run, because it has no words for texts in {context.language!r}"
    )


def _near(context: Context) -> _altered.Change:
    """Only the rows that are going to be drawn, and some more, are looked at: each costs two vectors."""
    order = np.random.default_rng(context.seed).permutation(context.rows)[: ROWS + MORE].tolist()
    return Nearby(context.embed, context.inputs, context.language).swaps(order, context.seed)


def _findings(way: str, one: Altered | str) -> list[Finding]:
    if isinstance(one, str):
        return [Finding("robustness", f"{way}.{name}", None, note=one) for name in ("drop", "flips")]
    n, note = len(one), few(len(one))
    count = int(one.flipped.sum())
    flips = Finding("robustness", f"{way}.flips", count / n, *wilson(count, n), n, source=WILSON, note=note)
    if one.right is None:
        missing = "not run, because the rows have no labels"
        return [Finding("robustness", f"{way}.drop", None, note=missing), flips]
    before, after = one.right
    both, lost, won = (int(rows.sum()) for rows in (before & after, before & ~after, ~before & after))
    interval = newcombe(both, won, lost, n)
    drop = Finding("robustness", f"{way}.drop", (lost - won) / n, *interval, n, source=NEWCOMBE, note=note)
    return [drop, flips]


def _table(findings: list[Finding], measured: dict[str, Altered]) -> Exhibit:
    by_name = {one.metric: one for one in findings}
    rows = []
    for way, one in measured.items():
        drop, flips = by_name[f"{way}.drop"], by_name[f"{way}.flips"]
        shares = [None, None] if one.right is None else [float(rows.mean()) for rows in one.right]
        rows.append((way, len(one), *shares, drop.value, drop.low, drop.high, flips.value))
    columns = ("change", "rows changed", "right before", "right after", "drop", "low", "high", "flips")
    return Exhibit("All changes", "table", columns, tuple(rows))


def _worst(measured: dict[str, Altered]) -> Exhibit:
    """Of each change, the rows that went from right to wrong or flipped, those first that lost most."""
    rows: list[tuple[Any, ...]] = []
    for way, one in measured.items():
        lost = one.flipped if one.right is None else one.right[0] & ~one.right[1]
        at = np.flatnonzero(one.flipped)
        order = at[np.lexsort((-one.fallen[at], ~lost[at]))]
        rows += shown(one, order[:WORST].tolist(), way)
    return Exhibit("Answers that changed", "table", SHOWN, tuple(rows), private=True)


ZH_DOC = """书写上的差错代价多大：文本换一种写法而意思不变时，答错的行会增加多少。

定义：按种子抽取若干行，按规则改动文本而不改变意思：打字错误、大小写、空格、标点、形近的外文字母、缩写、附加一句无关的
话、近义的词；中文则有同音字、形近字、繁体字、拼音、全角与半角。每种改动至多取 300 行，且只取它确实能改动的行；大约每
十个词改一个，整篇性质的改动则改全文。

公式：下降 = 改动前答对的比例减去改动后答对的比例（多标签时须全部答对）。翻转 = 答案发生变化的行所占的比例，不论对错。

解读：下降 0.05 表示每 100 条这样的文本多答错 5 条。若区间包含 0，则这些数据看不出下降。有翻转而无下降也值得警惕：模型
依据了不该依据的东西。近义词由模型自己的向量找出，训练之后这些向量包含了模型学到的内容：请先看例子，再相信这个数字。

出处：Belinkov 与 Bisk 2018（人工噪声）；Ribeiro et al. 2020, CheckList；Jin et al. 2020, TextFooler（近义词）；配对差
的区间用 Newcombe 1998 的方法 10；比例的区间用 Wilson 1927。
"""

CHANGES = {
    "appended": "附加无关文字",
    "case": "大小写",
    "contraction": "英文缩写",
    "homophone": "同音字",
    "lookalike": "形近的外文字母",
    "pinyin": "拼音",
    "punctuation": "标点",
    "shape": "形近字",
    "spacing": "空格",
    "traditional": "繁简转换",
    "typo": "打字错误",
    "width": "全角半角",
    NEAR: "近义词",
}

ZH = {
    REMEDY: "训练时加上 --set objectives.fgm=0.3，或在训练数据中加入这样的文本",
    **{f"{way}.drop": f"{chinese}：下降" for way, chinese in CHANGES.items()},
    **{f"{way}.flips": f"{chinese}：翻转" for way, chinese in CHANGES.items()},
    **_altered.ZH,
    "not run, because the model gives no vectors": "未运行，因为模型不提供向量",
    "All changes": "全部改动",
    "right before": "改动前答对",
    "right after": "改动后答对",
    "drop": "下降",
    "low": "下限",
    "high": "上限",
    "flips": "翻转",
}
