"""Times as they are written in files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.data.dataset import read
from tunewright.data.times import times_of


@pytest.mark.parametrize(
    ("cells", "second"),
    [
        (["2020-01-31", "2020-02-01"], "2020-02-01"),
        (["31-01-2020", "1/2/2020"], "2020-02-01"),
        (["1/31/2020", "2/1/2020"], "2020-02-01"),
        (["18-Jul-20", "19-Jul-20"], "2020-07-19"),
        (["Jul 18 2020", "Jul 19 2020"], "2020-07-19"),
        (["2020-01-01T10:00:00", "2020-01-01T12:00:00+02:00"], "2020-01-01T10:00:00"),
        ([datetime(2020, 1, 1), datetime(2020, 1, 2)], "2020-01-02"),
        ([datetime(2020, 1, 1).date(), datetime(2020, 1, 2).date()], "2020-01-02"),
    ],
)
def test_times(cells: list[Any], second: str) -> None:
    found = times_of(read({"when": cells}), "when")
    assert found[1] == datetime.fromisoformat(second).replace(tzinfo=UTC).timestamp()


def test_numbers_are_seconds() -> None:
    assert times_of(read({"when": [3, 4]}), "when") == [3.0, 4.0]
    assert times_of(read({"when": ["3.5", " 4"]}), "when") == [3.5, 4.0]


@pytest.mark.parametrize("cell", ["soon", None, float("nan")])
def test_no_time(cell: Any) -> None:
    with pytest.raises(TunewrightError, match=r"the frame row 0: when is .*, no time → write times as 2026-11-30"):
        times_of(read({"when": [cell]}), "when")
