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
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)
    for name, content in (
        ("report.json", text + "\n"),
        ("report.html", html.page(record, findings)),
        ("card.md", card.card(record, findings)),
    ):
        (folder / name).write_text(content, encoding="utf-8", errors="replace")


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
    shown = [(section, exhibit) for section in sections(findings) for exhibit in section.private if exhibit.rows]
    if not shown:
        page.unlink(missing_ok=True)
        lines.unlink(missing_ok=True)
        return []
    page.write_text(html.rows_page(out.name, shown), encoding="utf-8", errors="replace")
    lines.write_text("".join(_lines(shown)), encoding="utf-8", errors="replace")
    return [page, lines]


def _lines(shown: Sequence[tuple[Section, Exhibit]]) -> list[str]:
    return [
        json.dumps(_line(section, exhibit, row), ensure_ascii=False, default=str) + "\n"
        for section, exhibit in shown
        for row in exhibit.rows
    ]


def _line(section: Section, exhibit: Exhibit, row: Sequence[Any]) -> dict[str, Any]:
    target = {"target": section.target} if section.target else {}
    return {"audit": section.name, **target, "title": exhibit.title, **dict(zip(exhibit.columns, row, strict=True))}
