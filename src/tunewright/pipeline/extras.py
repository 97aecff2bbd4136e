"""What the pipeline imports only where it is needed, and what is said where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunewright.core.errors import MissingExtra


@contextmanager
def training(what: str) -> Iterator[None]:
    """Around imports of the training side.

    Raises
    ------
    MissingExtra
        A library of the extra ``train`` is not installed; the error names the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "tunewright":
            raise
        raise MissingExtra(what, error.name, "train") from None
