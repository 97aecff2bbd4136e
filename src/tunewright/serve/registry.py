"""The registry: which bundles are served under which names at this moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from tunewright.core.errors import TunewrightError, nearest
from tunewright.runtime.review import Rules
from tunewright.serve.answers import Writer, writers
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Refusal, shown


@dataclass(frozen=True)
class Served:
    """One bundle as it is served. A request keeps to the one that it began with, whatever happens to its name."""

    name: str
    predictor: Predictor

    @property
    def digest(self) -> str:
        return self.predictor.manifest.digest

    @cached_property
    def reviewed(self) -> bool:
        """Whether its answers say if a person should look at them."""
        return Rules.of(self.predictor.manifest.task) is not None

    @cached_property
    def writers(self) -> Mapping[str, Writer]:
        """Target → writer of its answers."""
        return writers(self.predictor.kinds, reviewed=self.reviewed)


class Registry:
    """Bundles by name; the first one is that of the addresses without a name. Safe to use from several threads.

    A change takes effect with the next request; requests under way end with the bundle that they began with.

    Raises
    ------
    TunewrightError
        There is no bundle, or a name cannot stand in an address.
    """

    def __init__(self, predictors: Mapping[str, Predictor]) -> None:
        if not predictors:
            raise TunewrightError("there is no bundle to serve", "name at least one folder that `tunewright fit` wrote")
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Registry], None]] = []
        self._served: Mapping[str, Served] = MappingProxyType({})
        self.version = 0
        """Rises with every change."""
        for name, predictor in predictors.items():
            self.put(name, predictor)

    @property
    def served(self) -> Mapping[str, Served]:
        """Name → bundle, as of now; a later change makes another mapping."""
        return self._served

    @property
    def first(self) -> Served:
        return next(iter(self._served.values()))

    def find(self, name: str) -> Served:
        """The bundle with a name.

        Raises
        ------
        Refusal
            404 with the nearest name.
        """
        served = self._served
        if name not in served:
            raise Refusal(404, f"there is no bundle {shown(name)}", nearest(name, served))
        return served[name]

    def put(self, name: str, predictor: Predictor) -> None:
        """Serve a bundle under a name from now on, instead of the one that has it."""
        if not name.strip() or not name.isprintable() or set(name) & set("/{}?#%\\"):
            raise TunewrightError(
                f"the bundle's name {name!r} cannot stand in an address", "rename it with letters and digits"
            )
        with self._lock:
            self._change({**self._served, name: Served(name, predictor)})

    def remove(self, name: str) -> None:
        """Serve a bundle no longer.

        Raises
        ------
        Refusal
            404 where there is no such name, 409 where it is the last one.
        """
        with self._lock:
            self.find(name)
            if len(self._served) == 1:
                raise Refusal(409, f"{shown(name)} is the only bundle", "load another one first, or stop the service")
            self._change({one: served for one, served in self._served.items() if one != name})

    def listen(self, listener: Callable[[Registry], None]) -> None:
        """Call ``listener`` now and after every change."""
        with self._lock:
            self._listeners.append(listener)
            listener(self)

    def _change(self, served: dict[str, Served]) -> None:
        self._served = MappingProxyType(served)
        self.version += 1
        for listener in self._listeners:
            listener(self)
