"""Keys: what is kept of them, which files are trusted, and what a changed file does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.serve.access import keys
from tunewright.serve.access.keys import Keys, append, found, hash_of, line_of, new_key, parse


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_a_new_key_has_256_random_bits_and_is_never_the_same() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"tw_[A-Za-z0-9_-]{43}", one) for one in made)


def test_the_file_holds_the_hash_and_not_the_key(file: Path) -> None:
    key = append(file, "web")
    text = file.read_text()
    assert text == f"web sha256:{hash_of(key).hex()}\n"
    assert key not in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert Keys.of_file(file).name_of(key) == "web"


def test_further_keys_are_appended_even_behind_a_last_line_without_an_end(file: Path) -> None:
    first = append(file, "web")
    file.write_text(file.read_text().rstrip("\n"))
    second = append(file, "app")
    both = Keys.of_file(file)
    assert both.names == ("web", "app")
    assert (both.name_of(first), both.name_of(second), both.name_of(new_key())) == ("web", "app", None)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "ä"])
def test_a_name_that_logs_cannot_hold_is_refused(name: str, file: Path) -> None:
    with pytest.raises(TunewrightError, match="cannot stand in logs and metrics → use letters"):
        append(file, name)
    assert not file.exists()


def test_a_name_twice_is_refused(file: Path) -> None:
    append(file, "web")
    with pytest.raises(TunewrightError, match="has a key named 'web' already → choose another name"):
        append(file, "web")


@pytest.mark.parametrize(("mode", "said"), [(0o644, "read"), (0o602, "change"), (0o620, "change"), (0o604, "read")])
def test_a_file_that_others_can_open_is_refused_with_the_remedy(mode: int, said: str, file: Path) -> None:
    append(file, "web")
    file.chmod(mode)
    with pytest.raises(TunewrightError, match=rf"other users can {said} it \(mode {mode:04o}\) → chmod 600 "):
        Keys.of_file(file)


def test_a_file_that_its_group_may_read_is_taken(file: Path) -> None:
    append(file, "web")
    file.chmod(0o440)  # as Kubernetes lays a secret for a group
    assert Keys.of_file(file).names == ("web",)


def test_a_key_in_the_file_itself_is_refused_and_not_quoted() -> None:
    key = new_key()
    with pytest.raises(TunewrightError, match="keys.txt line 2: it is no name with a hash") as told:
        parse(f"# ours\nweb {key}\n", "keys.txt")
    assert key not in str(told.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# none\n\n", "there is no key in it → make a key: tunewright key"),
        (f"{line_of('a', 'x')}\n{line_of('a', 'y')}", "line 2: the name 'a' stands twice"),
        ("\n".join(line_of(f"k{at}", str(at)) for at in range(1001)), "1001 keys; the limit is 1000"),
    ],
)
def test_what_is_no_list_of_keys_is_refused(text: str, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        parse(text, "keys.txt")


def test_a_file_that_is_not_there_is_an_error(file: Path) -> None:
    with pytest.raises(TunewrightError, match=r"keys\.txt cannot be read \(No such file"):
        found(file)


def test_the_environment_names_the_file_or_the_hashes(file: Path) -> None:
    key = append(file, "web")
    of_file = found(None, {"TUNEWRIGHT_KEYS_FILE": str(file)})
    of_lines = found(None, {"TUNEWRIGHT_KEYS": f"{line_of('a', 'x')},{line_of('b', key)}"})
    assert of_file is not None
    assert of_lines is not None
    assert (of_file.name_of(key), of_lines.name_of(key)) == ("web", "b")
    assert found(None, {}) is None


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_is_taken_out_stops_working_and_a_new_one_works_without_a_restart(file: Path) -> None:
    clock = Clock()
    old = append(file, "old")
    known = Keys(keys.read(file), file, clock)
    file.unlink()
    new = append(file, "new")
    assert known.name_of(old) == "old"  # it has not looked again yet
    clock.now += 1.5
    assert (known.name_of(old), known.name_of(new)) == (None, "new")


def test_a_changed_file_that_cannot_be_read_leaves_the_keys_as_they_were(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    key = append(file, "web")
    known = Keys(keys.read(file), file, clock)
    file.write_text("nonsense\n")
    clock.now += 2
    assert known.name_of(key) == "web"
    assert "the keys stay as they were" in caplog.messages
    os.unlink(file)
    clock.now += 2
    assert known.name_of(key) == "web"


def test_a_clock_that_goes_back_does_not_stop_the_looking(file: Path) -> None:
    clock = Clock()
    append(file, "old")
    known = Keys(keys.read(file), file, clock)
    new = append(file, "new")
    clock.now -= 500
    assert known.name_of(new) == "new"


def test_no_hash_ends_the_search_early(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(sent: bytes, kept: bytes) -> bool:
        compared.append(kept)
        return sent == kept

    monkeypatch.setattr(keys.hmac, "compare_digest", compare)
    hashes = {name: hash_of(name) for name in "abc"}
    assert Keys(hashes).name_of("a") == "a"
    assert compared == list(hashes.values())


def test_the_command_prints_the_key_once_and_keeps_its_hash(cli: Callable[..., Any], file: Path) -> None:
    done = cli("key", "web-shop", "--file", file)
    assert done.code == 0
    key = done.out.strip()
    assert Keys.of_file(file).name_of(key) == "web-shop"
    assert key not in done.err + file.read_text()
    again = cli("key", "web-shop", "--file", file)
    assert again.code == 2
    assert "has a key named 'web-shop' already" in again.err


def test_serving_the_network_without_keys_ends_the_command_before_a_bundle_is_read(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (keys.VARIABLE, keys.FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    done = cli("serve", tmp_path / "nothing", "--host", "0.0.0.0", "--port", 0)
    assert done.code == 2
    assert "0.0.0.0 is open to the network, and callers need no key" in done.err
    assert "tunewright key NAME --file keys.txt" in done.err
