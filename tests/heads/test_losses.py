"""The losses against torch's own, and against their formulas."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tunewright.heads.classify import ClassifyHead
from tunewright.heads.multilabel import MultilabelHead
from tunewright.heads.regress import RegressHead
from tunewright.kinds.regress import Regress

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]])


def test_classify_is_softmax_cross_entropy() -> None:
    truth = torch.tensor([0, 2])
    found = ClassifyHead.loss(LOGITS, truth)
    torch.testing.assert_close(found.mean(), functional.cross_entropy(LOGITS, truth))
    expected = np.log(np.exp(LOGITS.numpy()).sum(1)) - LOGITS.numpy()[[0, 1], [0, 2]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_multilabel_is_the_sum_of_binary_cross_entropies() -> None:
    truth = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.uint8)
    found = MultilabelHead.loss(LOGITS, truth)
    own = functional.binary_cross_entropy_with_logits(LOGITS, truth.float(), reduction="sum")
    torch.testing.assert_close(found.sum(), own)
    proba = 1 / (1 + np.exp(-LOGITS.numpy()))
    expected = -np.where(truth.numpy() > 0, np.log(proba), np.log(1 - proba)).sum(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_regress_is_the_squared_error_in_units_of_the_spread() -> None:
    head = RegressHead(4, Regress(mean=10.0, scale=2.0), "mean")
    truth = torch.tensor([10.0, 14.0], dtype=torch.float64)
    found = head.loss(torch.tensor([[0.5], [0.5]]), truth)
    torch.testing.assert_close(found, torch.tensor([0.25, 2.25]))
    torch.testing.assert_close(found.mean(), functional.mse_loss(torch.tensor([11.0, 11.0]), truth.float()) / 4)
