"""English contractions written out, or the other way round: don't and do not."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._some import SHARE, as_written

LANGUAGES = frozenset({"en"})
MEANING = "same"

VERBS, WHO = "do does did is are was were have has had could would should", "i you he she it we they"
SHORT = {"can't": "cannot", "won't": "will not", "let's": "let us", "i'm": "i am"}
SHORT |= {f"{verb}n't": f"{verb} not" for verb in VERBS.split()}
SHORT |= {f"{one}'ll": f"{one} will" for one in WHO.split()}
SHORT |= {f"{one}'re": f"{one} are" for one in ("you", "we", "they")}
SHORT |= {f"{one}'ve": f"{one} have" for one in ("i", "you", "we", "they")}
SHORT |= {f"{one}'s": f"{one} is" for one in ("it", "that", "there", "what", "where")}
"""``it's`` may be ``it has``, too: before a participle the longer form is a little off, and still understood."""
LONG = {long: short for short, long in SHORT.items()}
BOTH = re.compile(rf"\b(?:(?:{'|'.join(SHORT)})\b|(?:{'|'.join(LONG)})(?= +[a-z]))", re.IGNORECASE)
"""A long form at the end of a clause cannot be drawn together: *than I am.*"""


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Every contraction, and everything that can be one, whatever the share."""
    return BOTH.sub(lambda found: _other(found[0]), text.replace("’", "'"))


def _other(found: str) -> str:
    known = found.lower()
    other = as_written(SHORT.get(known) or LONG[known], found)
    return "I" + other[1:] if known.startswith(("i'", "i ")) else other
