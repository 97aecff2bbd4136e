"""What every audit promises, for each kind that it suits."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from tunewright.audit import Context
from tunewright.audit._run import suits
from tunewright.core import plugins
from tunewright.core.types import Exhibit, Finding
from tunewright.report.sections import PARTS, sections

AUDITS = plugins.names("audits")
FORMS = {"table", "reliability", "curve", "bars"}


@pytest.fixture(params=AUDITS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_docstring_holds_help_and_how_to_read_it_in_both_languages(name: str) -> None:
    section = sections([Finding(name, "x", None)])[0]
    assert section.summary[0].endswith(".")
    assert section.summary[1] != section.summary[0]
    for part in PARTS:
        english, chinese = section.doc[part]
        assert english
        assert chinese != english


def test_what_it_needs_are_fields_of_the_context(name: str) -> None:
    audit = plugins.load("audits", name)
    known = {one.name for one in fields(Context)}
    assert isinstance(audit.NEEDS, frozenset)
    assert known >= audit.NEEDS
    assert audit.KINDS is None or set(plugins.names("kinds")) >= audit.KINDS


def test_findings_are_named_after_it_and_plain(name: str, noisy: Context) -> None:
    audit = plugins.load("audits", name)
    if not suits(audit, noisy.kind):
        pytest.skip("for other kinds")
    found = audit.run(noisy)
    assert found
    for finding in found:
        assert finding.audit == name
        assert finding.metric in audit.metrics(noisy.kind)
        assert finding.limit is None
        check_numbers(finding)
        for exhibit in finding.exhibits:
            check_exhibit(exhibit)
    assert json.loads(json.dumps([finding.record() for finding in found], allow_nan=False))


def test_every_measure_has_a_name_and_every_exhibit_a_title_in_chinese(name: str, noisy: Context) -> None:
    audit = plugins.load("audits", name)
    if not suits(audit, noisy.kind):
        pytest.skip("for other kinds")
    section = sections(audit.run(noisy))[0]
    for finding in section.findings:
        assert section.metric(finding.metric)[1] != finding.metric
        if finding.note:
            assert section.say(finding.note)[1] != finding.note, finding.note
    for exhibit in [*section.exhibits, *section.private]:
        assert section.say(exhibit.title)[1] != exhibit.title
        for column in (*exhibit.columns, exhibit.note) if not exhibit.private else ():
            assert not column or column == "f1" or section.say(column)[1] != column, column


def test_the_same_seed_gives_the_same_findings(name: str, noisy: Context) -> None:
    audit = plugins.load("audits", name)
    if suits(audit, noisy.kind) and not getattr(audit, "TIMED", False):
        assert audit.run(noisy) == audit.run(noisy)


def check_numbers(finding: Finding) -> None:
    for number in (finding.value, finding.low, finding.high):
        assert number is None or type(number) is float
    assert type(finding.n) is int
    if finding.value is not None and finding.low is not None and finding.high is not None:
        assert finding.low <= finding.value + 1e-9
        assert finding.value <= finding.high + 1e-9
        assert finding.source, "an interval says where it comes from"


def check_exhibit(exhibit: Exhibit) -> None:
    assert exhibit.form in FORMS
    assert exhibit.title
    assert json.dumps(exhibit.rows, allow_nan=False)
    assert all(len(row) == len(exhibit.columns) for row in exhibit.rows)
    assert all(type(value) in (str, int, float, type(None)) for row in exhibit.rows for value in row)
