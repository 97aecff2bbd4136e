"""Serve: bundles in folders → a service that listens until it is told to stop."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.monitor.events import Sink
from tunewright.runtime.predictor import Predictor
from tunewright.serve.limits import Limits


def serve(
    folders: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    sink: Sink | None = None,
) -> None:
    """Load bundles and answer for them until SIGTERM or Ctrl-C; what is under way then is finished.

    Parameters
    ----------
    folders : bundles; the first one also answers ``POST /predict``
    host : address to listen at; the loopback unless told otherwise
    port : 0 = a free one

    Raises
    ------
    TunewrightError
        A bundle cannot be loaded, two have one name, the port is in use, or the extra ``serve`` is missing.
    """
    listen = _listening()  # before the bundles are loaded: what can be refused at once is refused at once
    with listen.bound(host, port) as taken:
        listen.listen(load(folders), taken, limits, sink)


def load(folders: Sequence[Path]) -> dict[str, Predictor]:
    """Name → predictor, in the order of the folders."""
    predictors: dict[str, Predictor] = {}
    places: dict[str, Path] = {}
    for folder in folders:
        predictor = Predictor.load(folder)
        name = predictor.manifest.name
        if name in places:
            raise TunewrightError(
                f"{places[name]} and {folder} are both named {name!r}",
                "serve one of them, or fit one under another name",
            )
        predictors[name], places[name] = predictor, folder
    return predictors


def _listening() -> Any:
    try:
        return importlib.import_module("tunewright.serve.listen")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "tunewright":
            raise MissingExtra("`tunewright serve`", error.name, "serve") from error
        raise
