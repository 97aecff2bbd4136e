"""What every change of texts promises: the same for the same seed, places found, everything else as it was."""

from __future__ import annotations

import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.data.changes import changed, fits, fitting

CHANGES = plugins.names("changes")
MEANINGS = {"same", "detail", "turned", "stronger"}
ENGLISH = "I'm sure that Anna Smith from Paris is happy with 25 orders, and it is a good film."
CHINESE = "我的订单3天没到，王女士在北京等退款（ABC），房间很干净。"
DENIABLE = "房间很干净，推荐"
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60)


@pytest.fixture(params=CHANGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_change_says_where_it_fits_and_what_it_does(name: str) -> None:
    one = plugins.load("changes", name)
    assert one.MEANING in MEANINGS
    assert one.LANGUAGES is None or isinstance(one.LANGUAGES, frozenset)
    assert name in fitting(one.MEANING)
    assert plugins.summary("changes", name).endswith(".")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_finds_something_in_a_text_that_has_everything(name: str, language: str) -> None:
    if not fits(name, language):
        pytest.skip("for other languages")
    text = {"en": ENGLISH, "zh": DENIABLE if name == "negation" else CHINESE}[language]
    found = {changed(name, text, seed) for seed in range(20)}
    assert found != {text}
    assert changed(name, text, 3) == changed(name, text, 3)


@given(text=texts, seed=st.integers(0, 5))
def test_no_text_breaks_a_change_or_is_emptied_by_it(text: str, seed: int) -> None:
    for name in CHANGES:
        other = changed(name, text, seed)
        assert other == changed(name, text, seed)
        assert bool(other.strip()) == bool(text.strip())


def test_places_of_rows_are_changed_each_in_its_own_way() -> None:
    assert len({changed("typo", ENGLISH, 0, place) for place in range(20)}) > 5


def test_an_unknown_change_is_named_with_the_nearest() -> None:
    with pytest.raises(TunewrightError, match="there is no change 'tipo' → did you mean 'typo'"):
        changed("tipo", "text", 0)


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=9), min_size=1, max_size=30), st.integers(0, 9))
def test_typos_hit_a_tenth_of_the_words_by_one_error_each(words: list[str], seed: int) -> None:
    other = changed("typo", " ".join(words), seed).split(" ")
    assert len(other) == len(words)
    hit = [(one, word) for one, word in zip(other, words, strict=True) if one != word]
    long = [word for word in words if len(word) > 3]
    assert len(hit) <= max(1, round(0.1 * len(long)))
    for one, word in hit:
        assert len(word) > 3
        assert abs(len(one) - len(word)) <= 1
        assert one[0] == word[0]
        assert edits(one, word) == 1


def edits(one: str, other: str) -> int:
    """Distance by insertions, deletions, exchanges and swaps of neighbours (Damerau; restricted)."""
    rows = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            if not i or not j:
                rows[i][j] = i + j
                continue
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (one[i - 1] != other[j - 1]))
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


def test_neighbours_are_those_of_the_keyboard() -> None:
    from tunewright.data.changes.typo import NEIGHBOURS

    assert {key: set(NEIGHBOURS[key]) for key in "gqm"} == {"g": set("fhtyvb"), "q": set("wa"), "m": set("njk")}
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)


@given(st.text("abcdefghijklmnopqrstuvwxyz ", max_size=60), st.integers(0, 9))
def test_lookalikes_are_other_letters_that_fold_back(text: str, seed: int) -> None:
    from tunewright.data.changes.lookalike import LATIN, folded

    other = changed("lookalike", text, seed)
    assert folded(other) == text
    assert (other != text) == bool(set(text) & set(LATIN))
    for one, letter in zip(other, text, strict=True):
        assert one == letter or unicodedata.name(one).split()[0] in ("CYRILLIC", "GREEK")


@given(texts, st.integers(0, 5))
def test_case_spaces_and_width_leave_the_letters_as_they_are(text: str, seed: int) -> None:
    if text.isascii():
        assert changed("case", text, seed).lower() == text.lower()
    assert "".join(changed("spacing", text, seed).split(" ")) == "".join(text.split(" "))
    if text.isascii():
        assert unicodedata.normalize("NFKC", changed("width", text, seed)) == text


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("contraction", "I'm sure it is fine, don't worry", "I am sure it's fine, do not worry"),
        ("contraction", "You can’t know what WE'RE like. Yes I am.", "You cannot know what WE ARE like. Yes I am."),
        ("negation", "The food was good.", "The food was not good."),
        ("negation", "a fine film .", "a fine film. That is not true."),
        ("negation", "It is not good.", "It is not good."),
        ("negation", "Where is my card?", "Where is my card?"),
        ("negation", "房间很干净，不错", "房间不很干净，不错"),
        ("negation", "没有热水", "没有热水"),
        ("negation", "质量差。", "质量差。这话不对。"),
        ("intensifier", "The food was good.", "The food was really good."),
        ("intensifier", "a dull film .", "a dull film. I really mean it."),
        ("intensifier", "Is it good?", "Is it good?"),
        ("intensifier", "房间很干净", "房间非常干净"),
        ("intensifier", "房间不很干净", "房间不很干净。我说的是真的。"),
        ("traditional", "我的订单还没到", "我的訂單還沒到"),
        ("traditional", "我的訂單還沒到", "我的订单还没到"),
        ("number", "at 10:30 on 2026-11-02, code A77", "at 10:30 on 2026-11-02, code A77"),
        ("person", "anna and smith", "anna and smith"),
    ],
)
def test_known_texts_become_what_they_should(name: str, text: str, wanted: str) -> None:
    assert changed(name, text, 0) == wanted


def test_numbers_names_and_places_are_others_of_their_kind() -> None:
    from tunewright.data.changes.place import ENGLISH as PLACES

    for seed in range(20):
        number = changed("number", "我等了12天，花了305元", seed)
        days, price = number.removeprefix("我等了").removesuffix("元").split("天，花了")
        assert (len(days), len(price)) == (2, 3)
        assert days != "12"
        assert price != "305"
        place = changed("place", "from Paris to France, Paris", seed)
        city, rest = place.removeprefix("from ").split(" to ")
        country, again = rest.split(", ")
        assert city == again
        assert city != "Paris"
        assert PLACES[city] is PLACES["Berlin"]
        assert PLACES[country] is PLACES["Germany"]
        person = changed("person", "王女士说李小明来了", seed)
        assert person[0] != "王"
        assert person[1:4] == "女士说"


def test_chinese_characters_give_way_to_others_of_their_sound_or_shape() -> None:
    from tunewright.data.changes._sounds import reading
    from tunewright.data.changes.shape import TABLE

    text = "我在再房间里等了三天，已经到账未付款的订单还没退。"
    for seed in range(20):
        for name in ("homophone", "shape"):
            other = changed(name, text, seed)
            hit = [(one, old) for one, old in zip(other, text, strict=True) if one != old]
            assert 1 <= len(hit) <= 3
            for one, old in hit:
                assert reading(one) == reading(old) if name == "homophone" else one in TABLE[old]
    assert all(one in TABLE[other] for one, others in TABLE.items() for other in others)


def test_readings_follow_the_order_of_the_character_set() -> None:
    """GB 2312 sorts its first part by sound: syllables that begin elsewhere would not come out in order."""
    from tunewright.data.changes._sounds import FIRSTS, reading, readings

    starts, names = readings()
    assert starts == sorted(set(starts))
    assert [name.replace("v", "u") for name in names] == sorted(name.replace("v", "u") for name in names)
    assert len(names) == len(set(names)) == len(FIRSTS.split())
    known = {
        "退": "tui",
        "款": "kuan",
        "长": "chang",
        "男": "nan",
        "南": "nan",
        "绿": "lv",
        "商": "shang",
        "伤": "shang",
    }
    known |= {
        "座": "zuo",
        "啊": "a",
        "阿": "a",
        "还": "hai",
        "么": "me",
        "进": "jin",
        "经": "jing",
        "弟": "di",
        "电": "dian",
    }
    assert {one: reading(one) for one in known} == known
    assert reading("x") == reading("龘") == reading("啰") == ""


def test_traditional_characters_are_of_the_other_character_set() -> None:
    """Big5 holds traditional characters and GB 2312 simplified ones; the pairs must go from one to the other."""
    from tunewright.data.changes.traditional import OLD, SIMPLE

    assert len(set(SIMPLE)) == len(SIMPLE) == len(set(OLD)) > 450
    for simple, old in zip(SIMPLE, OLD, strict=True):
        assert simple.encode("gb2312")
        assert old.encode("big5")
        if old != "後":  # it is in both
            with pytest.raises(UnicodeEncodeError):
                old.encode("gb2312")


def test_the_share_says_how_much_is_changed() -> None:
    text = " ".join(["parcel"] * 40)
    for share, wanted in ((0.0, 1), (0.1, 4), (0.5, 20), (1.0, 40)):
        other = changed("typo", text, 0, share=share).split(" ")
        assert sum(one != "parcel" for one in other) == wanted


def test_a_change_draws_from_what_it_is_given_alone() -> None:
    change = plugins.load("changes", "typo").change
    assert change(ENGLISH, Random(4)) == change(ENGLISH, Random(4))
