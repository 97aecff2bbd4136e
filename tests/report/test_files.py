"""The files: complete, without any row in those that ship, and the rows beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright import report
from tunewright.core.types import Finding

SHIPPED = ("report.html", "report.json", "card.md")


@pytest.fixture
def folder(tmp_path: Path, record: dict[str, Any], findings: list[Finding]) -> Path:
    report.write(tmp_path, record, findings)
    return tmp_path


def test_three_files_are_written(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(SHIPPED)


def test_the_json_is_the_record(folder: Path, record: dict[str, Any]) -> None:
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == record


@pytest.mark.parametrize("name", SHIPPED)
def test_no_row_occurs_in_what_ships(folder: Path, name: str, texts: list[str]) -> None:
    content = (folder / name).read_text(encoding="utf-8")
    for text in texts:
        assert text not in content
        assert text.split(" with ")[0] not in content
        assert text.split()[-1] not in content


def test_the_rows_lie_beside_the_bundle_and_hold_the_texts(tmp_path: Path, findings: list[Finding]) -> None:
    out = tmp_path / "intents"
    out.mkdir()
    written = report.write_rows(out, findings)
    assert [path.name for path in written] == ["intents.rows.html", "intents.rows.jsonl"]
    assert list(out.iterdir()) == []
    lines = [json.loads(line) for line in written[1].read_text(encoding="utf-8").splitlines()]
    assert lines
    for line in lines:
        assert {"audit", "title", "place", "text", "truth", "answer", "score"} == set(line)
        assert line["text"].startswith("private text number")
        assert line["truth"] != line["answer"]
    page = written[0].read_text(encoding="utf-8")
    assert "with &lt;i&gt;marks&lt;/i&gt;" in page
    assert "<i>" not in page


def test_without_rows_those_of_an_earlier_bundle_are_removed(tmp_path: Path, findings: list[Finding]) -> None:
    out = tmp_path / "intents"
    report.write_rows(out, findings)
    assert report.write_rows(out, [finding for finding in findings if finding.audit == "accuracy"]) == []
    assert list(tmp_path.iterdir()) == []


def test_lone_surrogates_do_not_stop_the_report(tmp_path: Path, about: dict[str, Any]) -> None:
    findings = [Finding("accuracy", "accuracy", 0.5, n=4, note="label \ud800")]
    report.write(tmp_path, report.record(about, findings), findings)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
