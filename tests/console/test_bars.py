"""What the terminal shows of a training: loss, metric so far, speed and time left, on bars and without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.progress import Progress

from tunewright.console import bars as console
from tunewright.console.bars import _Bars

TRAIN = {"loss": 0.5, "metric": "accuracy", "best": 0.875, "cost_per_second": 12_345, "unit": "tokens"}


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bars of a terminal, which are not drawn; ``shown()`` gives their texts."""
    progress = Progress()
    listener = _Bars(progress)
    monkeypatch.setattr(console, "_line", lambda record: None)

    def told(stage: str, share: float, seconds: float, **facts: Any) -> None:
        listener({"event": "progress", "stage": stage, "share": share, "seconds": seconds, **facts})

    def shown() -> list[tuple[str, str, str]]:
        return [(one.description, one.fields["detail"], one.fields["left"]) for one in progress.tasks]

    return SimpleNamespace(told=told, shown=shown, listener=listener)


@pytest.mark.parametrize("stage", ["train", "trial 3: train"])
def test_a_training_shows_loss_metric_speed_and_time_left(bars: Any, stage: str) -> None:
    bars.told(stage, 0.25, 10.0, **TRAIN, left_seconds=75.4)
    assert bars.shown() == [(stage, "loss 0.500  accuracy 0.8750  12,345 tokens/s", "1:15 left")]


def test_the_time_left_is_that_of_the_training_and_not_of_the_bar(bars: Any) -> None:
    for share, left in ((0.9, 600.0), (0.95, 4_000.0)):
        bars.told("train", share, 10.0 + share, **TRAIN, left_seconds=left)
    assert bars.shown()[0][2] == "1:06:40 left"


def test_other_stages_show_their_share_and_the_time_at_the_speed_so_far(bars: Any) -> None:
    bars.told("embed", 0.2, 10.0)
    assert bars.shown() == [("embed", "20%", "")]
    bars.told("embed", 0.4, 20.0)
    assert bars.shown() == [("embed", "40%", "0:30 left")]


def test_a_line_clears_the_bars(bars: Any) -> None:
    bars.told("embed", 0.2, 10.0)
    bars.listener({"event": "epoch", "seconds": 11.0, "say": "epoch 1"})
    assert bars.shown() == []
    bars.told("train", 0.5, 12.0, loss=1.0)
    assert bars.shown() == [("train", "loss 1.000", "")]


def test_audits_show_which_one_is_under_way(bars: Any) -> None:
    bars.told("audits", 0.5, 10.0, now="robustness")
    assert bars.shown() == [("audits", "50%  robustness", "")]
