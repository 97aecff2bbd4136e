"""Letters, digits and signs in the other width: ＡＢＣ１２３ for ABC123, and back."""

from __future__ import annotations

from random import Random

from tunewright.data.changes._some import CHINESE, SHARE

LANGUAGES = CHINESE
MEANING = "same"

HALF = "".join(map(chr, range(0x21, 0x7F)))
FULL = "".join(chr(ord(one) + 0xFEE0) for one in HALF)
WIDE = str.maketrans(HALF, FULL)
NARROW = str.maketrans(FULL + "。、", HALF + ".,")


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """The whole text is changed, whatever the share."""
    return next((other for table in draws.sample((WIDE, NARROW), 2) if (other := text.translate(table)) != text), text)
