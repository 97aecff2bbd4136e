"""Signs between words left out, or one more at the end."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import HAN, SHARE

LANGUAGES = None
MEANING = "same"

SIGN = re.compile(r"(?<!\d)[.,;:!?](?!\d)|[，。！？；：、…]+")
ENDS = {False: (".", "...", "!"), True: ("。", "……", "！")}
"""Whether it is Chinese → signs to add."""


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Every sign goes, whatever the share, or the last comes twice, or one is added; signs within numbers stay.

    A question mark is never added where none was, since it may change what is said.
    """
    if not text.strip():
        return text
    bare = SIGN.sub("", text).rstrip()
    whole = text.rstrip()
    added = whole + (whole[-1] if SIGN.match(whole[-1]) else draws.choice(ENDS[bool(HAN.search(text))]))
    return bare if bare.strip() and bare != text and draws.random() < 0.5 else added
