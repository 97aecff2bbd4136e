"""Names of places exchanged for others of their kind: a city for a city, a country for a country."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._names import CHINESE_CITIES, CHINESE_COUNTRIES, CITIES, COUNTRIES, PROVINCES
from tunewright.data.changes._some import HAN, SHARE

LANGUAGES = frozenset({"en", "zh"})
MEANING = "detail"

LATIN = [re.split(r",\s+", group.strip()) for group in (CITIES, COUNTRIES)]
HANZI = [group.split() for group in (CHINESE_CITIES, PROVINCES, CHINESE_COUNTRIES)]
ENGLISH = {name: group for group in LATIN for name in group}
CHINESE = {name: group for group in HANZI for name in group}
NAME = re.compile(rf"\b(?:{'|'.join(sorted(ENGLISH, key=len, reverse=True))})\b")
CHINESE_NAME = re.compile("|".join(sorted(CHINESE, key=len, reverse=True)))


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Every name on the lists, whatever the share: the same one for the same name."""
    pattern, known = (CHINESE_NAME, CHINESE) if HAN.search(text) else (NAME, ENGLISH)
    new: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        name = found[0]
        return new.setdefault(name, draws.choice([one for one in known[name] if one != name]))

    return pattern.sub(other, text)
