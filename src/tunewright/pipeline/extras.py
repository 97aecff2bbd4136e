"""What the pipeline imports only where it is needed, and what is said where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tunewright.core.errors import MissingExtra


def training(what: str) -> AbstractContextManager[None]:
    """Around imports of the training side, whose libraries are in the extra ``train``."""
    return needing(what, "train")


@contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """Around imports of what an extra installs.

    Raises
    ------
    MissingExtra
        A library of it is not installed; the error names the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "tunewright":
            raise
        raise MissingExtra(what, error.name, extra) from None
