"""Numbers exchanged for others of as many digits."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import SHARE

LANGUAGES = None
MEANING = "detail"

NUMBER = re.compile(r"(?<![A-Za-z0-9_.,:/-])\d{1,6}(?![A-Za-z0-9_/-]|[.,:]\d)", re.ASCII)


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Every number of up to six digits, whatever the share; parts of words, times, dates and long codes stay."""
    return NUMBER.sub(lambda found: _another(found[0], draws), text)


def _another(digits: str, draws: Random) -> str:
    """Another number of the same length, and without a zero before it where there was none."""
    low = 0 if digits.startswith("0") else 10 ** (len(digits) - 1)
    other = draws.randrange(low, 10 ** len(digits) - 1)
    return f"{other + (other >= int(digits)):0{len(digits)}d}"
