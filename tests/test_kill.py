"""Kill it anywhere: ``kill -9`` at any moment of a fit, the same command again, and the bundle is the same to the bit.

The fits run in forks of one warm process, and each kills itself at a point: the n-th call of a function, before or
after it. Run as a program, this file is that process.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
POINTS = {  # "of" a module: as it is called there
    "step": "tunewright.train.moving:Moving.after_step",
    "judge": "tunewright.train.loop:_Descent._judge",
    "tensor": "tunewright.train.checkpoint:_bytes",
    "replace": "os:replace",
    "unlink": "pathlib:Path.unlink of tunewright.train.checkpoint",
    "part": "tunewright.train.export:_part",
    "stored": "tunewright.train.export:_stored",
    "manifest": "tunewright.train.assemble:write_manifest",
    "compare": "tunewright.train.assemble:compare",
    "report": "tunewright.report:write_rows",
    "rename": "os:rename of tunewright.core.switch",
    "beside": "tunewright.pipeline.release:_put_beside",
    "finished": "tunewright.core.run:Run.finished",
}
SETTINGS = {"fit.epochs": 2, "fit.batch_rows": 48, "fit.learning_rate": 3e-3, "fit.average": 0.9, "fit.threads": 1}
SETTINGS |= {"fit.method": "full", "fit.precision": "fp32", "name": "tickets"}


def serve(cached: Path) -> None:
    """Read requests, one a line, and run each in a fork; answer with its exit code, or minus the signal."""
    warm()
    remember_traces(cached)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            run(request)
        if request["after_seconds"]:
            time.sleep(request["after_seconds"])
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)


def warm() -> None:
    """Import what a fit imports. Nothing is computed here: threads do not live on in a fork."""
    from tunewright.core import plugins

    for name in ("torch._dynamo", "tunewright.pipeline.release", "tunewright.train.assemble", "tunewright.train.learn"):
        importlib.import_module(name)
    for folder in plugins.FOLDERS:
        for name in plugins.names(folder):
            with suppress(Exception):
                plugins.load(folder, name)


def remember_traces(cached: Path) -> None:
    """Trace each model once: that is most of a small fit."""
    import onnx

    from tunewright.train import export

    trace = export._traced

    def remembered(module: Any, arrays: Any, *rest: Any) -> Any:
        weights = [(name, one.numpy(force=True).tobytes()) for name, one in module.state_dict().items()]
        path = cached / hashlib.sha256(repr((module, weights, list(arrays), rest)).encode()).hexdigest()
        if not path.exists():
            path.write_bytes(trace(module, arrays, *rest).SerializeToString())
        return onnx.ModelProto.FromString(path.read_bytes())

    export._traced = remembered


def run(request: dict[str, Any]) -> None:
    """A fit, as the command would do it."""
    import tunewright
    from tunewright.train import checkpoint

    checkpoint.SECONDS, checkpoint.SHARE = 0.0, float("inf")  # one after every step
    code = 1
    try:
        with open(request["said"], "a", encoding="utf-8") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            if request["largest_file"]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
            for point in request["points"]:
                dies_at(*point)
            try:
                tunewright.fit(**request["fit"], listener=lambda record: print(record.get("say", ""), flush=True))
                code = 0
            except tunewright.TunewrightError as error:
                print(error, flush=True)
                code = error.exit_code
    finally:
        os._exit(code)


def dies_at(point: str, number: int, when: str, by: str = "SIGKILL") -> None:
    """Let the n-th call of a function end the process; ``before`` it or ``after`` it."""
    place, _, caller = POINTS[point].partition(" of ")
    module, _, dotted = place.partition(":")
    *owners, name = dotted.split(".")
    owner: Any = importlib.import_module(module)
    for step in owners:
        owner = getattr(owner, step)
    real, calls = getattr(owner, name), 0

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        counts = caller in ("", sys._getframe(1).f_globals["__name__"])
        calls += counts
        if counts and (calls, when) == (number, "before"):
            os.kill(os.getpid(), getattr(signal, by))
        out = real(*arguments, **named)
        if counts and (calls, when) == (number, "after"):
            os.kill(os.getpid(), getattr(signal, by))
        return out

    setattr(owner, name, deadly)


class Killer:
    """Fits in forks of one process."""

    def __init__(self, process: subprocess.Popen[str], backbone: Path, rows: Path, folder: Path) -> None:
        self.process, self.backbone, self.rows, self.folder = process, backbone, rows, folder
        self.kills = 0

    def fit(
        self,
        out: Path,
        *points: tuple[Any, ...],
        after_seconds: float = 0.0,
        largest_file: int = 0,
        rows: Path | None = None,
        settings: dict[str, Any] | None = None,
        **more: Any,
    ) -> int:
        """Start the command; returns its exit code, or -9 where it was killed."""
        chosen = {"fit.backbone": str(self.backbone), **SETTINGS}
        fit = {"train": str(rows or self.rows), "out": str(out), "text": "text", "label": "intent"}
        fit |= {"settings": chosen | (settings or {})} | more
        request = {"fit": fit, "points": points, "after_seconds": after_seconds, "largest_file": largest_file}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request | {"said": str(said_file(out))}) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        self.kills += code == -signal.SIGKILL
        return code

    def chain(self, out: Path, *points: tuple[Any, ...], **fit: Any) -> None:
        """Start the command again and again, killed at one point after the other, then let it end."""
        for point in points:
            assert self.fit(out, point, **fit) == -signal.SIGKILL, f"{point}: {said(out)[-2000:]}"
        assert self.fit(out, **fit) == 0, said(out)[-2000:]


def said_file(out: Path) -> Path:
    return out.with_name(out.name + ".said")


def said(out: Path) -> str:
    return said_file(out).read_text(encoding="utf-8")


def content(out: Path) -> dict[str, Any]:
    """What must be the same: the digest of the bundle, and those of its files."""
    record = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
    for name, entry in record["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == entry["sha256"]
    return {"digest": record["digest"], "files": record["files"]}


def left(out: Path) -> list[str]:
    return sorted(path.name for path in out.with_name(out.name + ".run").iterdir())


@pytest.fixture(scope="module")
def killer(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    from tunewright import samples

    folder = tmp_path_factory.mktemp("kills")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
    (folder / "traces").mkdir()
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder / "traces")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )
    with process:
        yield Killer(process, tiny_backbone, samples.path("support_train.csv"), folder)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def whole(killer: Killer) -> dict[str, Any]:
    """What a fit makes that nobody disturbs; trained, and not the start."""
    out = killer.folder / "whole"
    assert killer.fit(out) == 0, said(out)
    assert json.loads((out / "bundle.json").read_text(encoding="utf-8"))["method"]["best_step"] > 0
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]
    return content(out)


CHAINS: dict[str, list[tuple[Any, ...]]] = {
    "step": [("step", 1, "before"), ("step", 1, "after"), *[("step", 2, "after")] * 3, ("step", 3, "before")],
    "judge": [("judge", 1, "before"), ("judge", 1, "after"), ("judge", 1, "before"), ("judge", 1, "after")],
    "half a checkpoint": [("tensor", at, "before") for at in (1, 30, 400, 700)],
    "rename of a checkpoint": [("replace", at, when) for at in (1, 3, 4, 2) for when in ("before", "after")],
    "removal of an old one": [("unlink", at, when) for at in (1, 2) for when in ("before", "after")],
    "export": [("part", 1, "after"), ("stored", 2, "before"), ("part", 3, "before"), ("manifest", 1, "before")],
    "judgement": [("manifest", 2, "after"), ("compare", 1, "before"), ("report", 1, "before"), ("report", 1, "after")],
    "publication": [("rename", 1, "before"), ("rename", 1, "after"), ("rename", 2, "before")],
}


def test_there_are_thirty_kills() -> None:
    assert sum(map(len, CHAINS.values())) >= 30


@pytest.mark.parametrize("name", CHAINS)
def test_killed_again_and_again_it_ends_with_the_same_bits(name: str, killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / name
    killer.chain(out, *CHAINS[name])
    assert content(out) == whole
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]


@pytest.mark.parametrize(
    "point", [("rename", 2, "after"), ("beside", 1, "before"), ("beside", 1, "after"), ("finished", 1, "before")]
)
def test_killed_after_the_bundle_appeared_the_same_command_still_ends_well(
    point: tuple[Any, ...], killer: Killer, whole: dict[str, Any]
) -> None:
    """Without --force: what is at the place is this very run's own."""
    out = killer.folder / f"after-{'-'.join(map(str, point))}"
    killer.chain(out, point)
    assert content(out) == whole
    assert out.with_name(out.name + ".rows.jsonl").is_file()
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]


def test_a_kill_in_the_very_end_leaves_the_bundle(killer: Killer, whole: dict[str, Any]) -> None:
    """Once the work is let go of, the command has ended: the next one finds a bundle at its place."""
    out = killer.folder / "very-end"
    assert killer.fit(out, ("rename", 3, "after")) == -signal.SIGKILL
    assert content(out) == whole
    assert killer.fit(out) == 2
    assert "it exists already → pass --force" in said(out)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_killed_while_an_older_bundle_is_replaced(number: int, killer: Killer, whole: dict[str, Any]) -> None:
    """Renames: staged → ready, out → old, ready → out, old → discarded."""
    out = killer.folder / f"replaced-{number}"
    out.mkdir()
    (out / "bundle.json").write_text("an older one", encoding="utf-8")
    killer.chain(out, ("step", 3, "after"), ("rename", number, "after"), force=True)
    assert content(out) == whole
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]


def test_killed_at_any_time(killer: Killer, whole: dict[str, Any]) -> None:
    """Code 2 is that of a command which finds the bundle of one that was killed after its end."""
    out, timed = killer.folder / "any-time", killer.folder / "timed"
    begun = time.monotonic()
    assert killer.fit(timed) == 0, said(timed)
    seconds = time.monotonic() - begun
    for share in (0.2, 0.5, 0.35, 0.6, 0.8, 0.45, 0.7, 0.9):
        if killer.fit(out, after_seconds=share * seconds) != -signal.SIGKILL:
            break
    else:
        assert killer.fit(out) in (0, 2), said(out)
    assert content(out) == whole, said(out)


def test_the_ladder_is_climbed_again_to_the_same_rung(killer: Killer) -> None:
    settings = {"fit.method": "auto"}
    undisturbed, out = killer.folder / "auto-whole", killer.folder / "auto"
    assert killer.fit(undisturbed, settings=settings) == 0, said(undisturbed)
    killer.chain(out, ("step", 3, "after"), ("judge", 1, "after"), ("part", 2, "before"), settings=settings)
    assert content(out) == content(undisturbed)


def test_what_is_said_of_a_kill(killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / "said"
    killer.chain(out, ("step", 4, "after"))
    told = said(out)
    assert told.count("the same run was begun before and did not end: what it kept is taken up") == 1
    assert told.count("full: goes on after step 3, from the last checkpoint") == 1
    events = [json.loads(line) for line in (out.with_name("said.run") / "run.jsonl").read_text("utf-8").splitlines()]
    names = [event["event"] for event in events]
    assert names.count("settings") == 2, "the log holds both starts"
    assert names.index("continues") < names.index("resumed") < names.index("released")
    assert content(out) == whole


def test_other_rows_begin_anew_beside_the_old_run(killer: Killer, whole: dict[str, Any]) -> None:
    lines = killer.rows.read_text(encoding="utf-8").splitlines(keepends=True)
    fewer = killer.folder / "fewer.csv"
    fewer.write_text("".join(lines[:-1]), encoding="utf-8")
    other, out = killer.folder / "other-rows-whole", killer.folder / "other-rows"
    assert killer.fit(other, rows=fewer) == 0, said(other)
    assert killer.fit(out, ("step", 4, "after")) == -signal.SIGKILL
    before = left(out)
    assert killer.fit(out, ("step", 6, "after"), rows=fewer) == -signal.SIGKILL
    assert "a run that did not end had other rows or settings: this one starts anew, beside what that one kept" in said(
        out
    )
    assert "goes on after" not in said(out)
    (new,) = set(left(out)) - set(before)
    assert new.startswith("work-")
    assert killer.fit(out, ("part", 1, "before")) == -signal.SIGKILL
    assert "goes on after step 3" in said(out), "the first run is still there"
    assert killer.fit(out, rows=fewer) == 0, said(out)
    assert "goes on after step 5" in said(out)
    assert content(out) == content(other) != whole
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"], "what the other one kept goes with a release"


@pytest.mark.parametrize("setting", [{"fit.learning_rate": 1e-3}, {"seed": 1}])
def test_other_settings_begin_anew(setting: dict[str, Any], killer: Killer) -> None:
    out = killer.folder / f"other-{next(iter(setting))}"
    assert killer.fit(out, ("step", 4, "after")) == -signal.SIGKILL
    assert killer.fit(out, ("step", 1, "after"), settings=setting) == -signal.SIGKILL
    assert "starts anew, beside what that one kept" in said(out)
    assert "goes on after" not in said(out)


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_taken(killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / "damaged"
    assert killer.fit(out, ("step", 6, "after")) == -signal.SIGKILL
    newest = max(out.with_name("damaged.run").glob("work-*/checkpoints/*/*.safetensors"))
    turned = bytearray(newest.read_bytes())
    turned[len(turned) // 2] ^= 1
    newest.write_bytes(turned)
    assert killer.fit(out) == 0, said(out)
    assert f"{newest}: this checkpoint is damaged and not used" in said(out)
    assert "goes on after step 4" in said(out)
    assert content(out) == whole


def test_no_room_for_a_checkpoint_is_said_and_the_fit_goes_on(killer: Killer, whole: dict[str, Any]) -> None:
    """Files may grow to the size of a bundle's here, and a checkpoint is larger."""
    out = killer.folder / "full"
    assert killer.fit(out, largest_file=600_000) == 0, said(out)
    assert said(out).count("no checkpoint could be written: File too large") == 1
    assert content(out) == whole


def test_after_a_kill_on_a_full_disk_what_was_complete_is_taken_up(killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / "full-later"
    assert killer.fit(out, ("step", 4, "after")) == -signal.SIGKILL
    assert killer.fit(out, ("step", 3, "after"), largest_file=600_000) == -signal.SIGKILL
    assert "no checkpoint could be written" in said(out)
    killer.chain(out)
    assert said(out).count("goes on after step 3") == 2
    assert content(out) == whole


def test_a_refusal_is_an_end_too(killer: Killer) -> None:
    out, gate = killer.folder / "refused", {"gates.accuracy": ">= 0.999"}
    assert killer.fit(out, ("rename", 1, "after"), settings=gate) == -signal.SIGKILL
    assert killer.fit(out, settings=gate) == 3, said(out)
    assert not out.exists()
    assert (killer.folder / "refused.refused" / "bundle.json").is_file()
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]


def test_ctrl_c_twice_keeps_the_work_and_says_so(killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / "ctrl-c"
    assert killer.fit(out, ("step", 4, "before", "SIGINT"), ("step", 4, "after", "SIGINT")) == 130
    assert "nothing was changed → start the command again: it goes on from what was kept" in said(out)
    assert killer.fit(out) == 0, said(out)
    assert "goes on after step 3" in said(out)
    assert content(out) == whole


def test_ctrl_c_once_ships_the_best_so_far_and_keeps_no_work(killer: Killer, whole: dict[str, Any]) -> None:
    out = killer.folder / "shipped"
    assert killer.fit(out, ("step", 8, "before", "SIGINT")) == 0, said(out)
    assert json.loads((out / "bundle.json").read_text(encoding="utf-8"))["method"]["stopped"] == "interrupted"
    assert content(out) != whole
    assert left(out) == ["lock", "run.jsonl", "train.jsonl"]


def test_killed_after_ctrl_c_the_whole_training_is_made(killer: Killer, whole: dict[str, Any]) -> None:
    """Ctrl-C belongs to the run that heard it; who starts the command again wants all of it."""
    out = killer.folder / "ctrl-c-and-kill"
    assert killer.fit(out, ("step", 4, "before", "SIGINT"), ("part", 1, "before")) == -signal.SIGKILL
    assert killer.fit(out) == 0, said(out)
    assert content(out) == whole


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
