"""What a comparison says in one sentence: which model is better and by how much, or that the rows cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunewright.audit._intervals import Interval
from tunewright.audit._pair import LOWER
from tunewright.audit._paired import LEVEL, about, holm

NAMES = {
    "accuracy": ("accuracy", "准确率"),
    "macro_f1": ("macro F1", "宏平均 F1"),
    "micro_f1": ("micro F1", "微平均 F1"),
    "subset_accuracy": ("subset accuracy", "完全匹配率"),
    "mae": ("mean absolute error", "平均绝对误差"),
    "r2": ("R²", "决定系数 R²"),
    "spearman": ("rank correlation", "秩相关系数"),
}
"""What the measures are called inside a sentence."""


@dataclass(frozen=True)
class Change:
    """One measure of B minus that of A, with its interval and p value.

    >>> Change("accuracy", 0.008, (0.001, 0.015), 0.02).told()
    'B is better by 0.8 points [0.1, 1.5] in accuracy'
    >>> Change("mae", 0.25, (0.1, 0.4), 0.001).told()
    'A is better by 0.25 [0.1, 0.4] in mean absolute error'
    """

    name: str
    value: float
    span: Interval
    p: float

    @property
    def better(self) -> str:
        """``A`` or ``B``; nothing where it may be chance."""
        if self.p >= LEVEL or self.span[0] * self.span[1] <= 0:
            return ""
        return "B" if (self.value > 0) != (self.name in LOWER) else "A"

    def told(self) -> str:
        """In points, which are hundredths; errors in the unit of the target."""
        sizes = abs(self.value), *sorted(map(abs, self.span))
        shown = [f"{one:.3g}" if self.name in LOWER else f"{100 * one:.1f}" for one in sizes]
        return _better(self.name).format(self.better, *shown)


def sentence(changes: Mapping[str, Change], needed: int | None, n: int) -> str:
    """Whether B, or A, is better by the first measure; another that clearly says otherwise is told too.

    changes : the measures, the first one first; the p values of the others are raised for looking at all of them
    needed : rows in all that would show the difference of the first; None where there is none

    >>> sentence({"accuracy": Change("accuracy", 0.008, (-0.002, 0.018), 0.12)}, 537, 300)
    '300 rows cannot tell these apart; about 240 more would'
    """
    first, *others = changes.values()
    raised = holm([one.p for one in changes.values()])[1:]
    surely = [Change(one.name, one.value, one.span, p) for one, p in zip(others, raised, strict=True)]
    against = next((one for one in surely if one.better not in ("", first.better)), None)
    if first.better:
        return first.told() + (BUT + against.told() if against else "")
    if against:
        return CANNOT.format(f"{n:,}") + f" in {_name(first.name)}{BUT}{against.told()}"
    if needed is None:
        return CANNOT.format(f"{n:,}") + ", and show no difference"
    return f"{CANNOT.format(f'{n:,}')}; about {about(max(1, needed - n)):,} more would"


CANNOT, BUT = "{} rows cannot tell these apart", ", but "


def _name(name: str, language: int = 0) -> str:
    return NAMES.get(name, (name, name))[language]


def _better(name: str) -> str:
    return f"{{}} is better by {{}}{'' if name in LOWER else ' points'} [{{}}, {{}}] in {_name(name)}"


def _chinese(name: str, at: int = 0) -> str:
    """``at`` : the number of the first hole."""
    unit = "" if name in LOWER else " 个百分点"
    return f"{{{at}}} 更好：{_name(name, 1)}相差 {{{at + 1}}}{unit} [{{{at + 2}}}, {{{at + 3}}}]"


def _phrases() -> dict[str, str]:
    """English with holes → Chinese; sentences of two halves come first, since a hole could hold one of them."""
    pairs = [(one, other) for one in NAMES for other in NAMES if one != other]
    found = {_better(one) + BUT + _better(other): f"{_chinese(one)}，但 {_chinese(other, 4)}" for one, other in pairs}
    for one, other in pairs:
        unsure = f"{{0}} 行在{_name(one, 1)}上不足以区分二者"
        found[f"{CANNOT} in {_name(one)}{BUT}{_better(other)}"] = f"{unsure}，但 {_chinese(other, 1)}"
    return found | {_better(name): _chinese(name) for name in NAMES}


ZH = {
    **_phrases(),
    "A and B answer all {} rows alike": "A 与 B 对全部 {} 行的回答相同",
    CANNOT + "; about {} more would": "{} 行不足以区分二者；约再有 {} 行即可区分",
    CANNOT + ", and show no difference": "{} 行不足以区分二者，且未见差异",
}
