"""Blocks that the card and the evidence pack share: what was stated, the rules of review, results, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Finding
from tunewright.report import words
from tunewright.report.document import Block, Facts, Table, Text, alike
from tunewright.report.html import figure, gate_rows
from tunewright.report.sections import sections
from tunewright.report.words import Pair, number, span

MOST_LABELS = 100
NOT_STATED = ("Not stated", "未说明")


def told(card: Mapping[str, Any], name: str) -> Pair | None:
    """What a field of ``[card]`` says, in both languages as it was written; None where it is empty."""
    said = card.get(name) or ""
    pair = (said.get("en") or "", said.get("zh") or "") if isinstance(said, Mapping) else (str(said), str(said))
    english, chinese = pair[0].strip(), pair[1].strip()
    return (english or chinese, chinese or english) if english or chinese else None


def stated(card: Mapping[str, Any], name: str, before: Pair | None = None) -> Text:
    """A field of ``[card]``; an empty one is said to be empty, with what to set."""
    said = told(card, name)
    if said is not None:
        return Text(said, before)
    return Text((f"{NOT_STATED[0]}: set card.{name}.", f"{NOT_STATED[1]}：请设置 card.{name}。"), before, True)


def outside(english: str, chinese: str) -> Text:
    """What no measurement can tell."""
    said = (f"Outside of what this tool can know: {english}.", f"超出本工具所能知道的范围：{chinese}。")
    return Text(said, missing=True)


def facts(*rows: tuple[str, str, Any]) -> Facts:
    """English name, Chinese name, value (a pair where languages differ); rows without a value are left out."""
    known = [(names, chinese, value) for names, chinese, value in rows if value not in (None, "", [], {})]
    return Facts(tuple(((english, chinese), _pair(value)) for english, chinese, value in known))


def _pair(value: Any) -> Pair:
    if isinstance(value, tuple) and len(value) == 2:
        return str(value[0]), str(value[1])
    if isinstance(value, Mapping):
        return alike(", ".join(f"{key} = {one}" for key, one in value.items()))
    if isinstance(value, list | tuple):
        return alike(", ".join(map(str, value)))
    return alike(number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)


def predicted(record: Mapping[str, Any]) -> Facts:
    """Targets and inputs."""
    rows: list[tuple[str, str, Any]] = []
    for one in record["targets"]:
        labels = one.get("labels") or []
        more = " …" if len(labels) > MOST_LABELS else ""
        listed = f": {', '.join(map(str, labels[:MOST_LABELS]))}{more}"
        english = f"{one.get('name')}, {one.get('kind')}" + (f", {len(labels)} labels{listed}" if labels else "")
        kind = words.translate(str(one.get("kind")))
        chinese = f"{one.get('name')}，{kind}" + (f"，{len(labels)} 个标签{listed}" if labels else "")
        rows.append(("Target", "目标", (english, chinese)))
    inputs = ", ".join(f"{name} ({modality})" for name, modality in record["inputs"].items())
    return facts(*rows, ("Inputs", "输入", inputs))


def reviewed(review: Mapping[str, Any]) -> Block:
    """The task's rules of review."""
    slices = {
        name: "; ".join(
            [
                *([", ".join(one["words"])] if one.get("words") else []),
                *([f"> {one['longer']}"] if one.get("longer") else []),
            ]
        )
        for name, one in (review.get("slices") or {}).items()
    }
    if not (review.get("labels") or review.get("below") or slices):
        said = ("No rule sends an answer to a person: set review.labels, review.below or review.slices.",
                "没有规则把回答交给人：请设置 review.labels、review.below 或 review.slices。")  # fmt: skip
        return Text(said, missing=True)
    return facts(
        ("A person always looks at the labels", "必由人查看的标签", list(review.get("labels") or [])),
        ("A person looks at scores below", "得分低于此值由人查看", review.get("below") or None),
        *((f"A person looks at inputs with: {name}", f"由人查看的输入：{name}", what) for name, what in slices.items()),
    )


def results(findings: Sequence[Finding], *, whole: bool = True) -> Table:
    """Every finding with its interval, n, limit and outcome.

    whole : only what audits found on all rows, where they found anything on them
    """
    heads = (("Measure", "指标"), ("Value", "数值"), ("95 % interval", "95%区间"), alike("n"), ("Limit", "要求"))
    rows = []
    for section in sections(findings):
        if whole and all(one.slice for one in section.findings):
            continue
        for one in section.findings:
            name, part = section.of_target(section.metric(one.metric)), section.say(one.slice)
            named = tuple(f"{said} ({of})" if of else said for said, of in zip(name, part, strict=True))
            cells = (*_measured(one), one.limit or "–")
            rows.append(((named[0], named[1]), *map(alike, cells), _outcome(one, section.say(one.note))))
    return Table((*heads, ("Outcome", "结果")), tuple(rows))


def _measured(finding: Finding) -> tuple[str, str, str]:
    """Value, interval, n."""
    return figure(finding), span(finding.low, finding.high) or "–", number(finding.n)


def _outcome(finding: Finding, note: Pair) -> Pair:
    if finding.passed is not None:
        return ("holds", "达标") if finding.passed else ("missed", "未达标")
    return note if finding.value is None else alike("–")


def gates(findings: Sequence[Finding]) -> Block:
    """The gates with their outcomes, missed ones first."""
    rows = gate_rows(findings)
    if not rows:
        said = (
            "No gate is set, so nothing could be refused: set gates.",
            "未设置门槛，因此没有可以拒绝的依据：请设置 gates。",
        )
        return Text(said, missing=True)
    heads = (("Gate", "门槛"), ("Limit", "要求"), ("Value", "数值"), ("95 % interval", "95%区间"), alike("n"))
    cells = [
        (row["name"], *map(alike, (one.limit, *_measured(one))), _outcome(one, alike("–")))
        for row, one in ((row, row["finding"]) for row in rows)
    ]
    return Table((*heads, ("Outcome", "结果")), tuple(cells))
