"""The model card: from the same record, in both languages, with nothing that Markdown would act on."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.core.types import Finding
from tunewright.report.card import STATED, card
from tunewright.report.document import plain


@pytest.fixture
def text(record: dict[str, Any], findings: list[Finding]) -> str:
    return card(record, findings)


def test_it_holds_verdict_results_and_origin_in_both_languages(text: str) -> None:
    english, _, chinese = text.partition("\n---\n")
    for said in ("**Refused**", "## Results", "| Accuracy |", "| missed |", "Method: probe", "licence Apache-2.0"):
        assert said in english
    for said in ("**已拒绝**", "## 结果", "| 准确率 |", "| 未达标 |", "方法: probe", "许可 Apache-2.0"):
        assert said in chinese


def test_what_nobody_stated_is_said_to_be_empty(text: str, record: dict[str, Any], findings: list[Finding]) -> None:
    assert "## Intended use\n\nNot stated: set card.intended\\_use." in text
    assert "## 预期用途\n\n未说明：请设置 card.intended\\_use。" in text
    assert text.count("Not stated") == text.count("未说明") == len(STATED)
    english, _, chinese = card(record | {"card": {"intended_use": "for bank mail"}}, findings).partition("\n---\n")
    assert "for bank mail" in english
    assert "for bank mail" in chinese


def test_a_field_in_two_languages_stands_in_its_own(record: dict[str, Any], findings: list[Finding]) -> None:
    told = {"limits": {"en": "no slang", "zh": "不懂俚语"}, "contact": {"zh": "张三"}}
    english, _, chinese = card(record | {"card": told}, findings).partition("\n---\n")
    assert "no slang" in english
    assert "不懂俚语" not in english
    assert "不懂俚语" in chinese
    assert "张三" in english  # what is there in one language only is better than nothing


def test_the_rules_of_review_stand_in_it(record: dict[str, Any], findings: list[Finding]) -> None:
    assert "No rule sends an answer to a person" in card(record, findings)
    rules = {"labels": ["fraud"], "below": 0.6, "slices": {"legal": {"words": ["lawyer", "court"], "longer": 0}}}
    text = card(record | {"review": rules}, findings)
    for said in ("- A person always looks at the labels: fraud", "scores below: 0.600", "with: legal: lawyer, court"):
        assert said in text


def test_every_row_of_its_tables_has_the_same_cells(text: str) -> None:
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 20
    assert {row.count("|") for row in rows} == {7}


def test_every_finding_is_listed_once_in_each_language(text: str, findings: list[Finding]) -> None:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (len(findings) + 2)


def test_markup_in_names_is_shown_as_text(text: str) -> None:
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\\| \\*b\\*" in text


@pytest.mark.parametrize("text_", ["# x", "[a](b)", "a_b", "`c`", "x\ny"])
def test_nothing_is_left_that_markdown_acts_on(text_: str) -> None:
    shown = plain(text_)
    assert "\n" not in shown
    for mark in "#[]_`":
        assert shown.count(mark) == shown.count("\\" + mark)
