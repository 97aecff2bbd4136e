"""Plugins: a file in one of the plugin folders is a plugin; its stem is its name, its docstring's first line its help.

Third parties add theirs by an entry point in the group ``tunewright.FOLDER``, whose value names a module.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tunewright.core.errors import MissingExtra, TunewrightError, nearest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "formats": ("data/formats", ""),
    "modalities": ("modalities", "{}"),
    "kinds": ("kinds", "{}"),
    "backbones": ("backbones", "{}Backbone"),
    "heads": ("heads", "{}Head"),
    "methods": ("methods", ""),
    "objectives": ("objectives", ""),
    "audits": ("audit", ""),
    "changes": ("data/changes", ""),
    "watchers": ("train/watchers", "{}Watcher"),
    "compress": ("compress", ""),
}
"""Plugin folder → where it lies and the class that its files define (none: the module itself is the plugin)."""

EXTRA = dict.fromkeys(("backbones", "heads", "methods", "objectives", "compress"), "train")


def names(folder: str) -> list[str]:
    """The plugins of a folder, built in and third-party, sorted."""
    return sorted({**_own(folder), **_foreign(folder)})


def summary(folder: str, name: str) -> str:
    """First line of the plugin's docstring, read without importing it."""
    text = ast.get_docstring(ast.parse(_source(folder, name).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def load(folder: str, name: str) -> Any:
    """The plugin: the class that its folder asks for, or the module itself.

    Raises
    ------
    TunewrightError
        No plugin of this name (with the nearest one), or its libraries are not installed.
    """
    module = _module(folder, name)
    pattern = FOLDERS[folder][1]
    if not pattern:
        return module
    wanted = pattern.format("".join(word.capitalize() for word in name.split("_")))
    if not hasattr(module, wanted):
        raise TunewrightError(f"{module.__name__} defines no class {wanted}", "name it so, or rename the plugin")
    return getattr(module, wanted)


@cache
def reads(modality: str) -> str:
    """What the raw values of a modality are: what its class says by ``reads`` (``text``: strings), or else its name."""
    known = modality in names("modalities")
    return str(getattr(load("modalities", modality), "reads", modality)) if known else modality


def _module(folder: str, name: str) -> ModuleType:
    path = _known(folder, name)
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in ("", "tunewright") and folder in EXTRA:
            raise MissingExtra(f"{folder}/{name}", library, EXTRA[folder]) from error
        raise


def _known(folder: str, name: str) -> str:
    """The module of a plugin; entry points are only looked at where no file has the name, since that takes time."""
    own = _own(folder)
    if name in own:
        return own[name]
    foreign = _foreign(folder)
    if name not in foreign:
        noun = {"modalities": "modality", "compress": "step of compression"}.get(folder, folder.removesuffix("s"))
        raise TunewrightError(f"there is no {noun} {name!r}", nearest(name, {**own, **foreign}))
    return foreign[name]


@cache
def _own(folder: str) -> dict[str, str]:
    place = FOLDERS[folder][0]
    return {path.stem: f"tunewright.{place.replace('/', '.')}.{path.stem}" for path in _files(ROOT / place)}


def _foreign(folder: str) -> dict[str, str]:
    from importlib.metadata import entry_points  # takes longer to import than the rest of this file

    return {point.name: point.value for point in entry_points(group=f"tunewright.{folder}")}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _source(folder: str, name: str) -> Path:
    if name in _own(folder):  # asking for the spec would import the packages above the file
        return ROOT / FOLDERS[folder][0] / f"{name}.py"
    spec = importlib.util.find_spec(_known(folder, name))
    if spec is None or spec.origin is None:
        raise TunewrightError(f"the plugin {folder}/{name} has no source file", "install it again")
    return Path(spec.origin)
