"""Answers that say whether a person should look at them: any kind's answer type with one field more."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Any

FIELD = "needs_review"


@cache
def reviewed(answer: type) -> type:
    """The answer type of a kind with ``needs_review`` at its end; it keeps its name.

    >>> from tunewright.kinds.classify import Label
    >>> reviewed(Label)("fraud", 0.9, needs_review=True)
    Label(label='fraud', score=0.9, reason=None, candidates=None, needs_review=True)
    """
    frozen: bool = answer.__dataclass_params__.frozen  # type: ignore[attr-defined]
    own = {"__doc__": answer.__doc__, "__module__": answer.__module__, "__reduce__": _reduced}
    mark = (FIELD, bool, field(default=False))
    return make_dataclass(answer.__name__, [mark], bases=(answer,), frozen=frozen, namespace=own)


def marked(answer: Any, needs_review: bool) -> Any:
    """An answer of a kind, with the mark."""
    return _rebuilt(type(answer), {one.name: getattr(answer, one.name) for one in fields(answer)}, needs_review)


def _rebuilt(answer: type, body: dict[str, Any], needs_review: bool) -> Any:
    return reviewed(answer)(**body, **{FIELD: needs_review})


def _reduced(self: Any) -> Any:
    """How it is pickled: by the kind's own type, since this one stands in no module."""
    body = {one.name: getattr(self, one.name) for one in fields(self) if one.name != FIELD}
    return _rebuilt, (type(self).__mro__[1], body, getattr(self, FIELD))
