"""The predict routes: of one bundle, and of several bundles at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import islice
from typing import Any

from fastapi import Request, Response

from tunewright.monitor.events import Event
from tunewright.serve import requests
from tunewright.serve.access.guard import charge
from tunewright.serve.answers import encode, encode_of_several, predictions
from tunewright.serve.lanes import Job
from tunewright.serve.pool import Clock
from tunewright.serve.registry import Registry, Served
from tunewright.serve.requests import Query
from tunewright.serve.service import Service, same_site

log = logging.getLogger("tunewright.serve")

SHORT_BODY = 2**16
"""Bytes of a body that is parsed in the event loop, in some tenths of a millisecond; longer ones are in a thread."""


@dataclass(frozen=True)
class Endpoint:
    """The predict routes."""

    registry: Registry
    service: Service

    async def named(self, request: Request) -> Response:
        """Answer texts (or records by column), one prediction per input and target, in input order."""
        return await self._of_one(request, self.registry.find(request.path_params["bundle"]))

    async def first(self, request: Request) -> Response:
        """The same of the first bundle."""
        return await self._of_one(request, self.registry.first)

    async def _of_one(self, request: Request, served: Served) -> Response:
        inputs, targets = served.predictor.manifest.inputs, tuple(served.writers)
        query, clock = await self._read(
            request, lambda body: requests.parse(body, inputs, self.service.limits, targets), served.name
        )
        job = job_of(served, query)

        def finish() -> bytes:
            found = [one for answers in job.whole() for one in predictions(answers, served.writers)]
            self.service.metrics.count_personal({served.name: query.rows})
            self._tell(served, query, found)
            return encode(found, served.digest)

        return await self._answered(request, [job], clock, finish)

    async def several(self, request: Request) -> Response:
        """Answer the same inputs by several bundles; those on one encoder share its pass."""
        known, limits = self.registry.served, self.service.limits
        many, clock = await self._read(request, lambda body: requests.parse_many(body, known, limits), None)
        jobs = [job_of(known[name], query) for name, query in many.items()]

        def finish() -> bytes:
            found = {name: self._of_rows(known[name], job) for name, job in zip(many, jobs, strict=True)}
            self.service.metrics.count_personal({name: query.rows for name, query in many.items()})
            for name, query in many.items():
                self._tell(known[name], query, [one for row in found[name] for one in row])
            rows = zip(*found.values(), strict=True)
            named = [
                {**one, "bundle": name} for row in rows for name, own in zip(many, row, strict=True) for one in own
            ]
            return encode_of_several(named, {name: known[name].digest for name in many})

        return await self._answered(request, jobs, clock, finish)

    async def _read(self, request: Request, parse: Any, bundle: str | None) -> tuple[Any, Clock]:
        """What the body asks, parsed where it does not hold up the others."""
        clock = Clock(self.service.limits.timeout_seconds)
        request.state.bundle = bundle
        same_site(request)
        self.service.batching.check()
        body = await requests.read_body(request, self.service.limits)
        if len(body) <= SHORT_BODY:
            return parse(body), clock
        return await self.service.pool.run(lambda: parse(body), clock), clock

    async def _answered(self, request: Request, jobs: Sequence[Job], clock: Clock, finish: Any) -> Response:
        request.state.rows = len(jobs[0].rows)
        charge(request.state, sum(len(job.rows) for job in jobs))
        body = await self.service.batching.answer(jobs, clock, finish, lambda: _left(request))
        return Response(body, media_type="application/json")

    def _of_rows(self, served: Served, job: Job) -> list[list[dict[str, Any]]]:
        """Predictions, a list per row."""
        found = [one for answers in job.whole() for one in predictions(answers, served.writers)]
        each = len(served.writers)
        return [found[at : at + each] for at in range(0, len(found), each)]

    def _tell(self, served: Served, query: Query, found: Sequence[Mapping[str, Any]]) -> None:
        """Count the predictions, and hand them to the sink of events."""
        service = self.service
        service.metrics.rows.labels(served.name).observe(len(query.rows))
        service.metrics.count_reviews(served.name, found)
        if service.sink is None:
            return
        try:
            service.sink.emit(list(_events(query.rows, found, served.digest)))
        except Exception as error:  # a lost event must not cost the client its answer
            service.metrics.sink_failures.inc()
            log.error("the event sink failed", exc_info=error)


def job_of(served: Served, query: Query) -> Job:
    """What a request asks of one bundle."""
    targets = None if query.targets is None else tuple(query.targets)
    return Job(served.predictor, query.rows, query.top, targets, query.error)


async def _left(request: Request) -> None:
    """Ends when the caller has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _events(rows: Sequence[Any], found: Sequence[Mapping[str, Any]], digest: str) -> Iterator[Event]:
    now, targets = time.time(), len(found) // max(len(rows), 1)
    for at, one in enumerate(found):
        answer = {name: _plain(value) for name, value in islice(one.items(), 2, None)}
        yield Event(one["id"], now, digest, one["target"], answer, rows[at // targets])


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
