"""Personal data: what is valid is found wherever it stands, a wrong checksum is not, and ordinary texts hold none."""

from __future__ import annotations

import random
import string
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.personal import PII
from tunewright.core.task import read_task
from tunewright.modalities._checksums import IBAN_LENGTHS, card, chinese_id, iban, luhn
from tunewright.modalities._pii import find, mask
from tunewright.modalities.ngrams import Ngrams
from tunewright.modalities.text import Text
from tunewright.modalities.text_ngrams import TextNgrams

DIGITS = string.digits
AROUND = st.sampled_from(["{}", "my number is {}, thanks", "号码是{}。", "({})", "send {} now", "{}?"])


def found(text: str, name: str) -> list[str]:
    return [text[one.start : one.end] for one in find(text) if one.name == name]


@st.composite
def cards(draw: Any) -> str:
    """The check digit by the other way round: the number that makes the sum a multiple of ten."""
    start, length = draw(st.sampled_from([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("62", 19)]))
    digits = start + draw(st.text(DIGITS, min_size=length - len(start) - 1, max_size=length - len(start) - 1))
    total = 0
    for at, one in enumerate(map(int, digits[::-1])):
        total += sum(map(int, str(2 * one))) if at % 2 == 0 else one
    return digits + str(-total % 10)


@st.composite
def accounts(draw: Any) -> str:
    """Check digits are 98 minus the remainder by 97 of the account, the country and 00."""
    country = draw(st.sampled_from(sorted(IBAN_LENGTHS)))
    own = draw(st.text(DIGITS, min_size=IBAN_LENGTHS[country] - 4, max_size=IBAN_LENGTHS[country] - 4))
    remainder = int(own + "".join(str(ord(one) - 55) for one in country) + "00") % 97
    return f"{country}{98 - remainder:02d}{own}"


@st.composite
def identities(draw: Any) -> str:
    """ISO 7064 MOD 11-2, by its recursion instead of by weights."""
    born = draw(st.dates(date(1900, 1, 1), date(2020, 12, 31)))
    own = f"{draw(st.integers(110000, 659999))}{born:%Y%m%d}{draw(st.integers(0, 999)):03d}"
    product = 0
    for one in own:
        product = (product + int(one)) * 2 % 11
    return own + "0123456789X"[(12 - product) % 11]


@given(number=cards(), around=AROUND, by=st.sampled_from(["", " ", "-"]))
def test_cards_are_found_in_groups_too(number: str, around: str, by: str) -> None:
    written = by.join(number[at : at + 4] for at in range(0, len(number), 4))
    if card(number):  # the same digit all along is no card
        assert found(around.format(written), "card") == [written]


@given(number=cards(), at=st.integers(0, 18), more=st.integers(1, 9), around=AROUND)
def test_one_wrong_digit_makes_it_no_card(number: str, at: int, more: int, around: str) -> None:
    at %= len(number)
    wrong = number[:at] + str((int(number[at]) + more) % 10) + number[at + 1 :]
    assert not luhn(wrong)
    assert found(around.format(wrong), "card") == []


@given(number=accounts(), around=AROUND, spaced=st.booleans(), small=st.booleans())
def test_accounts_are_found(number: str, around: str, spaced: bool, small: bool) -> None:
    written = " ".join(number[at : at + 4] for at in range(0, len(number), 4)) if spaced else number
    written = written.lower() if small else written
    assert found(around.format(written), "iban") == [written]


@given(number=accounts(), at=st.integers(4, 30), more=st.integers(1, 9))
def test_one_wrong_digit_makes_it_no_account(number: str, at: int, more: int) -> None:
    at = 4 + (at - 4) % (len(number) - 4)
    wrong = number[:at] + str((int(number[at]) + more) % 10) + number[at + 1 :]
    assert not iban(wrong)
    assert found(f"pay to {wrong} now", "iban") == []


@given(number=identities(), around=AROUND)
def test_chinese_identity_numbers_are_found(number: str, around: str) -> None:
    assert found(around.format(number), "cn_id") == [number]


@given(number=identities(), other=st.sampled_from("0123456789X"))
def test_another_check_sign_makes_it_none(number: str, other: str) -> None:
    wrong = number[:17] + other
    assert chinese_id(wrong) == (wrong == number)
    assert found(f"身份证{wrong}。", "cn_id") == ([number] if wrong == number else [])


@given(number=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), around=AROUND, by=st.sampled_from(["", " ", "-"]))
def test_chinese_mobiles_are_found(number: str, around: str, by: str) -> None:
    written = by.join([number[:3], number[3:7], number[7:]])
    assert found(around.format(written), "phone") == [written]


@given(
    name=st.from_regex(r"[a-z][a-z0-9._+-]{0,10}[a-z0-9]", fullmatch=True),
    host=st.from_regex(r"([a-z][a-z0-9]{0,8}\.){1,3}(com|org|de|cn|info)", fullmatch=True),
    around=AROUND,
)
def test_addresses_are_found(name: str, host: str, around: str) -> None:
    assert found(around.format(f"{name}@{host}"), "email") == [f"{name}@{host}"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("+44 20 7946 0958", "phone"),
        ("+1 (212) 555-0187", "phone"),
        ("(212) 555-0187", "phone"),
        ("0049 30 1234567", "phone"),
        ("010-62345678", "phone"),
        ("020 7946 0958", "phone"),
        ("192.168.1.10", "ip"),
        ("2001:db8::8a2e:370:7334", "ip"),
        ("078-05-1120", "ssn"),
        ("４１１１１１１１１１１１１１１１", "card"),
    ],
)
def test_what_has_no_checksum_is_known_by_its_form(text: str, name: str) -> None:
    for around in ("{}", "it is {}, please", "号码：{}。"):
        assert found(around.format(text), name) == [text]


@pytest.mark.parametrize(
    "born",
    ["born on 12/03/1985", "DOB: 1985-03-12", "生日1990年1月2日", "date of birth: 3 May 1971", "出生于1971-05-03"],
)
def test_a_date_of_birth_is_one_only_where_it_is_said(born: str) -> None:
    (one,) = find(born)
    assert one.name == "birth"
    assert find(born[one.start : one.end]) == []


def test_a_birthday_that_no_calendar_has_is_none() -> None:
    assert find("born on 45/23/1985") == []


@pytest.mark.parametrize(
    "text",
    [
        "it cost 1,299.00 on 2024-10-11 at 10:30:00",
        "order 1234567890, version 1.2.3 of 12/2023",
        "I waited 10 20 30 40 minutes and paid 100 200 300",
        "pages 1200-1300 of 24",
        "000-12-3456 and 666-12-3456 are no such number",
        "std::vector<int> a[10]; 12::",
        "me@home and @ann at 3",
        "999.999.999.999",
        "",
    ],
)
def test_ordinary_numbers_are_none(text: str) -> None:
    assert find(text) == []
    assert mask(text) == text


def test_the_sample_rows_hold_none(sample_rows: dict[str, list[dict[str, str]]]) -> None:
    assert [row["text"] for rows in sample_rows.values() for row in rows if find(row["text"])] == []


@given(st.text(st.sampled_from("0123456789 +-.@:()abcdeX年卡/"), max_size=60))
def test_masked_texts_stay_as_they_are(text: str) -> None:
    once = mask(text)
    assert mask(once) == once
    assert find(once) == []


def test_only_what_is_named_is_masked() -> None:
    text = "ann@example.com paid with 4111 1111 1111 1111, call +44 20 7946 0958"
    assert mask(text, ("card",)) == "ann@example.com paid with <card>, call +44 20 7946 0958"
    assert mask(text, ("email", "phone")) == "<email> paid with 4111 1111 1111 1111, call <phone>"
    assert mask(text) == "<email> paid with <card>, call <phone>"


def test_a_long_hostile_text_takes_no_longer() -> None:
    """Linear, or nearly so: what repeats half of a form makes no search explode."""
    for piece in ("a." * 20_000 + "@", "1 " * 20_000, "AB12" * 10_000, "+1(1)" * 8_000, "1:" * 20_000):
        mask(piece)


# In the modalities


TWO = ["mail ann@example.com about card 4111 1111 1111 1111", "mail bob@example.org about card 5500 0000 0000 0004"]


def test_windows_of_texts_that_differ_in_what_is_masked_are_equal(build: Any) -> None:
    text = Text(build(), 12, mask=PII)
    windows = text.windows([TWO])
    half = len(windows) // 2
    ids = [piece.tolist() for piece in windows.data["input_ids"]]
    assert ids[:half] == ids[half:]
    assert len(ids) > 2, "they are cut into several windows"
    plain = Text(build(), 12).windows([TWO])
    assert [piece.tolist() for piece in plain.data["input_ids"]] != ids


def test_offsets_count_in_the_masked_text(build: Any) -> None:
    text = Text(build(), 64, mask=("card",))
    windows = text.windows([["card 4111 1111 1111 1111 lost"]])
    spans = windows.spans[0][len(text.head) : len(windows.spans[0]) - len(text.tail)]
    assert int(spans[:, 1].max()) == len("card <card> lost")
    assert text.as_read([["card 4111 1111 1111 1111 lost"]]) == [["card <card> lost"]]


def test_it_comes_back_from_a_bundle_and_one_without_it_loads_as_before(build: Any, tmp_path: Path) -> None:
    settings = Text(build(), 32, mask=("email",)).save(tmp_path)
    assert Text.load(settings, tmp_path).mask == ("email",)
    bare = Text(build(), 32).save(tmp_path)
    assert "mask" not in bare
    assert Text.load(bare, tmp_path).mask == ()
    words = Ngrams.learn([TWO], mask=("email", "card"))
    assert Ngrams.load(words.save(tmp_path), tmp_path).mask == ("email", "card")
    assert "mask" not in Ngrams.learn([TWO]).save(tmp_path)
    both = TextNgrams(Text(build(), 32, mask=PII), words)
    assert both.as_read([TWO]) == [["mail <email> about card <card>"] * 2]


def test_words_learn_and_read_the_token() -> None:
    words = Ngrams.learn([TWO * 2], mask=PII)
    one, other = (words.windows([[text]]).data["features"].values.tolist() for text in TWO)
    assert one == other
    plain = Ngrams.learn([TWO * 2])
    assert plain.digest != words.digest
    one, other = (plain.windows([[text]]).data["features"].values.tolist() for text in TWO)
    assert one != other


def test_what_is_no_text_is_refused_as_before(build: Any) -> None:
    with pytest.raises(TunewrightError, match="row 1: 7 is no text"):
        Text(build(), 32, mask=PII).windows([["a", 7]])


def test_the_task_names_what_is_masked() -> None:
    assert read_task(None, {"privacy.mask": "all"})[0].privacy.mask == PII
    assert read_task(None, {"privacy.mask": ["phone", "email"]})[0].privacy.mask == ("email", "phone")
    with pytest.raises(TunewrightError, match="'fax' is not known"):
        read_task(None, {"privacy.mask": ["fax"]})


def test_random_digits_are_rarely_taken_for_personal_data() -> None:
    """Of 2,000 texts with runs of 6 to 20 digits, few are: a checksum of cards lets one in ten through."""
    draws = random.Random(0)
    texts = [f"ref {''.join(draws.choices(DIGITS, k=draws.randint(6, 20)))} ok" for _ in range(2000)]
    assert sum(bool(find(text)) for text in texts) / len(texts) < 0.03
