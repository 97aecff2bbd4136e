"""The report's files: those that ship with the bundle, and the rows that lie beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.core.types import Exhibit, Finding
from tunewright.report import card, html
from tunewright.report.sections import Section, sections


def write(folder: Path, record: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    """Write ``report.html``, ``report.json`` and ``card.md`` into a folder. Private exhibits are in none of them."""
    write_report(folder, record, findings)
    _write(folder / "card.md", card.card(record, findings))


def write_report(folder: Path, record: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    """Write ``report.html`` and ``report.json`` alone: no model is released with them."""
    _write(folder / "report.json", json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    _write(folder / "report.html", html.page(record, findings))


def rows_files(out: Path) -> tuple[Path, Path]:
    """Where the rows of a bundle at ``out`` lie: a page, and lines of JSON."""
    return out.with_name(f"{out.name}.rows.html"), out.with_name(f"{out.name}.rows.jsonl")


def folds_file(out: Path) -> Path:
    """Where the answers of cross-validation lie: lines of JSON."""
    return out.with_name(f"{out.name}.folds.jsonl")


def write_rows(out: Path, findings: Sequence[Finding]) -> list[Path]:
    """Write the private exhibits beside the bundle ``out``: ``OUT.rows.html`` and ``OUT.rows.jsonl``.

    Files of an earlier bundle are replaced, and removed if there is nothing to show now.

    Returns
    -------
    The files that were written.
    """
    page, lines = rows_files(out)
    shown = _private(findings)
    if not shown:
        page.unlink(missing_ok=True)
        lines.unlink(missing_ok=True)
        return []
    _write(page, html.rows_page(out.name, shown))
    _write(lines, "".join(_lines(shown)))
    return [page, lines]


def write_rows_inside(folder: Path, name: str, findings: Sequence[Finding]) -> None:
    """Write the private exhibits into the folder of a report that ships with no bundle: ``rows.html``, ``rows.jsonl``.

    name : what the page is headed by
    """
    shown = _private(findings)
    _write(folder / "rows.jsonl", "".join(_lines(shown)))
    if shown:
        _write(folder / "rows.html", html.rows_page(name, shown))


def write_lines(path: Path, findings: Sequence[Finding]) -> None:
    """Write the rows of the private exhibits as lines of JSON; an empty file where there are none."""
    _write(path, "".join(_lines(_private(findings))))


def _private(findings: Sequence[Finding]) -> list[tuple[Section, Exhibit]]:
    return [(section, exhibit) for section in sections(findings) for exhibit in section.private if exhibit.rows]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace")


def _lines(shown: Sequence[tuple[Section, Exhibit]]) -> list[str]:
    return [
        json.dumps(_line(section, exhibit, row), ensure_ascii=False, default=str) + "\n"
        for section, exhibit in shown
        for row in exhibit.rows
    ]


def _line(section: Section, exhibit: Exhibit, row: Sequence[Any]) -> dict[str, Any]:
    target = {"target": section.target} if section.target else {}
    return {"audit": section.name, **target, "title": exhibit.title, **dict(zip(exhibit.columns, row, strict=True))}
