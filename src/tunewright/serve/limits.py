"""Limits: what one request may ask for, and how much the service does at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tunewright.core.errors import TunewrightError
from tunewright.runtime.threads import available

NONE_IS_FINE = ("waiting_requests", "drain_seconds", "batch_wait_ms", "requests_per_second", "rows_per_second")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how much the service does at once.

    body_bytes : longest request body
    batch_rows : most inputs of one request
    text_characters : longest text
    top_candidates : most candidates per answer
    timeout_seconds : from the first byte of a request to its answer
    threads : passes that are computed at once; they share the processors
    batch_cost : what a pass takes of all that waits, in tokens before padding, a row of each request in turn
    batch_wait_ms : how long a pass waits for more, where several requests shared the one before
    waiting_rows, waiting_characters : inputs that may wait for a pass, and their lengths together; more are refused
    waiting_requests : explanations and long bodies that may wait for a thread; more are refused
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
    batch_cost: int = 256
    batch_wait_ms: float = 2.0
    waiting_rows: int = 4096
    waiting_characters: int = 2_000_000
    waiting_requests: int = 64
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

    def pass_threads(self, processes: int = 1) -> int:
        """Threads of one pass of an encoder: passes side by side, each by a part of the processors, do more than one
        pass by all of them.

        processes : of this service that share the processors
        """
        return max(1, available() // (self.threads * processes))
