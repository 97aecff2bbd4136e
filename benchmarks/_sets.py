"""Real data sets of short texts with one label each, as lists of rows, for the comparisons over several sets.

Where a set has a test part it is that part; otherwise every fifth distinct text, in the order of digests, is test: the
same rows for all seeds. A text that stands in both parts is left out of the training rows.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _measure import data, digest, records, short

Rows = list[tuple[str, str]]
"""text, label"""


@dataclass(frozen=True)
class Set:
    """Where a set lies, how its training and test rows are read, and which backbone fits its language."""

    file: str
    read: Callable[[Path], tuple[Rows, Rows]]
    backbone: str = "minilm-en"

    def parts(self) -> tuple[Rows, Rows]:
        """Training rows and test rows."""
        train, test = self.read(data(self.file))
        known = {text for text, _ in test}
        return [one for one in train if one[0] not in known], test

    @property
    def digest(self) -> str:
        return short(digest(data(self.file)))


def drawn(rows: Sequence[tuple[str, str]], most: int, seed: int) -> Rows:
    """At most so many rows, drawn by the seed."""
    return random.Random(seed).sample(rows, min(most, len(rows)))


def few(rows: Sequence[tuple[str, str]], per_class: int, seed: int) -> Rows:
    """So many rows of each class (all, where it has fewer), drawn by the seed."""
    of_class: dict[str, Rows] = {}
    for one in rows:
        of_class.setdefault(one[1], []).append(one)
    draws = random.Random(seed)
    picked = [draws.sample(of_class[label], min(per_class, len(of_class[label]))) for label in sorted(of_class)]
    return [one for some in picked for one in some]


def written(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A csv file with the columns ``text`` and ``label``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def _cut(rows: Rows) -> tuple[Rows, Rows]:
    texts = sorted({text for text, _ in rows}, key=lambda text: hashlib.sha256(text.encode()).digest())
    test = set(texts[::5])
    return [one for one in rows if one[0] not in test], [one for one in rows if one[0] in test]


def _banking77(path: Path) -> tuple[Rows, Rows]:
    train, test = (records(path.with_name(f"{part}.csv")) for part in ("train", "test"))
    return [(one["text"], one["category"]) for one in train], [(one["text"], one["category"]) for one in test]


def _labels_apart(path: Path) -> tuple[Rows, Rows]:
    """A folder per part, with a file of texts and a file of labels."""

    def part(name: str) -> Rows:
        folder = path.parent.with_name(name)
        texts, labels = ((folder / file).read_text("utf-8").splitlines() for file in ("seq.in", "label"))
        return list(zip(map(str.strip, texts), map(str.strip, labels), strict=True))

    return part("train"), part("test")


def _label_first(test: str) -> Callable[[Path], tuple[Rows, Rows]]:
    """Lines of a label, a blank, a text; the test part is another file beside it."""

    def rows(path: Path) -> Rows:
        lines = path.read_text("latin-1").splitlines()
        return [(text, label) for label, _, text in (line.partition(" ") for line in lines) if text]

    return lambda path: (rows(path), rows(path.with_name(test)))


def _label_last(separator: str, encoding: str) -> Callable[[Path], tuple[Rows, Rows]]:
    """Lines of a text, a separator, a label."""

    def read(path: Path) -> tuple[Rows, Rows]:
        lines = path.read_text(encoding).splitlines()
        return _cut([(text, label) for text, _, label in (line.rpartition(separator) for line in lines) if text])

    return read


def _columns(text: str, label: str) -> Callable[[Path], tuple[Rows, Rows]]:
    return lambda path: _cut([(one[text], one[label]) for one in records(path) if one[text].strip()])


def _ag_news(path: Path) -> tuple[Rows, Rows]:
    with path.open(encoding="utf-8", newline="") as file:
        return _cut([(f"{title} {text}", label) for label, title, text in csv.reader(file)])


SETS = {
    "banking77": Set("banking77/train.csv", _banking77),
    "snips": Set("snips_atis/snips/train/seq.in", _labels_apart),
    "sst2": Set("sst_trec/stsa.binary.train", _label_first("stsa.binary.test")),
    "trec": Set("sst_trec/TREC.train.all", _label_first("TREC.test.all")),
    "ag_news": Set("ag_news/test.csv", _ag_news),
    "fin_phrasebank": Set("fin_phrasebank/Sentences_50Agree.txt", _label_last("@", "utf-8-sig")),
    "twitter_fin_sent": Set("twitter_fin_sent/train.csv", _columns("text", "label")),
    "chnsenticorp_htl": Set(
        "chnsenticorp_htl/ChnSentiCorp_htl_all.csv", _columns("review", "label"), backbone="e5-small"
    ),
    "waimai_10k": Set("waimai_10k/waimai_10k.csv", _columns("review", "label"), backbone="e5-small"),
    "thucnews": Set("thucnews/dev.txt", _label_last("\t", "utf-8"), backbone="e5-small"),
}
