"""The bundle: a folder that ships. ``bundle.json`` says what is in it, every file stands under its sha256.

The digests tell damage, not forgery: whoever can change a file can change the manifest too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.core.switch import recover

FORMAT = 4
"""2: a kind may keep a promise, a scaling and a detector, which a program that reads format 1 would not heed.
3: an encoder may be in two parts, of which a program that reads format 2 would run the lower one alone.
4: updates may stand beside a graph's weights, which a program that reads format 3 would leave out."""
IN_ONE_PART, IN_TWO_PARTS = 2, 3
"""The formats of bundles whose encoder is one part, and of those without updates: older programs can read these."""
MANIFEST = "bundle.json"
OPTIONAL = ("updates", "layers")
"""Of a part: files that are named only where there are some."""
ENCODER, UPPER = "encoder.", "upper."
"""What names of parts begin with that make states of a modality's arrays, and states of those states."""


@dataclass(frozen=True)
class Part:
    """One named piece of computation.

    engine : what runs it; ``onnx`` = a graph for onnxruntime
    file : the graph
    data : files that the graph reads its tensors from
    updates : file of low-rank updates that the graph is given at each call, see ``runtime/updates.py``; empty = none
    layers : file that says of which layers an encoder in int8 is made, for what computes them without the graph, see
        ``runtime/layers.py``; empty = the graph alone tells
    """

    engine: str
    file: str
    data: tuple[str, ...] = ()
    updates: str = ""
    layers: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """All that it is made of, the graph first."""
        return (self.file, *self.data, *(one for one in (self.updates, self.layers) if one))


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself. All of it but ``run`` and ``digest`` is covered by the digest.

    inputs : column → modality
    modalities : modality → its settings (its files lie in ``modality/NAME/``)
    targets : ``[{name, kind, spec}]``, the spec being what the kind's ``load`` reads
    parts : ``encoder.MODALITY`` (inputs → states, mask), ``head.TARGET`` (states, mask → logits), ``embed``. Where the
        encoder is in two parts, ``encoder.MODALITY`` is the lower one, and ``upper.MODALITY`` (lower, mask → states)
        stands between it and the heads
    files : path → sha256 and size_bytes
    run : what only tells about the run: seconds, memory, dates, versions, where settings came from
    """

    name: str
    inputs: dict[str, str]
    modalities: dict[str, dict[str, Any]]
    targets: list[dict[str, Any]]
    parts: dict[str, Part]
    backbone: dict[str, Any]
    method: dict[str, Any]
    task: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    format: int = IN_ONE_PART

    @property
    def encoder(self) -> tuple[str, ...]:
        """Names of the parts of the encoder, in the order of computation: one, or the lower and the upper one."""
        return tuple(sorted(name for name in self.parts if name.startswith((ENCODER, UPPER))))

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the parts that take the encoder's states."""
        return tuple(name for name in self.parts if name not in self.encoder)

    @property
    def size_bytes(self) -> int:
        return sum(int(entry["size_bytes"]) for entry in self.files.values())


def sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Take stock of a folder's files and write ``bundle.json``; returns the manifest with files and digest.

    Files named ``report.*`` and ``card.*`` tell about the run, so they stand under ``run.files``. The format is the
    least one that has what the manifest uses.
    """
    if len(manifest.encoder) > 1:
        updated = any(part.updates for part in manifest.parts.values())
        manifest = replace(manifest, format=FORMAT if updated else IN_TWO_PARTS)
    inside: dict[str, dict[str, Any]] = {}
    told: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and relative != MANIFEST:
            about_run = path.parent == folder and path.name.startswith(("report.", "card."))
            entry = {"sha256": sha256(path), "size_bytes": path.stat().st_size}
            (told if about_run else inside)[relative] = entry
    record = asdict(manifest) | {"files": inside, "run": manifest.run | {"files": told}}
    record = json.loads(json.dumps(record))  # as it will be read: keys are texts, tuples lists
    record["parts"] = {name: _without_empty(part) for name, part in record["parts"].items()}
    record["digest"] = digest_of(record)
    (folder / MANIFEST).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return _manifest(record, folder)


def _without_empty(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in OPTIONAL or value}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle; a switch to it that a kill cut short is ended first.

    Raises
    ------
    TunewrightError
        No bundle there, or one of a newer format.
    DamagedBundle
        The manifest was changed.
    """
    recover(folder)
    path = folder / MANIFEST
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise TunewrightError(
            f"{folder}: there is no bundle (no {MANIFEST})", "name a folder that `tunewright fit` wrote"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DamagedBundle(f"{path}: not JSON: {error}", "copy the bundle again, or fit it anew") from None
    version = record.get("format") if isinstance(record, dict) else None
    if not isinstance(version, int):
        raise DamagedBundle(f"{path}: it names no format", "copy the bundle again, or fit it anew")
    if version > FORMAT:
        raise TunewrightError(
            f"{folder}: bundle format {version} is newer than this program reads ({FORMAT})",
            "pip install --upgrade tunewright",
        )
    if record.get("digest") != digest_of(record):
        raise DamagedBundle(f"{path}: it does not match its own digest", "copy the bundle again, or fit it anew")
    return _manifest(record, folder)


def verify(folder: Path, manifest: Manifest, paths: Iterable[str] | None = None) -> None:
    """Compare files with the manifest; all of them, or those at ``paths``.

    Raises
    ------
    DamagedBundle
        A file is missing or differs, by its name.
    """
    entries = present(folder, manifest, paths)
    for relative, entry in entries.items():
        if sha256(folder / relative) != entry["sha256"]:
            raise _damaged(folder / relative)


def present(folder: Path, manifest: Manifest, paths: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """The manifest's entries of files, all of them or those at ``paths``, that are there in their full length.

    Raises
    ------
    DamagedBundle
        A file is missing, or longer or shorter, by its name.
    """
    entries = (
        manifest.files | manifest.run.get("files", {})
        if paths is None
        else {path: manifest.files[path] for path in paths}
    )
    for relative, entry in entries.items():
        path = folder / relative
        if not path.is_file():
            raise DamagedBundle(f"{path}: the file is missing", "copy the bundle again, or fit it anew")
        if path.stat().st_size != entry["size_bytes"]:
            raise _damaged(path)
    return entries


def _damaged(path: Path) -> DamagedBundle:
    return DamagedBundle(f"{path}: the file is damaged (its sha256 differs)", "copy the bundle again, or fit it anew")


def digest_of(record: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of everything but ``run`` and ``digest``."""
    content = {key: value for key, value in record.items() if key not in ("run", "digest")}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _manifest(record: Mapping[str, Any], folder: Path) -> Manifest:
    known = {one.name for one in fields(Manifest)}
    needed = {one.name for one in fields(Manifest) if one.default is MISSING and one.default_factory is MISSING}
    missing = (needed | {"files"}) - set(record)
    if missing:
        raise DamagedBundle(
            f"{folder / MANIFEST}: {', '.join(sorted(missing))} is missing", "copy the bundle again, or fit it anew"
        )
    parts = {name: _part(part) for name, part in record["parts"].items()}
    _check_inside([*record["files"], *record.get("run", {}).get("files", {})], parts, folder)
    return Manifest(**{key: value for key, value in record.items() if key in known} | {"parts": parts})


def _part(record: Mapping[str, Any]) -> Part:
    own = {key: record.get(key, "") for key in OPTIONAL}
    return Part(record["engine"], record["file"], tuple(record["data"]), **own)


def _check_inside(files: Iterable[str], parts: Mapping[str, Part], folder: Path) -> None:
    """A bundle names files of its own folder only, whoever wrote its manifest."""
    for path in (*files, *(path for part in parts.values() for path in part.files)):
        if PurePosixPath(path).is_absolute() or {"..", ""} & set(path.split("/")) or "\\" in path or ":" in path:
            raise DamagedBundle(
                f"{folder / MANIFEST}: {path!r} is no file of the bundle", "do not use it; ask where it comes from"
            )
