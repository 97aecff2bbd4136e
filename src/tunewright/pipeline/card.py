"""A bundle's model card, and an evidence pack ordered by the headings of Annex IV of the EU AI Act."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tunewright.core.bundle import Manifest, read_manifest, verify
from tunewright.core.errors import TunewrightError
from tunewright.core.folder import must_be_new, new_folder
from tunewright.core.types import Finding
from tunewright.report import card as cards
from tunewright.report import record as record_of
from tunewright.report.document import Document, markdown, page
from tunewright.report.evidence import evidence


@dataclass(frozen=True)
class Card:
    """The card and the evidence pack of a bundle; ``language`` is what their pages open in."""

    card: Document
    evidence: Document
    bundle: str
    language: str

    @property
    def markdown(self) -> str:
        """The card, in English and then in Chinese."""
        return markdown(self.card)

    @property
    def record(self) -> dict[str, Any]:
        """JSON values: heading → its blocks, each text as ``[English, Chinese]``."""
        told = {name: _parts(one) for name, one in (("card", self.card), ("evidence", self.evidence))}
        return {"name": self.card.title, "bundle": self.bundle, **told}

    def write(self, out: Path) -> None:
        """Write both as Markdown and as pages into a new folder."""
        must_be_new(out)
        with new_folder(out) as folder:
            for name, one in (("card", self.card), ("evidence", self.evidence)):
                (folder / f"{name}.md").write_text(markdown(one), encoding="utf-8", errors="replace")
                (folder / f"{name}.html").write_text(page(one, self.language), encoding="utf-8", errors="replace")


def card(bundle: str | Path, *, out: str | Path | None = None, audit: str | Path | None = None) -> Card:
    """The card of a bundle, and its evidence pack.

    Parameters
    ----------
    out : a new folder for ``card.md``, ``card.html``, ``evidence.md`` and ``evidence.html``
    audit : ``report.json`` of a later audit of this bundle, or what ``audit --json`` prints: its findings go in too

    Raises
    ------
    TunewrightError
        ``out`` exists, a file of the bundle was changed, the audit is of another bundle or cannot be read.
    """
    if out is not None:
        must_be_new(Path(out))
    folder = Path(bundle)
    manifest = read_manifest(folder)
    record, findings = _reported(folder, manifest)
    found, data = _audited(Path(audit), manifest) if audit is not None else ([], "")
    again = {(one.audit, one.metric, one.slice, one.target) for one in found}
    findings = [one for one in findings if (one.audit, one.metric, one.slice, one.target) not in again] + found
    verdict = record_of(vars(manifest), findings)["verdict"]
    record |= {"verdict": verdict, **{name: manifest.task.get(name) or {} for name in ("card", "review")}}
    record |= {} if audit is None else {"audited": {"bundle": manifest.digest, "data": data}}
    pack = evidence(vars(manifest), record, findings, audited=data)
    made = Card(cards.document(record, findings), pack, manifest.digest, record.get("language", "en"))
    if out is not None:
        made.write(Path(out))
    return made


def _reported(folder: Path, manifest: Manifest) -> tuple[dict[str, Any], list[Finding]]:
    """The record of the bundle's own report; without that file the manifest's metrics."""
    path = folder / "report.json"
    if "report.json" not in manifest.run.get("files", {}):
        known = ("value", "low", "high", "n")
        found = [
            Finding("metrics", name, **{key: one.get(key) for key in known}) for name, one in manifest.metrics.items()
        ]
        return record_of(vars(manifest), found), found
    verify(folder, manifest)
    record = json.loads(path.read_text(encoding="utf-8"))
    return record, [_finding(one) for one in record["findings"]]


def _audited(path: Path, manifest: Manifest) -> tuple[list[Finding], str]:
    """Findings of an audit, and the digest of its data."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        findings = [_finding(one) for one in told["findings"]]
        about = told.get("audited") or {"bundle": told.get("bundle"), "data": told.get("data")}
        digest, data = about.get("bundle"), about.get("data")
    except OSError as error:
        raise TunewrightError(f"{path}: cannot be read: {error.strerror}", "check the path of --audit") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TunewrightError(
            f"{path}: it is no report of an audit", "name the report.json that `tunewright audit --out` wrote"
        ) from None
    if digest != manifest.digest:
        problem = f"{path}: it judges another bundle ({str(digest)[:19]}, not {manifest.digest[:19]})"
        raise TunewrightError(problem, "audit this bundle, or name the one that was audited")
    return findings, str(data or "")


def _finding(told: Mapping[str, Any]) -> Finding:
    known = {one.name for one in fields(Finding)} - {"exhibits"}
    return Finding(**{key: value for key, value in told.items() if key in known})


def _parts(document: Document) -> dict[str, list[dict[str, Any]]]:
    return {part.title[0]: [{"form": one.form, **vars(one)} for one in part.blocks] for part in document.parts}
