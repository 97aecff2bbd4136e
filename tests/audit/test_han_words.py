"""Words of Chinese texts: those of the sample rows, and pieces that are no words."""

from __future__ import annotations

import csv
from random import Random

from tunewright import samples
from tunewright.audit._han_words import LEFT_OUT, han_words


def sample() -> list[str]:
    texts = []
    for part in ("train", "test"):
        with samples.path(f"support_zh_{part}.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return texts


def made(n: int = 400) -> list[str]:
    """Sentences of known words, each between others that change."""
    draw = Random(0)
    words = ["房间", "酒店", "电视机", "早餐", "前台", "交通", "窗户", "浴室", "停车场", "地毯"]
    between = ["很", "的", "比", "和", "在", "了", "新", "旧", "大", "小"]
    return ["".join(draw.choice(words) + draw.choice(between) for _ in range(4)) for _ in range(n)]


def test_words_are_found_and_pieces_of_words_are_not() -> None:
    found = han_words(made(), 100)
    assert set(found) == {"房间", "酒店", "电视机", "早餐", "前台", "交通", "窗户", "浴室", "停车场", "地毯"}
    assert not {"电视", "视机", "停车", "房间很", "的酒"} & set(found)


def test_the_most_frequent_come_first_and_no_more_than_asked() -> None:
    texts = [*made(), *["酒店好", "酒店旧", "看酒店", "住酒店", "离酒店"] * 6]
    assert han_words(texts, 3)[0] == "酒店"
    assert len(han_words(texts, 3)) == 3
    assert han_words(texts, 50) == han_words(list(texts), 50)


def test_the_sample_rows_have_words() -> None:
    found = han_words(sample(), 1000)
    assert {"订单", "退款"} <= set(found)
    assert all(2 <= len(word) <= 3 and not LEFT_OUT & set(word) for word in found)


def test_words_that_turn_the_meaning_or_count_are_left_out_and_other_scripts_have_none() -> None:
    texts = ["".join(one) for one in zip(made(), ["不满意", "满意三楼"] * 200, made(), strict=True)]
    found = han_words(texts, 100)
    assert "满意" in found
    assert not [word for word in found if "不" in word or "三" in word]
    assert han_words(["where is my order", "где мой заказ"] * 20, 100) == []
    assert han_words([], 100) == []
