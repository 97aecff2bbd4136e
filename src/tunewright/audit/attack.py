"""An attack that knows nothing but scores: how often a few exchanged words turn a right answer into another.

Definition: of rows that are answered rightly 100 are drawn by the seed. The words of each are weighed by what the score
of the answer loses without them. From the weightiest on each is exchanged for what lowers the score most: a typing
error or a look-alike letter in it, a near word of these rows (of a Chinese character: one of the same sound or shape,
its traditional form, its pinyin), until the answer is another one, a quarter of the words is exchanged, or the model
was asked 100 times. A near word counts only where the whole text stays near: cosine of the vectors, less the mean of
all, at least 0.5 for words and 0.85 for texts.

Formula: success = texts whose answer fell / texts attacked. Words changed and similarity are means over those that
fell, queries over all.

How to read: success is what someone reaches who means it, not what happens by itself; models without a defence often
lose half of their answers or more. Compare models by the same rows and budget only. Nearness is judged by the model's
own vectors, which are no neutral judge after training: look at the examples.

Source: Jin, Jin, Zhou & Szolovits 2020, Is BERT Really Robust? (TextFooler, AAAI); slips as in Li et al. 2019,
TextBugger (NDSS); shares by the interval of Wilson 1927, means by the bootstrap over texts (Efron & Tibshirani 1993).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.audit import _altered
from tunewright.audit._altered import FEWEST, named, same, score_of, text_columns
from tunewright.audit._context import Context
from tunewright.audit._faithfulness import mean_with_interval
from tunewright.audit._intervals import BOOTSTRAP, WILSON, wilson
from tunewright.audit._nearby import Nearby
from tunewright.audit._substitution import Attack, Victim, joined
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.data.changes._some import CHINESE, SPACED

NEEDS = frozenset({"ask", "inputs", "logits", "scores"})
KINDS = frozenset({"classify", "multilabel"})
COSTLY = True
REMEDY = "train with --set objectives.fgm=0.3 or objectives.pgd=0.3, and compare on the same rows"

ROWS = 100
"""Texts that are attacked at most."""
SHOWN = 20


def metrics(kind: Kind) -> tuple[str, ...]:
    """Success of the attack, and what it took."""
    return ("success", "words_changed", "queries", "similarity")


def run(context: Context) -> list[Finding]:
    """Success, and what it took; privately some texts that fell."""
    reason = _unfit(context)
    if reason:
        return [Finding("attack", name, None, note=reason) for name in metrics(context.kind)]
    # Han characters are attacked one by one, and one alone has no near word
    words = context.language if context.language in SPACED else ""
    nearby = Nearby(context.embed, context.inputs, words) if context.embed is not None else None
    victims = attacked(context, nearby)
    if len(victims) < FEWEST:
        reason = f"not run, because only {len(victims)} rows are answered rightly and have two words or more"
        return [Finding("attack", name, None, note=reason) for name in metrics(context.kind)]
    return _findings(context, victims, nearby)


def attacked(context: Context, nearby: Nearby | None, most: int = ROWS) -> list[Victim]:
    """Rows that are answered rightly (all, where the truth is not known), after the attack."""
    decided, names = np.asarray(context.decided), text_columns(context.inputs)
    right = np.ones(len(decided), bool) if context.truth is None else same(decided, context.truth)
    scores = score_of(context.kind, context.logits, decided)
    victims = []
    for row in np.random.default_rng(context.seed).permutation(np.flatnonzero(right)).tolist():
        columns = {name: values[row] for name, values in context.inputs.items()}
        one = Victim.of(row, columns, names, float(scores[row]), context.seed)
        victims += [one] if len(one.words) > 1 else []
        if len(victims) == most:
            break
    Attack(context.kind, context.ask, decided, nearby).run(victims)
    return victims


def _unfit(context: Context) -> str:
    if context.ask is None:
        return "not run, because there is no model at hand to ask"
    if not text_columns(context.inputs):
        return "not run, because no input is a text"
    if not context.language:
        return "not run, because the language is not known"
    known = context.language in SPACED | CHINESE
    return "" if known else f"not run, because it has no words for texts in {context.language!r}"


def _findings(context: Context, victims: list[Victim], nearby: Nearby | None) -> list[Finding]:
    n, fallen = len(victims), [one for one in victims if one.fell]
    note = f"only {n} texts are attacked" if n < ROWS else ""
    exhibits = (_examples(context, fallen),)
    success = Finding("attack", "success", len(fallen) / n, *wilson(len(fallen), n), n, source=WILSON, note=note)
    return [
        replace(success, exhibits=exhibits),
        _mean("words_changed", [len(one.changed) for one in fallen], context.seed),
        _mean("queries", [one.queries for one in victims], context.seed),
        _similarity(context, fallen, nearby),
    ]


def _mean(name: str, values: Any, seed: int) -> Finding:
    if not len(values):
        return Finding("attack", name, None, note="not defined, because no answer fell")
    value, low, high = mean_with_interval(np.asarray(values, np.float64), seed)
    return Finding("attack", name, value, low, high, len(values), source=BOOTSTRAP)


def _similarity(context: Context, fallen: list[Victim], nearby: Nearby | None) -> Finding:
    if nearby is None:
        return Finding("attack", "similarity", None, note="not run, because the model gives no vectors")
    before = nearby.vectors([joined(one.texts(one.first)) for one in fallen])
    after = nearby.vectors([joined(one.texts(one.words)) for one in fallen])
    return _mean("similarity", (before * after).sum(1), context.seed)


def _examples(context: Context, fallen: list[Victim]) -> Exhibit:
    """Those with the fewest words changed."""
    few = sorted(fallen, key=lambda one: len(one.changed))[:SHOWN]
    after: Any = context.kind.decide(context.ask(_columns(few))) if few else ()
    rows = tuple(
        (
            context.place(one.row),
            joined(one.texts(one.first)),
            joined(one.texts(one.words)),
            named(context.kind, context.decided[one.row]),
            named(context.kind, said),
            one.queries,
        )
        for one, said in zip(few, after, strict=True)
    )
    columns = ("place", "before", "after", "answer before", "answer after", "queries")
    return Exhibit("Texts whose answer fell", "table", columns, rows, private=True)


def _columns(victims: list[Victim]) -> dict[str, list[Any]]:
    rows = [one.columns | one.texts(one.words) for one in victims]
    return {name: [row[name] for row in rows] for name in rows[0]}


ZH_DOC = """只看得分的攻击：换掉几个词，有多少答对的答案会变成别的答案。

定义：从答对的行中按种子抽取 100 行。先看去掉每个词后答案的得分下降多少，再从最重要的词开始，换成最能压低得分的写法：
打字错误、形近的外文字母、这些数据中的近义词（汉字则为同音字、形近字、繁体字或拼音），直到答案改变、四分之一的词已被替
换，或模型已被询问 100 次。近义词只在全文仍然相近时才算数：减去平均向量后的余弦，词不低于 0.5，全文不低于 0.85。

公式：成功率 = 答案被改变的文本 / 受攻击的文本。替换词数与相似度对被攻破的文本取平均，询问次数对全部文本取平均。

解读：成功率是有意为之者能达到的程度，而不是自然发生的程度；没有防御的模型往往会失去一半以上的答案。只有在相同的数据与
预算下才能比较不同模型。相似度由模型自己的向量判断，训练之后它并非中立的裁判：请看例子。

出处：Jin, Jin, Zhou 与 Szolovits 2020, Is BERT Really Robust?（TextFooler, AAAI）；书写差错同 Li et al. 2019,
TextBugger（NDSS）；比例的区间用 Wilson 1927，平均值用对文本的自助法（Efron 与 Tibshirani 1993）。
"""

ZH = {
    REMEDY: "训练时加上 --set objectives.fgm=0.3 或 objectives.pgd=0.3，并在相同的数据上比较",
    **_altered.ZH,
    "success": "攻击成功率",
    "words_changed": "替换词数",
    "queries": "询问次数",
    "similarity": "相似度",
    "not run, because the model gives no vectors": "未运行，因为模型不提供向量",
    "not run, because only {} rows are answered rightly and have two words or more": (
        "未运行，因为只有 {} 行答对且包含两个以上的词"
    ),
    "not defined, because no answer fell": "无定义，因为没有答案被改变",
    "only {} texts are attacked": "只有 {} 条文本受到攻击",
    "Texts whose answer fell": "答案被改变的文本",
}
