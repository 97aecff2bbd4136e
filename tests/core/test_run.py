"""Runs and their switch: one at a time, whole or not at all – through kills, full disks and Ctrl-C, in processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tunewright.core.errors import Interrupted, TunewrightError
from tunewright.core.run import Run, start
from tunewright.core.switch import publish, recover, set_aside

StartPython = Callable[..., "Popen[str]"]

PRELUDE = """
import os, shutil, signal, sys, time
from pathlib import Path
from tunewright.core.errors import TunewrightError
from tunewright.core.run import start
from tunewright.core.switch import publish, recover

def stage(run, content):
    staged = run.folder / "staged"
    staged.mkdir()
    for name in ("bundle.json", "a", "b", "c"):
        (staged / name).write_text(content)
    return staged
"""


def bundle_at(folder: Path, content: str) -> Path:
    """A folder that passes for a bundle: four files of the same content."""
    folder.mkdir(parents=True)
    for name in ("bundle.json", "a", "b", "c"):
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def content_of(folder: Path) -> str | None:
    """What all four files of a folder hold; None where there is no folder. Half a folder fails the test."""
    if not folder.exists():
        return None
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "bundle.json", "c"]
    (content,) = {path.read_text(encoding="utf-8") for path in folder.iterdir()}
    return content


def left_in(out: Path) -> set[str]:
    return {path.name for path in out.with_name(out.name + ".run").iterdir()}


def test_a_run_publishes_what_was_staged(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er" / "out"
    with start(out, 5) as run:
        assert not out.exists()
        publish(bundle_at(run.folder / "staged", "new"), run.out)
    assert content_of(out) == "new"
    assert left_in(out) == {"lock"}


def test_a_run_without_a_publication_leaves_nothing_but_its_log(tmp_path: Path) -> None:
    def fail(run: Run) -> None:
        run.log("begin", say="学习")
        bundle_at(run.folder / "staged", "half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), start(tmp_path / "out", 5) as run:
        fail(run)
    assert not (tmp_path / "out").exists()
    assert left_in(tmp_path / "out") == {"lock", "run.jsonl"}


def test_the_log_is_one_json_object_per_line_and_told_to_the_listener(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with start(tmp_path / "out", 5, listener=heard.append) as run:
        run.log("begin", say="学习", rows=3)
        run.progress("fit", 0.5, loss=1.0)
        run.log("end")
    lines = (tmp_path / "out.run" / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["begin", "end"]
    assert "学习" in lines[0]
    assert [record["event"] for record in heard] == ["begin", "progress", "end"]
    assert heard[1]["share"] == 0.5
    assert heard[1]["loss"] == 1.0
    assert 0 <= heard[0]["seconds"] <= heard[1]["seconds"] <= heard[2]["seconds"] + 1e-3
    with start(tmp_path / "out", 5):
        assert not (tmp_path / "out.run" / "run.jsonl").exists()


def test_a_run_stops_when_its_minutes_are_over(tmp_path: Path) -> None:
    with start(tmp_path / "out", 0.5 / 60) as run:
        early = (run.stopping, run.left > 0)
        time.sleep(0.55)
        late = (run.stopping, run.left > 0)
        assert (early, late) == ((False, True), (True, False))
        assert run.elapsed > 0.5
        assert not run.interrupted


def test_a_second_run_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with start(tmp_path / "out", 5):
        with (
            pytest.raises(TunewrightError, match=f"process {os.getpid()}"),
            start(tmp_path / "out", 5),
        ):
            pytest.fail("two runs hold one lock")
        with start(tmp_path / "other", 5):
            pass
    with start(tmp_path / "out", 5):
        pass


def test_a_second_run_is_refused_while_another_process_holds_it(tmp_path: Path, start_python: StartPython) -> None:
    out = tmp_path / "out"
    code = PRELUDE + "with start(Path(sys.argv[1]), 5) as run:\n    print('open', flush=True)\n    sys.stdin.read()\n"
    holder = start_python(code, out)
    assert said(holder) == "open"
    for force in (False, True):
        with pytest.raises(TunewrightError) as caught, start(out, 5, force=force):
            pytest.fail("two runs hold one lock")
        assert caught.value.problem == f"{out}: another run (process {holder.pid}) is writing it"
        assert caught.value.remedy == "wait for it, or choose another --out"
        assert caught.value.exit_code == 2
    holder.communicate(timeout=60)
    assert holder.returncode == 0
    with start(out, 5):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path, start_python: StartPython) -> None:
    code = PRELUDE + (
        "with start(Path(sys.argv[1]), 5) as run:\n    stage(run, 'x')\n    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = start_python(code, tmp_path / "out")
    assert said(holder) == "open"
    holder.kill()
    holder.wait(60)
    with start(tmp_path / "out", 5) as run:
        assert not (run.folder / "staged").exists()


def said(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("place", ["file/out", "file/deep/out"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(TunewrightError, match="cannot be written") as caught, start(tmp_path / place, 5):
        pytest.fail("it was written")
    assert caught.value.remedy == "choose another --out"


def test_what_exists_is_only_replaced_with_force(tmp_path: Path) -> None:
    out = bundle_at(tmp_path / "out", "old")
    with pytest.raises(TunewrightError, match="it exists already") as caught, start(out, 5):
        pytest.fail("it was opened")
    assert "--force" in caught.value.remedy
    with start(out, 5, force=True) as run:
        assert content_of(out) == "old"
        publish(bundle_at(run.folder / "staged", "new"), run.out)
    assert content_of(out) == "new"
    assert left_in(out) == {"lock"}


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, force: bool) -> None:
    folder, file = tmp_path / "photos", tmp_path / "file"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x")
    file.write_bytes(b"x")
    for out in (folder, file):
        with pytest.raises(TunewrightError) as caught, start(out, 5, force=force):
            pytest.fail("it was opened")
        assert "choose another --out" in caught.value.remedy
        assert "not a bundle" in caught.value.problem or not force
    assert (folder / "holiday.jpg").exists()
    assert file.exists()


def test_an_empty_folder_is_replaced_with_force(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with start(tmp_path / "out", 5, force=True) as run:
        publish(bundle_at(run.folder / "staged", "new"), run.out)
    assert content_of(tmp_path / "out") == "new"


def test_a_link_to_a_bundle_is_replaced_and_its_goal_stays(tmp_path: Path) -> None:
    goal, out = bundle_at(tmp_path / "goal", "goal"), tmp_path / "out"
    out.symlink_to(goal, target_is_directory=True)
    for content in ("first", "second"):
        with start(out, 5, force=True) as run:
            publish(bundle_at(run.folder / "staged", content), run.out)
        assert content_of(out) == content
    assert content_of(goal) == "goal"
    assert left_in(out) == {"lock"}


def test_what_is_set_aside_replaces_what_was_there(tmp_path: Path) -> None:
    place = bundle_at(tmp_path / "out.refused", "older")
    with start(tmp_path / "out", 5) as run:
        set_aside(bundle_at(run.folder / "staged", "refused"), place)
    assert content_of(place) == "refused"
    assert not (tmp_path / "out").exists()


def test_a_reader_sees_the_whole_folder_or_none(tmp_path: Path) -> None:
    """A thread looks all the time while bundles appear and are moved away."""
    out, seen, done = tmp_path / "out", set[str](), threading.Event()

    def look() -> None:
        while not done.is_set():
            with contextlib.suppress(FileNotFoundError):
                seen.add(",".join(sorted(os.listdir(out))))

    reader = threading.Thread(target=look)
    reader.start()
    for at in range(30):
        with start(out, 5) as run:
            publish(bundle_at(run.folder / "staged", str(at)), run.out)
        time.sleep(0.002)
        assert content_of(out) == str(at)
        os.rename(out, tmp_path / f"out-{at}")
    done.set()
    reader.join()
    assert seen == {"a,b,bundle.json,c"}


KILLED = (
    PRELUDE
    + """
out, kills_after, function = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
module = os if function == "rename" else shutil
real, calls = getattr(module, function), 0

def deadly(*arguments, **named):
    global calls
    calls += 1
    if calls > kills_after:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)

with start(out, 5, force=True) as run:
    staged = stage(run, "new")
    setattr(module, function, deadly)
    publish(staged, run.out)
    os.kill(os.getpid(), signal.SIGKILL)
"""
)


@pytest.mark.parametrize("by", ["reader", "run"])
@pytest.mark.parametrize(
    ("before", "renames", "at_once", "after"),
    [
        ("old", 0, "old", "old"),
        ("old", 1, "old", "old"),
        ("old", 2, None, "new"),
        ("old", 3, "new", "new"),
        ("old", 99, "new", "new"),
        (None, 0, None, None),
        (None, 1, None, "new"),
        (None, 2, "new", "new"),
    ],
)
def test_a_kill_at_any_rename_leaves_a_whole_bundle(
    tmp_path: Path,
    start_python: StartPython,
    before: str | None,
    renames: int,
    at_once: str | None,
    after: str | None,
    by: str,
) -> None:
    """Renames of a replacement: staged → ready, out → old, ready → out, old → discarded. Without a bundle: 1 and 3."""
    out = tmp_path / "out"
    if before is not None:
        bundle_at(out, before)
    killed = start_python(KILLED, out, renames, "rename")
    assert killed.wait(60) == -signal.SIGKILL
    assert content_of(out) == at_once
    if by == "reader":
        recover(out)
        assert content_of(out) == after
    with start(out, 5, force=True):
        assert content_of(out) == after
        assert left_in(out) == {"lock"}
    assert content_of(out) == after


def test_an_old_bundle_that_is_half_removed_never_comes_back(tmp_path: Path, start_python: StartPython) -> None:
    """Killed while the old bundle was being removed; then the user removes the new one."""
    out = bundle_at(tmp_path / "out", "old")
    killed = start_python(KILLED.replace('"rename" else shutil', '"rename" else os'), out, 1, "unlink")
    assert killed.wait(60) == -signal.SIGKILL
    assert content_of(out) == "new"
    shutil.rmtree(out)
    recover(out)
    assert not out.exists()
    with start(out, 5):
        assert left_in(out) == {"lock"}


def test_a_reader_leaves_a_running_switch_alone(tmp_path: Path) -> None:
    with start(tmp_path / "out", 5) as run:
        bundle_at(run.folder / "ready", "new")
        recover(tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_recover_does_nothing_where_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recover(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    out = bundle_at(tmp_path / "out", "x")
    monkeypatch.chdir(out)
    for here in (Path("."), Path(".."), Path("/")):
        recover(here)
    assert content_of(out) == "x"


INTERRUPTED = (
    PRELUDE
    + """
patience = int(sys.argv[2])
try:
    with start(Path(sys.argv[1]), 5, force=True) as run:
        staged = stage(run, "new")
        print("open", flush=True)
        for _ in range(600):
            time.sleep(0.05)
            run.progress("train", 0.5)
            if run.stopping and patience == 0:
                publish(staged, run.out)
                break
            if run.interrupted:
                print("heard", flush=True)
                patience = 2
    print("shipped", run.interrupted, flush=True)
except TunewrightError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""
)


def test_the_first_ctrl_c_ships_the_best_so_far(tmp_path: Path, start_python: StartPython) -> None:
    out = bundle_at(tmp_path / "out", "old")
    process = start_python(INTERRUPTED, out, 0)
    assert said(process) == "open"
    process.send_signal(signal.SIGINT)
    assert said(process) == "shipped True"
    assert process.wait(60) == 0
    assert content_of(out) == "new"
    (event,) = [json.loads(line) for line in (tmp_path / "out.run/run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert event["event"] == "interrupted"
    assert "Ctrl-C again" in event["say"]


def test_the_second_ctrl_c_leaves_everything_as_it_was(tmp_path: Path, start_python: StartPython) -> None:
    out = bundle_at(tmp_path / "out", "old")
    process = start_python(INTERRUPTED, out, 1)
    assert said(process) == "open"
    process.send_signal(signal.SIGINT)
    assert said(process) == "heard"
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == Interrupted.exit_code == 130
    assert "nothing was changed" in rest
    assert not errors
    assert content_of(out) == "old"
    assert left_in(out) == {"lock", "run.jsonl"}


def test_ctrl_c_is_as_before_after_a_run(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with start(tmp_path / "out", 5) as run:
        assert signal.getsignal(signal.SIGINT) is not before
        os.kill(os.getpid(), signal.SIGINT)
        assert run.interrupted
        assert run.stopping
        publish(bundle_at(run.folder / "staged", "new"), run.out)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_between_the_two_renames_does_not_part_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, real = bundle_at(tmp_path / "out", "old"), os.rename

    def interrupted(source: Any, goal: Any) -> None:
        real(source, goal)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with start(out, 5, force=True) as run:
        staged = bundle_at(run.folder / "staged", "new")
        monkeypatch.setattr(os, "rename", interrupted)
        publish(staged, run.out)
        monkeypatch.setattr(os, "rename", real)
    assert content_of(out) == "new"


def test_a_run_in_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    before, problems = signal.getsignal(signal.SIGINT), list[Exception]()

    def work() -> None:
        try:
            with start(tmp_path / "out", 5) as run:
                publish(bundle_at(run.folder / "staged", "new"), run.out)
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not problems
    assert content_of(tmp_path / "out") == "new"
    assert signal.getsignal(signal.SIGINT) is before


FULL = (
    PRELUDE
    + """
import resource
limit = int(sys.argv[2])
try:
    if not limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with start(Path(sys.argv[1]), 5, force=True) as run:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        staged = stage(run, "new")
        (staged / "weights").write_bytes(b"0" * 100_000)
        publish(staged, run.out)
except TunewrightError as error:
    print(error)
    sys.exit(error.exit_code)
"""
)


@pytest.mark.parametrize("limit", [0, 50_000])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_full_disk_is_said_and_changes_nothing(
    tmp_path: Path, start_python: StartPython, limit: int, before: str | None
) -> None:
    out = tmp_path / "out"
    if before is not None:
        bundle_at(out, before)
    process = start_python(FULL, out, limit)
    rest, errors = process.communicate(timeout=60)
    assert not errors
    assert process.returncode == 2
    assert "no space left for it" in rest
    assert "nothing was changed → free space, or choose an --out on another disk" in rest
    assert content_of(out) == before
    assert "staged" not in left_in(out)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_during_the_switch_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    out = bundle_at(tmp_path / "out", "old")

    def full(*paths: object) -> None:
        raise OSError(code, os.strerror(code), "weights")

    def switch(run: Run) -> None:
        staged = bundle_at(run.folder / "staged", "new")
        monkeypatch.setattr(os, "fsync", full)
        publish(staged, run.out)

    with pytest.raises(TunewrightError, match="weights: no space left"), start(out, 5, force=True) as run:
        switch(run)
    assert content_of(out) == "old"
    assert left_in(out) == {"lock"}


def test_another_error_of_the_system_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), start(tmp_path / "out", 5):
        raise PermissionError(errno.EACCES, "denied")


KEY, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def kept(out: Path, key: str, listener: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """What a run with a key leaves that kept something and ended without a bundle."""
    with start(out, 5, listener=listener, continues=True) as run:
        run.continues(key)
        run.log("began")
        run.work.mkdir()
        (run.work / "kept").write_text(key, encoding="utf-8")
    return run.work


def test_the_same_run_takes_up_what_was_kept(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    work = kept(tmp_path / "out", KEY, heard.append)
    assert work == tmp_path / "out.run" / "work-0123456789abcdef"
    with start(tmp_path / "out", 5, listener=heard.append, continues=True) as run:
        run.continues(KEY)
        assert (run.work / "kept").read_text(encoding="utf-8") == KEY
    assert [record["event"] for record in heard] == ["began", "continues"]
    logged = (tmp_path / "out.run" / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in logged] == ["began", "continues"], "one log of both"


def test_another_run_begins_beside_it(tmp_path: Path) -> None:
    first, heard = kept(tmp_path / "out", KEY), list[dict[str, Any]]()
    second = kept(tmp_path / "out", OTHER, heard.append)
    assert first != second
    assert [record["event"] for record in heard] == ["anew", "began"]
    assert "this one starts anew, beside what that one kept" in heard[0]["say"]
    assert {(path / "kept").read_text(encoding="utf-8") for path in (first, second)} == {KEY, OTHER}


def test_a_run_that_kept_nothing_leaves_no_folder_and_nothing_to_say(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    for _ in range(2):
        with start(tmp_path / "out", 5, listener=heard.append, continues=True) as run:
            run.continues(KEY)
            assert not run.work.exists()
    assert not heard
    assert left_in(tmp_path / "out") == {"lock"}


@pytest.mark.parametrize(("released", "stays"), [(True, set()), (False, {"work-fedcba9876543210"})])
def test_a_release_lets_go_of_all_work_and_a_refusal_of_its_own(
    tmp_path: Path, released: bool, stays: set[str]
) -> None:
    for key in (OTHER, KEY):
        kept(tmp_path / "out", key)
    with start(tmp_path / "out", 5, continues=True) as run:
        run.continues(KEY)
        run.finished(released=released)
    assert left_in(tmp_path / "out") == {"lock", "run.jsonl"} | stays


def published(out: Path, key: str, content: str, *, force: bool = False) -> None:
    """A run that was killed after it had published, before it let go of its work."""
    with start(out, 5, force=force, continues=True) as run:
        run.continues(key)
        run.publish(bundle_at(run.folder / "staged", content))


def test_a_run_may_replace_what_it_made_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for content in ("first", "second", "third"):
        published(out, KEY, content)
        assert content_of(out) == content


def test_what_another_run_made_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(out, KEY, "first")
    with pytest.raises(TunewrightError, match="it exists already → pass --force"):
        published(out, OTHER, "second")
    with pytest.raises(TunewrightError, match="it exists already"), start(out, 5):
        pytest.fail("a command that does not continue was let in")
    assert content_of(out) == "first"
    published(out, OTHER, "second", force=True)
    with pytest.raises(TunewrightError, match="it exists already"):
        published(out, KEY, "third")
    assert content_of(out) == "second"


def test_what_the_user_put_in_its_place_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(out, KEY, "first")
    shutil.rmtree(out)
    bundle_at(out, "the user's own")
    with pytest.raises(TunewrightError, match="it exists already"):
        published(out, KEY, "second")
    assert content_of(out) == "the user's own"


def test_the_clock_goes_on_from_what_it_showed(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path / "out", 10)
    run.reach(599.0)
    assert 599 <= run.elapsed < 600
    assert not run.stopping
    run.reach(30.0)
    assert run.elapsed >= 599, "it is never put back"
    run.reach(601.0)
    assert run.stopping


@pytest.mark.parametrize("keeps", [False, True])
def test_the_second_ctrl_c_says_whether_there_is_something_to_go_on_from(tmp_path: Path, keeps: bool) -> None:
    def stopped(run: Run) -> None:
        run.continues(KEY)
        if keeps:
            run.work.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught, start(tmp_path / "out", 5, continues=True) as run:
        stopped(run)
    goes_on = ": it goes on from what was kept" if keeps else ""
    assert caught.value.remedy == f"start the command again{goes_on}"
