"""The shelf: what several bundles have in common is loaded once, and kept for as long as one of them is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakValueDictionary

from tunewright.runtime.encoder import Encoder
from tunewright.runtime.graphs import Graph
from tunewright.runtime.native import NativeEncoder

Part = TypeVar("Part")


class Shelf:
    """Loaded parts by their content. Give one to each ``Predictor.load`` whose bundles may share an encoder.

    The shelf itself keeps nothing alive: the predictors do. With the last predictor that holds a part the part goes.

    >>> shelf = Shelf()                                                        # doctest: +SKIP
    >>> one, other = (Predictor.load(folder, shelf=shelf) for folder in ("intents/", "topics/"))  # doctest: +SKIP
    >>> one.encoder is other.encoder                                           # doctest: +SKIP
    True
    """

    def __init__(self) -> None:
        self._parts: WeakValueDictionary[Hashable, object] = WeakValueDictionary()
        self._lock = threading.RLock()  # an encoder is made of parts that lie here themselves

    def take(self, content: Hashable, make: Callable[[], Part]) -> Part:
        """The part with this content, made where no bundle holds it yet."""
        with self._lock:
            found = self._parts.get(content)
            if found is None:
                found = self._parts[content] = make()
            return found  # type: ignore[return-value]

    def __contains__(self, content: Hashable) -> bool:
        with self._lock:
            return content in self._parts

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def encoders(self) -> list[Encoder]:
        """Those in use."""
        return [one for one in self._parts.values() if isinstance(one, Encoder)]

    @property
    def graphs(self) -> list[Graph | NativeEncoder]:
        """Those in use, of encoders and heads, and native code in the place of one."""
        found = {id(one): one for one in self._parts.values() if isinstance(one, Graph | NativeEncoder)}
        return list(found.values())  # one that was chosen lies here twice
