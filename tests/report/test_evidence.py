"""The evidence pack: the nine headings in order, filled from what is known, and plain about what is not."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from tunewright import report
from tunewright.core.types import Finding
from tunewright.report.document import Document, markdown, page
from tunewright.report.evidence import HEADINGS, evidence


@pytest.fixture
def pack(about: dict[str, Any], record: dict[str, Any], findings: list[Finding]) -> Document:
    more = {"files": {"reference.json": {"size_bytes": 10}, "x.onnx": {"size_bytes": 2_000_000}}, "format": 1}
    return evidence(about | more | {"digest": "sha256:b"}, record, findings)


def test_the_headings_are_those_of_the_annex_in_both_languages(pack: Document) -> None:
    text = markdown(pack)
    english, _, chinese = text.partition("\n---\n")
    for told, at in ((english, 0), (chinese, 1)):
        heads = [line.removeprefix("## ") for line in told.splitlines() if line.startswith("## ")]
        assert heads == [title[at] for title in HEADINGS]
        assert [head.split(".")[0] for head in heads] == list("123456789")


def test_each_heading_holds_something(pack: Document) -> None:
    assert all(part.blocks for part in pack.parts)


def test_what_is_known_stands_under_its_heading(pack: Document, findings: list[Finding]) -> None:
    told = dict(zip(range(1, 10), (str([asdict(one) for one in part.blocks]) for part in pack.parts), strict=True))
    assert "sha256:b" in told[1]
    assert "2.0 MB" in told[1]
    for said in ("probe", "minilm-en", "1,000", "sha256:abc", "3 rows <b>occur</b> twice"):
        assert said in told[2]
    assert "set audit.groups" in told[3]
    accuracy = next(one for one in findings if one.metric == "accuracy" and not one.slice)
    assert f"{accuracy.value:.3f}" in told[4]
    assert "'missed'" in told[5]
    assert "'holds'" in told[5]
    assert "reference.json" in told[9]


@pytest.mark.parametrize("heading", [7, 8])
def test_what_no_measurement_can_tell_is_said_so(pack: Document, heading: int) -> None:
    (block,) = pack.parts[heading - 1].blocks
    assert block.missing  # type: ignore[union-attr]
    assert block.said[0].startswith("Outside of what this tool can know: ")  # type: ignore[union-attr]
    assert block.said[1].startswith("超出本工具所能知道的范围：")  # type: ignore[union-attr]


def test_groups_that_were_measured_take_the_place_of_the_remark(about: dict[str, Any], findings: list[Finding]) -> None:
    more = about | {"files": {}, "format": 1, "digest": "sha256:b"}
    found = [*findings, Finding("fairness", "group_gap.gender", 0.07, 0.01, 0.13, 200, note="f, m")]
    text = markdown(evidence(more, report.record(more, found), found, audited="sha256:later"))
    assert "set audit.groups" not in text
    assert "0.010–0.130" in text
    assert "digest of its data: sha256:later" in text


def test_measurements_without_a_value_are_risks(about: dict[str, Any], findings: list[Finding]) -> None:
    more = about | {"files": {}, "format": 1, "digest": "sha256:b"}
    found = [*findings, replace(findings[0], audit="leakage", metric="leaked", value=None, note="not run, because x")]
    text = markdown(evidence(more, report.record(more, found), found))
    assert "| Not measured | Why |" in text
    assert "| Leakage | not run, because x |" in text


def test_the_page_escapes_everything_and_fetches_nothing(pack: Document, hostile: str) -> None:
    text = page(pack, "zh")
    assert hostile not in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("HTTP", "")
    assert text.count('class="en"') == text.count('class="zh"') > 50
