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
        self, inputs: Sequence[Any], top: int = 0, targets: Sequence[str] | None = None
    ) -> dict[str, list[Any]]:
        """Target → one answer per row: an instance of the kind's ``answer``; of all targets, or of those named.

        Raises
        ------
        TunewrightError
            A row cannot be read; it is named by its index.
        """
        ...
