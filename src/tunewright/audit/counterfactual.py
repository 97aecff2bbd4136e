"""Whether the answer changes when a text speaks of somebody else: "he" for "she", one name or nation for another.

Definition: every row that holds an identity term is asked again with its terms swapped, those of one name (gender,
name, nationality, religion, age, region, and what the task adds in `audit.terms`) at a time. Changed is the share of
these rows whose answer becomes another one; the shift is how far the probability of the answer moves, up or down.

Formula: changed = rows with a changed answer / rows that hold a term; shift = mean of |P(answer | swapped) - P(answer |
as it was)|; for several labels of the one that moves most; of numbers the mean of |swapped - as it was|.

How to read: 0 is best, where who is spoken of does not matter to the question. Look at the pairs: a shift that always
goes the same way is a prejudice, one that goes both ways is noise. A changed answer can be right (a question on
maternity leave), and a swap can spoil a sentence: read the rows before you judge. Where fewer than 10 rows hold a term
nothing is said.

Source: Kusner et al. 2017, Counterfactual Fairness; Garg et al. 2019, Counterfactual Fairness in Text Classification
through Robustness; Zhao et al. 2018, Gender Bias in Coreference Resolution (swapped terms).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, bootstrap, wilson
from tunewright.audit._swaps import MOST, Effects, effects, variants
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.data.identity import terms_of

NEEDS = frozenset({"ask", "inputs", "logits"})
KINDS = frozenset({"classify", "multilabel", "regress"})
COSTLY = True
REMEDY = "set fairness.augment, so that the model learns from swapped rows too"

CHANGED, SHIFT = "counterfactual.changed", "counterfactual.shift"
FEWEST = 10
"""Rows with a term below which nothing is said."""
SHOWN = 50
PAIR_ROWS = 5


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings, on all rows that hold a term and by the name of the terms."""
    return (CHANGED, SHIFT) if kind.labels else (SHIFT,)


def run(context: Context) -> list[Finding]:
    """Swap, ask, compare; on the whole and for each name of terms."""
    further = context.task.audit.terms if context.task is not None else {}
    terms = terms_of(context.language, further)
    if not terms:
        language = context.language or "it is not known which"
        why = f"there is no list of identity terms for the language of the rows ({language}): set audit.terms"
        return _silent(context, f"not run, because {why}")
    asked = variants(context, terms)
    if not asked:
        return _silent(context, "not run, because no row holds an identity term")
    found = effects(context, asked)
    names = np.array([one.name for one in asked])
    whole = _measured(context, found, np.arange(len(asked)), "")
    parts = [_measured(context, found, np.flatnonzero(names == name), name) for name in terms if name in names]
    note = f"{whole[0].note}; {MOST:,} swapped rows were drawn" if len(asked) == MOST else whole[0].note
    exhibits = _pairs(context, found), _examples(context, found)
    return [replace(whole[0], note=note, exhibits=exhibits), *whole[1:], *(one for part in parts for one in part)]


def _silent(context: Context, note: str) -> list[Finding]:
    return [Finding("counterfactual", name, None, note=note) for name in metrics(context.kind)]


def _measured(context: Context, found: Effects, at: NDArray[np.int64], part: str) -> list[Finding]:
    """The findings of some variants; a row counts once, as changed if any of them is."""
    rows, owner = np.unique([found.variants[one].row for one in at], return_inverse=True)
    n = len(rows)
    note = f"{n:,} of {context.rows:,} rows hold a term"
    if n < FEWEST:
        note = f"too few to be judged: {n} of {context.rows:,} rows hold a term"
        return [replace(one, slice=part, n=n) for one in _silent(context, note)]
    measured = [_shift(np.bincount(owner, found.shift[at]) / np.bincount(owner), context.seed)]
    if context.kind.labels and not context.scores:
        measured = [
            Finding("counterfactual", SHIFT, None, note="not run, because the model gives labels without scores")
        ]
    if context.kind.labels:
        changed = int((np.bincount(owner, found.changed[at]) > 0).sum())
        share = Finding("counterfactual", CHANGED, changed / n, *wilson(changed, n), source=WILSON)
        measured = [share, *measured]
    return [replace(one, slice=part, n=n, note=one.note or note) for one in measured]


def _shift(shift: NDArray[np.float64], seed: int) -> Finding:
    value = float(shift.mean())
    drawn = bootstrap(lambda rows: {"mean": float(shift[rows].mean())}, len(shift), seed)["mean"]
    low, high = bias_corrected(value, drawn)
    return Finding("counterfactual", SHIFT, value, min(low, value), max(high, value), source=BOOTSTRAP)


def _pairs(context: Context, found: Effects) -> Exhibit:
    """Each word and what it became: how often the answer changed, and which way it went."""
    at_pair: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for at, one in enumerate(found.variants):
        for swap in one.swaps:
            at_pair[one.name, swap.old, swap.new.lower()].add(at)
    rows = []
    for (name, old, new), held in at_pair.items():
        if len(held) >= PAIR_ROWS:
            picked = sorted(held)
            moved = found.moved[picked].mean(0)
            label = int(np.abs(moved).argmax())
            way = context.kind.labels[label] if context.kind.labels else "number"
            share = float(found.changed[picked].mean())
            rows.append(
                (name, old, new, len(picked), share, float(found.shift[picked].mean()), way, float(moved[label]))
            )
    rows.sort(key=lambda one: (-abs(one[-1]), one[:3]))
    columns = ("terms", "word", "becomes", "rows", "changed", "shift", "moves most", "by")
    note = f"pairs in at least {PAIR_ROWS} rows; 'by' is the mean change, with its sign"
    return Exhibit("Pairs of words", "table", columns, tuple(rows[:SHOWN]), note)


def _examples(context: Context, found: Effects) -> Exhibit:
    """The rows that moved most."""
    order = np.lexsort((-found.shift, ~found.changed))[:SHOWN].tolist()
    inputs = context.inputs or {}
    rows = []
    for at in order:
        one = found.variants[at]
        before, after = _told(context, context.decided[one.row]), _told(context, found.decided[at])
        texts = [str(cell) for column in inputs for cell in (inputs[column][one.row], one.inputs[column])]
        rows.append((context.place(one.row), one.name, *texts, before, after, float(found.shift[at])))
    texts = [name for column in inputs for name in (column, f"{column}, swapped")]
    columns = ("place", "terms", *texts, "answer", "answer, swapped", "shift")
    return Exhibit("Rows that a swap moves most", "table", columns, tuple(rows), private=True)


def _told(context: Context, coded: Any) -> str | float:
    labels = context.kind.labels
    if not labels:
        return float(coded)
    if np.ndim(coded):
        return ", ".join(labels[at] for at in np.flatnonzero(coded)) or "–"
    return labels[int(coded)]


ZH_DOC = """当文本说的是另一个人时，回答是否改变：把“他”换成“她”，换一个名字或国家。

定义：凡含身份词的行，都把其中某一类身份词（性别、姓名、国籍、宗教、年龄、地域，以及任务在 `audit.terms` 中添加的词）换
掉后再问一次模型。“改变率”是其中回答变为另一个的行所占比例；“变动”是原回答的概率移动了多少（不论升降）。

公式：改变率 = 回答改变的行 / 含身份词的行；变动 = |P(回答 | 替换后) - P(回答 | 原文)| 的平均；多标签时取变动最大的标
签；数值任务取 |替换后 - 原值| 的平均。

解读：若问题与说的是谁无关，则以 0 为最佳。请看词对：总朝同一方向的变动是偏见，忽上忽下则是噪声。改变也可能是对的（例如
产假问题），替换也可能弄坏句子：请先读原文再下结论。含身份词的行不足 10 行时不作结论。

出处：Kusner et al. 2017, Counterfactual Fairness；Garg et al. 2019, Counterfactual Fairness in Text Classification
through Robustness；Zhao et al. 2018, Gender Bias in Coreference Resolution（词语替换）。
"""

ZH = {
    REMEDY: "设置 fairness.augment，让模型也从替换后的行中学习",
    CHANGED: "替换身份词后的改变率",
    SHIFT: "替换身份词后的变动",
    "{} of {} rows hold a term; {} swapped rows were drawn": "{1} 行中有 {0} 行含身份词；抽取了 {2} 条替换后的行",
    "{} of {} rows hold a term": "{1} 行中有 {0} 行含身份词",
    "too few to be judged: {} of {} rows hold a term": "太少，无法评判：{1} 行中只有 {0} 行含身份词",
    "not run, because no row holds an identity term": "未运行，因为没有任何行含身份词",
    "not run, because there is no list of identity terms for the language of the rows ({}): set audit.terms": (
        "未运行，因为没有该语言（{}）的身份词表：请设置 audit.terms"
    ),
    "not run, because the model gives labels without scores": "未运行，因为该模型只给出标签，没有得分",
    "Pairs of words": "词对",
    "pairs in at least {} rows; 'by' is the mean change, with its sign": (
        "至少出现在 {} 行中的词对；“幅度”是带符号的平均变化"
    ),
    "Rows that a swap moves most": "替换后变动最大的行",
    "terms": "词类",
    "word": "词",
    "becomes": "换成",
    "changed": "改变率",
    "shift": "变动",
    "moves most": "变化最大者",
    "by": "幅度",
    "answer, swapped": "替换后的回答",
}
