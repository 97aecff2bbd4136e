"""What the command line prints, and the files that it reads and writes."""

from tunewright.console.bars import progress
from tunewright.console.files import source, write
from tunewright.console.speeds import speed
from tunewright.console.style import print_json
from tunewright.console.told import (
    audited,
    comparison,
    compressed,
    explanations,
    findings,
    issues,
    models,
    record,
    tried,
)

__all__ = [
    "audited",
    "comparison",
    "compressed",
    "explanations",
    "findings",
    "issues",
    "models",
    "print_json",
    "progress",
    "record",
    "source",
    "speed",
    "tried",
    "write",
]
