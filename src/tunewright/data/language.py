"""Which languages texts are in: by script, and Latin ones by stop words. Good for shares, not for one short text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

SAMPLE_ROWS = 2000
READ_CHARS = 2000
"""Of a long text its start is enough."""
OTHER = "xx"
"""Any other language."""

SCRIPTS = {
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"),
    "kana": re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d]"),
    "hangul": re.compile(r"[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]"),
    "cyrillic": re.compile(r"[\u0400-\u052f]"),
    "arabic": re.compile(r"[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
    "other": re.compile(r"[\u0370-\u03ff\u0530-\u05ff\u0900-\u0eff\u10a0-\u10ff\u1200-\u137f\u1780-\u17ff]"),
}
LETTERS_PER_SIGN = 3
"""A Han, kana or hangul sign carries about as much as three letters."""
NOT_RUSSIAN = re.compile(r"[\u0402-\u040f\u0452-\u045f\u0490\u0491]")
NOT_ARABIC = re.compile(r"[\u0679\u067e\u0686\u0688\u0691\u0698\u06a9\u06af\u06ba\u06be\u06c1\u06cc\u06d2]")
WORD = re.compile(r"[a-z\u00df-\u024f\u1e00-\u1eff]+(?:'[a-z]+)?")
NOT_ENGLISH_LETTER = re.compile(r"[\u00df-\u024f\u1e00-\u1eff]")
ENGLISH_WORDS = """
the and of to is that it for was with are this you my i not have be as on at what how can but they from do did does has
had your we would will when which their there been were why who if me about out get it's i'm don't can't no just an by
or so
"""
OTHER_WORDS = """
der die das und ist nicht ich ein eine mit für auf den von zu sich auch wie le la les des et est une pas je que qui dans
pour sur avec vous mon el los las es una por con para del como mi pero muy il di che non per sono della ho mio o os uma
não em com meu de het een van ik niet dat op te voor ve bir bu için jest nie się na że och att det som är jeg ikke og
"""
ENGLISH, OTHERS = frozenset(ENGLISH_WORDS.split()), frozenset(OTHER_WORDS.split())


def languages(texts: Sequence[str]) -> dict[str, float]:
    """Shares of the languages, largest first: en, zh, ja, ko, ru, ar, and ``xx`` for all others.

    texts : a sample of at most 2000, evenly spaced, is looked at; those that give no sign (numbers, a name) do not
        count, and if none does, Latin letters are taken as English

    >>> languages(["where is my card", "我的卡在哪里"])
    {'en': 0.5, 'zh': 0.5}
    """
    step = max(1, -(-len(texts) // SAMPLE_ROWS))
    found = Counter(name for text in texts[::step] if (name := _language(text[:READ_CHARS])) is not None)
    unsure = found.pop("", 0)
    if not found and unsure:
        found["en"] = unsure
    total = sum(found.values())
    return {name: count / total for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))}


def dominant(texts: Sequence[str]) -> str:
    """The language with the largest share; ``xx`` if there are no letters at all.

    >>> dominant(["Wie kann ich meine Karte sperren?"])
    'xx'
    """
    return next(iter(languages(texts)), OTHER)


def _language(text: str) -> str | None:
    """A language; empty: Latin letters that say no more; None: no letters."""
    counts = {name: len(pattern.findall(text)) for name, pattern in SCRIPTS.items()}
    for name in ("han", "kana", "hangul"):
        counts[name] *= LETTERS_PER_SIGN
    kana = counts.pop("kana")
    counts["han"] += kana
    script, most = max(counts.items(), key=lambda item: item[1])
    if not most:
        return None
    if script == "han":
        return "ja" if kana > most / 10 else "zh"
    if script == "cyrillic":
        return OTHER if NOT_RUSSIAN.search(text) else "ru"
    if script == "arabic":
        return OTHER if len(NOT_ARABIC.findall(text)) > most / 20 else "ar"
    return {"hangul": "ko", "other": OTHER}.get(script) or _latin(WORD.findall(text.lower()))


def _latin(words: Iterable[str]) -> str:
    english, others = 0, 0.0
    for word in words:
        english += word in ENGLISH
        others += (word in OTHERS) + bool(NOT_ENGLISH_LETTER.search(word)) * 0.5
    if not english and not others:
        return ""
    return "en" if english >= others else OTHER
