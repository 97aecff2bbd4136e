"""N-grams: every hash as plain Python computes it, weights as scikit-learn computes them, files that are damaged."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.core.types import Ragged, Windows
from tunewright.modalities import _ngrams, ngrams
from tunewright.modalities._lookup import Lookup
from tunewright.modalities._ngrams import ALONE, SIGN, SPACE, WORD, Cuts, hashes
from tunewright.modalities.ngrams import Ngrams

MODULUS = 2**64
TEXTS = st.lists(st.text(max_size=20) | st.text("ab  .,\0é卡钱カ\u0308\u00a0\n\tΣ1_😀", max_size=20), max_size=5)
SIZES = st.sets(st.integers(1, 5), max_size=3).map(sorted).map(tuple)
CUTS = st.builds(Cuts, words=SIZES, characters=SIZES, inside=st.booleans(), fold=st.booleans())


def value(text: str) -> int:
    """The polynomial value of a string, by the definition in ``_ngrams.py``."""
    total = 0
    for at, character in enumerate(text):
        mixed = ord(character) + 1
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ mixed >> shift) * factor % MODULUS
        total += (mixed ^ mixed >> 31) * pow(0x9E3779B97F4A7C15, at, MODULUS)
    return total % MODULUS


def finished(number: int, mark: int) -> int:
    mixed = (number ^ number >> 32) * 0xFF51AFD7ED558CCD % MODULUS
    return (mixed ^ mixed >> 29) & ~(1 | 1 << 33) | mark


def words_of(text: str) -> list[str]:
    words, open_word = [], False
    for character in text:
        kind = _ngrams._kind(character)
        if kind == WORD and open_word:
            words[-1] += character
        elif kind in (WORD, ALONE):
            words.append(character)
        open_word = kind == WORD
    return words


def plainly(text: str, cuts: Cuts) -> Counter[int]:
    """The hashes of a text's n-grams, one at a time."""
    text = text.replace("\0", " ")
    text = " ".join((normalize("NFKC", text).casefold() if cuts.fold else text).split())
    row, words, found = f" {text} ", words_of(text), Counter[int]()
    for size in cuts.characters if text else ():
        for at in range(len(row) - size + 1):
            window = row[at : at + size]
            if window.strip() and not (cuts.inside and " " in window[1:-1]):
                found[finished(value(window), 0)] += 1
    for size in cuts.words:
        for at in range(len(words) - size + 1):
            values = [value(word) * 0xD6E8FEB86659FD93**place for place, word in enumerate(words[at : at + size])]
            found[finished(sum(values) % MODULUS, 1)] += 1
    return found


@given(texts=TEXTS, cuts=CUTS)
def test_hashes_are_those_that_plain_python_computes_and_none_crosses_texts(texts: list[str], cuts: Cuts) -> None:
    found, text = hashes(texts, cuts)
    for at, one in enumerate(texts):
        assert Counter(found[text == at].tolist()) == plainly(one, cuts)
    assert set(text.tolist()) <= set(range(len(texts)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the card's lost", ["the", "card", "s", "lost"]),
        ("卡丢了 card2", ["卡", "丢", "了", "card2"]),
        ("カードを", ["カ", "ー", "ド", "を"]),
        ("naïve café", ["naïve", "café"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("हिन्दी", ["हिन्दी"]),
        ("...!? 😀", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    found, _ = hashes([text], Cuts(words=(1,), characters=()))
    assert sorted(found.tolist()) == sorted(finished(value(word), 1) for word in words)


@pytest.mark.parametrize(
    ("character", "kind"), [("a", WORD), ("卡", ALONE), ("〇", ALONE), ("・", SIGN), ("\u3000", SPACE)]
)
def test_kinds_of_characters(character: str, kind: int) -> None:
    assert _ngrams._kind(character) == kind


@given(st.lists(st.integers(0, 2**64 - 2), max_size=200), st.lists(st.integers(0, 2**64 - 2), max_size=50))
def test_the_lookup_finds_what_is_there(keys: list[int], others: list[int]) -> None:
    vocabulary = np.unique(np.array([*keys, *range(0, 90, 3)], np.uint64))  # small ones share a bucket
    asked = np.array([*keys, *others, *range(100)], np.uint64)
    known, at = Lookup(vocabulary)(asked)
    there = {key: place for place, key in enumerate(vocabulary.tolist())}
    wanted = [(row, there[key]) for row, key in enumerate(asked.tolist()) if key in there]
    assert list(zip(known.tolist(), at.tolist(), strict=True)) == wanted


def test_nothing_is_found_in_an_empty_vocabulary() -> None:
    known, at = Lookup(np.zeros(0, np.uint64))(np.array([0, 5, 2**64 - 2], np.uint64))
    assert len(known) == len(at) == 0


COLUMN = [
    "the card is lost",
    "The CARD, the card!",
    "money for a lost card",
    "",
    "卡丢了",
    "卡丢了,钱也丢了",
    "the the the the",
]


def parts_of(windows: Windows) -> tuple[Ragged, Ragged]:
    features, weights = windows.data["features"], windows.data["weights"]
    assert isinstance(features, Ragged)
    assert isinstance(weights, Ragged)
    return features, weights


def test_weights_are_those_of_scikit_learn() -> None:
    modality = Ngrams.learn([COLUMN])
    features, weights = parts_of(modality.windows([COLUMN]))
    counts = np.zeros((len(COLUMN), len(modality.vocabulary)))
    for row, text in enumerate(COLUMN):
        for hashed, times in plainly(text, Cuts()).items():
            counts[row, modality.vocabulary == hashed] = times
    expected = np.zeros_like(counts)
    for mark in (0, 1):
        half = (modality.vocabulary & np.uint64(1)) == mark
        weighed = TfidfTransformer(sublinear_tf=True, norm=None).fit_transform(counts[:, half]).toarray()
        expected[:, half] = weighed / np.maximum(np.linalg.norm(weighed, axis=1, keepdims=True), 1e-12)
    found = np.zeros_like(counts)
    for row in range(len(COLUMN)):
        found[row, features[row]] = weights[row]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_the_vocabulary_is_what_words_there_are_and_what_characters_occur_in_two_rows() -> None:
    times = Counter(hashed for text in COLUMN for hashed in plainly(text, Cuts()))
    wanted = {hashed: rows for hashed, rows in times.items() if rows >= 2 or hashed % 2 == 1}
    assert len(wanted) < len(times)
    assert set(Ngrams.learn([COLUMN]).vocabulary.tolist()) == set(wanted)
    few = Ngrams.learn([COLUMN], most=9)
    assert len(few.vocabulary) == 9
    assert sorted(wanted[one] for one in few.vocabulary.tolist()) == sorted(wanted.values())[-9:]


def test_pieces_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Ngrams.learn([COLUMN])
    features, weights = parts_of(whole.windows([COLUMN]))
    monkeypatch.setattr(ngrams, "CHUNK", 20)
    again = Ngrams.learn([COLUMN])
    assert again.vocabulary.tolist() == whole.vocabulary.tolist()
    for one, other in zip(parts_of(again.windows([COLUMN])), (features, weights), strict=True):
        assert one.starts.tolist() == other.starts.tolist()
        assert one.values.tobytes() == other.values.tobytes()
    pieces = [np.array([5, 1], np.uint64), np.array([5], np.uint64), np.array([7, 5], np.uint64)]
    assert [one.tolist() for one in ngrams._gathered(iter(pieces), 3)] == [[5, 1, 5], [7, 5]]
    monkeypatch.setattr(ngrams, "_gathered", iter)
    every, times = ngrams._counted(iter(pieces))
    assert (every.tolist(), times.tolist()) == ([1, 5, 7], [1, 3, 1])


def test_wide_and_narrow_keys_weigh_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows × vocabulary beyond 32 bits take another path through the sort."""
    texts = ["a lost card", "the card", ""] * 30
    modality = Ngrams.learn([texts])
    found, row = hashes(texts, modality.cuts)
    narrow = modality._weighed(found, row, len(texts))
    monkeypatch.setattr(ngrams, "NARROW", 0)
    wide = modality._weighed(found, row, len(texts))
    for one, other in zip(narrow, wide, strict=True):
        assert one.tobytes() == other.tobytes()


def test_an_empty_row_has_one_window_of_nothing() -> None:
    modality = Ngrams.learn([COLUMN])
    windows = modality.windows([["", " \t", "card", "zzz"]])
    assert windows.owner.tolist() == [0, 1, 2, 3]
    features, _ = parts_of(windows)
    assert [len(one) > 0 for one in features][:3] == [False, False, True]
    assert windows.cost.min() == 1
    batch = modality.batch(windows, np.array([0, 1]))
    assert {name: one.shape for name, one in batch.items()} == {"features": (2, 2), "weights": (2, 2)}
    assert not batch["weights"].any()
    assert [one.dtype for one in batch.values()] == [np.int32, np.float32]


def test_a_long_row_stays_whole_and_costs_more() -> None:
    rng = np.random.default_rng(0)
    text = " ".join("".join(chr(97 + one) for one in rng.integers(0, 26, 5)) for _ in range(20_000))
    modality = Ngrams.learn([[text, text, "card"]], most=50_000)
    windows = modality.windows([[text, "card"]])
    features, weights = parts_of(windows)
    assert len(windows) == 2
    assert features.lengths[0] > 30_000
    assert windows.cost[0] == 1 + features.lengths[0] // ngrams.GRAIN
    word = modality.words[features[0]]
    assert np.linalg.norm(weights[0][word]) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(weights[0][~word]) == pytest.approx(1, abs=1e-5)


def test_columns_are_kept_apart_or_joined() -> None:
    one, other = ["card lost", "card lost", None], ["money", "card lost", "money"]
    apart, joined = Ngrams.learn([one, other]), Ngrams.learn([one, other], apart=False)
    alone = Ngrams.learn([["card lost", "card lost"]])
    features, _ = parts_of(apart.windows([["card lost", ""], ["", "card lost"]]))
    assert set(apart.vocabulary[features[0]].tolist()) == set(alone.vocabulary.tolist())
    assert not set(features[0].tolist()) & set(features[1].tolist())
    features, weights = parts_of(joined.windows([["card lost", None], ["", "card lost"]]))
    assert features[0].tolist() == features[1].tolist()
    assert weights[0].tobytes() == weights[1].tobytes()
    by_hand = Ngrams.learn([["card lost\nmoney", "card lost\ncard lost", "\nmoney"]])
    assert joined.vocabulary.tolist() == by_hand.vocabulary.tolist()
    several = apart.windows([[], []])
    assert (several.rows, len(several)) == (0, 0)


def test_the_same_rows_give_the_same_bytes_and_digest(tmp_path: Path) -> None:
    one, other = Ngrams.learn([COLUMN]), Ngrams.learn([COLUMN])
    assert one.save(tmp_path / "one") == other.save(tmp_path / "other")
    for name in ("vocabulary.npy", "idf.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert one.digest == other.digest
    assert one.digest != Ngrams.learn([COLUMN[:-1]]).digest
    assert one.digest != Ngrams(one.vocabulary, one.idf, Cuts(fold=False)).digest


def test_what_is_saved_loads_with_its_settings(tmp_path: Path) -> None:
    modality = Ngrams.learn([COLUMN, COLUMN], cuts=Cuts((1,), (2, 5), False, False), apart=False)
    again = Ngrams.load(modality.save(tmp_path), tmp_path)
    assert (again.cuts, again.apart) == (modality.cuts, False)
    assert again.digest == modality.digest


def broken_vocabulary(folder: Path) -> None:
    np.save(folder / "vocabulary.npy", np.array([5, 3], np.uint64))
    np.save(folder / "idf.npy", np.array([1, 1], np.float32))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "idf.npy").unlink(), "idf.npy: the file is missing"),
        (lambda folder: (folder / "idf.npy").write_bytes(b"\x93NUMPY"), "idf.npy: no array of numbers"),
        (lambda folder: (folder / "vocabulary.npy").write_bytes(b""), "vocabulary.npy: no array of numbers"),
        (lambda folder: np.save(folder / "vocabulary.npy", np.array([object()])), "no array of numbers: Object arrays"),
        (lambda folder: np.save(folder / "idf.npy", np.zeros(3)), r"it holds float64 \(3,\), not a row of float32"),
        (lambda folder: np.save(folder / "idf.npy", np.zeros(3, np.float32)), "do not belong together"),
        (broken_vocabulary, "do not belong together"),
    ],
)
def test_damaged_files_are_named(damage: Callable[[Path], Any], problem: str, tmp_path: Path) -> None:
    settings = Ngrams.learn([COLUMN]).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(DamagedBundle, match=problem) as caught:
        Ngrams.load(settings, tmp_path)
    assert caught.value.remedy == "copy the bundle again, or fit it anew"


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ([["fine", None]], "row 1: None is no text"),
        ([["fine", "bad \ud800 half"]], "row 1: the text holds half of a surrogate pair"),
        ([["fine", "fine"], ["fine", 3.5]], "row 1: 3.5 is no text"),
        ([["fine", "fine"], ["\udfff", "fine"]], "row 0: the text holds half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_what_is_no_text_is_named_with_its_row(columns: Sequence[Sequence[Any]], problem: str, apart: bool) -> None:
    modality = Ngrams(np.zeros(0, np.uint64), np.zeros(0, np.float32), apart=apart)
    with pytest.raises(TunewrightError) as caught:
        modality.windows(columns)
    assert caught.value.problem == problem


def test_serving_needs_numpy_alone() -> None:
    code = (
        "import sys; from tunewright.modalities.ngrams import Ngrams\n"
        "Ngrams.learn([['a card', 'card']]).windows([['a']])\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'tokenizers', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
