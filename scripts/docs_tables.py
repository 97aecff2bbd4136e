"""The generated tables of docs/: all settings, and what `check` looks for. Prints the pages, or --write renews them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tunewright.core.sections import Section, Target
from tunewright.core.task import Task
from tunewright.data.issues import TABLE

DOCS = Path(__file__).resolve().parent.parent / "docs"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
TOML_TYPES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}


def settings() -> str:
    """One table per section of the task file."""
    sections: dict[str, type[BaseModel]] = {"Top level": Task, "`[[targets]]`": Target}
    for name, one in Task.model_fields.items():
        if isinstance(one.default, Section):
            sections[f"`[{name}]`"] = type(one.default)
    return "\n".join(section(title, model) for title, model in sections.items())


def section(title: str, model: type[BaseModel]) -> str:
    properties = model.model_json_schema()["properties"].items()
    rows = [
        (f"`{name}`", takes(prop), shown(prop.get("default")), prop["description"])
        for name, prop in properties
        if "description" in prop
    ]
    return f"### {title}\n\n" + markdown(("setting", "takes", "default", "what it is"), rows)


def findings() -> str:
    """What `check` looks for: two tables, what stops a fit and what only warns."""
    heads = {"stop": "What stops a fit", "warn": "What only warns"}
    return "\n".join(f"### {title}\n\n{of_level(level)}" for level, title in heads.items())


def of_level(level: str) -> str:
    rows = [(f"`{rule.name}`", rule.what, rule.remedy) for rule in TABLE if rule.level == level]
    return markdown(("name", "what it is", "what to do"), rows)


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; bars inside cells are escaped.

    >>> print(markdown(["a", "b"], [["1", "x|y"]]), end="")
    | a | b |
    |---|---|
    | 1 | x\\|y |
    """
    names = list(head)
    lines = [names, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    first, *rest = ("| " + " | ".join(line) + " |\n" for line in lines)
    return first + "|" + "---|" * len(names) + "\n" + "".join(rest)


def takes(prop: dict[str, Any]) -> str:
    """The type of a setting and its bounds, in words.

    >>> takes({"type": "number", "exclusiveMinimum": 0.0})
    'number > 0'
    """
    if "enum" in prop:
        return ", ".join(f"`{value}`" for value in prop["enum"])
    if "anyOf" in prop:
        return " or ".join(takes(one) for one in prop["anyOf"] if one.get("type") != "null")
    if prop["type"] == "array":
        return "list of tables" if "$ref" in prop["items"] else "list of texts"
    if prop["type"] == "object":
        return "table"
    bounds = (f" {sign} {prop[key]:g}" for key, sign in BOUNDS.items() if key in prop and prop[key] != 2**31 - 1)
    return TOML_TYPES[prop["type"]] + ",".join(bounds)


def shown(default: Any) -> str:
    """A default as TOML writes it; nothing where there is none."""
    if default in ("", None, [], {}):
        return ""
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("task.md", settings),
    "findings": ("data.md", findings),
}
"""Name of the marks around a table → its page and what makes it."""


def renewed() -> Iterator[tuple[Path, str]]:
    """Each page with its tables as they should stand in it."""
    for name, (page, make) in TABLES.items():
        text = (DOCS / page).read_text(encoding="utf-8")
        start, end = f"<!-- {name}: made by scripts/docs_tables.py -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"docs/{page}: the marks around the table {name!r} are missing")
        yield DOCS / page, f"{before}{start}\n{make()}\n{end}{after}"


if __name__ == "__main__":
    for page, text in renewed():
        if "--write" in sys.argv[1:]:
            page.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
