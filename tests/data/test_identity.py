"""Identity terms: what is found, what it becomes, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.data.identity import Swap, Terms, languages, terms_of

EN, ZH = terms_of("en", {}), terms_of("zh", {})
BOTH_WAYS = st.lists(
    st.sampled_from(["He", "she", "MAN", "woman", "card,", "uncle", "aunt", "late", "therapist", "Mr"])
)


@pytest.mark.parametrize(
    ("name", "text", "swapped"),
    [
        ("gender", "She lost her card and told him.", "He lost his card and told her."),
        ("gender", "I saw her yesterday, and it was hers", "I saw him yesterday, and it was his"),
        ("gender", "That card is his.", "That card is hers."),
        ("gender", "HE is a Gentleman", "SHE is a Lady"),
        ("gender", "the therapist heard the other history", "the therapist heard the other history"),
        ("gender", "the first lady and a boy scout", "the first lady and a boy scout"),
        ("nationality", "an American card", "a British card"),
        ("nationality", "a Spanish bank", "a Syrian bank"),
        ("name", "james's card", "mary's card"),
        ("region", "a rural branch", "an urban branch"),
    ],
)
def test_english(name: str, text: str, swapped: str) -> None:
    assert EN[name].swapped(text)[0] == swapped


@pytest.mark.parametrize(
    ("name", "text", "swapped"),
    [
        ("gender", "他们的其他卡", "她们的其他卡"),
        ("gender", "女朋友的卡", "男朋友的卡"),
        ("gender", "我的爸爸妈妈", "我的爸爸妈妈"),
        ("nationality", "中国人用中国银行", "美国人用中国银行"),
        ("age", "年轻人", "老年人"),
    ],
)
def test_chinese(name: str, text: str, swapped: str) -> None:
    assert ZH[name].swapped(text)[0] == swapped


def test_a_long_list_is_walked_by_the_number_that_was_drawn() -> None:
    terms = Terms((("a", "b", "c", "d"),))
    assert [terms.swapped("a b d", shift)[0] for shift in (1, 2, 3, 4)] == ["b c a", "c d b", "d a c", "b c a"]
    assert terms.swapped("a d", 1)[1] == [Swap("a", "b"), Swap("d", "a")]


@given(BOTH_WAYS, st.integers(1, 2000))
def test_pairs_swapped_twice_are_as_they_were(words: list[str], shift: int) -> None:
    text = " ".join(words)
    once, swaps = EN["gender"].swapped(text, shift)
    assert EN["gender"].swapped(once, shift)[0] == text
    assert (once != text) == bool(swaps)


@given(st.text(max_size=60), st.integers(1, 2000))
def test_any_text_can_be_asked(text: str, shift: int) -> None:
    for terms in (*EN.values(), *ZH.values()):
        swapped, swaps = terms.swapped(text, shift)
        assert (swapped == text) == (not swaps)


@pytest.mark.parametrize("language", languages())
def test_every_term_of_the_lists_becomes_another(language: str) -> None:
    for name, terms in terms_of(language, {}).items():
        known = [word.lower() for words in terms.lists for word in words]
        assert len(set(known)) == len(known), name
        for word in known:
            swapped, swaps = terms.swapped(word, 1)
            assert len(swaps) == 1, (name, word)
            assert swapped.lower() != word


def test_further_terms_join_those_of_the_language() -> None:
    more = terms_of("en", {"gender": [["chairman", "chairwoman"]], "dialect": [["lorry", "truck"]]})
    assert more["gender"].swapped("the chairman and he")[0] == "the chairwoman and she"
    assert more["dialect"].swapped("Lorry")[0] == "Truck"
    assert list(terms_of("fr", {})) == []
    assert list(terms_of("fr", {"gender": [["il", "elle"]]})) == ["gender"]
