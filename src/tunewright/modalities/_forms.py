"""What personal data look like: a form for each kind, and whether what has the form is one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import cache

from tunewright.modalities._checksums import a_day, card, chinese_id, iban


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdecimal())


def _whole(check: Callable[[str], bool]) -> Callable[[str], int]:
    """How many characters count: all, or none."""
    return lambda text: len(text) if check(text) else 0


def _account(text: str) -> int:
    """The longest beginning that is an IBAN: the words behind one look like its end."""
    ends = (at for at in range(len(text), 14, -1) if text[at - 1] not in " -" and not text[at : at + 1].isalnum())
    return next((at for at in ends if iban(re.sub("[ -]", "", text[:at]))), 0)


def _phone(text: str) -> bool:
    digits = _digits(text)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2


def _address(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast)


def _birth(text: str) -> bool:
    """A date that exists, in whichever order its three numbers stand."""
    numbers = [int(one) for one in re.findall(r"\d+", text)]
    if len(numbers) == 2:  # the month is a word
        return a_day(max(numbers), 1, min(numbers))
    if len(str(numbers[0])) == 4:
        return a_day(*numbers)
    year = numbers[2] if numbers[2] > 99 else 1900 + numbers[2]
    return a_day(year, numbers[1], numbers[0]) or a_day(year, numbers[0], numbers[1])


BEFORE, AFTER = r"(?<![A-Za-z0-9_.,/+-])", r"(?![A-Za-z0-9_]|[.,/-][0-9])"
"""Around plain numbers: they are no piece of a longer number, an amount, a version, a path or a code."""
FIRST, LAST = rf"(?<![0-9] ){BEFORE}", rf"{AFTER}(?! [0-9])"
"""Around numbers without a checksum: nor are they a group of digits among others."""
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DATES = (
    r"[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}",
    r"[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{4}|[0-9]{2})",
    r"[0-9]{4} ?年 ?[0-9]{1,2} ?月 ?[0-9]{1,2} ?日",
    rf"[0-9]{{1,2}}(?:st|nd|rd|th)? {MONTH},? [0-9]{{4}}",
    rf"{MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}",
)
BORN = r"(?:born(?: on)?|birth ?da(?:y|te)|date of birth|d\.?o\.?b\.?|生日|出生(?:日期|年月日?|于|於)?)"
CALL = r"(?:tel|phone|telephone|mobile|cell|fax|whatsapp|call(?: me)?|手机|电话|座机|热线|致电|联系方式)"
THEN = r"[^0-9A-Za-z]{0,4}(?:(?:is|at|on|was|是|为)[^0-9A-Za-z]{0,3})?"
"""Between a word and what it announces."""
FORMS: tuple[tuple[str, str, str, Callable[[str], int]], ...] = (
    (
        "email",
        r"(?<![A-Za-z0-9._%+-])",
        r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])",
        len,
    ),
    ("iban", r"(?<![A-Za-z0-9])", r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,40}", _account),
    (
        "cn_id",
        BEFORE,
        r"[1-8][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9X](?![A-Za-z0-9])",
        _whole(chinese_id),
    ),
    ("card", BEFORE, rf"[2-6](?:[ -]?[0-9]){{12,18}}{AFTER}", _whole(lambda text: card(_digits(text)))),
    ("ssn", FIRST, rf"(?!000|666|9)[0-9]{{3}}(?P<by>[ -])(?!00)[0-9]{{2}}(?P=by)(?!0000)[0-9]{{4}}{LAST}", len),
    (
        "ip",
        r"(?<![A-Za-z0-9_.-])",
        r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![A-Za-z0-9_]|[.:-][A-Za-z0-9.]{2})",
        _whole(_address),
    ),
    ("ip", r"(?<![A-Za-z0-9_.:])", r"(?:[0-9A-F]{0,4}:){2,7}[0-9A-F]{1,4}(?![A-Za-z0-9_:])", _whole(_address)),
    ("birth", rf"(?<![A-Za-z]){BORN}{THEN}", rf"(?:{'|'.join(DATES)})(?![0-9])", _whole(_birth)),
    # International; Chinese mobile; national with a 0 before it; North American; any after a word for it.
    (
        "phone",
        r"(?<![A-Za-z0-9+])",
        rf"(?:\+|00)[1-9][0-9]{{0,2}}(?:[ .-]?(?:\([0-9]{{1,4}}\)|[0-9])){{6,13}}{LAST}",
        _whole(_phone),
    ),
    ("phone", FIRST, rf"(?:86[ -]?)?1[3-9][0-9](?P<by>[ -]?)[0-9]{{4}}(?P=by)[0-9]{{4}}{LAST}", len),
    ("phone", FIRST, rf"\(?0[0-9]{{2,4}}\)?[ /-]{{1,3}}[0-9]{{3,4}}(?:[ -]?[0-9]{{3,5}}){LAST}", _whole(_phone)),
    (
        "phone",
        r"(?<![0-9] )(?<![A-Za-z0-9.+-])",
        rf"(?:1[ .-])?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[ .-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}{LAST}",
        _whole(_phone),
    ),
    (
        "phone",
        rf"(?<![A-Za-z]){CALL}\.?(?: ?(?:number|no\.?|nr\.?|号码?))?{THEN}",
        rf"\(?[0-9](?:[ -]?[0-9()]){{5,13}}[0-9]{LAST}",
        _whole(_phone),
    ),
)
"""Name, what stands before, form, and how many of its characters count; what comes first wins where two overlap."""


@cache
def forms() -> tuple[tuple[str, re.Pattern[str], Callable[[str], int]], ...]:
    """Compiled when they are first needed; as lookaheads, so that what only looks like one hides none inside it."""
    return tuple(
        (name, re.compile(f"{before}(?=(?P<it>{form}))", re.IGNORECASE), holds) for name, before, form, holds in FORMS
    )
