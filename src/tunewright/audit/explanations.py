"""Which explanations to believe: how far the answer falls when the words that they name are taken away.

Definition: the pieces of a text (words, or neighbours together) are ordered by what an explainer says that they speak
for the predicted label. Deletion is the area under the label's probability while they are taken out, the first first;
insertion the area while they are put into an empty text; sufficiency is what the probability loses when the 3 first
stand alone. Each is set against the same with pieces in a random order. Random weights: the rank correlation of the
sizes of the weights with those under a network of the same make whose tensors are drawn anew.

Formula: gain = measure of the random order minus measure of the explainer (for insertion the other way round), as the
mean over texts; faithfulness = area under insertion minus area under deletion.

How to read: a gain whose interval lies above 0 says that the explainer knows more than chance about what the model
reads; one that holds 0 says that its colours may be decoration. Believe the explainer with the higher faithfulness. It
tells of the model, not of the world: a faithful explanation may show that the model looks at the wrong words. An
explainer whose rank correlation with random weights is near 1 does not look at what was learnt.

Source: Petsiuk, Das and Saenko 2018 (RISE); DeYoung et al. 2020 (ERASER); Ribeiro, Singh and Guestrin 2016 (LIME);
Lundberg and Lee 2017 (SHAP); Sundararajan, Taly and Yan 2017 (integrated gradients); Adebayo et al. 2018 (random
weights).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._drivers import driving_words
from tunewright.audit._explainers import EXPLAINERS, FEWEST, NO_GRADIENTS, PIECES, TEXTS, affordable, at_hand, explained
from tunewright.audit._faithfulness import MEASURES, Faithful, areas, faithfulness, mean_with_interval, verdict
from tunewright.audit._intervals import BOOTSTRAP
from tunewright.audit._parts import joined
from tunewright.audit._random_weights import FAILED, PASSED, UNSURE, Told, against_random
from tunewright.audit._remembered import Remembered
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Finding, Kind
from tunewright.modalities._pieces import pieces

NEEDS = frozenset({"inputs", "logits"})
KINDS = frozenset({"classify", "multilabel"})
COSTLY = True
REMEDY = "do not show these explanations to users, or take the explainer with the higher faithfulness"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Faithfulness of each explainer, its gains over a random order, and how like it is under random weights."""
    return tuple(name for way in EXPLAINERS for name in _names(way))


def _names(way: str) -> list[str]:
    measured = ("faithfulness", *(f"{one}_gain" for one in MEASURES), "random_weights")
    return [f"{name}.{way}" for name in measured]


def run(context: Context) -> list[Finding]:
    """All explainers that are at hand, and the words that drive each class."""
    known = explained(context)
    if known is None:
        return _silent(metrics(context.kind), "not run, because the model at hand gives no log-odds for new texts")
    model, target = known
    rows = _readable(context)
    if len(rows) < FEWEST:
        return _silent(metrics(context.kind), f"not run, because only {len(rows)} rows have two words or more")
    drawn = np.random.default_rng(context.seed).permutation(rows)[:TEXTS]
    texts = {column: [values[row] for row in drawn] for column, values in context.inputs.items()}
    ways, missing = at_hand(context)
    model = Remembered(model, target)
    found: dict[str, Faithful] = {}
    for name, way in ways.items():
        some = _first(texts, affordable(way, texts))
        try:
            if some:
                found[name] = faithfulness(model, some, way, target=target, most=PIECES, seed=context.seed)
            else:
                missing[name] = f"not run, because {name} reads too many variants of texts as long as these"
        except TunewrightError:
            if name != "ig":
                raise
            missing[name] = NO_GRADIENTS  # the weights are not those of the graphs
    told = {name: Told(ways[name], _first(texts, len(one.told)), one.told) for name, one in found.items()}
    checked, table = against_random(context, target, told)
    findings = [
        one
        for name in EXPLAINERS
        for one in (
            [*_findings(name, found[name], context.seed), checked[name]]
            if name in found
            else _silent(_names(name), missing[name])
        )
    ]
    if not found:
        return findings
    exhibits = (areas(found), *table, driving_words(context, model, target, rows))
    return [replace(findings[0], note=verdict(found, context.seed), exhibits=exhibits), *findings[1:]]


def _first(texts: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The first ``count`` texts; nothing where that is 0."""
    return {column: values[:count] for column, values in texts.items()} if count else {}


def _readable(context: Context) -> NDArray[np.int64]:
    """Rows with at least two words."""
    return np.array([at for at, text in enumerate(joined(context.inputs)) if len(pieces(text)) > 1], np.int64)


def _findings(way: str, of_it: Faithful, seed: int) -> list[Finding]:
    values = {"faithfulness": of_it.both} | {f"{name}_gain": of_it.gain[:, at] for at, name in enumerate(MEASURES)}
    return [
        Finding("explanations", f"{name}.{way}", *mean_with_interval(one, seed), len(one), source=BOOTSTRAP)
        for name, one in values.items()
    ]


def _silent(names: Sequence[str], note: str) -> list[Finding]:
    return [Finding("explanations", name, None, note=note) for name in names]


ZH_DOC = """哪种解释可信：去掉解释所指出的词后，答案减弱多少。

定义：把文本的片段（词，或相邻的几个词）按解释方法认为其支持预测标签的程度排序。删除指从最支持的片段开始逐个去掉时，
该标签概率曲线下的面积；插入指把它们逐个放入空文本时曲线下的面积；充分性指只保留前 3 个片段时概率损失多少。每项都与
随机顺序下的结果相比。随机权重：与结构相同、张量重新随机抽取的网络相比，权重大小的秩相关。

公式：增益 = 随机顺序的数值减去解释方法的数值（插入则相反），对各文本取平均；忠实度 = 插入面积减去删除面积。

解读：增益的区间在 0 以上，说明该解释方法比随机更了解模型读了什么；区间包含 0，则它的着色可能只是装饰。请相信忠实度更高
的解释方法。它说明的是模型而不是世界：忠实的解释也可能显示模型看错了词。与随机权重的秩相关接近 1 的解释方法，并没有看
模型学到的东西。

出处：Petsiuk, Das 与 Saenko 2018（RISE）；DeYoung et al. 2020（ERASER）；Ribeiro, Singh 与 Guestrin 2016（LIME）；
Lundberg 与 Lee 2017（SHAP）；Sundararajan, Taly 与 Yan 2017（积分梯度）；Adebayo et al. 2018（随机权重）。
"""

NAMES = {
    "faithfulness": "忠实度",
    "deletion_gain": "删除增益",
    "insertion_gain": "插入增益",
    "sufficiency_gain": "充分性增益",
    "random_weights": "与随机权重的秩相关",
}
IN_CHINESE = {"occlusion": "遮挡法", "lime": "LIME", "shap": "SHAP", "ig": "积分梯度"}

ZH = {
    REMEDY: "不要向用户展示这些解释，或改用忠实度更高的解释方法",
    **{f"{name}.{way}": f"{shown}（{IN_CHINESE[way]}）" for name, shown in NAMES.items() for way in IN_CHINESE},
    "not run, because the model at hand gives no log-odds for new texts": "未运行，因为该模型不能给出新文本的对数几率",
    "not run, because only {} rows have two words or more": "未运行，因为只有 {} 行包含两个以上的词",
    PASSED: "解释随权重而变，理应如此",
    FAILED: "解释几乎不随权重而变：不可信",
    UNSURE: "这些文本看不出解释是否随权重而变",
    "not run, because {} is not installed": "未运行，因为没有安装 {}",
    NO_GRADIENTS: "未运行，因为该模型没有梯度",
    "not run, because {} reads too many variants of texts as long as these": "未运行，因为 {} 要读这么长文本的过多变体",
    "not run, because the model's weights do not stand apart from its graphs": "未运行，因为模型的权重不在计算图之外",
    "not run, because the model is no bundle at hand": "未运行，因为手边没有模型包",
    "Random weights": "随机权重",
    "mean rank correlation of the explanations of the model with those of a network with random weights": (
        "模型的解释与随机权重网络的解释之间的平均秩相关"
    ),
    "weights": "权重",
    "sizes": "大小",
    "texts": "文本数",
    "believe {}: it is more faithful than {}": "请相信 {}：它比 {} 更忠实",
    "believe {} or {}: these texts cannot tell them apart": "请相信 {} 或 {}：这些文本分不出它们的高下",
    "believe {}": "请相信 {}",
    "no explainer is better than chance here: believe none": "没有一种解释方法好于随机：都不可信",
    "Means over texts": "各文本的平均",
    "lower is better for deletion and sufficiency, higher for insertion": "删除与充分性越低越好，插入越高越好",
    "explainer": "解释方法",
    "random order": "随机顺序",
    "deletion": "删除",
    "insertion": "插入",
    "sufficiency": "充分性",
    "Words that drive each class": "左右各类别的词",
    "word": "词",
    "mean weight": "平均权重",
    "mean log-odds lost without the word, in at least {} rows that are answered so": (
        "在至少 {} 行如此回答的文本中，去掉该词平均损失的对数几率"
    ),
}
