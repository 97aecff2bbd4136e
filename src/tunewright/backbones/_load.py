"""From a backbone's name to the loaded network: find it, ask each family, read it."""

from __future__ import annotations

from tunewright.backbones._catalogue import Found, find
from tunewright.backbones._loaded import LoadedBackbone, read_json
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit

LAST = "automodel"
"""The family that takes what no other one does."""


def load(name: str, fit: Fit) -> tuple[LoadedBackbone, Found]:
    """The backbone, by whichever family recognises its folder.

    Raises
    ------
    TunewrightError
        Not found, of no family that is known, or needing code of its own.
    """
    found = find(name)
    config = read_json(found.folder / "config.json")
    if "auto_map" in config:
        raise TunewrightError(f"{name}: the model needs code of its own, which is never run", "choose another backbone")
    for family in sorted(plugins.names("backbones"), key=lambda name: name == LAST):
        backbone = plugins.load("backbones", family)
        if backbone.recognises(found.folder):
            loaded: LoadedBackbone = backbone.load(found.folder, fit)
            return loaded, found
    kind = config.get("model_type")
    what = f"model type {kind!r}" if kind else "no config.json with a model_type"
    raise TunewrightError(
        f"{found.folder}: {what} is of no known family", f"known families: {', '.join(plugins.names('backbones'))}"
    )
