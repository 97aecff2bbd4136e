"""Names of persons exchanged for others: Maria for Anna, 李女士 for 王女士."""

from __future__ import annotations

import re
from random import Random

from tunewright.data.changes._names import FAMILY, FEMALE, GIVEN, MALE, SURNAMES
from tunewright.data.changes._some import HAN, SHARE

LANGUAGES = frozenset({"en", "zh"})
MEANING = "detail"

GROUPS = [group.split() for group in (FEMALE, MALE, FAMILY)]
ENGLISH = {name: group for group in GROUPS for name in group}
NAME = re.compile(rf"\b(?:{'|'.join(ENGLISH)})\b(?!')|\b(?:{'|'.join(ENGLISH)})\b(?='s\b)")
TITLES = "先生|女士|小姐|太太|老师|经理|医生|师傅|阿姨|叔叔|教授|主任"
CHINESE_GIVEN = GIVEN.split()
CALLED = re.compile(
    f"([{SURNAMES}])(?={TITLES})|([{SURNAMES}])({'|'.join(CHINESE_GIVEN)})(?=[^一-龥]|说|是|在|和|的|{TITLES}|$)"
)


def change(text: str, draws: Random, share: float = SHARE) -> str:
    """Every name on the lists, whatever the share: the same one for the same name, a woman's for a woman's."""
    if HAN.search(text):
        return CALLED.sub(lambda found: _chinese(found, draws), text)
    new: dict[str, str] = {}
    return NAME.sub(lambda found: new.setdefault(found[0], _other(found[0], ENGLISH[found[0]], draws)), text)


def _other(name: str, group: list[str], draws: Random) -> str:
    return draws.choice([one for one in group if one != name])


def _chinese(found: re.Match[str], draws: Random) -> str:
    surname, whole, given = found.groups()
    other = draws.choice([one for one in SURNAMES if one != (surname or whole)])
    return other if surname else other + draws.choice([one for one in CHINESE_GIVEN if len(one) == len(given)])
