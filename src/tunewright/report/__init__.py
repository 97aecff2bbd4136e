"""The report: a folder's ``report.html``, ``report.json`` and ``card.md``, all from one record and its findings."""

from tunewright.report.curves import curves
from tunewright.report.files import (
    folds_file,
    rows_files,
    write,
    write_lines,
    write_report,
    write_rows,
    write_rows_inside,
)
from tunewright.report.html import sentence
from tunewright.report.record import record

__all__ = [
    "curves",
    "folds_file",
    "record",
    "rows_files",
    "sentence",
    "write",
    "write_lines",
    "write_report",
    "write_rows",
    "write_rows_inside",
]
