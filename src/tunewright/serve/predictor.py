"""What the service needs of a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tunewright.core.bundle import Manifest
from tunewright.core.types import Kind


class Predictor(Protocol):
    """A loaded bundle, as ``runtime/predictor.py`` makes it. Several threads call it at once."""

    manifest: Manifest
    kinds: dict[str, Kind]

    def answers(
        self, inputs: Sequence[Any], top: int = 0, targets: Sequence[str] | None = None, error: float | None = None
    ) -> dict[str, list[Any]]:
        """Target → one answer per row: an instance of the kind's ``answer``; of all targets, or of those named.

        Where the manifest's task has rules of review, each answer has ``needs_review`` too.

        error : rate of errors that the answers are to keep; None = what the bundle says

        Raises
        ------
        TunewrightError
            A row cannot be read; it is named by its index.
        """
        ...
