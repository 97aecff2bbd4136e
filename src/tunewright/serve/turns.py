"""A turn: rows of several requests, answered together where their bundles stand on one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from tunewright.core.errors import TunewrightError
from tunewright.runtime.inputs import as_columns
from tunewright.runtime.together import Pass, Question
from tunewright.serve.lanes import Answers, Piece

Found = Answers | Exception


def answered(pieces: Sequence[Piece]) -> tuple[list[Found], int | None]:
    """The answers of each piece, or why there are none; and what they cost, where it is known.

    What fails together is asked one by one, so that a request is never refused for a row of another one.
    """
    try:
        return _together(pieces)
    except Exception as error:
        if len(pieces) == 1:
            return [error], None
        return [found for piece in pieces for found in answered([piece])[0]], None


def _together(pieces: Sequence[Piece]) -> tuple[list[Found], int | None]:
    groups: dict[object, list[int]] = {}
    for at, piece in enumerate(pieces):
        groups.setdefault(piece.job.question, []).append(at)
    rows = [[row for at in places for row in pieces[at].rows] for places in groups.values()]
    found, cost = _asked([pieces[places[0]] for places in groups.values()], rows)
    out: list[Found] = [{} for _ in pieces]
    for places, answers in zip(groups.values(), found, strict=True):
        cuts = accumulate((pieces[at].last - pieces[at].first for at in places), initial=0)
        for at, (first, last) in zip(places, pairwise(cuts), strict=True):
            out[at] = {target: values[first:last] for target, values in answers.items()}
    return out, cost


def _asked(samples: Sequence[Piece], rows: Sequence[Sequence[object]]) -> tuple[list[Answers], int | None]:
    """What each group's bundle answers; ``samples`` are pieces of the groups."""
    jobs = [piece.job for piece in samples]
    if not hasattr(jobs[0].predictor, "encoder"):
        told = zip(jobs, rows, strict=True)
        return [job.predictor.answers(own, job.top, job.targets, job.error) for job, own in told], None
    questions = [
        Question(job.predictor, as_columns(own, list(job.predictor.manifest.inputs)), job.top, job.targets, job.error)  # type: ignore[arg-type]
        for job, own in zip(jobs, rows, strict=True)
    ]
    one = Pass(questions)
    return list(one.answers()), one.cost


def counted(error: Exception, piece: Piece) -> Exception:
    """An error that counts rows from the start of a piece, as the request can read it."""
    if not isinstance(error, TunewrightError) or not piece.first:
        return error
    return TunewrightError(f"(counted from input {piece.first}) {error.problem}", error.remedy)
