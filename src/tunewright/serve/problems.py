"""What is told to a client when there is no answer: a problem, a remedy, a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from tunewright.core.errors import TunewrightError

INTERNAL = ("internal error", "try again; if it stays, look into the service's log at the time of this answer")


class Problem(BaseModel):
    """Why there is no answer, and the one next step."""

    problem: str = Field(examples=["input 3: the text is 120000 characters long; the limit is 100000"])
    remedy: str = Field(examples=["split it into shorter texts"])


class Refusal(TunewrightError):
    """A request that is not answered.

    Parameters
    ----------
    status : int
        HTTP status of the response.
    headers : mapping
        Headers that the response carries, such as ``Retry-After``.
    """

    def __init__(self, status: int, problem: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem, remedy)
        self.status = status
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.status, self.problem, self.remedy, self.headers)


def problem_response(status: int, problem: str, remedy: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """``{"problem": …, "remedy": …}`` with its status."""
    return JSONResponse({"problem": problem, "remedy": remedy}, status, headers)


def shown(word: str) -> str:
    """A client's word as a message may hold it: quoted, short, and without what cannot be encoded.

    >>> print(shown("te\\ud800xt"))
    'te\\ud800xt'
    """
    return f"'{word[:80].encode('utf-8', 'backslashreplace').decode()}'"
