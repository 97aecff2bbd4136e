"""Tests of behaviour: answers that should stay when a detail changes, and scores that should move one way only.

Definition: an invariance test exchanges names of persons, names of places or numbers for others of their kind; the
answer should stay. A directional test denies what is said, or says it more strongly; the score of the answer should not
rise by the first, nor fall by the second. At most 300 rows of each, drawn by the seed among those that hold such words.

Formula: failures = tests failed / tests made. An invariance test fails where the answer is another one; a directional
one where the score of the first answer moves the wrong way by more than 0.1.

How to read: 0 is perfect. Each test says what most tasks expect: where numbers, places or the tone do decide the label
(amounts, routes, complaints), a failure there may be right, and the gate should not be set. A denial should not make a
model surer; of a topic it may leave the score as it is, and that passes.

Source: Ribeiro, Wu, Guestrin & Singh 2020, Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (ACL);
interval of Wilson 1927 (JASA 22).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit import _altered
from tunewright.audit._altered import FEWEST, SHOWN, Altered, altered, change_of, few, shown, unfit
from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.data.changes import fitting

NEEDS = frozenset({"ask", "inputs", "logits"})
KINDS = frozenset({"classify", "multilabel"})
COSTLY = True
REMEDY = "add training rows in which the exchanged words stand with other labels, or mask them"

MARGIN = 0.1
"""How far a score may move the wrong way, as in CheckList."""
WORST = 5
"""Examples of each test."""


def tests() -> dict[str, str]:
    """Test → what its change does to the meaning."""
    return {name: meaning for meaning in ("detail", "turned", "stronger") for name in fitting(meaning)}


def metrics(kind: Kind) -> tuple[str, ...]:
    """Failures of each test."""
    return tuple(f"{name}.failures" for name in tests())


def run(context: Context) -> list[Finding]:
    """Failures of each test; privately the worst of them."""
    findings, rows = [], []
    for name, meaning in tests().items():
        reason = _unfit(name, meaning, context)
        one = altered(context, change_of(name, context.seed)) if not reason else None
        if one is not None and len(one) < FEWEST:
            reason = f"not run, because only {len(one)} rows are changed by it"
        if one is None or reason:
            findings.append(Finding("invariance", f"{name}.failures", None, note=reason))
            continue
        failed = failures(one, meaning)
        findings.append(_finding(name, failed))
        at = np.flatnonzero(failed)
        order = at[np.argsort(-np.abs(one.fallen[at]), kind="stable")]
        rows += shown(one, order[:WORST].tolist(), name)
    return _with_examples(findings, rows)


def failures(one: Altered, meaning: str) -> NDArray[np.bool_]:
    """bool (m,): the rows whose test failed."""
    if meaning == "detail":
        return one.flipped
    return one.fallen < -MARGIN if meaning == "turned" else one.fallen > MARGIN


def _unfit(name: str, meaning: str, context: Context) -> str:
    if context.ask is None:
        return "not run, because there is no model at hand to ask"
    if meaning != "detail" and not context.scores:
        return "not run, because the model gives labels without scores"
    return unfit(name, context)


def _finding(name: str, failed: NDArray[np.bool_]) -> Finding:
    n, count = len(failed), int(failed.sum())
    interval = wilson(count, n)
    return Finding("invariance", f"{name}.failures", count / n, *interval, n, source=WILSON, note=few(n))


def _with_examples(findings: list[Finding], rows: list[tuple[Any, ...]]) -> list[Finding]:
    measured = [at for at, one in enumerate(findings) if one.value is not None]
    if not measured:
        return findings
    exhibit = Exhibit("Tests that failed", "table", SHOWN, tuple(rows), private=True)
    return [replace(one, exhibits=(exhibit,)) if at == measured[0] else one for at, one in enumerate(findings)]


ZH_DOC = """行为测试：细节改变时答案应当不变；得分只应朝一个方向变动。

定义：不变性测试把人名、地名或数字换成同类的另一个，答案应当不变。方向性测试把所说的内容加以否定，或说得更强烈；否定不
应使答案的得分上升，加强不应使它下降。每项至多 300 行，从含有这类词的行中按种子抽取。

公式：失败率 = 失败的测试 / 全部测试。答案改变即为不变性测试失败；原答案的得分朝错误方向变动超过 0.1 即为方向性测试失
败。

解读：0 为满分。每项测试反映多数任务的期望：若数字、地点或语气本来就决定标签（金额、路线、投诉），那里的失败可能是对
的，不应设门槛。否定不应使模型更有把握；对主题分类，得分可以不变，这算通过。

出处：Ribeiro, Wu, Guestrin 与 Singh 2020, Beyond Accuracy: Behavioral Testing of NLP Models with CheckList（ACL）；区
间用Wilson 1927（JASA 22）。
"""

NAMES = {"person": "人名互换", "place": "地名互换", "number": "数字互换", "negation": "否定", "intensifier": "加强语气"}

ZH = {
    REMEDY: "在训练数据中加入这些词配有其他标签的行，或将它们遮蔽",
    **{f"{name}.failures": f"{chinese}：失败率" for name, chinese in NAMES.items()},
    **_altered.ZH,
    "not run, because the model gives labels without scores": "未运行，因为模型只给出标签而没有得分",
    "Tests that failed": "失败的测试",
}
