"""Compressed copies of the tiny bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tunewright.compress._copy import Copy
from tunewright.core import plugins


@pytest.fixture
def make(tiny_bundle: Path, tmp_path: Path) -> Callable[..., Copy]:
    """``make("int8", "per tensor")``: the copy after one step, sealed."""

    def made(step: str, setting: str, texts: Sequence[str] = (), name: str = "copy") -> Copy:
        copy = Copy.of(tiny_bundle, tmp_path / name, [list(texts)])
        plugins.load("compress", step).run(copy, setting)
        copy.sealed(step, setting, "sha256:whole")
        return copy

    return made
