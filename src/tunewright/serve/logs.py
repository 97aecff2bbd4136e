"""Logs: one JSON object per line."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO


class JsonLines(logging.Formatter):
    """A record as one line: time, level, message, then the record's own ``fields``.

    Of an exception its type and the places in the code are written, not its message: that may quote a text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line without a line break in it."""
        out: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            out["error"] = record.exc_info[0].__qualname__
            out["trace"] = [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(record.exc_info[2])]
        # ASCII: half a surrogate pair in a path must not break the log
        return json.dumps(out, default=str)


def start_logs(stream: TextIO) -> None:
    """Send the service's records, and uvicorn's, to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name, level in (("tunewright.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
