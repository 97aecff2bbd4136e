"""What was broken on purpose is caught by the right audit, and a sound model raises no alarm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunewright.audit import alarms, audit
from tunewright.audit._alarms import ALARMS

sys.path.append(str(Path(__file__).resolve().parents[1]))

from faulty.faults import FAULTS, Fault
from faulty.world import World, judged, world

AUDITS = {one.audit for one in ALARMS}


@pytest.fixture(scope="module")
def drawn() -> World:
    return world(100)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_caught_by_the_right_audit(fault: Fault, drawn: World) -> None:
    assert fault.sure in fault.sizes
    found = audit(fault.plant(drawn, fault.sure), only=[fault.audit])
    assert fault.metric in [one.finding.metric for one in alarms(found)]


@pytest.mark.parametrize("seed", [100, 101])
def test_a_sound_model_raises_none(seed: int) -> None:
    found = audit(judged(world(seed)), only=AUDITS)
    assert {one.audit for one in found if one.value is not None} == AUDITS
    assert alarms(found) == []


def test_there_are_at_least_twelve_faults_and_each_is_a_default_alarm() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12
    assert {(fault.audit, fault.metric) for fault in FAULTS} <= {(one.audit, one.metric) for one in ALARMS}
    assert all(list(fault.sizes) == sorted(fault.sizes) for fault in FAULTS)


def test_a_larger_fault_holds_the_smaller_one(drawn: World) -> None:
    garbled = next(fault for fault in FAULTS if fault.name == "a weak slice")
    small, large = (garbled.plant(drawn, size).inputs["text"] for size in (0.1, 0.4))
    changed = [{row for row, text in enumerate(texts) if "xx" in text.split()} for texts in (small, large)]
    assert 0 < len(changed[0]) < len(changed[1])
    assert changed[0] < changed[1]
