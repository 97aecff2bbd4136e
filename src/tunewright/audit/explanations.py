"""Which explanations to believe: how far the answer falls when the words that they name are taken away.

Definition: the pieces of a text (words, or neighbours together) are ordered by what an explainer says that they speak
for the predicted label. Deletion is the area under the label's probability while they are taken out, the first first;
insertion the area while they are put into an empty text; sufficiency is what the probability loses when the 3 first
stand alone. Each is set against the same with pieces in a random order.

Formula: gain = measure of the random order minus measure of the explainer (for insertion the other way round), as the
mean over texts; faithfulness = area under insertion minus area under deletion.

How to read: a gain whose interval lies above 0 says that the explainer knows more than chance about what the model
reads; one that holds 0 says that its colours may be decoration. Believe the explainer with the higher faithfulness. It
tells of the model, not of the world: a faithful explanation may show that the model looks at the wrong words.

Source: Petsiuk, Das and Saenko 2018 (RISE); DeYoung et al. 2020 (ERASER); Ribeiro, Singh and Guestrin 2016 (LIME).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._drivers import driving_words
from tunewright.audit._faithfulness import LOWER_IS_BETTER, MEASURES, Faithful, faithfulness, mean_with_interval
from tunewright.audit._intervals import BOOTSTRAP
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.modalities._pieces import pieces
from tunewright.runtime.ways import WAYS

NEEDS = frozenset({"predictor", "inputs", "logits"})
KINDS = frozenset({"classify", "multilabel"})
COSTLY = True
REMEDY = "do not show these explanations to users, or take the explainer with the higher faithfulness"

TEXTS = 50
"""Texts that the explainers are measured on, drawn by the seed: LIME asks for 500 variants of each."""
FEWEST = 5
"""Texts below which nothing is said."""


def metrics(kind: Kind) -> tuple[str, ...]:
    """Faithfulness of each explainer, and its gains over a random order."""
    return tuple(f"{name}.{way}" for way in WAYS for name in ("faithfulness", *(f"{one}_gain" for one in MEASURES)))


def run(context: Context) -> list[Finding]:
    """All explainers on the same texts, and the words that drive each class."""
    names = [name for name, kind in getattr(context.predictor, "kinds", {}).items() if kind is context.kind]
    if not names or not hasattr(context.predictor, "logits_of"):
        return _silent(context, "not run, because the model at hand gives no log-odds for new texts")
    rows = _readable(context)
    if len(rows) < FEWEST:
        return _silent(context, f"not run, because only {len(rows)} rows have two words or more")
    drawn = np.sort(np.random.default_rng(context.seed).permutation(rows)[:TEXTS])
    texts = {column: [values[row] for row in drawn] for column, values in context.inputs.items()}
    found = {way: faithfulness(context.predictor, texts, way, target=names[0], seed=context.seed) for way in WAYS}
    findings = [one for way, of_it in found.items() for one in _findings(way, of_it, context.seed)]
    exhibits = _areas(found), driving_words(context, names[0], rows)
    note = _verdict(found, context.seed)
    return [replace(findings[0], note=note, exhibits=exhibits), *findings[1:]]


def _readable(context: Context) -> NDArray[np.int64]:
    """Rows with at least two words."""
    joined = (" ".join(str(value or "") for value in row) for row in zip(*context.inputs.values(), strict=True))
    return np.array([at for at, text in enumerate(joined) if len(pieces(text)) > 1], np.int64)


def _findings(way: str, of_it: Faithful, seed: int) -> list[Finding]:
    values = {"faithfulness": of_it.both} | {f"{name}_gain": of_it.gain[:, at] for at, name in enumerate(MEASURES)}
    return [
        Finding("explanations", f"{name}.{way}", *mean_with_interval(one, seed), len(one), source=BOOTSTRAP)
        for name, one in values.items()
    ]


def _verdict(found: Mapping[str, Faithful], seed: int) -> str:
    """Which explainer to believe, by the paired difference on the same texts."""
    best, second = sorted(found, key=lambda way: -float(found[way].both.mean()))[:2]
    _, chance, _ = mean_with_interval(found[best].gain[:, 0] + found[best].gain[:, 1], seed)
    if chance <= 0:
        return "no explainer is better than chance here: believe none"
    _, low, _ = mean_with_interval(found[best].both - found[second].both, seed)
    if low > 0:
        return f"believe {best}: it is more faithful than {second}"
    return f"believe either: these texts cannot tell {best} and {second} apart"


def _areas(found: Mapping[str, Faithful]) -> Exhibit:
    measured: dict[str, Any] = {way: one.own for way, one in found.items()}
    measured["random order"] = np.mean([one.chance for one in found.values()], axis=0)
    rows = tuple((way, *(float(value) for value in values.mean(0))) for way, values in measured.items())
    note = f"lower is better for {' and '.join(LOWER_IS_BETTER)}, higher for insertion"
    return Exhibit("Means over texts", "table", ("explainer", *MEASURES), rows, note)


def _silent(context: Context, note: str) -> list[Finding]:
    return [Finding("explanations", name, None, note=note) for name in metrics(context.kind)]


ZH_DOC = """哪种解释可信：去掉解释所指出的词后，答案减弱多少。

定义：把文本的片段（词，或相邻的几个词）按解释方法认为其支持预测标签的程度排序。删除指从最支持的片段开始逐个去掉时，
该标签概率曲线下的面积；插入指把它们逐个放入空文本时曲线下的面积；充分性指只保留前 3 个片段时概率损失多少。每项都与
随机顺序下的结果相比。

公式：增益 = 随机顺序的数值减去解释方法的数值（插入则相反），对各文本取平均；忠实度 = 插入面积减去删除面积。

解读：增益的区间在 0 以上，说明该解释方法比随机更了解模型读了什么；区间包含 0，则它的着色可能只是装饰。请相信忠实度更高
的解释方法。它说明的是模型而不是世界：忠实的解释也可能显示模型看错了词。

出处：Petsiuk, Das 与 Saenko 2018（RISE）；DeYoung et al. 2020（ERASER）；Ribeiro, Singh 与 Guestrin 2016（LIME）。
"""

NAMES = {
    "faithfulness": "忠实度",
    "deletion_gain": "删除增益",
    "insertion_gain": "插入增益",
    "sufficiency_gain": "充分性增益",
}
IN_CHINESE = {"occlusion": "遮挡法", "lime": "LIME"}

ZH = {
    REMEDY: "不要向用户展示这些解释，或改用忠实度更高的解释方法",
    **{f"{name}.{way}": f"{shown}（{IN_CHINESE[way]}）" for name, shown in NAMES.items() for way in IN_CHINESE},
    "not run, because the model at hand gives no log-odds for new texts": "未运行，因为该模型不能给出新文本的对数几率",
    "not run, because only {} rows have two words or more": "未运行，因为只有 {} 行包含两个以上的词",
    "believe {}: it is more faithful than {}": "请相信 {}：它比 {} 更忠实",
    "believe either: these texts cannot tell {} and {} apart": "两者皆可：这些文本分不出 {} 与 {} 的高下",
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
