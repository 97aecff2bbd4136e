"""What gives the answers away: test rows that nearly repeat training rows, words, times and ids that tell the label.

Definition: a test row has a near twin if a training row is almost the same text. A label is named where its own name
stands in the text; a word decides a class if nearly all of its rows hold it, and hardly any other row. A test row is
too early if it is older than the latest training row. An id is a column without spaces in which nearly each value is
another; it tells the label if the nearest id, or ids that begin alike, find it better than the commonest label does.

Formula: twins have a Jaccard index of at least 0.8 (5 characters in a row that both have / that either has). Clean
score: the metric on rows without a twin. Words: 80 % of the rows of the class, and of the rows with the word at least
90 % are of the class (lower end of the interval). Lead of ids = accuracy by the id - share of the commonest label.

How to read: a score on rows that nearly occur in training tells what was learnt by heart; believe the clean score. A
word or an id that decides a class almost alone is seldom in the texts of tomorrow: look where it comes from, and take
it out. Names of labels are everyday words in some tasks; then a share above 0 is no fault. The rows themselves lie in
the row file beside the bundle.

Source: Broder 1997 (MinHash); Lee et al. 2022, Deduplicating Training Data Makes Language Models Better; Kaufman et
al. 2012, Leakage in Data Mining (ACM TKDD 6); interval of Wilson 1927 (JASA 22).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.audit._context import Columns, Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.audit._measured import measured
from tunewright.audit._telling import Deciding, deciding, is_id, moments, named, told_by_id
from tunewright.audit._twins import ALIKE, Twins, twins
from tunewright.core.types import Exhibit, Finding, Kind

NEEDS = frozenset({"inputs", "train"})
KINDS = None
REMEDY = "take the repeated rows, the telling word or the id out of the data, and cut the parts anew"

MOST_ROWS = 100_000
"""Training rows that twins are looked for in."""
SHOWN = 100
NO_TEXTS = "not run, because the texts of the training rows are not at hand"
LABELLED = frozenset({"classify", "multilabel"})
"""Kinds with labels of whole rows."""
NO_LABELS = "not run, because there are no labels on both sides"
NO_TIME = "not run, because the task names no column of times (split.by and split.column)"
NO_IDS = "not run, because no column looks like an id"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("near_twins", f"clean_{kind.headline[0]}", "label_names", "deciding_words", "too_early", "id_lead")


def run(context: Context) -> list[Finding]:
    """Twins and the score without them, then what tells the label: names, words, times, ids."""
    if not context.train.inputs or not context.rows:
        return [Finding("leakage", name, None, note=NO_TEXTS) for name in metrics(context.kind)]
    texts, known = joined(context.inputs), joined(context.train.inputs)
    return [*_twins(context, known, texts), *_words(context, known, texts), _times(context), _ids(context)]


def joined(inputs: Columns) -> list[str]:
    """One text for each row, of all its columns."""
    return ["\n".join(str(value) for value in row if value is not None) for row in zip(*inputs.values(), strict=True)]


def _twins(context: Context, known: Sequence[str], texts: Sequence[str]) -> Iterator[Finding]:
    drawn = np.arange(len(known))
    if len(known) > MOST_ROWS:
        drawn = np.sort(np.random.default_rng(context.seed).permutation(len(known))[:MOST_ROWS])
    found = twins([known[at] for at in drawn.tolist()], texts)
    rows, n = found.rows, len(texts)
    note = f"{len(rows)} of {n} rows nearly repeat one of {len(drawn)} training rows"
    exhibit = _pairs(context, found, [known[at] for at in drawn[found.nearest[rows]].tolist()], texts)
    share = wilson(len(rows), n)
    yield Finding("leakage", "near_twins", len(rows) / n, *share, n, source=WILSON, note=note, exhibits=(exhibit,))
    yield _clean(context, np.setdiff1d(np.arange(n), rows))


def _clean(context: Context, rows: Any) -> Finding:
    name = context.kind.headline[0]
    if context.logits is None or context.truth is None:
        return Finding("leakage", f"clean_{name}", None, note=NO_LABELS)
    if not len(rows):
        return Finding("leakage", f"clean_{name}", None, note="not run, because no row is without a twin")
    found = measured("leakage", context.kind, context.decided[rows], context.truth[rows], context.seed)
    return replace(next(one for one in found if one.metric == name), metric=f"clean_{name}")


def _pairs(context: Context, found: Twins, others: Sequence[str], texts: Sequence[str]) -> Exhibit:
    rows = [
        (context.place(row), texts[row], other, float(found.index[row]))
        for row, other in sorted(zip(found.rows.tolist(), others, strict=True), key=lambda one: -found.index[one[0]])
    ]
    columns = ("place", "text", "training text", "index")
    return Exhibit("Near twins", "table", columns, tuple(rows[:SHOWN]), f"a Jaccard index of {ALIKE} or more", True)


def _words(context: Context, known: Sequence[str], texts: Sequence[str]) -> Iterator[Finding]:
    """Names of labels in the judged rows, and words that decide a class of the training rows."""
    labels, truth = context.kind.labels, context.truth
    if truth is None or context.kind_name not in LABELLED:
        for name in ("label_names", "deciding_words"):
            yield Finding("leakage", name, None, note=NO_LABELS)
        return
    hits, n = int(named(texts, truth, labels).sum()), len(texts)
    note = f"{hits} rows hold the name of their own label, and of no other"
    yield Finding("leakage", "label_names", hits / n, *wilson(hits, n), n, source=WILSON, note=note)
    words, told, of = deciding(known, np.asarray(context.train.truth), len(labels), context.seed)
    classes = len({one.label for one in words})
    note = f"{classes} classes are told by a single word each"
    exhibit = (_deciding(words, labels),) if words else ()
    share = wilson(told, of)
    yield Finding("leakage", "deciding_words", told / of, *share, of, source=WILSON, note=note, exhibits=exhibit)


def _deciding(words: Sequence[Deciding], labels: Sequence[str]) -> Exhibit:
    rows = tuple((one.word, labels[one.label], one.right / one.of, one.right / one.rows) for one in words[:SHOWN])
    columns = ("word", "label", "share of its rows", "share of rows with the word")
    return Exhibit("Words that decide a class", "table", columns, rows, private=True)


def _times(context: Context) -> Finding:
    """The share of judged rows that are older than the latest training row."""
    split = getattr(context.task, "split", None)
    column = split.column if split is not None and split.by == "time" else ""
    before, after = (context.train.others or {}).get(column), (context.others or {}).get(column)
    if not before or not after:
        return Finding("leakage", "too_early", None, note=NO_TIME)
    known, asked = moments(before), moments(after)
    if not known or not asked:
        return Finding("leakage", "too_early", None, note=f"not run, because the times of {column!r} cannot be read")
    early, n = sum(value < max(known) for value in asked), len(asked)
    note = f"{early} of {n} rows are older than the latest training row"
    return Finding("leakage", "too_early", early / n, *wilson(early, n), n, source=WILSON, note=note)


def _ids(context: Context) -> Finding:
    """The largest lead that a column of ids has over the commonest label, if it has one beyond chance."""
    train, truth = context.train, context.truth
    if truth is None or not context.kind.labels or np.ndim(truth) != 1:
        return Finding("leakage", "id_lead", None, note=NO_LABELS)
    columns = {**(context.others or {}), **context.inputs}
    known = {**(train.others or {}), **train.inputs}
    ids = [name for name, values in columns.items() if name in known and is_id(values) and is_id(known[name])]
    if not ids:
        return Finding("leakage", "id_lead", None, note=NO_IDS)
    learnt, n = np.asarray(train.truth), len(truth)
    base = float((truth == np.bincount(learnt).argmax()).mean())
    told = {(name, rule): said for name in ids for rule, said in told_by_id(known[name], learnt, columns[name]).items()}
    (column, rule), said = max(told.items(), key=lambda one: float((one[1] == truth).mean()))
    hits = int((said == truth).sum())
    low, high = wilson(hits, n, 1 - 0.05 / len(told))  # so many rules had a chance to look good
    note = f"column {column!r}, by {rule}: {hits / n:.3f} right, {base:.3f} by the commonest label"
    source = f"{WILSON}, at 95 % over all {len(told)} rules"
    return Finding("leakage", "id_lead", hits / n - base, low - base, high - base, n, source=source, note=note)


ZH_DOC = """什么泄露了答案：几乎重复训练行的测试行，以及透露标签的词、时间与编号。

定义：若某训练行与测试行的文本几乎相同，则该测试行有“近似孪生”。若文本中出现该行自身标签的名称，则标签被点名；若某词几乎
出现在某类的所有行中、而其他行几乎没有，则该词决定该类。早于最晚训练行的测试行为过早。编号是不含空格、几乎每个值都不同的
列；若按最近的编号或相同开头的编号猜标签，比总猜最常见的标签更准，则编号透露了标签。

公式：孪生的 Jaccard 指数不低于0.8（两者共有的连续5字符 / 任一者有的）。净得分：在没有孪生的行上的指标。词：覆盖该类80%
的行，且含该词的行中至少90%属于该类（按区间下限）。编号领先 = 按编号的准确率 - 最常见标签的占比。

解读：在几乎出现于训练集的行上得到的分数，说明的是死记硬背；请以净得分为准。几乎单独决定一类的词或编号，明天的文本里多半
没有：请查明其来源并去掉。有些任务的标签本身就是日常用词，此时占比大于0并不是错误。具体的行见模型包旁边的逐行文件。

出处：Broder 1997 (MinHash)；Lee et al. 2022, Deduplicating Training Data Makes Language Models Better；Kaufman et
al. 2012, Leakage in Data Mining (ACM TKDD 6)；Wilson 1927（JASA 22）区间。
"""

ZH = {
    REMEDY: "从数据中去掉重复的行、透露答案的词或编号，并重新划分",
    "near_twins": "有近似孪生的行",
    "label_names": "被点名的标签",
    "deciding_words": "由单个词决定的行",
    "too_early": "过早的测试行",
    "id_lead": "编号领先",
    **{
        f"clean_{name}": f"无孪生行上的{shown}"
        for name, shown in (("accuracy", "准确率"), ("micro_f1", "微平均 F1"), ("r2", "决定系数 R²"))
    },
    NO_TEXTS: "未运行，因为没有训练数据的文本",
    NO_LABELS: "未运行，因为两边没有可比的标签",
    NO_TIME: "未运行，因为任务没有指定时间列（split.by 与 split.column）",
    NO_IDS: "未运行，因为没有像编号的列",
    "not run, because the times of {} cannot be read": "未运行，因为无法读懂 {} 列的时间",
    "not run, because no row is without a twin": "未运行，因为每一行都有孪生",
    "not defined on these rows": "在这些行上无定义",
    "{} of {} rows nearly repeat one of {} training rows": "{1} 行中有 {0} 行几乎重复了 {2} 条训练行之一",
    "{} rows hold the name of their own label, and of no other": "{} 行含有自身标签的名称，且不含其他标签的名称",
    "{} classes are told by a single word each": "{} 个类别各由单个词决定",
    "{} of {} rows are older than the latest training row": "{1} 行中有 {0} 行早于最晚的训练行",
    "column {}, by {}: {} right, {} by the commonest label": "列 {}，按 {}：答对 {}，而总猜最常见标签为 {}",
    "Near twins": "近似孪生",
    "Words that decide a class": "决定类别的词",
}
