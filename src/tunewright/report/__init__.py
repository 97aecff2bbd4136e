"""The report: a folder's ``report.html``, ``report.json`` and ``card.md``, all from one record and its findings."""

from tunewright.report.files import rows_files, write, write_rows
from tunewright.report.record import record

__all__ = ["record", "rows_files", "write", "write_rows"]
