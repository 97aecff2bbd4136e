"""Limits: what one request may ask for, and how much the service does at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tunewright.core.errors import TunewrightError

NONE_IS_FINE = ("waiting_requests", "drain_seconds", "requests_per_second", "rows_per_second")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how much the service does at once.

    body_bytes : longest request body
    batch_rows : most inputs of one request
    text_characters : longest text
    top_candidates : most candidates per answer
    timeout_seconds : from the first byte of a request to its answer
    threads : requests that are predicted at once; each prediction may use several cores by itself
    waiting_requests : requests that may wait for one of those threads; more are refused at once
    slice_rows, slice_characters : work that is done between two looks at the clock
    explain_pieces : most pieces of a text that is explained
    explain_characters : most characters that all variants of it may have
    drain_seconds : how long /readyz says 503 on SIGTERM before new connections are refused
    connections : open at once
    head_bytes, head_seconds : of a request before its body
    url_bytes : longest address
    write_seconds : how long a client may take nothing of an answer
    bodies_bytes : all bodies together that are held at once
    requests_per_second, rows_per_second : of one caller; 0 = no limit
    """

    body_bytes: int = 8 * 2**20
    batch_rows: int = 1024
    text_characters: int = 100_000
    top_candidates: int = 100
    timeout_seconds: float = 30.0
    threads: int = 2
    waiting_requests: int = 64
    slice_rows: int = 256
    slice_characters: int = 200_000
    explain_pieces: int = 64
    explain_characters: int = 200_000
    drain_seconds: float = 1.0
    connections: int = 1000
    head_bytes: int = 32 * 2**10
    head_seconds: float = 10.0
    url_bytes: int = 4096
    write_seconds: float = 30.0
    bodies_bytes: int = 256 * 2**20
    requests_per_second: float = 0.0
    rows_per_second: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), 0 if one.name in NONE_IS_FINE else 1
            if value < least and not (one.name.endswith("_seconds") and value > 0):
                raise TunewrightError(f"the limit {one.name} = {value} is too small", f"set it to {least} or more")
