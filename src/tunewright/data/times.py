"""Times of rows: dates, numbers, ISO texts, and common ways to write a date, as seconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from tunewright.core.errors import TunewrightError
from tunewright.data.dataset import Dataset

DATE = re.compile(r"^\s*(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(.*)$")
FORMATS = (
    *("%d-%b-%y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d %b %Y", "%d %B %Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
)


def times_of(dataset: Dataset, column: str) -> list[float]:
    """Seconds of each row: dates, numbers, ISO texts, or common ways to write a date.

    In ``3/4/2020`` the day stands first, unless the column holds a date such as ``3/25/2020``.

    Raises
    ------
    TunewrightError
        A cell is no time; its place is named.
    """
    cells = dataset.values(column)
    texts = [cell for cell in cells if isinstance(cell, str)]
    month_first = any(match and int(match[2]) > 12 for match in map(DATE.match, texts))
    seconds = [_seconds(cell, month_first) for cell in cells]
    for row, value in enumerate(seconds):
        if value is None:
            problem = f"{dataset.place(row)}: {column} is {cells[row]!r:.40}, no time"
            raise TunewrightError(problem, "write times as 2026-11-30 or 2026-11-30T12:00:00")
    return [value for value in seconds if value is not None]


def _seconds(cell: Any, month_first: bool) -> float | None:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=cell.tzinfo or UTC).timestamp()
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp()
    if isinstance(cell, int | float):
        return float(cell) if np.isfinite(cell) else None
    return _of_text(cell.strip(), month_first) if isinstance(cell, str) else None


def _of_text(text: str, month_first: bool) -> float | None:
    match = DATE.match(text)
    if match:
        day, month = (match[2], match[1]) if month_first else (match[1], match[2])
        text = f"{match[3]}-{month:0>2}-{day:0>2}{match[4]}"
    try:
        return _seconds(datetime.fromisoformat(text), month_first)
    except ValueError:
        pass
    for form in FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return _plain_number(text)


def _plain_number(text: str) -> float | None:
    try:
        return float(text) if np.isfinite(float(text)) else None
    except ValueError:
        return None
