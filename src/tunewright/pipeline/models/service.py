"""A service behind HTTP that speaks the wire of ``tunewright serve``: what it tells of itself, and its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tunewright.audit import Columns
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array
from tunewright.pipeline.models.answers import Reader, Unreadable, reader_of
from tunewright.pipeline.models.told import plain_task
from tunewright.pipeline.models.wire import NAME_ONE, fetch, spoken

ROWS = 128
CHARACTERS = 500_000
"""The most rows, and characters, of one request."""
TOP = 100
"""Candidates that a service lists at most, where it does not tell."""
PROBE = "text"
"""What it is asked first, to learn its targets and labels."""


def is_address(text: str) -> bool:
    """Whether a model is named by an address rather than by a folder."""
    return re.match(r"\w+://", text) is not None


class Service:
    """A service as a ``Model``. Its labels come from its first answer, its columns from its ``/openapi.json``.

    address : ``http://HOST:PORT/v1/NAME``, or ``http://HOST:PORT`` for the first bundle there
    text, label : the rows' columns, where they are named otherwise than those of the service
    seconds : how long an answer may take

    Raises
    ------
    TunewrightError
        It is not there, does not answer in time, or answers what is no answer of such a service.
    """

    predictor = embed = folder = None
    scores = True

    def __init__(
        self, address: str, *, text: Sequence[str] = (), label: str | None = None, seconds: float = 30.0
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise TunewrightError(f"{address}: only http:// and https:// are spoken", NAME_ONE)
        self.address = re.sub(r"/+(predict/*)?$", "", address) + "/predict"
        self.digest = ""
        self._seconds = seconds
        self._answering: dict[str, Any] = {}  # what else is asked, so that every row is answered
        columns, self._top, self._may_be_open = self._told() or (["text"], TOP, False)
        self.columns = list(text) or columns
        self._readers = dict(self._described())
        self.kinds = {name: one.kind for name, one in self._readers.items()}
        spec = {name: (one.name, one.kind.labels) for name, one in self._readers.items()}
        self.task = plain_task(self.columns, spec, label)

    @property
    def about(self) -> Mapping[str, Any]:
        name = self.address.removesuffix("/predict")
        targets = [
            {"name": target, "kind": one.name, "labels": list(one.kind.labels)} for target, one in self._readers.items()
        ]
        return {"name": name, "inputs": self.task.inputs, "targets": targets}

    def answers(self, columns: Columns) -> dict[str, Array]:
        return {target: self.ask(columns, target) for target in self.kinds}

    def ask(self, columns: Columns, target: str) -> Array:
        reader = self._readers[target]
        values = [["" if value is None else value for value in columns[name]] for name in self.columns]
        found = []
        for rows in _requests(values, self.columns):
            answers = self._post(rows, [target] if len(self._readers) > 1 else [])
            if len(answers) != len(rows):
                raise self._nonsense(f"it gave {len(answers)} answers to {len(rows)} rows")
            with self._reading():
                found.append(reader.logits(answers))
        self.kinds[target] = reader.kind
        return np.concatenate(found) if found else np.zeros((0, reader.kind.size))

    def _post(self, rows: Sequence[Any], targets: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The predictions of some rows."""
        body = {"inputs": list(rows), "top": self._top} | ({"targets": list(targets)} if targets else {})
        answers = self._sent(body | self._answering)
        if self._may_be_open and not self._answering and any(one.get("reason") == "unsure" for one in answers):
            self._answering = {"error": 0}
            answers = self._sent(body | self._answering)
        return answers

    def _sent(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = spoken(self.address, *fetch(self.address, body, seconds=self._seconds))
        answers = found.get("predictions") if isinstance(found, dict) else None
        if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
            raise self._nonsense('it has no list of "predictions"')
        digest = str(found.get("bundle") or "")
        if self.digest and digest != self.digest:
            raise TunewrightError(
                f"{self.address}: another bundle answers than before ({digest[:19]}, not {self.digest[:19]})",
                "audit again when the service has settled",
            )
        self.digest = digest
        return answers

    def _described(self) -> Iterator[tuple[str, Reader]]:
        """Target → how its answers are read, from what it says to one row."""
        rows = [PROBE if len(self.columns) == 1 else dict.fromkeys(self.columns, PROBE)]
        answers = self._post(rows)
        if not answers or not all(isinstance(one.get("target"), str) for one in answers):
            raise self._nonsense("its answer names no target")
        for one in answers:
            with self._reading():
                reader = reader_of(one)
            if len(reader.kind.labels) >= self._top:
                raise TunewrightError(
                    f"{self.address}: it lists {self._top} candidates at most, so that it may know more labels",
                    "audit the bundle's folder instead",
                )
            yield one["target"], reader

    def _told(self) -> tuple[list[str], int, bool] | None:
        """Input columns, the most candidates, and whether every row can be asked to be answered.

        By the service's own description; None where it has none.
        """
        base, _, name = self.address.removesuffix("/predict").partition("/v1/")
        body = fetch(f"{base}/openapi.json", seconds=self._seconds)[1]
        path = f"/v1/{name}/predict" if name else "/predict"
        try:
            content = json.loads(body)["paths"][path]["post"]["requestBody"]["content"]
            fields = content["application/json"]["schema"]["properties"]
            one = fields["inputs"]["items"]
            record = one if "properties" in one else one["anyOf"][1]
            return list(record["properties"]), int(fields["top"]["maximum"]), "error" in fields
        except (ValueError, KeyError, TypeError, IndexError):
            return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            raise self._nonsense(str(error)) from None

    def _nonsense(self, problem: str) -> TunewrightError:
        return TunewrightError(f"{self.address}: its answer cannot be read: {problem}", NAME_ONE)


def _requests(values: Sequence[Sequence[Any]], names: Sequence[str]) -> Iterator[list[Any]]:
    """Rows as a service reads them, in pieces of ``ROWS`` rows and ``CHARACTERS`` characters at most.

    >>> list(_requests([["a", "b"]], ["text"]))
    [['a', 'b']]
    """
    piece: list[Any] = []
    characters = 0
    for row in zip(*values, strict=True):
        length = sum(len(str(value)) for value in row)
        if piece and (len(piece) == ROWS or characters + length > CHARACTERS):
            yield piece
            piece, characters = [], 0
        piece.append(row[0] if len(names) == 1 else dict(zip(names, row, strict=True)))
        characters += length
    if piece:
        yield piece
