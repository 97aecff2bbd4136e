"""Faults that are planted on purpose: their sizes from small to large, and the audit that has to catch each of them.

The limits that catch them are the default alarms of ``audit/_alarms.py``. Sizes and limits are set before it is
measured what is caught; ``benchmarks/broken.py`` measures, ``audit/test_broken.py`` holds it at ``sure``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faulty import ways
from faulty.world import World
from tunewright.audit import Context


@dataclass(frozen=True)
class Fault:
    """One way of being broken.

    sizes : from small to large; ``of`` says what they count
    sure : a size that is caught in nearly every draw
    audit, metric : the alarm that has to be raised
    plant : draw, size → what audits get
    """

    name: str
    of: str
    sizes: tuple[float, ...]
    sure: float
    audit: str
    metric: str
    plant: Callable[[World, Any], Context]


SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
WIDE = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
LESS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
COUNTS = (10, 20, 40, 80, 160, 400)
FEW = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03)
LOGITS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)

FAULTS = (
    Fault("leaked test rows", "share of judged rows", SHARES, 0.1, "leakage", "near_twins", ways.leaked),
    Fault("near-duplicates between parts", "share of judged rows", SHARES, 0.1, "leakage", "near_twins", ways.twins),
    Fault("two labels swapped", "judged rows", COUNTS, 400, "confusion", "largest_confusion", ways.swapped),
    Fault("shuffled export", "judged rows", COUNTS, 400, "accuracy", "accuracy", ways.shuffled),
    Fault("a group mislabelled", "share of the group", LESS, 0.4, "fairness", "group_gap", ways.mislabelled),
    Fault(
        "a class dropped from training",
        "share of its rows",
        (0.5, 0.8, 0.9, 0.95, 0.98, 1.0),
        1.0,
        "classes",
        "worst_class.recall",
        ways.dropped,
    ),
    Fault(
        "a miscalibrated head",
        "factor of the logits",
        (1.25, 1.5, 2.0, 2.5, 3.0, 5.0),
        5.0,
        "calibration",
        "ece",
        ways.miscalibrated,
    ),
    Fault("a typo-fragile head", "logits per unknown word", LOGITS, 5.0, "robustness", "typo.drop", ways.fragile),
    Fault("personal data in rows", "share of rows", FEW, 0.02, "pii", "unmasked", ways.personal),
    Fault("a memorising model", "share of training rows", WIDE, 0.8, "membership", "membership_auc", ways.by_heart),
    Fault("an id that tells the label", "share of ids in order", WIDE, 0.6, "leakage", "id_lead", ways.numbered),
    Fault("labels named in the texts", "share of rows", WIDE, 0.6, "leakage", "label_names", ways.named),
    Fault("a weak slice", "share of one source", LESS, 0.6, "slices", "weak_slices", ways.garbled),
    Fault(
        "a prejudiced model",
        "logits per identity term",
        LOGITS,
        5.0,
        "counterfactual",
        "counterfactual.changed",
        ways.prejudiced,
    ),
)
