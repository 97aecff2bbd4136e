"""Bad input: what each sort of it is answered with – place, remedy, exit code – and that the remedy helps."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

import tunewright
from tunewright import samples
from tunewright.core.bundle import digest_of
from tunewright.core.run import start
from tunewright.serve.http import application

pytestmark = pytest.mark.usefixtures("traced_once")

COLUMNS = ("--text", "text", "--label", "intent")
TRAIN = samples.path("support_train.csv")
Rows = Sequence[Sequence[str]]


@pytest.fixture
def fit(cli: Callable[..., Any], tiny_backbone: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs ``fit`` on a file with the tiny backbone; ``--out`` is ``tmp_path/out``."""

    def run(rows: object, *words: object) -> Any:
        settings = ("--backbone", tiny_backbone, "--method", "probe", "--out", tmp_path / "out", "--quiet")
        return cli("fit", rows, *COLUMNS, *settings, *words)

    return run


@pytest.fixture
def check(cli: Callable[..., Any], tiny_backbone: Path) -> Callable[..., Any]:
    def run(rows: object, *words: object) -> Any:
        return cli("check", rows, *COLUMNS, "--set", f"fit.backbone={tiny_backbone}", *words)

    return run


class Ran(NamedTuple):
    """Exit code and standard error of a command."""

    code: int
    err: str


def written(path: Path, extra: Rows, rows: Rows | None = None) -> Path:
    """A csv file: the sample rows (or ``rows``) and then ``extra``."""
    with TRAIN.open(encoding="utf-8", newline="") as file:
        own = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*(own if rows is None else rows), *extra])
    return path


def refused(ran: Any, problem: str, remedy: str, code: int = 2) -> None:
    """The command said a problem and one remedy, nothing else, and ended with the code."""
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    lines = [line for line in ran.err.splitlines() if not line.startswith(("setting", "note"))]
    said, then = (" ".join(line.split()) for line in lines[-2:])
    assert re.search(problem, said), said
    assert re.search(remedy, then), then
    assert said.startswith("tunewright: ")
    assert then.startswith("→ ")


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_file_is_named_with_its_neighbour(fit: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copy(TRAIN, tmp_path / "support.csv")
    refused(fit(tmp_path / "suport.csv"), r"suport\.csv: there is no such file", r"did you mean 'support\.csv'\?")
    refused(fit(tmp_path / "xyz.csv"), r"xyz\.csv: there is no such file", "check the path")
    refused(fit(tmp_path / "none" / "a.csv"), "no such file", "there is no folder .*none either")
    assert not (tmp_path / "out").exists()


def test_a_wrong_column_is_named_with_the_nearest(cli: Callable[..., Any], tmp_path: Path) -> None:
    ran = cli("fit", TRAIN, "--text", "txet", "--label", "intent", "--out", tmp_path / "out", "--quiet")
    refused(ran, r"support_train\.csv: there is no column 'txet'; its columns are: text, intent", "mean 'text'")
    ran = cli("check", TRAIN, "--text", "text", "--label", "intents")
    refused(ran, r"support_train\.csv: there is no column 'intents'", "mean 'intent'")
    refused(cli("check", TRAIN, "--label", "intent"), "no input column is named", "--text COLUMN")
    refused(cli("check", TRAIN, "--text", "text"), "no label column is named", "--label COLUMN")
    refused(cli("check", "--text", "text", "--label", "intent"), "no training rows are named", "name a file")
    refused(cli("check", TRAIN, "--text", "text", "--label", "text"), "'text' is input and label", "name two columns")


def test_an_empty_file_and_a_header_without_rows_stop(fit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    refused(fit(tmp_path / "empty.csv"), r"empty\.csv: the file is empty", "name a file with a header line and rows")
    header = written(tmp_path / "header.csv", [], [["text", "intent"]])
    refused(fit(header), r"header\.csv: there are no rows \(training part\)", "name a file with rows below its header")
    refused(fit(TRAIN, "--test", header), r"header\.csv: there are no rows \(test part\)", "name a file with rows")


def test_a_single_class_stops(fit: Callable[..., Any], tmp_path: Path) -> None:
    one = written(tmp_path / "one.csv", [[f"row {at}", "only"] for at in range(20)], [["text", "intent"]])
    refused(fit(one), r"one\.csv: intent has a single label in training: 'only'", "add rows with other labels")


def test_spelling_single_rows_and_nan_are_told_with_the_flags_that_mend_them(
    check: Callable[..., Any], fit: Callable[..., Any], tmp_path: Path
) -> None:
    extra = [
        *(["my parcel is late " * at, "order_status "] for at in range(1, 4)),
        *(["is the parcel here " * at, "Order_Status"] for at in range(1, 3)),
        ["a unicorn ordered this", "unicorn"],
        ["no label here", "NaN"],
        ["nor here", ""],
    ]
    rows = written(tmp_path / "rows.csv", extra)
    refused(check(rows), r"rows\.csv line 248: intent is empty or NaN \(2 such rows\)", "fill it, or pass --drop-empty")
    assert fit(rows).code == 2

    told = check(rows, "--drop-empty", "--json")
    assert told.code == 0
    issues = {issue["name"]: issue for issue in json.loads(told.out)}
    assert issues["single_row_class"]["place"] == f"{rows} line 247"
    assert "'unicorn' has a single training row" in issues["single_row_class"]["problem"]
    assert issues["dropped"]["count"] == 2
    spelling = issues["label_spelling"]
    assert spelling["place"] == f"{rows} line 245"  # of the rarest spelling
    assert "'order_status' and 'order_status ' and 'Order_Status'" in spelling["problem"]

    merge = re.search(r"--set '(.+)'$", spelling["remedy"])
    assert merge is not None
    mended = check(rows, "--drop-empty", "--set", merge[1], "--json")
    assert "label_spelling" not in {issue["name"] for issue in json.loads(mended.out)}

    ran = fit(rows, "--drop-empty", "--set", merge[1])
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    labels = tunewright.load(tmp_path / "out").manifest.targets[0]["labels"]
    assert len(labels) == 9
    assert {"order_status", "unicorn"} < set(labels)


def test_a_huge_cell_stops_with_its_line(fit: Callable[..., Any], tmp_path: Path) -> None:
    rows = written(tmp_path / "rows.csv", [["word " * 2_097_152, "order_status"]])
    refused(fit(rows), r"rows\.csv line 242: text has 10,485,760 characters, more than 1,000,000", "shorten it")


def test_a_binary_file_named_csv_stops(fit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 40)
    refused(fit(tmp_path / "binary.csv"), r"binary\.csv: this is no text file: NUL at byte 0", "name a text file")
    (tmp_path / "sheet.csv").write_bytes(b"PAR1" + b"\x15\x04" * 100)
    refused(fit(tmp_path / "sheet.csv"), r"sheet\.csv: this is no text file but parquet", "--set data.format=parquet")


def test_mixed_encodings_stop_with_line_and_byte(
    fit: Callable[..., Any], check: Callable[..., Any], tmp_path: Path
) -> None:
    latin = "ein schöner Tag,order_status\n".encode("latin-1")
    content = TRAIN.read_bytes() + "un café,order_status\n".encode() + latin
    (tmp_path / "mixed.csv").write_bytes(content)
    byte = len(content) - len(latin) + latin.index(b"\xf6")
    ran = fit(tmp_path / "mixed.csv")
    refused(ran, rf"mixed\.csv line 243, byte {byte}: mixed encodings", r"convert .* --set data\.encoding=cp1252")
    assert check(tmp_path / "mixed.csv", "--set", "data.encoding=cp1252").code == 0


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_out_that_cannot_be_written_is_refused(fit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(
        fit(TRAIN, "--out", tmp_path / "file" / "out"), r"file: cannot be written: Not a directory", "another --out"
    )
    refused(fit(TRAIN, "--out", "/proc/out"), r"/proc: cannot be written", "choose another --out")


def test_an_out_that_exists_is_only_replaced_by_force_and_if_it_is_a_bundle(
    fit: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "out"))
    before = tunewright.load(out).manifest.digest
    refused(fit(TRAIN), rf"{out}: it exists already", "pass --force to replace it, or choose another --out")
    assert tunewright.load(out).manifest.digest == before
    ran = fit(TRAIN, "--force", "--seed", 5)
    assert (ran.code, ran.err) == (0, "")
    assert tunewright.load(out).manifest.digest != before

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    ran = fit(TRAIN, "--out", tmp_path / "mine", "--force")
    refused(ran, "mine: it is not a bundle, so it is not replaced", "choose another --out")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_a_second_run_into_one_out_is_refused(process: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(out, minutes=1):
        ran = process("fit", TRAIN, *COLUMNS, "--out", out, "--quiet")
    refused(ran, rf"{out}: another run \(process {os.getpid()}\) is writing it", "wait for it, or choose another --out")
    assert not out.exists()


@contextmanager
def little_room(most_bytes: int) -> Iterator[None]:
    """No file may grow beyond a size, as on a disk that is full: writing more gives an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("most_bytes", "place"), [(1, r"out\.run"), (60_000, r"out\.run/staged/weights/\w+\.safetensors")]
)
def test_a_full_disk_changes_nothing_and_is_told_with_the_file(
    fit: Callable[..., Any], tiny_bundle: Path, tmp_path: Path, most_bytes: int, place: str
) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "out"))
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with little_room(most_bytes):
        ran = fit(TRAIN, "--force")
    refused(ran, rf"{tmp_path}/{place}: no space left for it \(\d+ MB free\); nothing was changed", "free space")
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "out.run" / "staged").exists()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet", "xlsx"])
def test_a_full_disk_while_answers_are_written_leaves_no_piece_of_them(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "answers").mkdir()
    with little_room(2_000):
        ran = cli("predict", tiny_bundle, TRAIN, "--out", tmp_path / "answers" / f"new.{suffix}")
    refused(ran, rf"new\.{suffix}: cannot be written: .*File too large.*; nothing was changed", "choose another --out")
    assert list((tmp_path / "answers").iterdir()) == []


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (["--set", "fit.minuts=2"], r"the flags: unknown key 'fit\.minuts'", r"mean '(fit\.)?minutes'"),
        (["--set", "fitt.minutes=2"], "unknown key 'fitt'", "mean 'fit'"),
        (["--set", "fit.minutes"], r"--set 'fit\.minutes' is not key=value", r"--set fit\.minutes=2"),
        (["--set", "seed=many"], "seed = 'many': input should be a valid integer", "`tunewright schema`"),
        (["--set", "fit.minutes=0"], r"fit\.minutes = 0: input should be greater than 0", "`tunewright schema`"),
        (["--kind", "clasify"], "there is no kind 'clasify'", "mean 'classify'"),
        (["--method", "prob"], "there is no method 'prob'", "mean 'probe'"),
        (["--set", 'gates.acuracy=">= 0.9"'], r"gates\.acuracy: no audit measures this", "mean 'accuracy'"),
        (["--set", 'gates.accuracy="0.9"'], r"gates\.accuracy = '0\.9' is no limit", 'write for example ">= 0.90"'),
        (["--set", "gates.accuracy=0.9"], r"gates\.accuracy = 0\.9 is no limit", 'write for example ">= 0.90"'),
        (["--task", "none.toml"], r"none\.toml: there is no such file", "check the path of --task"),
    ],
)
def test_a_setting_that_is_not_known_is_told_before_anything_is_done(
    fit: Callable[..., Any], tmp_path: Path, words: list[str], problem: str, remedy: str
) -> None:
    refused(fit(TRAIN, *words), problem, remedy)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_in_a_task_file_names_the_file(fit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('[fit]\nbakbone = "x"\n')
    ran = fit(TRAIN, "--task", tmp_path / "task.toml")
    refused(ran, r"task\.toml: unknown key 'fit\.bakbone'", r"mean '(fit\.)?backbone'")
    (tmp_path / "task.toml").write_text("[fit\n")
    refused(fit(TRAIN, "--task", tmp_path / "task.toml"), r"task\.toml: not TOML: .*line 1", "mend the line")


def test_a_backbone_that_is_not_there_is_told_before_training(
    fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused(fit(TRAIN, "--backbone", "minilm-eng"), "backbone 'minilm-eng': no such folder", "mean 'minilm-en'")
    ran = fit(TRAIN, "--backbone", "nobody/no-such-model")
    refused(ran, "nobody/no-such-model cannot be fetched from the model hub", "the path of a local folder")
    monkeypatch.setenv("TUNEWRIGHT_MODELS", str(tmp_path / "models"))
    ran = fit(TRAIN, "--backbone", "e5-small")
    refused(ran, "backbone 'e5-small' is not on this machine", rf"at {tmp_path}/models/e5-small, or run once where")
    (tmp_path / "empty").mkdir()
    assert fit(TRAIN, "--backbone", tmp_path / "empty").code == 2


def test_a_missed_gate_refuses_the_bundle_and_keeps_its_report(fit: Callable[..., Any], tmp_path: Path) -> None:
    test = samples.path("support_test.csv")
    ran = fit(TRAIN, "--test", test, "--set", 'gates.accuracy=">= 0.99"', "--set", 'gates.macro_f1=">= 0.01"')
    said = r"gate accuracy >= 0\.99 is missed: 0\.\d+ \(95 % interval 0\.\d+–0\.\d+, n = 80\)"
    refused(ran, said, rf"the report: {tmp_path}/out\.refused/report\.html", code=3)
    assert "macro_f1" not in ran.err
    assert not (tmp_path / "out").exists()
    report = json.loads((tmp_path / "out.refused" / "report.json").read_text(encoding="utf-8"))
    assert "0.99" in json.dumps(report)
    assert "gate" in (tmp_path / "out.refused" / "report.html").read_text(encoding="utf-8").lower()
    with pytest.raises(tunewright.TunewrightError, match="there is no such folder|there is no bundle"):
        tunewright.load(tmp_path / "out")


# ── bundles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bundle_of_a_newer_format_asks_for_a_newer_program(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "newer"))
    record = json.loads((bundle / "bundle.json").read_text(encoding="utf-8")) | {"format": 99}
    (bundle / "bundle.json").write_text(json.dumps(record | {"digest": digest_of(record)}), encoding="utf-8")
    for words in (["show", bundle], ["predict", bundle, TRAIN], ["evaluate", bundle, TRAIN], ["serve", bundle]):
        refused(cli(*words), r"newer: bundle format 99 is newer than this program reads", "pip install --upgrade")


def test_a_changed_byte_anywhere_in_a_bundle_is_found(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    files = sorted(path.relative_to(tiny_bundle) for path in tiny_bundle.rglob("*") if path.is_file())
    assert len(files) >= 8
    for at, file in enumerate(files):
        bundle = Path(shutil.copytree(tiny_bundle, tmp_path / f"bundle{at}"))
        content = bytearray((bundle / file).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / file).write_bytes(content)
        ran = cli("show", bundle)
        refused(ran, f"{re.escape(str(bundle / file))}: ", "copy the bundle again, or fit it anew")
    weights = next(at for at, file in enumerate(files) if file.suffix == ".safetensors")
    ran = cli("predict", tmp_path / f"bundle{weights}", TRAIN)
    refused(ran, rf"{files[weights]}: the file is damaged \(its sha256 differs\)", "copy the bundle again")


def test_no_bundle_is_told_by_every_verb(cli: Callable[..., Any], tmp_path: Path) -> None:
    for words in (["show"], ["predict"], ["evaluate"], ["serve"], ["export", "--to", "hf", "--out", tmp_path / "x"]):
        rows = [TRAIN] if words[0] in ("predict", "evaluate") else []
        ran = cli(words[0], tmp_path / "none", *rows, *words[1:])
        refused(ran, "none: there is no (bundle|such folder)", "name a folder that `tunewright fit` wrote")


# ── rows to answer and to measure ────────────────────────────────────────────────────────────────────────────────────


def test_predict_wants_the_text_column(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    rows = written(tmp_path / "rows.csv", [["where is it", "x"]], [["txt", "id"]])
    refused(cli("predict", tiny_bundle, rows), r"rows\.csv: there is no column 'text'", "did you mean 'txt'")
    ran = cli("predict", tiny_bundle, "-", stdin=rows.read_bytes())
    refused(ran, "standard input: there is no column 'text'", "did you mean 'txt'")


def test_an_added_column_whose_name_is_taken_asks_for_a_prefix(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    rows = written(tmp_path / "rows.csv", [["where is it", "x"]], [["text", "prediction"]])
    refused(
        cli("predict", tiny_bundle, rows), "a column 'prediction' already", "pass --prefix, such as --prefix model_"
    )
    ran = cli("predict", tiny_bundle, rows, "--prefix", "model_")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "text,prediction,model_prediction,model_score"


def test_an_empty_text_gets_an_empty_answer_in_its_place(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    ran = cli("predict", tiny_bundle, "-", "--top", 1, stdin=b'id,text\n1,\n2,hello\n3,"  "\n')
    assert ran.code == 0
    lines = list(csv.DictReader(ran.out.splitlines()))
    assert [line["id"] for line in lines] == ["1", "2", "3"]
    assert [bool(line["prediction"]) for line in lines] == [False, True, False]
    assert [line["candidates"] == "[]" for line in lines] == [True, False, True]
    assert cli("predict", tiny_bundle, "-", stdin=b"id,text\n").out == "id,text,prediction,score\n"


def test_rows_to_measure_are_checked_like_rows_to_learn(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    header = [["text", "intent"]]
    empty = written(tmp_path / "empty.csv", [], header)
    refused(cli("evaluate", tiny_bundle, empty), r"empty\.csv: there are no rows", "name a file with rows")
    bare = written(tmp_path / "bare.csv", [["where is it", ""], ["my parcel", "order_status"]], header)
    refused(cli("evaluate", tiny_bundle, bare), r"bare\.csv line 2: intent is empty or NaN", "pass --drop-empty")
    assert "n = 1" in cli("evaluate", tiny_bundle, bare, "--drop-empty").out
    strange = written(tmp_path / "strange.csv", [["where is it", "order_statis"]], header)
    said = r"strange\.csv line 2: label 'order_statis' is not in the task's labels"
    refused(cli("evaluate", tiny_bundle, strange), said, "did you mean 'order_status'")


def test_a_place_for_answers_that_cannot_be_used_is_told(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    out.write_text("mine")
    refused(cli("predict", tiny_bundle, TRAIN, "--out", out), r"answers\.csv: it exists already", "pass --force")
    assert out.read_text() == "mine"
    assert cli("predict", tiny_bundle, TRAIN, "--out", out, "--force").code == 0
    assert out.read_text().startswith("text,intent,prediction,score\n")
    ran = cli("predict", tiny_bundle, TRAIN, "--out", tmp_path / "answers.doc")
    refused(ran, r"answers\.doc: its suffix is that of no format", r"use one of: .*\.csv, .*\.parquet")
    ran = cli("predict", tiny_bundle, TRAIN, "--out", tmp_path / "none" / "answers.csv")
    refused(ran, r"none/answers\.csv: cannot be written: No such file", "choose another --out")


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Iterator[TestClient]:
    with TestClient(application({"tiny": tunewright.load(tiny_bundle)})) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "status", "problem", "remedy"),
    [
        (b"not JSON", 400, "the body is not JSON", 'send .*"inputs"|"inputs"'),
        (b'{"inputs": ["caf\xe9"]}', 400, r"the body is not JSON: byte 16 is not UTF-8", "encode it as UTF-8"),
        (b"[]", 422, "the body is a list, not an object", "inputs"),
        (b'{"inputs": "hello"}', 422, '"inputs" is a string, not a list', "inputs"),
        (b'{"inputs": [1]}', 422, "input 0 is a number, not a text", "send a string"),
        (b'{"inputs": ["a", {"txt": "b"}]}', 422, r"input 1: column 'text' is missing \(it has 'txt'\)", '"text"'),
        (b'{"inputs": ["a"], "topp": 1}', 422, "unknown field 'topp'", "mean 'top'"),
        (b'{"inputs": ["a\\u0000b"]}', 422, "input 0: character 1 is NUL", "remove the NUL characters"),
        (b'{"inputs": ["a\\ud800b"]}', 422, r"input 0: character 1 is a lone surrogate \(\\ud800\)", "both halves"),
        (json.dumps({"inputs": ["a"] * 100_000}).encode(), 413, "100000 inputs .* limit is 1024", "at most 1024"),
        (json.dumps({"inputs": ["a" * 100_001]}).encode(), 422, "input 0: .* is 100001 characters long", "shorter"),
    ],
)
def test_a_request_that_cannot_be_answered_is_told_why(
    client: TestClient, body: bytes, status: int, problem: str, remedy: str
) -> None:
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"problem", "remedy"}
    assert re.search(problem, told["problem"]), told
    assert re.search(remedy, told["remedy"]), told


def test_an_empty_text_in_a_request_gets_its_reason(client: TestClient) -> None:
    answer = client.post("/predict", json={"inputs": ["", "hello"], "top": 2}).json()
    first, second = answer["predictions"]
    assert (first["label"], first["reason"]) == (None, "empty")
    assert second["label"]
    assert len(second["candidates"]) == 2
    assert client.post("/predict", json={"inputs": []}).json()["predictions"] == []


# ── the process itself ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_extra_is_told_with_the_command_that_installs_it(tiny_bundle: Path, tmp_path: Path) -> None:
    without = "import sys; sys.modules |= dict.fromkeys(['torch', 'onnx', 'fastapi', 'uvicorn'])"
    for verb, words, library, extra in (
        ("fit", [TRAIN, *COLUMNS, "--out", tmp_path / "out", "--quiet"], "torch", "train"),
        ("export", [tiny_bundle, "--to", "onnx", "--out", tmp_path / "onnx"], "onnx", "train"),
        ("serve", [tiny_bundle], "uvicorn|fastapi", "serve"),
    ):
        code = f"{without}; from tunewright.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code, verb, *map(str, words)], capture_output=True, text=True)
        ran = Ran(done.returncode, done.stderr)
        refused(ran, rf"{verb}` needs ({library}), which is not installed", rf"pip install 'tunewright\[{extra}\]'")
    assert not (tmp_path / "out").exists()


def test_a_process_ends_with_its_code_and_without_a_traceback(
    process: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    refused(
        process("fit", tmp_path / "none.csv", *COLUMNS, "--out", tmp_path / "out"), "none.csv: there is no", "check"
    )
    usage = process("fit", TRAIN, "--nonsense")
    assert (usage.code, usage.out) == (2, "")
    assert "--nonsense" in usage.err
    assert "Traceback" not in usage.err
    good = process("show", tiny_bundle)
    assert (good.code, good.err) == (0, "")
