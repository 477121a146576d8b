"""Long steps: every video accounted for, finished shards kept, parameters never mixed."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from scslib.jobs import shard_files, shards
from scslib.jobs.child import Limits
from scslib.jobs.engines import Engine
from scslib.jobs.shards import Read, Video, run_shards
from scslib.video.container import VideoError


def work(path, params):
    """What a file's name says; each call is noted in a file, for it is made in another process."""
    with open(params["log"], "a") as log:
        log.write(f"{path.name}\n")
    if path.name.startswith("bad"):
        raise VideoError(f"{path}: broken")
    if path.name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.name.startswith("hang"):
        time.sleep(60)
    if path.name.startswith("glut"):
        glut = np.ones(1_500_000_000, np.uint8)
        time.sleep(60 * glut[-1])
    if path.name.startswith("full"):
        raise OSError(28, "No space left on device", str(path))
    count = 2 if path.name.startswith("short") else 3
    missing = "8 of 9 frames" if path.name.startswith("cut") else ""
    return Read({"x": np.full((count, 2), params["value"], np.float32)}, count, 3, missing)


NAMES = ("a", "bad", "short", "b")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "VIDEOS_PER_SHARD", 2)


def run(folder, value=1.0, names=NAMES, limits=None, **options):
    """A step on files of these names; each is made, for a step looks at them."""
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_text(name)
    params = {"value": value, "log": str(folder / "log")}
    engine = Engine(limits=limits or Limits(), **options)
    videos = [Video(name, folder / name) for name in names]
    return run_shards(work, videos, folder / "step", params=params, workers=1, title="x", engine=engine)


def calls(folder) -> list[str]:
    """Which videos were read since the last time that this was asked."""
    log = folder / "log"
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def without_seconds(path: Path) -> dict:
    report = json.loads(path.read_text())
    if path.name == "key.json":
        return report
    del report["seconds"]
    for row in report["videos"]:
        del row["seconds"]
    return report


def test_every_video_has_one_status(tmp_path):
    result = run(tmp_path, names=("a", "bad", "short", "b", "cut"))
    status = result.status.set_index("video_id")
    assert status["status"].to_dict() == {
        "a": "ok",
        "bad": "failed",
        "short": "partial",
        "b": "ok",
        "cut": "partial",
    }
    assert "broken" in status.loc["bad", "reason"] and "2 of 3" in status.loc["short", "reason"]
    assert "8 of 9 frames" in status.loc["cut", "reason"]
    assert "a" in result and "cut" in result and "bad" not in result
    assert result.failed["video_id"].tolist() == ["bad"]
    with pytest.raises(KeyError, match="bad"):
        result.get("bad", "x")
    assert result.get("a", "x", slice(1, 2)).tolist() == [[1.0, 1.0]]
    assert result.has("a", "x") and not result.has("a", "y")


def test_a_shards_report_has_counts_and_the_steps_key_its_code_and_versions(tmp_path):
    result = run(tmp_path)
    report = json.loads((result.folder / "00000.json").read_text())
    assert report["counts"] == {"failed": 1, "ok": 1} and report["seconds"] >= 0
    key = json.loads((result.folder / "key.json").read_text())
    assert result.folder.name.endswith(key["digest"][:10])
    assert "scslib.video.container" in key["code"]["modules"] and "av" in key["code"]["libraries"]


def test_a_crash_a_hang_and_a_glut_of_memory_cost_one_video_each(tmp_path):
    names = ("a", "crash", "hang", "b", "glut", "c")
    result = run(tmp_path, names=names, limits=Limits(seconds=8, memory_gb=1))
    status = result.status.set_index("video_id")
    assert status["status"].tolist() == ["ok", "failed", "timeout", "ok", "failed", "ok"]
    assert "SIGSEGV" in status.loc["crash", "reason"] and "8 s" in status.loc["hang", "reason"]
    assert "1 GB of memory" in status.loc["glut", "reason"]
    assert set(result.failed["video_id"]) == {"crash", "hang", "glut"}
    assert result.get("c", "x").shape == (3, 2)
    assert calls(tmp_path).count("crash") == 3  # it might have been something else


def test_finished_shards_are_not_done_again_and_give_the_same_bytes(tmp_path):
    first = run(tmp_path)
    done = {p.name: p.read_bytes() for p in first.folder.glob("*.safetensors")}
    reports = {p.name: without_seconds(p) for p in first.folder.glob("*.json")}
    (first.folder / "00001.json").unlink()  # as if killed before the second shard was complete
    calls(tmp_path)
    again = run(tmp_path)
    assert calls(tmp_path) == ["short", "b"]
    assert {p.name: p.read_bytes() for p in again.folder.glob("*.safetensors")} == done
    assert {p.name: without_seconds(p) for p in again.folder.glob("*.json")} == reports
    run(tmp_path)
    assert calls(tmp_path) == []


def test_a_file_that_has_changed_is_read_again(tmp_path):
    run(tmp_path)
    calls(tmp_path)
    (tmp_path / "b").write_text("another content")
    run(tmp_path)
    assert calls(tmp_path) == ["short", "b"]


def test_failed_videos_are_tried_again_when_asked(tmp_path):
    run(tmp_path)
    calls(tmp_path)
    run(tmp_path, retry=True)
    assert calls(tmp_path) == ["a", "bad"]  # their shard; the other one has all that it can have


def test_other_parameters_have_a_folder_of_their_own(tmp_path):
    first, second = run(tmp_path), run(tmp_path, value=2.0)
    assert first.folder != second.folder
    assert first.get("a", "x")[0, 0] == 1.0 and second.get("a", "x")[0, 0] == 2.0


def test_parameters_of_one_video(tmp_path):
    params = {"value": 1.0, "log": str(tmp_path / "log")}
    videos = [Video("a", tmp_path / "a"), Video("b", tmp_path / "b", {"value": 5.0})]
    result = run_shards(work, videos, tmp_path / "step", params=params, workers=1, title="x")
    assert result.get("a", "x")[0, 0] == 1.0 and result.get("b", "x")[0, 0] == 5.0


def test_nothing_half_written_is_left(tmp_path):
    first = run(tmp_path)
    assert not list(first.folder.glob("*.part"))
    dead = first.folder / f"00001.{shards.socket.gethostname()}-999999999.part"
    living = first.folder / f"00001.{shards.socket.gethostname()}-{os.getpid()}.part"
    for path in (dead, living):
        path.touch()
    run(tmp_path)
    assert not dead.exists() and living.exists()


def test_what_is_no_videos_fault_ends_the_step_and_keeps_what_is_done(tmp_path):
    with pytest.raises(OSError, match="No space left on device"):
        run(tmp_path, names=("a", "b", "full", "c"))
    calls(tmp_path)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, names=("a", "b", "full", "c"))
    assert calls(tmp_path) == ["full"]


def turned(path, params):
    """Arrays whose memory is in another order than their indices: what NumPy's indexing may give."""
    plain = np.arange(24.0).reshape(2, 3, 4)
    return Read({"t": plain.T, "p": plain[:, [2, 0]], "f": np.asfortranarray(plain)}, 1, 1)


def test_arrays_come_back_as_they_were_whatever_their_order_in_memory(tmp_path):
    result = run_shards(turned, [("a", "a")], tmp_path / "s", params={}, workers=1, title="x")
    for name, array in turned("", {}).arrays.items():
        np.testing.assert_array_equal(result.get("a", name), array)
        np.testing.assert_array_equal(result.get("a", name, slice(1, 2)), array[1:2])


def test_more_shards_than_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_files, "OPEN", 1)
    result = run(tmp_path, names=("a", "b", "c", "d", "e"))
    assert [result.get(name, "x").shape for name in "aceb"] == [(3, 2)] * 4


def test_what_a_later_step_fails_on_is_gone_from_an_earlier_one(tmp_path):
    earlier = run(tmp_path, names=("a", "bad", "b", "short"))
    (tmp_path / "bad-b").write_text("b")
    params = {"value": 1.0, "log": str(tmp_path / "log")}
    rows = [Video("a", tmp_path / "a"), Video("b", tmp_path / "bad-b")]
    later = run_shards(work, rows, tmp_path / "later-step", params=params, workers=1, title="x")
    both = earlier.but(later)
    status = both.status.set_index("video_id")
    assert status["status"].tolist() == ["ok", "failed", "failed", "partial"]
    assert status.loc["b", "clips"] == 0 and "bad-b: broken" in status.loc["b", "reason"]
    assert "a" in both and "b" not in both and "b" in earlier
    np.testing.assert_array_equal(both.get("a", "x"), earlier.get("a", "x"))
    assert earlier.but(run(tmp_path, names=("a",))).status.equals(earlier.status)
