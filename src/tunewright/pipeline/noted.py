"""The files of rows that a bundle was fitted and judged on, as noted by the run beside it: ``OUT.run/train.jsonl``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunewright.core.errors import TunewrightError
from tunewright.core.journal import read_journal
from tunewright.core.switch import run_folder


@dataclass(frozen=True)
class Noted:
    """Paths as the fit was given them; ``train`` is None where that file is gone."""

    test: str
    train: str | None


def noted(bundle: Path) -> Noted:
    """The test and training rows of the fit that made a bundle.

    Raises
    ------
    TunewrightError
        There is no note of test rows, or their file is gone.
    """
    journal = run_folder(bundle) / "train.jsonl"
    told = [one["settings"] for one in read_journal(journal) if one.get("event") == "settings"]
    files = {part: str((told[-1].get(f"data.{part}") or [""])[0]) if told else "" for part in ("test", "train")}
    if not files["test"]:
        raise TunewrightError(
            f"which rows are to judge is not said, and {journal} names no test rows",
            "name them: tunewright compress BUNDLE ROWS",
        )
    if not Path(files["test"]).exists():
        raise TunewrightError(
            f"which rows are to judge is not said, and {files['test']}, on which {bundle} was judged, is not there",
            "name others: tunewright compress BUNDLE ROWS",
        )
    there = files["train"] and Path(files["train"]).exists()
    return Noted(files["test"], files["train"] if there else None)
