"""Whether digits that look like a card, an account or an identity number are one: their checksums."""

from __future__ import annotations

from datetime import date

IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an account number by country. Source: the registry of ISO 13616."""

CARDS = (
    ("4", (13, 16, 19)),
    *((str(at), (16,)) for at in range(51, 56)),
    *((str(at), (16,)) for at in range(2221, 2721)),
    *((at, (15,)) for at in ("34", "37")),
    *((at, (14, 16, 19)) for at in ("36", "38", "39", "300", "301", "302", "303", "304", "305")),
    *((at, (16, 19)) for at in ("6011", "65", *(str(one) for one in range(644, 650)))),
    *((str(at), (16, 19)) for at in range(3528, 3590)),
    ("62", (16, 17, 18, 19)),
)
"""How the numbers of the large card networks begin, and how many digits they have."""
BY_START = dict(CARDS)

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
LAST = "10X98765432"


def luhn(digits: str) -> bool:
    """Whether the last digit is what the others ask for. Source: ISO/IEC 7812-1, annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = [int(one) * (2 if at % 2 else 1) for at, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def card(digits: str) -> bool:
    """A number of a known card network with a right check digit."""
    lengths = next((BY_START[digits[:size]] for size in (4, 3, 2, 1) if digits[:size] in BY_START), ())
    return len(digits) in lengths and luhn(digits) and len(set(digits)) > 1


def iban(text: str) -> bool:
    """An account number without spaces, of its country's length, whose remainder by 97 is 1. Source: ISO 13616.

    >>> iban("DE89370400440532013000"), iban("DE88370400440532013000")
    (True, False)
    """
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def chinese_id(text: str) -> bool:
    """18 signs: place, a date of birth that exists, order, check. Source: GB 11643-1999 (ISO 7064, MOD 11-2).

    >>> chinese_id("11010519491231002X"), chinese_id("110105194912310021")
    (True, False)
    """
    if not 11 <= int(text[:2]) <= 83 or not a_day(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    return LAST[sum(int(one) * weight for one, weight in zip(text, WEIGHTS, strict=False)) % 11] == text[17].upper()


def a_day(year: int, month: int, day: int) -> bool:
    """Whether somebody who lives may have been born on it."""
    try:
        return date(1900, 1, 1) <= date(year, month, day) <= date(2099, 12, 31)
    except ValueError:
        return False
