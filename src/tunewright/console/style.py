"""How the command line prints: its two streams, JSON, and how a figure and an issue are worded."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
error = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """To standard output, without styles."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def measured(one: Mapping[str, Any]) -> str:
    """A figure with its interval and n."""
    interval = f" (95 % interval {one['low']:.4f} – {one['high']:.4f}" if one["low"] is not None else " ("
    return f"{one['value']:.4f}{interval}, n = {one['n']:,})".replace("(, ", "(")


def escaped(text: str) -> str:
    """A text that rich prints as it is."""
    return text.replace("[", "\\[")


def issue_said(issue: Mapping[str, Any]) -> str:
    """Place, problem and remedy."""
    place = (
        f"{issue['place']}: " if issue["place"] and not str(issue["problem"]).startswith(str(issue["place"])) else ""
    )
    return f"{place}{issue['problem']} → {issue['remedy']}"
