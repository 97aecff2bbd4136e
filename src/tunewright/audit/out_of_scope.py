"""Whether rows that belong to no label are turned away, and how many known rows are turned away with them.

Definition: the detector of a bundle gives every row a strangeness; above a threshold, set at fit from a budget of known
rows, the row gets no label. Strange rows, which belong to no label, come from the file that audit.strange names.

Formula: rejected = known rows above the threshold / known rows. AUROC = chance that a strange row is stranger than a
known one. FPR@95 = known rows turned away where the threshold lets 95 % of the strange ones be found. Recall at 5 % =
strange rows found where 5 % of the known rows are turned away.

How to read: "rejected" should not lie above the budget by more than its interval allows. AUROC 1 tells all strange rows
from the known ones, 0.5 tells nothing. Without a file of strange rows only the known ones can be measured: whether
strange rows are found is then not known. Strange rows that are near to a label are much harder to tell than others.

Source: Hendrycks & Gimpel 2017 (ICLR); Yang et al. 2024, Generalized Out-of-Distribution Detection: A Survey.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Columns, Context
from tunewright.audit._intervals import BOOTSTRAP, WILSON, bias_corrected, wilson
from tunewright.core.types import Array, Exhibit, Finding, Kind
from tunewright.runtime.scope import Scope

NEEDS = frozenset({"logits", "inputs", "folder"})
KINDS = frozenset({"classify"})
REMEDY = "set another budget (--set unsure.out_of_scope=0.1), or a detector (--set unsure.detector=nearest)"

DRAWS = 400
POINTS = 40
WHY = "not run, because the model has no detector of strange rows: set unsure.out_of_scope"
NONE = "not run, because no file of strange rows is named: set audit.strange"
FOUND = "strange rows that are turned away by the threshold as it is"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("rejected", "auroc", "fpr_at_95", "recall_at_5", "strange_rejected")


def wanted(context: Context) -> bool:
    """Whether a fit says anything of it: where there is a detector or strange rows, or a gate on them."""
    known = getattr(context.kind, "scope", None) is not None or context.strange is not None
    return known or context.gated(metrics(context.kind))


def run(context: Context) -> list[Finding]:
    """Known rows that are turned away; with strange rows at hand, how well these are told from them."""
    told = getattr(context.kind, "scope", None)
    if told is None:
        return [Finding("out_of_scope", name, None, note=WHY) for name in metrics(context.kind)]
    scope = Scope.load(told, context.folder)
    known = _strangeness(context, scope, context.inputs, context.logits)
    rejected, n = int((known > scope.threshold).sum()), len(known)
    note = f"promised: {100 * told['share']:g} % of known rows at the most; detector: {scope.detector}"
    own = Finding("out_of_scope", "rejected", rejected / n, *wilson(rejected, n), n, source=WILSON, note=note)
    strange = _strange(context, scope)
    if strange is None:
        return [own, *(Finding("out_of_scope", name, None, note=NONE) for name in metrics(context.kind)[1:])]
    found = int((strange > scope.threshold).sum())
    share = found / len(strange), *wilson(found, len(strange))
    last = Finding("out_of_scope", "strange_rejected", *share, len(strange), source=WILSON, note=FOUND)
    return [own, *_told_apart(known, strange, context.seed), last]


def _strange(context: Context, scope: Scope) -> NDArray[np.float64] | None:
    """The strangeness of the rows that belong to no label, if there are any."""
    if context.strange is None or not len(next(iter(context.strange.values()))):
        return None
    return _strangeness(context, scope, context.strange, context.ask(context.strange))


def _strangeness(context: Context, scope: Scope, inputs: Columns, logits: Array) -> NDArray[np.float64]:
    return scope.strangeness(context.kind, logits, context.embed(inputs) if scope.by_vectors else None)


def auroc(known: Array, strange: Array) -> float:
    """The chance that a strange row is stranger than a known one; equal ones count half.

    >>> auroc(np.array([0.1, 0.2]), np.array([0.2, 0.9]))
    0.875
    """
    ordered = np.sort(known)
    below, up_to = (np.searchsorted(ordered, strange, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(known)))


def fpr_at_95(known: Array, strange: Array) -> float:
    """The share of known rows that is turned away where the threshold lets 95 % of the strange rows be found."""
    return float((known >= np.quantile(strange, 0.05)).mean())


def recall_at_5(known: Array, strange: Array) -> float:
    """The share of strange rows that is found where 5 % of the known rows are turned away."""
    return float((strange > np.quantile(known, 0.95)).mean())


MEASURES = {"auroc": auroc, "fpr_at_95": fpr_at_95, "recall_at_5": recall_at_5}


def _told_apart(known: Array, strange: Array, seed: int) -> list[Finding]:
    generator, drawn = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        pair = [of[generator.integers(0, len(of), len(of))] for of in (known, strange)]
        drawn.append([measure(*pair) for measure in MEASURES.values()])
    out, n = [], len(known) + len(strange)
    for at, (name, measure) in enumerate(MEASURES.items()):
        value = measure(known, strange)
        bounds = bias_corrected(value, np.array(drawn)[:, at])
        exhibits = (_curve(known, strange),) if name == "auroc" else ()
        out.append(Finding("out_of_scope", name, value, *bounds, n, source=BOOTSTRAP, exhibits=exhibits))
    return out


def _curve(known: Array, strange: Array) -> Exhibit:
    rows = []
    for share in np.linspace(0, 1, POINTS + 1)[1:-1].tolist():
        hits = int((strange > np.quantile(known, 1 - share)).sum())
        rows.append((share, hits / len(strange), *wilson(hits, len(strange))))
    columns = ("known rows turned away", "strange rows found", "low", "high")
    return Exhibit("Strange rows found by known rows turned away", "curve", columns, tuple(rows))


ZH_DOC = """不属于任何标签的行是否被拒答，以及有多少已知行随之被拒。

定义：检测器给每行一个陌生度；超过阈值的行不给标签，阈值在训练时按已知行的预算设定。不属于任何标签的陌生行来自
audit.strange 所指的文件。

公式：拒答率 = 超过阈值的已知行 / 已知行。AUROC = 陌生行比已知行更陌生的概率。FPR@95 = 阈值使95%的陌生行被发现时，被拒
的已知行比例。5%拒答时的召回 = 拒掉5%已知行时发现的陌生行比例。

解读：拒答率不应高出预算超过其区间。AUROC 为1表示完全分得开，0.5表示毫无区分。没有陌生行文件时，只能测量已知行；能否发现
陌生行则不得而知。与某个标签相近的陌生行比其他陌生行难分得多。

出处：Hendrycks & Gimpel 2017 (ICLR)；Yang et al. 2024, Generalized Out-of-Distribution Detection: A Survey。
"""

ZH = {
    REMEDY: "换一个预算（--set unsure.out_of_scope=0.1）或检测器（--set unsure.detector=nearest）",
    "rejected": "已知行的拒答率",
    "auroc": "AUROC（陌生行与已知行）",
    "fpr_at_95": "FPR@95（误拒率）",
    "recall_at_5": "拒掉5%已知行时的召回",
    "strange_rejected": "陌生行的拒答率",
    WHY: "未运行，因为模型没有陌生行检测器：请设 unsure.out_of_scope",
    NONE: "未运行，因为没有指定陌生行文件：请设 audit.strange",
    FOUND: "按现有阈值被拒的陌生行",
    "promised: {} % of known rows at the most; detector: {}": "承诺：至多 {}% 的已知行；检测器：{}",
    "Strange rows found by known rows turned away": "拒掉已知行与发现陌生行",
    "known rows turned away": "被拒的已知行",
    "strange rows found": "发现的陌生行",
    "low": "下限",
    "high": "上限",
}
"""Chinese for what stands in findings and exhibits."""
