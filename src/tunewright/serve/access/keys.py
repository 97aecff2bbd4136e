"""API keys: made, kept as hashes in a file or in the environment, found again by what a caller sends.

A key is 256 random bits, so its plain sha256 tells nothing that could be tried out; a slow hash protects words that
people choose, and would cost each request the tenth of a second that it takes from an attacker.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tunewright.core.errors import TunewrightError

log = logging.getLogger("tunewright.serve")

VARIABLE, FILE_VARIABLE = "TUNEWRIGHT_KEYS", "TUNEWRIGHT_KEYS_FILE"
PREFIX = "tw_"
MOST = 1000
"""Keys of one service: each request is compared with all of them, and each name is a label of metrics."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LINE = re.compile(rf"(?P<name>{NAME.pattern})\s+sha256:(?P<hash>[0-9a-f]{{64}})")
LOOK_SECONDS = 1.0
"""How often the file is looked at for changes."""
MAKE = "make a key: tunewright key NAME --file keys.txt"

Hashes = Mapping[str, bytes]
"""Name → sha256 of the key."""


def new_key() -> str:
    """A key that nobody has: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> bytes:
    """sha256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def line_of(name: str, key: str) -> str:
    """What a keys file says of a key: its name and its hash.

    >>> line_of("web", "tw_example")
    'web sha256:33c93cc83e93343771cc40a2d5ecb03bd3bbd03557219cdad520763d12518c6b'
    """
    return f"{name} sha256:{hash_of(key).hex()}"


def parse(text: str, place: str) -> dict[str, bytes]:
    """The keys of a file or variable: lines of ``NAME sha256:HEX``; empty lines and those with ``#`` are passed over.

    Raises
    ------
    TunewrightError
        A line is no such line, a name stands twice, or there are too many keys or none. No line is quoted: it may hold
        a key.
    """
    found: dict[str, bytes] = {}
    for number, line in _lines(text):
        match = LINE.fullmatch(line)
        if match is None:
            raise TunewrightError(f"{place} line {number}: it is no name with a hash (NAME sha256:…)", MAKE)
        if match["name"] in found:
            raise TunewrightError(f"{place} line {number}: the name {match['name']!r} stands twice", "rename one")
        found[match["name"]] = bytes.fromhex(match["hash"])
    if not found:
        raise TunewrightError(f"{place}: there is no key in it", MAKE)
    if len(found) > MOST:
        raise TunewrightError(f"{place}: {len(found)} keys; the limit is {MOST}", "share keys, or start more services")
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def read(path: Path) -> dict[str, bytes]:
    """The keys of a file that only its owner may change, and that strangers cannot read.

    Raises
    ------
    TunewrightError
        It cannot be read, others may read or change it, or ``parse`` refuses it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8"
        raise TunewrightError(f"the keys file {path} cannot be read ({said})", MAKE) from None
    if mode & (stat.S_IWGRP | stat.S_IRWXO):
        open_to = "change" if mode & (stat.S_IWGRP | stat.S_IWOTH) else "read"
        raise TunewrightError(
            f"the keys file {path} is open: other users can {open_to} it (mode {stat.S_IMODE(mode):04o})",
            f"chmod 600 {path}",
        )
    return parse(text, str(path))


def append(path: Path, name: str) -> str:
    """Make a key and add its hash to the file, which is made where there is none; returns the key.

    Raises
    ------
    TunewrightError
        The name is taken or cannot stand in a log, or the file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise TunewrightError(
            f"the key's name {name[:80]!r} cannot stand in logs and metrics",
            "use letters, digits, dots, - and _, at most 64 of them",
        )
    before = path.read_bytes() if path.exists() else b""
    if before.strip() and name in read(path):
        raise TunewrightError(f"{path} has a key named {name!r} already", "choose another name, or remove its line")
    key = new_key()
    start = "" if not before or before.endswith(b"\n") else "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{start}{line_of(name, key)}\n")
    except OSError as error:
        raise TunewrightError(f"{path} cannot be written ({error.strerror})", "name another --file") from None
    return key


class Keys:
    """The keys of a service: fixed ones, or those of a file, which is read again when it changes.

    A change that cannot be read is logged, and the keys stay as they were.
    """

    def __init__(self, hashes: Hashes, path: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._hashes = dict(hashes)
        self._path = path
        self._clock = clock
        self._seen = self._state()
        self._looked = clock()

    @classmethod
    def of_file(cls, path: Path) -> Keys:
        """Those of a file; see ``read``."""
        return cls(read(path), path)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._hashes)

    def name_of(self, key: str) -> str | None:
        """The name of the key that a caller sent; every hash is compared, and none of them ends the search early."""
        self._look()
        sent, found = hash_of(key), None
        for name, kept in self._hashes.items():
            if hmac.compare_digest(sent, kept):
                found = name
        return found

    def _look(self) -> None:
        now = self._clock()
        if self._path is None or 0 <= now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._hashes = read(self._path)
            log.info("keys", extra={"fields": {"file": str(self._path), "keys": len(self._hashes)}})
        except TunewrightError as error:
            log.error("the keys stay as they were", extra={"fields": {"problem": error.problem}})

    def _state(self) -> tuple[int, int, int, int] | None:
        try:
            told = self._path.stat() if self._path else None
        except OSError:
            return None
        return (told.st_ino, told.st_size, told.st_mtime_ns, told.st_mode) if told else None


def found(path: Path | None, environment: Mapping[str, str] = os.environ) -> Keys | None:
    """The keys of this service: of the file, or of the environment; None where neither is said.

    Raises
    ------
    TunewrightError
        As ``read`` and ``parse`` do.
    """
    path = path or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    if path is not None:
        return Keys.of_file(path)
    if VARIABLE in environment:
        return Keys(parse(environment[VARIABLE].replace(",", "\n"), VARIABLE))
    return None
