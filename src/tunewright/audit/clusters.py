"""Weak clusters: texts alike in meaning, by the model's own vectors, that are answered worse than the rest.

Definition: the rows are parted by k-means on the model's vectors. A cluster is weak if its rows are answered wrongly
more often than all others, by more than chance explains; its name is made of frequent words that it has in excess.

Formula: as many clusters as there are 60 rows, 40 at most; then as for slices: Fisher's exact test, picked on one half
of the rows and tested on the other from 400 rows on, p raised for the number that are tested (Holm). Weak: p at most
1 %.

How to read: a weak cluster is a subject that the model does not know well, also where no single word or column shows
it. Read rows of it before you label more: the words in its name tell it from the others and need not be its subject.

Source: MacQueen 1967, Some methods for classification; d'Eon et al. 2022, The Spotlight (FAccT); Holm 1979.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from tunewright.audit._context import Context
from tunewright.audit._parts import Parts, frequent_words, joined, large, named_by_words
from tunewright.audit._weak import SPOKEN, findings, metric_of
from tunewright.core.types import Array, Finding, Kind

NEEDS = frozenset({"logits", "truth", "inputs", "embed"})
KINDS = frozenset({"classify", "multilabel", "regress"})
COSTLY = True
REMEDY = "label more rows like those of the weak cluster, or leave its answers to people"

ROWS_EACH, MOST = 60, 40
FEWEST = 120
"""Rows below which there is nothing to part."""


def metrics(kind: Kind) -> tuple[str, ...]:
    """How many clusters are weak, and the metric of each."""
    return "weak_clusters", metric_of(kind)


def run(context: Context) -> list[Finding]:
    """Every cluster, tested."""
    if context.rows < FEWEST:
        note = f"not run, because {context.rows} rows are too few: {FEWEST} are needed"
        return [Finding("clusters", "weak_clusters", None, n=context.rows, note=note)]
    vectors = np.asarray(context.embed(context.inputs), np.float64)
    count = min(MOST, context.rows // ROWS_EACH, len(np.unique(vectors, axis=0)))
    if count < 2:
        note = "not run, because the model gives all rows the same vector"
        return [Finding("clusters", "weak_clusters", None, n=context.rows, note=note)]
    return findings("clusters", "weak_clusters", context, large(_clusters(context, vectors, count)))


def _clusters(context: Context, vectors: Array, count: int) -> Parts:
    at = KMeans(count, n_init=3, random_state=context.seed).fit_predict(vectors)
    words = frequent_words(joined(context.inputs))
    out: Parts = {}
    for cluster in range(count):
        mask = np.asarray(at == cluster)
        if mask.any() and not mask.all():
            said = named_by_words(mask, words)
            out[f"cluster {cluster + 1}: {said}" if said else f"cluster {cluster + 1}"] = mask
    return out


ZH_DOC = """薄弱的簇：按模型自身的向量含义相近、却比其余答得差的文本。

定义：用 k-means 按模型的向量把各行分成若干簇。若某簇的行答错的比例高于其余各行，且超出偶然可解释的程度，则为薄弱；簇名
由它多于其他行的常见词组成。

公式：每 60 行一簇，至多 40 簇；其后与数据片相同：Fisher 精确检验，满 400 行时用一半的行挑选、用另一半检验，p 按被检验的
簇数校正（Holm）。p 不超过 1% 即为薄弱。

解读：薄弱的簇是模型不熟悉的主题，即使没有哪个词或哪一列能显示它。标注更多数据之前先读读其中的行：簇名中的词只是把它与其他
簇区分开，未必就是主题。

出处：MacQueen 1967, Some methods for classification；d'Eon et al. 2022, The Spotlight (FAccT)；Holm 1979。
"""

ZH = {
    **SPOKEN,
    REMEDY: "为薄弱的簇标注更多类似的数据，或把它的回答交给人工",
    "weak_clusters": "薄弱簇的数目",
    "not run, because the model gives all rows the same vector": "未运行，因为模型给所有行的向量都相同",
    "not run, because {} rows are too few: {} are needed": "未运行，因为 {} 行太少：至少需要 {} 行",
}
