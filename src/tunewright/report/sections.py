"""Findings grouped into sections: one per audit, in order, with the audit's own words about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.core.plugins import load
from tunewright.core.types import Exhibit, Finding
from tunewright.report import words
from tunewright.report.words import Pair

PARTS = {
    "definition": ("Definition", "定义"),
    "formula": ("Formula", "公式"),
    "read": ("How to read", "解读"),
    "source": ("Source", "出处"),
}


@dataclass(frozen=True)
class Section:
    """One audit in the report, of one target where the task has several.

    name : the audit's; summary : its first line; doc : its paragraphs by the names in ``PARTS``
    own : its phrases in Chinese; in_words : the note of its first finding is what a report begins with
    """

    name: str
    title: Pair
    summary: Pair
    doc: dict[str, Pair]
    findings: list[Finding]
    own: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    in_words: bool = False

    @property
    def anchor(self) -> str:
        """What links to it are made of."""
        return f"{self.name}-{self.target}" if self.target else self.name

    def say(self, text: str) -> Pair:
        """A text of this audit in both languages."""
        return text, words.translate(text, self.own)

    def metric(self, name: str) -> Pair:
        return words.metric(name, self.own)

    def of_target(self, pair: Pair) -> Pair:
        """A text with the target's name before it, where there are several."""
        return words.of_target(pair, self.target)

    @property
    def exhibits(self) -> list[Exhibit]:
        """Those that may be shown to everyone who has the bundle."""
        return [one for finding in self.findings for one in finding.exhibits if not one.private]

    @property
    def private(self) -> list[Exhibit]:
        """Those that show rows."""
        return [one for finding in self.findings for one in finding.exhibits if one.private]


def sections(findings: Sequence[Finding]) -> list[Section]:
    """One section per audit (and target, where there are several), in the order in which the findings come."""
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((finding.audit, finding.target), []).append(finding)
    return [_section(name, of_it, target) for (name, target), of_it in grouped.items()]


def _section(name: str, findings: list[Finding], target: str) -> Section:
    plugin = _plugin(name)
    english, chinese = getattr(plugin, "__doc__", "") or "", getattr(plugin, "ZH_DOC", "")
    first, first_chinese = english.strip().partition("\n")[0], chinese.strip().partition("\n")[0]
    summary = (first, first_chinese or first)
    title, own = words.of_target(words.title(name), target), getattr(plugin, "ZH", {})
    in_words = bool(getattr(plugin, "IN_WORDS", False))
    return Section(name, title, summary, _doc(english, chinese), findings, own, target, in_words)


def _plugin(name: str) -> Any:
    """The audit's module; None if it is gone, or cannot be imported here: its findings are shown all the same."""
    try:
        return load("audits", name)
    except Exception:
        return None


def _doc(english: str, chinese: str) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for key, (head, head_chinese) in PARTS.items():
        text = _paragraph(english, f"{head}: ", " ")
        if text:
            found[key] = (text, _paragraph(chinese, f"{head_chinese}：", "") or text)
    return found


def _paragraph(text: str, head: str, glue: str) -> str:
    """The paragraph that begins with ``head``; Chinese lines are joined without a space, except between Latin words."""
    found = next((one for one in text.split("\n\n") if one.strip().startswith(head)), "").strip().removeprefix(head)
    joined = (glue.join(line.strip() for line in found.split("\n")) if glue else _joined(found)).strip()
    return joined[:1].upper() + joined[1:]


def _joined(text: str) -> str:
    return re.sub(r"([\w.,&;)])\n([\w(])", lambda pair: _join(pair[1], pair[2]), text).replace("\n", "")


def _join(left: str, right: str) -> str:
    return f"{left} {right}" if (left + right).isascii() else left + right
