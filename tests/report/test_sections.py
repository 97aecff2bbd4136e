"""Sections: one per audit, with its own words in both languages."""

from __future__ import annotations

from tunewright.core.types import Exhibit, Finding
from tunewright.report.sections import _paragraph, sections


def test_findings_are_grouped_in_the_order_in_which_they_come() -> None:
    found = sections([Finding("b", "x", 1.0), Finding("a", "y", 1.0), Finding("b", "z", 1.0)])
    assert [one.name for one in found] == ["b", "a"]
    assert [finding.metric for finding in found[0].findings] == ["x", "z"]


def test_private_exhibits_stand_apart() -> None:
    shown, hidden = (Exhibit(name, "table", ("a",), ((1,),), private=name == "hidden") for name in ("shown", "hidden"))
    section = sections([Finding("x", "y", 1.0, exhibits=(shown, hidden))])[0]
    assert section.exhibits == [shown]
    assert section.private == [hidden]


def test_a_paragraph_is_one_line_with_a_capital() -> None:
    doc = "Help.\n\nDefinition: first\nsecond.\n\nSource: here"
    assert _paragraph(doc, "Definition: ", " ") == "First second."
    assert _paragraph(doc, "Formula: ", " ") == ""


def test_chinese_lines_join_without_a_space_and_latin_words_with_one() -> None:
    assert _paragraph("帮助。\n\n定义：甲\n乙。", "定义：", "") == "甲乙。"
    assert _paragraph("帮助。\n\n出处：the\nBootstrap，第\n14章", "出处：", "") == "The Bootstrap，第14章"
