"""A new folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunewright.core.errors import TunewrightError


def must_be_new(out: Path) -> None:
    """Before anything is computed for it.

    Raises
    ------
    TunewrightError
        There is something at ``out`` already.
    """
    if out.exists():
        raise TunewrightError(f"{out}: it exists already", "choose another --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """The folder to write into; it is moved to ``out`` at the end, and removed where an error is raised.

    Raises
    ------
    TunewrightError
        There is something at ``out`` already, or the folder that it is to lie in cannot be written.
    """
    must_be_new(out)
    staged = out.with_name(f".{out.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        staged.mkdir(parents=True)
    except OSError as error:
        raise TunewrightError(f"{out.parent}: cannot be written: {error.strerror}", "choose another --out") from None
    try:
        yield staged
        os.rename(staged, out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
