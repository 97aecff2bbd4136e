"""Texts as weighed n-grams of words and characters (TF-IDF); each Han or kana character is a word by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import DamagedBundle
from tunewright.core.types import Array, Ragged, Windows
from tunewright.modalities._lookup import Lookup
from tunewright.modalities._ngrams import CUTS, KEPT, Cuts, hashes, values
from tunewright.modalities._pii import masked
from tunewright.modalities._strings import encodable, half_pair, no_text

SEPARATOR = "\n"
CHUNK = 16_384
"""Characters that are cut at once: their n-grams stay in the processor's cache."""
GRAIN = 8
"""Features that cost as much as one token."""
LEAST_WIDTH = 2
NARROW = 2**32
"""Pairs of row and feature below it are sorted as 32 bits, in half the time."""


@dataclass(frozen=True, eq=False)
class Ngrams:
    """Strings → one window per row: its n-grams in the vocabulary, each with its weight.

    The weight of an n-gram is (1 + ln of how often the row has it) × its inverse document frequency; the weights of a
    row's word n-grams are scaled to length 1, and so are those of its character n-grams.

    vocabulary : uint64 (v,), rising: hashes of the n-grams, see ``_ngrams.py``
    idf : float32 (v,), inverse document frequency
    apart : n-grams of one input column are others than those of the next; else a row's texts are joined
    mask : kinds of personal data that are read as a token, see ``_pii.py``
    """

    vocabulary: NDArray[np.uint64]
    idf: NDArray[np.float32]
    cuts: Cuts = CUTS
    apart: bool = True
    mask: tuple[str, ...] = ()
    lookup: Lookup = field(init=False, repr=False)
    words: NDArray[np.bool_] = field(init=False, repr=False)
    """Which of the vocabulary are of words."""

    reads: ClassVar[str] = "text"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"features": ("rows", "steps"), "weights": ("rows", "steps")}

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookup", Lookup(self.vocabulary))
        object.__setattr__(self, "words", _of_words(self.vocabulary))

    @classmethod
    def learn(
        cls,
        columns: Sequence[Sequence[Any]],
        most: int = 2**17,
        cuts: Cuts = CUTS,
        apart: bool = True,
        mask: tuple[str, ...] = (),
    ) -> Self:
        """The vocabulary of n rows: the ``most`` commonest n-grams; those of characters that one row has are left out.

        The inverse document frequency of an n-gram that occurs in df rows is ln((1 + n) / (1 + df)) + 1, as in
        scikit-learn.
        """
        columns = masked(columns, mask)
        blank = cls(np.zeros(0, np.uint64), np.zeros(0, np.float32), cuts, apart)
        every, times = _counted(blank.hashes(columns))
        wanted = every[(times > 1) | _of_words(every)]
        seen = cls(wanted, np.ones(len(wanted), np.float32), cuts, apart).windows(columns)
        frequency = np.bincount(_ids(seen), minlength=len(wanted))
        kept = np.flatnonzero((frequency > 1) | _of_words(wanted))
        kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:most]])
        idf = np.log((1 + seen.rows) / (1 + frequency[kept])) + 1
        return cls(wanted[kept], idf.astype(np.float32), cuts, apart, mask)

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Read a vocabulary.

        Raises
        ------
        DamagedBundle
            A file is missing, or does not hold what ``save`` writes.
        """
        vocabulary, idf = _read(folder / "vocabulary.npy", np.uint64), _read(folder / "idf.npy", np.float32)
        if len(vocabulary) != len(idf) or (vocabulary[1:] <= vocabulary[:-1]).any():
            raise DamagedBundle(f"{folder}: vocabulary.npy and idf.npy do not belong together", REMEDY)
        cuts = settings["cuts"] | {name: tuple(settings["cuts"][name]) for name in ("words", "characters")}
        return cls(vocabulary, idf, Cuts(**cuts), settings["apart"], tuple(settings.get("mask", ())))

    def save(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "vocabulary.npy", self.vocabulary, allow_pickle=False)
        np.save(folder / "idf.npy", self.idf, allow_pickle=False)
        return self._settings()

    @property
    def digest(self) -> str:
        """sha256 over vocabulary, weights and settings."""
        settings = json.dumps(self._settings(), sort_keys=True).encode()
        found = hashlib.sha256(b"".join([settings, self.vocabulary.tobytes(), self.idf.tobytes()]))
        return f"sha256:{found.hexdigest()}"

    def windows(self, columns: Sequence[Sequence[Any]]) -> Windows:
        """columns: one list of n strings per input column.

        A row costs 1, and 1 more for every ``GRAIN`` of its features: one feature is far less work than one token.

        Raises
        ------
        TunewrightError
            A value is no string, or holds half of a surrogate pair; its row is named.
        """
        texts, each = self._texts(columns)
        none = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        features, weights, lengths = zip(none, *(self._weighed(*one) for one in self._cut(texts, each)), strict=True)
        starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        rows = len(starts) - 1
        return Windows(
            rows=rows,
            owner=np.arange(rows),
            cost=1 + np.diff(starts) // GRAIN,
            data={
                "features": Ragged(np.concatenate(features), starts),
                "weights": Ragged(np.concatenate(weights), starts),
            },
        )

    def batch(self, windows: Windows, index: Array) -> dict[str, Array]:
        """features : int32 (b, t), weights : float32 (b, t); padding weighs nothing"""
        out = {}
        for name in self.axes:
            values = windows.data[name]
            assert isinstance(values, Ragged)
            padded, _ = values.padded(index)
            missing = LEAST_WIDTH - padded.shape[1]
            out[name] = np.pad(padded, ((0, 0), (0, missing))) if missing > 0 else padded
        return out

    def hashes(self, columns: Sequence[Sequence[Any]]) -> Iterator[NDArray[np.uint64]]:
        """The hash of every n-gram of n rows, as often as it occurs, piece by piece."""
        texts, each = self._texts(columns)
        return (found for found, _, _ in self._cut(texts, each))

    def _settings(self) -> dict[str, Any]:
        cuts = asdict(self.cuts) | {"words": list(self.cuts.words), "characters": list(self.cuts.characters)}
        return {"cuts": cuts, "apart": self.apart} | ({"mask": list(self.mask)} if self.mask else {})

    def as_read(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The columns as the model reads them: with personal data masked."""
        return masked(columns, self.mask)

    def _texts(self, columns: Sequence[Sequence[Any]]) -> tuple[Sequence[str], int]:
        """The texts of all rows, row by row, and how many of them a row has."""
        columns = self.as_read(columns)
        if len(columns) == 1:
            return columns[0], 1
        rows = [["" if cell is None else cell for cell in row] for row in zip(*columns, strict=True)]
        if self.apart:
            return [text for row in rows for text in row], len(columns)
        for at, row in enumerate(rows):
            for text in row:
                if not isinstance(text, str):
                    raise no_text(at, text)
        return [SEPARATOR.join(row) for row in rows], 1

    def _cut(self, texts: Sequence[str], each: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], int]]:
        """Hashes, their rows (counted from the piece's first one) and the number of rows, for pieces of the texts."""
        salts = _salts(each)
        for start, end in _pieces(texts, each):
            try:
                found, text = hashes(texts[start:end], self.cuts)
            except (TypeError, UnicodeEncodeError):
                for at, one in enumerate(texts[start:end], start):
                    if not isinstance(one, str):
                        raise no_text(at // each, one) from None
                    if not encodable(one):
                        raise half_pair(at // each) from None
                raise
            if each > 1:
                found ^= salts[text % each]
                text //= each
            yield found, text, (end - start) // each

    def _weighed(
        self, found: NDArray[np.uint64], row: NDArray[np.int64], rows: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Features and weights of some rows, and how many each row has."""
        known, ids = self.lookup(found)
        bits = len(self.vocabulary).bit_length()
        whole: Any = np.uint32 if rows << bits < NARROW else np.uint64
        pairs = np.sort(row[known].astype(whole) << whole(bits) | ids.astype(whole))
        first = np.flatnonzero(np.concatenate([np.ones(min(len(pairs), 1), bool), pairs[1:] != pairs[:-1]]))
        times = np.concatenate([first[1:], [len(pairs)]])[: len(first)] - first
        pairs = pairs[first]
        row, features = (pairs >> whole(bits)).astype(np.int64), (pairs & whole(2**bits - 1)).astype(np.int32)
        weights = self.idf[features].astype(np.float64)
        several = np.flatnonzero(times > 1)
        weights[several] *= 1 + np.log(times[several])
        half = 2 * row + self.words[features]
        weights /= np.sqrt(np.bincount(half, weights * weights, 2 * rows))[half]
        return features, weights.astype(np.float32), np.bincount(row, minlength=rows)


REMEDY = "copy the bundle again, or fit it anew"


def _read(path: Path, dtype: Any) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DamagedBundle(f"{path}: the file is missing", REMEDY) from None
    except (ValueError, EOFError, OSError) as error:
        raise DamagedBundle(f"{path}: no array of numbers: {error}", REMEDY) from None
    if array.dtype != dtype or array.ndim != 1:
        raise DamagedBundle(f"{path}: it holds {array.dtype} {array.shape}, not a row of {dtype.__name__}", REMEDY)
    return np.asarray(array)


def _pieces(texts: Sequence[Any], each: int) -> Iterator[tuple[int, int]]:
    """Cuts between rows, after every ``CHUNK`` characters or so."""
    lengths = [len(text) if isinstance(text, str) else 0 for text in texts]
    filled = np.cumsum(np.array(lengths, np.int64).reshape(-1, each).sum(1) + each)
    start = 0
    while start < len(filled):
        before = filled[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(filled, before + CHUNK, "right")))
        yield start * each, end * each
        start = end


def _counted(pieces: Iterator[NDArray[np.uint64]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Every hash once, rising, and how often it occurs."""
    every, times = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    for some in _gathered(pieces):
        new, count = np.unique(some, return_counts=True)
        both, at = np.unique(np.concatenate([every, new]), return_inverse=True)
        every, times = both, np.bincount(at, np.concatenate([times, count]), len(both)).astype(np.int64)
    return every, times


def _gathered(pieces: Iterator[NDArray[np.uint64]], size: int = 2**22) -> Iterator[NDArray[np.uint64]]:
    """Pieces laid together to at least ``size`` hashes."""
    held: list[NDArray[np.uint64]] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= size:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _of_words(hashed: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes are of words."""
    return (hashed & np.uint64(1)).astype(bool)


def _ids(windows: Windows) -> NDArray[np.int32]:
    features = windows.data["features"]
    assert isinstance(features, Ragged)
    return features.values


def _salts(each: int) -> NDArray[np.uint64]:
    """What the hashes of each of a row's texts are changed by; those of the first stay, and the mark of words does."""
    out = values(np.arange(each, dtype=np.uint32)) & KEPT
    out[:1] = 0
    return out
