"""What every test shares: no network, two threads, and where the real data, the models and the sample rows lie."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Read once by the libraries when they are imported, so they are set before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(variable, "2")

import pytest

from tunewright import samples

ROOT = Path(__file__).resolve().parent.parent
TRACED: dict[str, bytes] = {}
MARKERS = {"data_folder": "real_data", "models_folder": "models", "browser": "browser"}
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by the fixtures it uses, so that ``-m 'not real_data'`` forgets none."""
    for item in items:
        for fixture in set(getattr(item, "fixturenames", ())) & set(MARKERS):
            item.add_marker(MARKERS[fixture])


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets: TUNEWRIGHT_DATA, or ``../shared/data`` beside the repository."""
    return existing("TUNEWRIGHT_DATA", ROOT.parent / "shared" / "data", "the real data sets")


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The folder of pretrained models: TUNEWRIGHT_MODELS, or the cache in the home folder."""
    return existing("TUNEWRIGHT_MODELS", Path("~/.cache/tunewright/models").expanduser(), "the pretrained models")


@pytest.fixture(scope="session")
def sample_rows() -> dict[str, list[dict[str, str]]]:
    """File name → rows of the samples that the package carries."""
    return {name: read_rows(samples.path(name)) for name in samples.names()}


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What loading a bundle remembers of this machine is kept apart from what its user has."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["TUNEWRIGHT_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_backbone(sample_rows: dict[str, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT (2 layers, width 32, 64 positions) and a tokenizer learned from the sample rows."""
    return random_bert(sample_rows, tmp_path_factory.mktemp("backbones") / "tiny-bert", width=32)


def random_bert(sample_rows: dict[str, list[dict[str, str]]], folder: Path, width: int, *, biases: float = 0.0) -> Path:
    """See ``tiny_backbone``.

    biases : how far those of products and norms, and the norms' weights, are from where BERT has them at first
    """
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = word_pieces([row["text"] for rows in sample_rows.values() for row in rows])
    sizes = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * width}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, **sizes)
    torch.manual_seed(0)
    model = BertModel(config)
    for one in model.parameters():
        if one.ndim == 1:
            one.data += biases * torch.randn(one.shape) if biases else 0
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that ``fit`` made of the English sample rows and the tiny backbone. Never change it: copy it."""
    return probed(tiny_backbone, tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def broad_backbone(sample_rows: dict[str, list[dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``tiny_backbone``, of width 64, the least that native code takes, and with biases that are not zero."""
    return random_bert(sample_rows, tmp_path_factory.mktemp("backbones") / "broad-bert", width=64, biases=0.1)


@pytest.fixture(scope="session")
def broad_bundle(broad_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``tiny_bundle``, on the broad backbone."""
    return probed(broad_backbone, tmp_path_factory.mktemp("bundles") / "broad")


def probed(backbone: Path, out: Path) -> Path:
    """A probe of the English sample rows on a backbone."""
    import tunewright

    tunewright.fit(
        samples.path("support_train.csv"),
        test=samples.path("support_test.csv"),
        text="text",
        label="intent",
        out=out,
        settings={"fit.backbone": str(backbone), "fit.method": "probe", "fit.threads": 1},
    )
    return out


# Enough to beat the start, which ships otherwise.
STEPS = {"fit.epochs": 24, "fit.patience": 24, "fit.learning_rate": 5e-3, "fit.average": 0.0}
IN_ONE_PART = {"whole": "top-0", "merged": "lora-0"}


class Halved(dict[str, Path]):
    """Bundles with ``fit.shared`` by their names, each fitted when it is first asked for."""

    def __init__(self, backbone: Path, folder: Path) -> None:
        super().__init__()
        self._settings = {"fit.backbone": str(backbone), "fit.threads": 1, "split.validation": 0.3} | STEPS
        self._settings |= {"fit.batch_rows": 16, "fit.layers": 1, "fit.size": 4}
        self._folder = folder

    def __missing__(self, name: str) -> Path:
        import tunewright

        method, _, seed = IN_ONE_PART.get(name, name).partition("-")
        own = {"fit.method": method, "fit.shared": name not in IN_ONE_PART, "seed": int(seed)}
        rows, out = samples.path("support_train.csv"), self._folder / name
        with remembered_traces():
            tunewright.fit(rows, text="text", label="intent", out=out, settings=self._settings | own)
        self[name] = out
        return out


@pytest.fixture(scope="session")
def halved_bundles(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``top-0``, ``top-1``, ``lora-0``, ``lora-1``: fits with ``fit.shared`` on the tiny backbone, each of a seed.

    ``whole`` is the fit of ``top-0`` in one part, ``merged`` that of ``lora-0``. Never change them: copy them.
    """
    return Halved(tiny_backbone, tmp_path_factory.mktemp("halves"))


@pytest.fixture(scope="module")
def traced_once() -> Iterator[None]:
    """Trace each architecture once: that is most of a small fit, and every bundle is compared with its model anyway."""
    with remembered_traces():
        yield


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Headless Chromium without any network but the loopback: ``with browser(language) as driver``."""
    missing = [str(one) for one in (CHROMIUM, DRIVER) if not one.exists()]
    if missing:
        message = f"{', '.join(missing)} is missing: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from selenium import webdriver

    @contextmanager
    def start(language: str = "en-US", dark: bool = False, width: int = 1280, height: int = 900) -> Iterator[Any]:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        profile = tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())
        # every host but the loopback fails to resolve: a page that needs another one breaks here
        offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        scheme = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
        for flag in (*FLAGS, *scheme, offline, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.add_argument(f"--accept-lang={language}")
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        try:
            yield driver
        finally:
            driver.quit()

    return start


@pytest.fixture
def make_context(
    tiny_backbone: Path, sample_rows: dict[str, list[dict[str, str]]], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """What a method is given: ``make_context("regress", {"fit.epochs": 1}, intents=2)``; of each intent, 20 rows for
    training and 10 for validation. ``context.run.told`` lists every record of the run. The group of a row says whether
    it is a question.

    ``"several"`` is two targets: the intent, which every fifth row lacks, and the length of what is no question.
    """
    from tunewright.backbones._load import load
    from tunewright.core.run import Run
    from tunewright.core.task import read_task
    from tunewright.train.context import Context
    from tunewright.train.device import choose, threads
    from tunewright.train.examples import Part
    from tunewright.train.learn import learnt_kind, together

    known = sorted({row["intent"] for row in sample_rows["support_train.csv"]})
    truths: dict[str, Callable[[dict[str, str]], Any]] = {
        "classify": lambda row: row["intent"],
        "multilabel": lambda row: [row["intent"], *(["question"] if "?" in row["text"] else [])],
        "regress": lambda row: float(len(row["text"])),
        "several": lambda row: (
            None if len(row["text"]) % 5 == 0 else row["intent"],
            None if "?" in row["text"] else float(len(row["text"])),
        ),
    }
    two = [{"column": "intent"}, {"column": "length", "kind": "regress", "weight": 0.5}]

    numbers = itertools.count()

    def make(
        kind: str = "classify",
        settings: dict[str, Any] | None = None,
        *,
        intents: int = 4,
        backbone: Path = tiny_backbone,
    ) -> Context:
        own = {"fit.backbone": str(backbone), "fit.threads": 1, "fit.precision": "fp32", "inputs.text": "text"}
        named = {"targets": two} if kind == "several" else {"targets.0.column": "y", "targets.0.kind": kind}
        task, _ = read_task(None, own | named | (settings or {}))
        rows = [row for row in sample_rows["support_train.csv"] if row["intent"] in known[:intents]]
        parts = [
            Part(
                {"text": [row["text"] for row in some]},
                [truths[kind](row) for row in some],
                ["question" if "?" in row["text"] else "other" for row in some],
            )
            for some in (rows[0::3] + rows[1::3], rows[2::3])
        ]
        target = together(task.targets)
        learned = learnt_kind(task, target, *parts)
        given = {"train": parts[0], "validation": parts[1], "held_out": parts[1]}
        told: list[dict[str, Any]] = []
        run = Run(tmp_path, tmp_path / "out", task.fit.minutes, told.append)
        run.work = tmp_path / f"work-{next(numbers)}"
        run.told = told  # type: ignore[attr-defined]
        return Context(task, target, learned, given, run, *choose(task.fit), lambda: load(task.fit.backbone, task.fit))

    with threads(1):
        yield make


@dataclass(frozen=True)
class Ran:
    """What a command gave: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the command line in this process: ``cli("show", bundle, "--json").out``."""
    from tunewright.cli import main

    def run(*words: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["tunewright", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def planted() -> Any:
    """The class in planted.py: a model whose reasons are known."""
    spec = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Planted


@pytest.fixture(scope="session")
def process() -> Callable[..., Ran]:
    """Runs the command line in a process of its own; as ``cli``."""

    def run(*words: object, stdin: str = "", **options: Any) -> Ran:
        command = [sys.executable, "-c", "from tunewright.cli import main; main()", *map(str, words)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=280, **options)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def existing(variable: str, default: Path, what: str) -> Path:
    """The folder that a variable names; without it a test is skipped here, and fails where CI is set."""
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        message = f"{what} are not in {folder}: set {variable}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return folder


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def word_pieces(texts: list[str]) -> Any:
    """A BERT tokenizer whose vocabulary comes from the texts: words that occur twice, and all characters.

    The library's own trainer breaks ties otherwise in each process, so it is not used.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    split = [word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]
    pieces = {word for word, count in Counter(split).items() if count > 1} | set("".join(split))
    pieces |= {f"##{letter}" for letter in set("".join(split))}
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(pieces)]
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, splitter, decoders.WordPiece()
    tokenizer.add_special_tokens(words[:5])
    ends = [(token, words.index(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ends)
    return tokenizer


@contextmanager
def remembered_traces() -> Iterator[None]:
    """Inside, graphs that were traced before are not traced again."""
    import onnx

    from tunewright.train import export

    trace = export._traced

    def remembered(module: Any, arrays: Any, *rest: Any) -> onnx.ModelProto:
        shapes = [(name, tuple(one.shape)) for name, one in module.state_dict().items()]
        plain = [[one for one in vars(part).items() if isinstance(one[1], str | int)] for part in module.modules()]
        values = [one.numpy(force=True).tobytes() for one in module.state_dict().values()]
        alike = [values.index(one) for one in values]  # equal tensors are one in the graph
        # A row of a small table, such as that of token types, stands in the graph as a constant.
        folded = [value for value, (_, shape) in zip(values, shapes, strict=True) if len(shape) == 2 and shape[0] <= 2]
        widths = [(name, tuple(one.shape[2:])) for name, one in arrays.items()]  # rows and steps are free
        key = repr((module, shapes, alike, folded, plain, widths, rest))
        if key not in TRACED:
            TRACED[key] = trace(module, arrays, *rest).SerializeToString()
        return onnx.ModelProto.FromString(TRACED[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_traced", remembered)
        yield
