"""Encodings are found from the bytes, said, and refused where there are several."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.data.encoding import Encoding, Guess, encoding_of, opened_text

GERMAN = "Überweisung für Müller\nStraße gesperrt, größer\ncafé\n"
CHINESE = "我的卡在哪里？\n为什么转账还没有到账，已经三天了\n请帮我取消订单。\n"


def written(tmp_path: Path, data: bytes, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def text_of(path: Path, encoding: Encoding) -> str:
    with opened_text(path, encoding) as file:
        return file.read()


@pytest.mark.parametrize(
    ("text", "codec", "shown"),
    [
        ("plain\n", "utf-8", "utf-8"),
        (GERMAN + CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8 with BOM"),
        (GERMAN + CHINESE, "utf-16", "utf-16"),
        (CHINESE, "gb18030", "gb18030"),
        (GERMAN, "cp1252", "cp1252"),
        ("“quoted” – that’s 5 €\n", "cp1252", "cp1252"),
        ("caf\xe9 \x81\n", "latin-1", "latin-1"),
    ],
)
def test_found_and_read(tmp_path: Path, text: str, codec: str, shown: str) -> None:
    path = written(tmp_path, text.encode(codec))
    found = encoding_of(path)
    assert found.shown == shown
    assert text_of(path, found) == text
    assert bool(found.notes) == (shown != "utf-8")


def test_utf16_big_endian(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xfe\xff" + CHINESE.encode("utf-16-be"))
    assert text_of(path, encoding_of(path)) == CHINESE


def test_a_character_across_two_blocks_is_no_fault(tmp_path: Path) -> None:
    path = written(tmp_path, b"a" * (2**20 + 3) + "卡".encode() + b"\n")
    assert encoding_of(path).shown == "utf-8"


def test_one_wrong_letter_among_ascii_is_not_taken_for_chinese(tmp_path: Path) -> None:
    path = written(tmp_path, b"0 as a sister\xf0city with Los Angeles ?\n" * 3)
    assert encoding_of(path).shown == "cp1252"


def test_gzip_is_unpacked_whatever_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(CHINESE.encode("gb18030")))
    found = encoding_of(path)
    assert (found.shown, text_of(path, found)) == ("gb18030", CHINESE)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(CHINESE.encode() * 100)[:-20])
    with pytest.raises(TunewrightError, match=r"rows\.csv: the gzip file is damaged.* → copy the file again"):
        encoding_of(path)


def test_mixed_encodings_name_line_and_byte(tmp_path: Path) -> None:
    first = "text,label\nschön,a\nhübsch,b\n".encode()
    path = written(tmp_path, first + "größer,c\n".encode("cp1252"))
    with pytest.raises(TunewrightError) as caught:
        encoding_of(path)
    place = f"rows.csv line 4, byte {len(first) + 2}: mixed encodings: 1 line is cp1252, 2 utf-8"
    assert place in caught.value.problem
    assert caught.value.remedy.endswith("--set data.encoding=cp1252")
    assert encoding_of(path, "cp1252").shown == "cp1252"  # the remedy works


def test_mixed_chinese_encodings(tmp_path: Path) -> None:
    path = written(tmp_path, CHINESE.encode("gb18030") * 3 + "这是另一种编码\n".encode())
    with pytest.raises(TunewrightError, match=r"line 10, byte \d+: mixed encodings: 1 line is utf-8, 9 gb18030"):
        encoding_of(path)


def test_a_mark_and_then_other_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfa\n\xe9\n")
    with pytest.raises(TunewrightError, match="line 2, byte 5: mixed encodings"):
        encoding_of(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"text,label\nab\0c,d\n", "this is no text file: NUL at byte 13"),
        (bytes(range(1, 32)) * 50, "this is no text file: .* control characters"),
        (b"PK\x03\x04rest", "this is no text file but xlsx → pass --set data.format=xlsx"),
        (b"PAR1rest", "this is no text file but parquet → pass --set data.format=parquet"),
    ],
)
def test_no_text(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(TunewrightError, match=rf"rows\.csv: {problem}"):
        encoding_of(written(tmp_path, data))


def test_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, GERMAN.encode("cp1252"))
    assert text_of(path, encoding_of(path, "latin-1")) == GERMAN
    with pytest.raises(TunewrightError, match=r"rows\.csv line 1, byte 0: not utf-8 → "):
        encoding_of(path, "utf-8")
    with pytest.raises(TunewrightError, match=r"there is no encoding 'gb18031' → did you mean 'gb18030'\?"):
        encoding_of(path, "gb18031")


def test_asked_for_and_binary(tmp_path: Path) -> None:
    path = written(tmp_path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(TunewrightError, match=r"rows\.csv: this is no text file: NUL at byte 8"):
        encoding_of(path, "latin-1")
    plain = written(tmp_path, "text\na\n".encode("utf-16-le"))
    assert text_of(plain, encoding_of(plain, "utf-16-le")) == "text\na\n"


def test_asked_for_fault_far_in_the_file(tmp_path: Path) -> None:
    good = ("卡" * 20 + "\n") * 30_000  # several blocks, characters across their borders
    path = written(tmp_path, good.encode() + b"ab\xff\n")
    byte = len(good.encode()) + 2
    with pytest.raises(TunewrightError, match=f"line 30001, byte {byte}: not utf-8"):
        encoding_of(path, "utf-8")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1))
def test_valid_utf8_is_never_taken_for_anything_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = written(tmp_path_factory.mktemp("utf8"), ("x" * 4 + text).encode())
    assert encoding_of(path).shown == "utf-8"


@given(st.lists(st.sampled_from("äöüßéèàçñÄÖÜ"), min_size=1), st.lists(st.sampled_from("abc defg"), min_size=1))
def test_isolated_western_letters_are_not_taken_for_gb18030(high: list[str], low: list[str]) -> None:
    guess = Guess()
    for one, other in zip(high, low, strict=False):
        guess.add(f"{other}{one}{other}".encode("cp1252"))
    assert guess.codec == "cp1252"
