"""Default alarms: what looks wrong although no gate asks for it. An alarm is shown, and refuses nothing by itself.

A finding raises one where the end of its interval that is nearer to the limit lies beyond it: chance alone does not
explain it then. Each limit stands well off what a sound model shows, so that a whole audit of one seldom raises any
(``benchmarks/broken.py`` counts how often). A gate on the same finding takes the place of the alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunewright.core.types import Finding


@dataclass(frozen=True)
class Alarm:
    """When a finding looks wrong.

    end : which number of it is held against the limit: ``low``, ``high``, or ``value`` where it has no interval
    limit : a number, or the name of another finding of the same audit whose value it is
    below : the alarm is raised below the limit; otherwise above it
    parts : findings on parts of the rows raise it too
    why : what it may mean, in English and in Chinese
    """

    audit: str
    metric: str
    end: str
    limit: float | str
    why: tuple[str, str]
    below: bool = False
    parts: bool = False


NO_BETTER = ("worse than one constant answer: are labels in another order?", "比一个常数答案还差：标签的顺序是否错了？")
MISSED = ("a class is hardly ever found", "有一类几乎找不到")
TAKEN = ("a class is taken for another one", "一类被认成了另一类")
UNTRUE = ("the scores cannot be taken at their word", "得分不可信")
HEART = ("the score is partly learnt by heart", "得分部分来自死记硬背")
NAMED = ("the texts name their label", "文本中写着标签")
SINGLE = ("single words decide classes", "单个词就决定了类别")
NUMBERED = ("an id tells the label", "编号透露了标签")
EARLY = ("rows to judge by are older than training rows", "评判用的行早于训练行")
MEMBERS = ("it tells which rows it has learnt", "模型透露了它学过哪些行")
PERSONAL = ("the model reads personal data", "模型读到了个人信息")
FRAGILE = ("the answers hang on how a text is spelt", "回答取决于文本的写法")
PERSONS = ("the answers hang on who is spoken of", "回答取决于说的是谁")
GROUP = ("a group is answered worse", "有一个群体答得更差")
PART = ("a part of the rows is answered worse", "有一部分行答得更差")

ALARMS = (
    Alarm("accuracy", "accuracy", "high", "baseline.accuracy", NO_BETTER, below=True),
    Alarm("accuracy", "micro_f1", "high", "baseline.micro_f1", NO_BETTER, below=True),
    Alarm("accuracy", "r2", "high", "baseline.r2", NO_BETTER, below=True),
    Alarm("classes", "worst_class.recall", "high", 0.5, MISSED, below=True),
    Alarm("confusion", "largest_confusion", "low", 0.5, TAKEN),
    Alarm("calibration", "ece", "low", 0.04, UNTRUE),
    Alarm("leakage", "near_twins", "low", 0.01, HEART),
    Alarm("leakage", "label_names", "low", 0.3, NAMED),
    Alarm("leakage", "deciding_words", "low", 0.05, SINGLE),
    Alarm("leakage", "id_lead", "low", 0.05, NUMBERED),
    Alarm("leakage", "too_early", "low", 0.01, EARLY),
    Alarm("membership", "membership_auc", "low", 0.6, MEMBERS),
    Alarm("pii", "unmasked", "low", 0.001, PERSONAL),
    *(Alarm("robustness", f"{way}.drop", "low", 0.05, FRAGILE) for way in ("typo", "case", "spacing", "punctuation")),
    Alarm("counterfactual", "counterfactual.changed", "low", 0.05, PERSONS),
    Alarm("fairness", "group_gap", "low", 0.05, GROUP, parts=True),
    Alarm("slices", "weak_slices", "value", 0.0, PART),
    Alarm("clusters", "weak_clusters", "value", 0.0, PART),
)


@dataclass(frozen=True)
class Raised:
    """A finding that looks wrong; ``limit`` as gates write it: ``low > 0.05``."""

    finding: Finding
    limit: str
    why: tuple[str, str]

    def record(self) -> dict[str, str]:
        """JSON values: which finding it is, the limit, and what it may mean."""
        one = self.finding
        told = {"audit": one.audit, "metric": one.metric, "slice": one.slice, "limit": self.limit, "why": self.why[0]}
        return told | ({"target": one.target} if one.target else {})


def alarms(findings: Sequence[Finding]) -> list[Raised]:
    """The findings that look wrong, in their order; those that a gate judges are left to it.

    >>> [one.limit for one in alarms([Finding("leakage", "near_twins", 0.2, 0.16, 0.24, 400)])]
    ['low > 0.01']
    """
    values = {(one.audit, one.target, one.metric): one.value for one in findings if not one.slice}
    found = []
    for one in findings:
        rule = next((rule for rule in ALARMS if _is_on(rule, one)), None)
        if rule is None or one.passed is not None:
            continue
        limit = values.get((one.audit, one.target, rule.limit)) if isinstance(rule.limit, str) else rule.limit
        number = getattr(one, rule.end)
        if limit is not None and number is not None and (number < limit if rule.below else number > limit):
            end = "" if rule.end == "value" else f"{rule.end} "
            found.append(Raised(one, f"{end}{'<' if rule.below else '>'} {limit:.4g}", rule.why))
    return found


def _is_on(rule: Alarm, finding: Finding) -> bool:
    return (rule.audit, rule.metric) == (finding.audit, finding.metric) and (rule.parts or not finding.slice)
