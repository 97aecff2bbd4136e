"""What people have to look at: the share of answers by the task's rules of review, and how good the others are.

Definition: a rule of the task sends an answer to a person: its label, a score that is too low, what stands in the
input, or that the model gives no answer. What no rule meets goes out without anybody looking at it.

Formula: share = rows that meet at least one rule / rows. Unreviewed metrics are those of the kind on the other rows.
Errors seen = wrong rows that meet a rule / wrong rows.

How to read: the share is the work that the rules make; the metric without review is what users see unfiltered. Errors
seen tells whether the rules find the wrong answers: rules that pick rows at random see as large a share of the errors
as of all rows. An answer that should have been one of the labels under review and was given another label goes
unseen.

Source: shares of rows by the interval of E. B. Wilson 1927 (JASA 22), at the count moved by under half a row (Thulin
2014); other metrics by a bias-corrected bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import SHARE, share
from tunewright.audit._measured import measured
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.runtime.review import Rules

NEEDS = frozenset({"logits", "truth", "inputs", "task"})
KINDS = None
REMEDY = "raise review.below, or name further labels and words in [review]"

NO_RULES = "not run, because the task has no rules of review"
FEW = 30
"""With fewer rows than this a note says that they are few."""

Mask = NDArray[np.bool_]


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("review_share", f"unreviewed.{kind.headline[0]}", *(("errors_seen",) if kind.labels else ()))


def wanted(context: Context) -> bool:
    """Whether a report says anything of it without being asked: where the task has rules, or a gate on them."""
    return context.task is not None and (context.task.review.rules or context.gated(metrics(context.kind)))


def run(context: Context) -> list[Finding]:
    """The share of rows that a person looks at, on the whole and by rule; the first metric of the others."""
    rules = None if context.task is None else Rules.of({"review": context.task.review.model_dump()})
    if rules is None or context.inputs is None:
        return [Finding("review", name, None, note=NO_RULES) for name in metrics(context.kind)]
    hits = {
        rule: np.array(met, bool)
        for rule, met in rules.hits(context.kind.decode(context.logits), context.inputs).items()
    }
    seen = np.logical_or.reduce(list(hits.values()))
    wrong = _wrong(context)
    whole = replace(_share(seen), exhibits=(_by_rule(hits, wrong),))
    by_rule = [replace(_share(met), slice=rule) for rule, met in hits.items()]
    return [whole, *by_rule, _unreviewed(context, ~seen), *([] if wrong is None else [_errors_seen(seen, wrong)])]


def _wrong(context: Context) -> Mask | None:
    """bool (n,): the row is not decided as it is true; None where numbers are predicted, which never quite are."""
    if not context.kind.labels:
        return None
    if np.ndim(context.truth) == 1 and np.asarray(context.truth).dtype != object:
        return np.asarray(context.decided != context.truth)
    pairs = zip(context.decided, context.truth, strict=True)
    return np.array([not np.array_equal(decided, truth) for decided, truth in pairs], bool)


def _share(met: Mask) -> Finding:
    n, count = len(met), int(met.sum())
    note = f"{count:,} of {n:,} rows"
    return Finding("review", "review_share", count / n, *share(met), n, source=SHARE, note=note)


def _unreviewed(context: Context, rest: Mask) -> Finding:
    headline, n = context.kind.headline[0], int(rest.sum())
    name = f"unreviewed.{headline}"
    if not n:
        return Finding("review", name, None, note="not run, because every row goes to a person")
    found = measured("review", context.kind, context.decided[rest], context.truth[rest], context.seed)
    one = next(one for one in found if one.metric == headline)
    note = one.note or (f"only {n} rows: read the interval, not the value" if n < FEW else "")
    return replace(one, metric=name, note=note)


def _errors_seen(seen: Mask, wrong: Mask) -> Finding:
    errors, caught = int(wrong.sum()), int((seen & wrong).sum())
    if not errors:
        return Finding("review", "errors_seen", None, note="not run, because no row is answered wrongly")
    note = f"{caught:,} of {errors:,} wrong answers"
    return Finding("review", "errors_seen", caught / errors, *share(seen[wrong]), errors, source=SHARE, note=note)


def _by_rule(hits: Mapping[str, Mask], wrong: Mask | None) -> Exhibit:
    columns = ("rule", "rows", "share", "low", "high", *(("wrong rows",) if wrong is not None else ()))
    rows = tuple(_row(rule, met, wrong) for rule, met in hits.items())
    return Exhibit("What each rule sends to a person", "table", columns, rows, "a row may meet several rules")


def _row(rule: str, met: Mask, wrong: Mask | None) -> tuple[Any, ...]:
    count, n = int(met.sum()), len(met)
    errors = () if wrong is None else (int((met & wrong).sum()),)
    return (rule, count, count / n, *share(met), *errors)


ZH_DOC = """需要人工查看的部分：按任务的复核规则有多少回答要由人看，其余的回答有多好。

定义：任务中的规则把回答交给人：按标签、得分过低、输入中的内容，或模型没有作答。不符合任何规则的回答直接给出，无人查看。

公式：占比 = 至少符合一条规则的行数 / 总行数。免复核指标是该类型指标在其余行上的值。
错误发现率 = 符合规则的错误行 / 错误行。

解读：占比是规则带来的工作量；免复核指标是用户未经过滤看到的质量。错误发现率说明规则能否找出答错的行：随机挑行的规则，
发现的错误占比与其挑选的行占比相同。本应得到需复核标签、却被答成其他标签的行不会被看到。

出处：行占比用 E. B. Wilson 1927（JASA 22）的区间（计数移动不足半行，Thulin 2014）；其他指标用偏差校正的自助法。
"""

ZH = {
    REMEDY: "提高 review.below，或在 [review] 中列出更多标签和词",
    NO_RULES: "未运行，因为任务没有复核规则",
    "review_share": "需复核占比",
    "errors_seen": "错误发现率",
    "{} of {} rows": "{1} 行中的 {0} 行",
    "{} of {} wrong answers": "{1} 个错误回答中的 {0} 个",
    "only {} rows: read the interval, not the value": "只有 {} 行：请看区间，不要看数值",
    "not run, because every row goes to a person": "未运行，因为每一行都要由人查看",
    "not run, because no row is answered wrongly": "未运行，因为没有答错的行",
    "label {}": "标签 {}",
    "score below {}": "得分低于 {}",
    "slice {}": "切片 {}",
    "no answer": "没有回答",
    "What each rule sends to a person": "每条规则交给人的行",
    "a row may meet several rules": "一行可符合多条规则",
    "rule": "规则",
    "share": "占比",
    "wrong rows": "错误行",
}
