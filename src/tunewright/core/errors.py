"""Errors that a user can act on: a problem with its place, then one remedy, and the exit code of the CLI."""

from __future__ import annotations

from collections.abc import Iterable


class TunewrightError(Exception):
    """A problem that the user can mend.

    Parameters
    ----------
    problem : str
        What is wrong, with the value and its place: ``support.csv line 812: label is empty``.
    remedy : str
        The one next step: ``fill it, or pass --drop-empty``.

    >>> print(TunewrightError("support.csv line 812: label is empty", "fill it, or pass --drop-empty"))
    support.csv line 812: label is empty → fill it, or pass --drop-empty
    """

    exit_code = 2

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} → {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class GateMissed(TunewrightError):
    """The bundle was judged and refused: a limit of the task does not hold."""

    exit_code = 3


class Interrupted(TunewrightError):
    """The user stopped the command before anything could be shipped."""

    exit_code = 130


class DamagedBundle(TunewrightError):
    """A file of a bundle is missing or is not what the manifest says."""


class MissingExtra(TunewrightError):
    """A library that belongs to an extra is not installed."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(f"{what} needs {library}, which is not installed", f"pip install 'tunewright[{extra}]'")
        self.arguments = (what, library, extra)

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), self.arguments  # type: ignore[return-value]


def nearest(word: str, known: Iterable[str]) -> str:
    """Remedy for an unknown word: the nearest known one, or the list of them all.

    >>> nearest("lable", ["label", "text"])
    "did you mean 'label'?"
    >>> nearest("xyz", ["label", "text"])
    'use one of: label, text'
    """
    names = sorted(known)
    import difflib  # only what goes wrong needs it, and every cold start would pay for it

    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(names) or '(there is none)'}"
