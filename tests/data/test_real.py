"""The real data sets are read as they are, with their traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.core.sections import Data
from tunewright.core.task import Task
from tunewright.data.check import check, leaked_rows
from tunewright.data.dataset import read
from tunewright.data.language import dominant
from tunewright.data.rows import columns_of, rows_of
from tunewright.data.split import split

NAMELESS: dict[str, Any] = {"header": False, "columns": ("text", "label")}
LABEL_FIRST: dict[str, Any] = {"header": False, "columns": ("label", "text"), "separator": " "}

SETS: list[tuple[str, dict[str, Any], int, str, dict[str, int] | None]] = [
    ("banking77/train.csv", {}, 10_003, "utf-8", None),
    ("banking77/test.csv", {}, 3_080, "utf-8", None),
    (
        "fin_phrasebank/Sentences_50Agree.txt",
        {**NAMELESS, "separator": "@"},
        4_846,
        "utf-8 with BOM",
        {"neutral": 2_879, "positive": 1_363, "negative": 604},
    ),
    ("gold_news/gold-dataset-sinha-khandait.csv", {}, 10_570, "utf-8", None),
    ("headlines_2020/guardian_headlines.csv", {}, 17_800, "cp1252", None),
    ("headlines_2020/cnbc_headlines.csv", {}, 2_436, "cp1252", None),
    ("headlines_2020/reuters_headlines.csv", {}, 499, "cp1252", None),
    ("thucnews/dev.txt", NAMELESS, 10_000, "utf-8", {str(at): 1_000 for at in range(10)}),
    ("waimai_10k/waimai_10k.csv", {}, 11_987, "utf-8", {"0": 7_987, "1": 4_000}),
    ("sst_trec/stsa.binary.train", LABEL_FIRST, 6_920, "utf-8", {"1": 3_610, "0": 3_310}),
    ("sst_trec/TREC.train.all", LABEL_FIRST, 5_452, "cp1252", None),
    ("uci_sentences/imdb_labelled.txt", NAMELESS, 1_000, "utf-8", {"0": 500, "1": 500}),
    ("uci_sentences/yelp_labelled.txt", NAMELESS, 1_000, "utf-8", {"0": 500, "1": 500}),
    ("uci_sentences/amazon_cells_labelled.txt", NAMELESS, 1_000, "utf-8", {"0": 500, "1": 500}),
    ("fincuge/finfe/train_list.json", NAMELESS, 16_157, "utf-8", None),
    ("fincuge/finnl/train_list.json", NAMELESS, 7_071, "utf-8", None),
    ("20news_6groups_sample/20news-bydate-train", {}, 720, "utf-8 (719 files), cp1252 (1 files)", None),
    ("ag_news/test.csv", {"header": False, "columns": ("label", "title", "text")}, 7_600, "utf-8", None),
    ("bank_faqs/BankFAQs.csv", {}, 1_764, "utf-8", None),
    ("stsb/stsbenchmark.tsv.gz", {}, 8_628, "utf-8", None),
    ("twitter_fin_sent/train.csv", {}, 9_543, "utf-8", None),
    ("zh_pairs/ATEC/atec_nlp_sim_train.csv", {"header": False}, 39_346, "utf-8 with BOM", None),
    ("adult_german/adults.parquet", {}, 48_842, "", None),
]


@pytest.mark.parametrize(("name", "options", "count", "encoding", "labels"), SETS, ids=[one[0] for one in SETS])
def test_read(
    data_folder: Path, name: str, options: dict[str, Any], count: int, encoding: str, labels: dict[str, int] | None
) -> None:
    data = read(data_folder / name, Data.model_validate(options))
    assert len(data) == count
    assert data.encoding == encoding
    if labels is not None:
        assert dict(data.frame["label"].value_counts().iter_rows()) == labels


def at_line(path: Path, line: int, encoding: str = "utf-8") -> str:
    return path.read_bytes().decode(encoding).split("\n")[line - 1]


def test_places_are_lines_of_the_file(data_folder: Path) -> None:
    """Texts of Banking77 span lines, so a row's number says nothing about its line."""
    path = data_folder / "banking77" / "train.csv"
    data = read(path)
    for row in (0, 5_000, 10_002):
        line = int(data.place(row).rpartition(" ")[2])
        start = data.values("text")[row].split("\n")[0].strip()
        assert start[:30].replace('"', '""') in at_line(path, line)
    assert data.place(10_002).endswith("line 10017")


def test_stray_quotes_stay(data_folder: Path) -> None:
    data = read(data_folder / "uci_sentences" / "amazon_cells_labelled.txt", Data.model_validate(NAMELESS))
    assert sum(text.count('"') for text in data.values("text")) == 19


def test_windows_characters_are_right(data_folder: Path) -> None:
    data = read(data_folder / "headlines_2020" / "guardian_headlines.csv")
    assert data.values("Headlines")[1].startswith("‘I now fear the worst’:")
    trec = read(data_folder / "sst_trec" / "TREC.train.all", Data.model_validate(LABEL_FIRST))
    assert sum("sisterðcity" in text for text in trec.values("text")) == 1


def task(text: str, label: str, kind: str = "classify", **more: Any) -> Task:
    return Task.model_validate({"inputs": {text: "text"}, "targets": [{"column": label, "kind": kind}], **more})


def test_banking77_leaks_a_few_texts(data_folder: Path) -> None:
    wanted = task("text", "category")
    folder = data_folder / "banking77"
    train, test = (
        rows_of(read(folder / f"{part}.csv", columns=columns_of(wanted)), wanted) for part in ("train", "test")
    )
    issues = {issue.name: issue for issue in check(train, test, None, wanted)}
    assert "stop" not in {issue.level for issue in issues.values()}
    assert 0 < issues["leaked"].count < 20
    assert int(leaked_rows(train, test).sum()) == issues["leaked"].count
    train_texts = {" ".join(text.split()) for text in train.inputs["text"]}
    for at in leaked_rows(train, test).nonzero()[0].tolist():
        assert " ".join(test.inputs["text"][at].split()) in train_texts


def test_waimai_contradicts_itself(data_folder: Path) -> None:
    wanted = task("review", "label")
    train = rows_of(read(data_folder / "waimai_10k" / "waimai_10k.csv"), wanted)
    issues = {issue.name: issue for issue in check(train, None, None, wanted)}
    assert (issues["contradictory"].level, issues["contradictory"].count) == ("warn", 14)
    assert dominant(train.inputs["review"]) == "zh"


def test_an_empty_review_stops_or_is_dropped(data_folder: Path) -> None:
    data = read(data_folder / "chnsenticorp_htl" / "ChnSentiCorp_htl_all.csv")
    (stop,) = check(rows_of(data, task("review", "label")), None, None, task("review", "label"))
    assert (stop.name, stop.place.rpartition("/")[2]) == ("empty_input", "ChnSentiCorp_htl_all.csv line 6376")
    wanted = task("review", "label", data={"drop_empty": True})
    assert len(rows_of(data, wanted)) == 7_765


def test_padding_is_dropped(data_folder: Path) -> None:
    wanted = task("Headlines", "Time", data={"drop_empty": True})
    kept = rows_of(read(data_folder / "headlines_2020" / "guardian_headlines.csv"), wanted)
    assert (len(kept), kept.dropped) == (499, 17_301)


def test_gold_news_is_cut_by_time(data_folder: Path) -> None:
    wanted = task("News", "Price Sentiment", split={"by": "time", "column": "Dates"})
    gold = rows_of(
        read(data_folder / "gold_news" / "gold-dataset-sinha-khandait.csv", columns=columns_of(wanted)), wanted
    )
    assert gold.times is not None
    rest, part = split(gold, 0.2, wanted.split, 0, wanted.targets)
    assert len(part) == 2_114
    assert max(gold.times[at] for at in rest) <= min(gold.times[at] for at in part)


def test_several_labels_in_one_cell(data_folder: Path) -> None:
    data = read(data_folder / "fincuge" / "finnl" / "train_list.json", Data.model_validate(NAMELESS))
    target = {"column": "label", "kind": "multilabel", "separator": " "}
    wanted = Task.model_validate({"inputs": {"text": "text"}, "targets": [target]})
    labels = rows_of(data, wanted).targets["label"]
    assert labels[0] == ["外国", "公司"]


def test_folders(data_folder: Path) -> None:
    data = read(data_folder / "20news_6groups_sample" / "20news-bydate-train")
    assert data.frame["label"].n_unique() == 6
    assert Path(data.place(0)).is_file()
