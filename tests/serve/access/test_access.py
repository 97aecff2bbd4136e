"""Access: a service that the network reaches asks for keys, or somebody has said that it shall not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.serve.access.access import Access
from tunewright.serve.access.hosts import LOOPBACK, bare, checked
from tunewright.serve.access.keys import append


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNEWRIGHT_KEYS", "TUNEWRIGHT_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "", "/run/tunewright.sock"])
def test_the_loopback_needs_no_key_and_answers_to_its_own_names(address: str) -> None:
    access = Access.at(address)
    assert (access.keys, access.hosts) == (None, LOOPBACK)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7"])
def test_an_open_address_without_keys_is_refused_with_both_ways_out(address: str) -> None:
    with pytest.raises(TunewrightError, match=r"open to the network, and callers need no key → .*--keys .*--no-keys"):
        Access.at(address)
    assert Access.at(address, without_keys=True) == Access()


def test_an_open_address_with_keys_is_fine(tmp_path: Path) -> None:
    append(tmp_path / "keys", "web")
    access = Access.at("0.0.0.0", tmp_path / "keys")
    assert access.keys is not None
    assert access.hosts == ()


def test_keys_and_no_keys_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="--keys and --no-keys exclude each other"):
        Access.at("0.0.0.0", tmp_path / "keys", without_keys=True)


@pytest.mark.parametrize("name", ["", "a b", "http://x", "x:80", "x/y", "u@x"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(TunewrightError, match="is no host name → pass it without port and path"):
        checked([name])


def test_hosts_are_compared_without_port_and_case() -> None:
    assert checked(["API.example", "[::1]"]) == ("api.example", "[::1]")
    assert [bare(one) for one in ("API.example:443", "[::1]:8080", "[::1]", "", "a.b")] == [
        "api.example", "[::1]", "[::1]", "", "a.b",
    ]  # fmt: skip
