"""The sample rows: complete, balanced, without a row twice, and named by their files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tunewright import samples
from tunewright.core.errors import TunewrightError

INTENTS = {
    "cancel_order", "change_address", "order_status", "payment_failed", "product_question", "refund_missing",
    "return_item", "talk_to_human",
}  # fmt: skip
ROWS = {"support_train.csv": 30, "support_test.csv": 10, "support_zh_train.csv": 15, "support_zh_test.csv": 5}

Rows = dict[str, list[dict[str, str]]]


def test_every_sample_has_each_intent_equally_often(sample_rows: Rows) -> None:
    assert set(sample_rows) == set(ROWS)
    for name, rows in sample_rows.items():
        assert Counter(row["intent"] for row in rows) == dict.fromkeys(INTENTS, ROWS[name])


def test_no_text_occurs_twice_in_any_part(sample_rows: Rows) -> None:
    texts = Counter(" ".join(row["text"].lower().split()) for rows in sample_rows.values() for row in rows)
    assert [text for text, times in texts.items() if times > 1] == []
    assert min(map(len, texts)) > 1


def test_the_chinese_rows_are_chinese(sample_rows: Rows) -> None:
    for name, rows in sample_rows.items():
        chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in row["text"]) for row in rows]
        assert all(chinese) if "_zh_" in name else not any(chinese)


def test_path_names_the_nearest_sample() -> None:
    assert samples.path("support_train.csv").is_file()
    with pytest.raises(TunewrightError, match=r"did you mean .support_train"):
        samples.path("suport_train.csv")


def test_write_copies_all_and_may_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "rows"
    first = samples.write(folder)
    assert [path.name for path in first] == samples.names()
    assert samples.write(folder) == first
    assert all(path.read_bytes() == samples.path(path.name).read_bytes() for path in first)


def test_write_never_replaces_other_rows(tmp_path: Path) -> None:
    own = tmp_path / "support_train.csv"
    own.write_text("text,label\nmine,a\n", encoding="utf-8")
    with pytest.raises(TunewrightError, match=r"support_train\.csv: it exists already .* → choose another folder"):
        samples.write(tmp_path)
    assert own.read_text(encoding="utf-8") == "text,label\nmine,a\n"
    assert [path.name for path in tmp_path.iterdir()] == ["support_train.csv"]


def test_write_into_something_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("a file", encoding="utf-8")
    with pytest.raises(TunewrightError, match="cannot be written"):
        samples.write(tmp_path / "rows")
