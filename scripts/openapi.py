"""The API description of a service that asks for keys: docs/openapi.json. Prints it, or --write renews the file.

The bundle is the one that the tests keep; a service of yours describes its own at ``/openapi.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tunewright.runtime.predictor import load
from tunewright.serve.access.access import Access
from tunewright.serve.access.keys import Keys, hash_of
from tunewright.serve.http import application

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "openapi.json"
BUNDLE = ROOT / "tests" / "runtime" / "bundles" / "format-2"


def described() -> str:
    """The description, as it should stand in the file."""
    access = Access(Keys({"example": hash_of("example")}))
    app = application({"intents": load(BUNDLE, threads=1)}, access=access)
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        FILE.write_text(described(), encoding="utf-8")
    else:
        sys.stdout.write(described())
