"""Tables of identity terms: name → lists of words that stand for each other, given as such or as a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXAMPLE = 'write for example gender = [["he", "she"], ["king", "queen"]]'


def read_terms(terms: Any) -> Any:
    """What ``audit.terms`` holds: a table as it is, or that of the TOML or JSON file that it names.

    Raises
    ------
    ValueError
        The file cannot be read, or a list holds fewer than two different words; a remedy stands on its second line.

    >>> read_terms({"gender": [["he", "she"]]})
    {'gender': [['he', 'she']]}
    """
    table = _of_file(Path(terms)) if isinstance(terms, str) and terms else terms or {}
    if not isinstance(table, Mapping):
        raise ValueError(f"audit.terms is no table\n{EXAMPLE}")
    for name, lists in table.items():
        if not isinstance(lists, list | tuple) or not all(isinstance(one, list | tuple) for one in lists):
            raise ValueError(f"audit.terms.{name} is no list of lists\n{EXAMPLE}")
        for words in lists:
            plain = [word.strip() for word in words if isinstance(word, str)]
            if len(plain) < len(words) or not all(plain) or len(set(plain)) < max(2, len(plain)):
                raise ValueError(f"audit.terms.{name}: {list(words)!r} are not two or more different words\n{EXAMPLE}")
    return table


def _of_file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ValueError(f"audit.terms: {path} cannot be read: {error.strerror}\ncheck its path") from None
    except ValueError as error:
        raise ValueError(f"audit.terms: {path} is neither TOML nor JSON: {error}\nmend the line") from None
