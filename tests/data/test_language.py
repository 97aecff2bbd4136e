"""Languages of a sample of texts."""

from __future__ import annotations

import pytest

from tunewright.data.language import dominant, languages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my card? I have been waiting for it", "en"),
        ("card not working", "en"),
        ("我的卡在哪里？iPhone 12 Pro Max 很好", "zh"),
        ("カードはどこですか", "ja"),
        ("銀行の口座を開きたい", "ja"),
        ("내 카드는 어디에 있나요", "ko"),
        ("Где моя карта?", "ru"),
        ("Де моя картка? Її немає", "xx"),
        ("أين بطاقتي", "ar"),
        ("Wo ist meine Karte und wie kann ich sie sperren?", "xx"),
        ("¿Dónde está mi tarjeta?", "xx"),
        ("Où est ma carte", "xx"),
        ("Πού είναι η κάρτα μου", "xx"),
        ("मेरा कार्ड कहाँ है", "xx"),
        ("12345 !!!", "xx"),
    ],
)
def test_dominant(text: str, language: str) -> None:
    assert dominant([text]) == language


def test_shares_come_largest_first_and_sum_to_one() -> None:
    shares = languages(["where is the card"] * 3 + ["我的卡在哪里"] + ["42"] * 10)
    assert shares == {"en": 0.75, "zh": 0.25}
    assert list(shares) == ["en", "zh"]


def test_texts_that_say_nothing_do_not_count() -> None:
    assert languages(["wo ist die Karte"] * 2 + ["Visa"] * 8) == {"xx": 1.0}


def test_nothing() -> None:
    assert languages([]) == {}
    assert dominant(["", "..."]) == "xx"


def test_a_sample_covers_the_whole_list() -> None:
    shares = languages(["what is this"] * 5000 + ["这是什么"] * 5000)
    assert shares == {"en": 0.5, "zh": 0.5}
