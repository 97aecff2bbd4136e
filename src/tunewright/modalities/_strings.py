"""What modalities that read strings say of values that are none."""

from __future__ import annotations

from tunewright.core.errors import TunewrightError


def no_text(row: int, value: object) -> TunewrightError:
    """The error for a value that is no string."""
    return TunewrightError(f"row {row}: {value!r:.80} is no text", "give a string")


def half_pair(row: int) -> TunewrightError:
    """The error for a string that is no valid Unicode."""
    return TunewrightError(f"row {row}: the text holds half of a surrogate pair", "send valid Unicode (UTF-8)")


def encodable(text: str) -> bool:
    """Whether a string is valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
