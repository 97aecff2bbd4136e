"""``report.html``: one page without network or script, in two languages, from a record and its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tunewright.audit import alarms, next_step
from tunewright.core.types import Exhibit, Finding
from tunewright.report import words
from tunewright.report.curves import traces
from tunewright.report.plots import interval, plot
from tunewright.report.sections import Section, sections
from tunewright.report.words import Pair, number

TEMPLATES = Path(__file__).resolve().parent / "templates"
COMPARED = "A and B answered the same rows; B is the new one."
FOLDED = 12
"""Tables with more rows than this are folded."""


def page(record: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """The report as HTML."""
    template = environment().get_template("report.html.j2")
    return template.render(
        record=record,
        first=_first_screen(record, findings),
        gates=gate_rows(findings),
        alarms=alarm_rows(findings),
        sections=sections(findings),
        facts=_facts(record),
        folded=FOLDED,
    )


def rows_page(name: str, exhibits: Sequence[tuple[Section, Exhibit]]) -> str:
    """The private exhibits as HTML."""
    return environment().get_template("rows.html.j2").render(name=name, exhibits=exhibits)


@cache
def environment() -> Environment:
    """Templates with everything escaped, and the words and plots that they use."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals |= {"say": say, "both": both, "plot": plot, "measured": _measured, "style": partial(_style, made)}
    made.globals |= {"number": number, "figure": figure, "span": words.span, "cell": cell}
    made.globals |= {"numeric": numeric, "breaking": breaking, "traces": traces, "outcome": _outcome}
    return made


def say(text: str) -> Markup:
    """A text of the report in both languages."""
    return both((text, words.translate(text)))


def both(pair: Pair) -> Markup:
    """Both languages; the page shows one of them."""
    english, chinese = pair
    if english == chinese:
        return Markup(escape(english))
    return Markup('<span class="en" lang="en">{}</span><span class="zh" lang="zh">{}</span>').format(english, chinese)


def cell(value: Any) -> str:
    """A value of a table; a label may be broken after its underscores."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    if value is None or isinstance(value, int | float):
        return number(value)
    return Markup(str(escape(value)).replace("_", "_<wbr>")) if breaking(value) == "word" else str(value)


def figure(finding: Finding) -> str:
    """A finding's value; a whole number without an interval is a count."""
    value = finding.value
    counted = value is not None and finding.low is None and float(value).is_integer()
    return number(int(value) if counted and value is not None else value)


def breaking(value: Any) -> str:
    """The class of a cell: a number, one word (a label) that is not broken inside, or a text that may be."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return "word" if isinstance(value, str) and len(value) <= 48 and " " not in value else ""


def numeric(rows: Sequence[Sequence[Any]], at: int) -> bool:
    """Whether a column holds numbers."""
    return any(isinstance(row[at], int | float) for row in rows) and not any(isinstance(row[at], str) for row in rows)


def gate_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One row per gated finding, missed ones first."""
    own = {(section.name, section.target): section for section in sections(findings)}
    gated = [
        {"finding": finding, "name": section.of_target(section.metric(finding.metric)), "section": section}
        for finding in findings
        if finding.limit
        for section in (own[finding.audit, finding.target],)
    ]
    return sorted(gated, key=lambda row: bool(row["finding"].passed))


def alarm_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One row per finding that looks wrong although no gate is on it."""
    own = {(section.name, section.target): section for section in sections(findings)}
    return [
        {"alarm": one, "name": section.of_target(section.metric(one.finding.metric)), "section": section}
        for one in alarms(findings)
        for section in (own[one.finding.audit, one.finding.target],)
    ]


def limits(finding: Finding) -> list[float]:
    """The numbers in a finding's limit."""
    return [float(part.split()[-1]) for part in finding.limit.split(", ")] if finding.limit else []


def _measured(finding: Finding) -> Markup:
    """The value's place between 0 and 1; nothing for differences and for numbers in the unit of the target."""
    if finding.metric.startswith(words.UNBOUNDED):
        return Markup("")
    return interval(finding.value, finding.low, finding.high, limits(finding))


def _outcome(section: Section) -> Markup:
    """What the contents say of a section beside its name: a missed gate, a held one, or nothing measured."""
    gated = [one.passed for one in section.findings if one.passed is not None]
    if gated:
        said, name = ("holds", "holds") if all(gated) else ("missed", "missed")
    elif all(one.value is None for one in section.findings):
        said, name = "not run", "silent"
    else:
        return Markup("")
    return Markup('<span class="badge {}">{}</span>').format(name, say(said))


def _style(made: Environment) -> Markup:
    """The style sheet, which holds nothing from outside."""
    source, _, _ = made.loader.get_source(made, "style.css")  # type: ignore[union-attr]
    return Markup(source)


def _first_screen(record: Mapping[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """What a reader who reads nothing else should know: the verdict, and the first metric in a sentence."""
    heads = headline(findings)
    silent = sum(finding.value is None for finding in findings)
    return {
        **stamped(record),
        "sentence": _unbroken(in_a_sentence(heads)),
        "next": _next(findings),
        "baseline": _baseline(findings),
        "silent": f"{silent} measurements have no value; the sections below say why." if silent else "",
        "tiles": [(words.of_target(words.metric(finding.metric), finding.target), finding) for finding in heads],
    }


def stamped(record: Mapping[str, Any]) -> dict[str, str]:
    """The stamp and its sentence: nothing is released where bundles are compared, or a model is audited."""
    told = record["verdict"]
    if record.get("compared"):
        return {"state": "Compared", "verdict": COMPARED}
    if record.get("audited") and told["gates"]:
        missed = f"{len(told['missed'])} of {told['gates']} gates missed."
        holds = not told["missed"]
        return {"state": "Passed" if holds else "Missed", "verdict": verdict(told) if holds else missed}
    return {"state": state(told), "verdict": verdict(told)}


def sentence(findings: Sequence[Finding]) -> Pair:
    """The sentence that the report begins with, in both languages; empty where there is no finding."""
    return in_a_sentence(headline(findings)) or ("", "")


def in_a_sentence(heads: Sequence[Finding]) -> Pair | None:
    """The first metric with interval and n, or what its audit says in words; of several targets, one for each."""
    if not heads:
        return None
    firsts = list({one.target: one for one in reversed(heads)}.values())[::-1]
    told = [words.of_target(_told(one), one.target) for one in firsts]
    return " ".join(one[0] for one in told), "".join(one[1] for one in told)


def _told(finding: Finding) -> Pair:
    own = sections([finding])[0]
    if own.in_words and finding.note:
        english, chinese = own.say(finding.note)
        return f"{english}.", f"{chinese}。"
    return words.sentence(finding.metric, finding.value, finding.low, finding.high, finding.n)


def _unbroken(pair: Pair | None) -> Pair | None:
    """The two ends of an interval stay on one line."""
    return pair and (pair[0].replace("–", "\u2060–\u2060"), pair[1].replace("–", "\u2060–\u2060"))


def _next(findings: Sequence[Finding]) -> Pair | None:
    """What to try first, if a gate is missed."""
    gate = next((finding for finding in findings if finding.passed is False), None)
    own = next(
        (one for one in sections(findings) if gate and (one.name, one.target) == (gate.audit, gate.target)), None
    )
    return own.say(next_step(gate)) if gate and own else None


def headline(findings: Sequence[Finding], shown: int = 3) -> list[Finding]:
    """The first findings of the first audit, on all rows: the kind's own metrics come first in ``accuracy``.

    Of several targets, the first finding of each.
    """
    whole = [finding for finding in findings if not finding.slice and not finding.metric.startswith("baseline.")]
    first = [finding for finding in whole if finding.audit == whole[0].audit]
    if first and first[0].target:
        return list({one.target: one for one in reversed(first)}.values())[::-1]
    return first[:shown]


def state(told: Mapping[str, Any]) -> str:
    """``Released``, ``Refused``, or ``Measured`` where no gate was set."""
    if not told["gates"]:
        return "Measured"
    return "Released" if told["released"] else "Refused"


def verdict(told: Mapping[str, Any]) -> str:
    """The verdict in one sentence."""
    if not told["gates"]:
        return "No gate is set, so nothing could be refused."
    if told["released"]:
        return "Every gate holds."
    return f"{len(told['missed'])} of {told['gates']} gates missed, so this bundle is not released."


def _baseline(findings: Sequence[Finding]) -> Pair | None:
    found = next((one for one in findings if one.metric == "baseline.accuracy" and one.value is not None), None)
    if found is None or found.value is None or found.target:  # of several targets, each has its own in its section
        return None
    share = f"{found.value * 100:.0f}"
    return (
        f"One constant answer, the most common one in training, would be right in {share} of 100.",
        f"若始终回答训练数据中最常见的类别，每 100 条约答对 {share} 条。",
    )


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the report is about, in a line."""
    targets, data = record["targets"] or [{}], record["data"]
    labels = targets[0].get("labels") or []
    kinds = [str(target.get("kind") or "") for target in targets]
    named = [f"{target.get('name')} ({kind})" for target, kind in zip(targets, kinds, strict=True)]
    facts = [
        ("Task", kinds[0] if len(targets) == 1 else ", ".join(named)),
        ("Classes", number(len(labels)) if labels and len(targets) == 1 else ""),
        ("Training rows", number(data.get("train_rows")) if data.get("train_rows") else ""),
        ("Test rows", number(data.get("test_rows")) if data.get("test_rows") else ""),
        ("Method", str(record["method"].get("name", ""))),
        ("Pretrained model", str(record["backbone"].get("name", ""))),
    ]
    return [(name, value) for name, value in facts if value]
