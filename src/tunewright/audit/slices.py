"""Weak slices that nobody had to name: texts of a length, a language, a word, a value of a column.

Definition: a slice is a part of the rows that something visible sets apart: how long the text is, its language, a
frequent word in it, an empty input, or the value that a further column holds (a source, a group, a range of numbers or
of dates). It is weak if its rows are answered wrongly more often than all others, by more than chance explains.

Formula: p = chance of as many wrong rows among those of the slice, had the wrong ones been dealt out blindly (Fisher's
exact test). From 400 rows on, slices are picked on one half of the rows and tested on the other; p is raised for the
number of slices that are tested (Holm). Weak: p at most 1 %. Of numbers, the fifth of rows with the largest errors
counts as wrong.

How to read: 0 weak slices says that none was sure enough, not that all are alike: small slices cannot be judged, and
those of fewer than 20 rows are not looked at. A weak slice tells where to label more rows or to send answers to a
person; it is no cause. Its value is measured on rows that had no part in picking it, where there are 400 or more.

Source: Fisher 1935, The Design of Experiments; Holm 1979 (Scandinavian Journal of Statistics 6); Cox 1975, A note on
data-splitting for the evaluation of significance levels (Biometrika 62); the aim: Chung et al. 2019, Slice Finder.
"""

from __future__ import annotations

from tunewright.audit._context import Context
from tunewright.audit._parts import parts_of
from tunewright.audit._weak import SPOKEN, findings, metric_of
from tunewright.core.types import Finding, Kind

NEEDS = frozenset({"logits", "truth", "inputs"})
KINDS = frozenset({"classify", "multilabel", "regress"})
REMEDY = "label more rows like those of the weak slice, or leave its answers to people"


def metrics(kind: Kind) -> tuple[str, ...]:
    """How many slices are weak, and the metric of each."""
    return "weak_slices", metric_of(kind)


def run(context: Context) -> list[Finding]:
    """Every slice that can be seen in the rows, tested."""
    return findings("slices", "weak_slices", context, parts_of(context))


ZH_DOC = """自动找出的薄弱数据片：某种长度、某种语言、含某词或某列取某值的文本。

定义：数据片是由某个可见特征划出的一部分行：文本长度、语言、其中的常见词、空的输入，或其他列的取值（来源、群体、数值或
日期范围）。若其中的行答错的比例高于其余各行，且超出偶然可解释的程度，则为薄弱片。

公式：p = 若把错误的行随机分配，该片中至少出现这么多错误行的概率（Fisher 精确检验）。满 400 行时，用一半的行挑选，用
另一半检验；p 按被检验的片数校正（Holm）。p 不超过 1% 即为薄弱。数值任务中，误差最大的五分之一的行算作答错。

解读：薄弱片为 0 只说明没有足够确定的片，并不说明各片相同：小片无法评判，不足 20 行的片不予考察。薄弱片指出应在何处多
标注数据，或把回答交给人工；它并不是原因。满 400 行时，其数值在未参与挑选的行上测得。

出处：Fisher 1935, The Design of Experiments；Holm 1979（Scandinavian Journal of Statistics 6）；Cox 1975, A note on
data-splitting for the evaluation of significance levels（Biometrika 62）；目的见 Chung et al. 2019, Slice Finder。
"""

ZH = {
    **SPOKEN,
    REMEDY: "为薄弱片标注更多类似的数据，或把它的回答交给人工",
    "weak_slices": "薄弱片的数目",
}
