"""Long steps: every video accounted for, finished shards kept, parameters never mixed."""

import numpy as np
import pytest

from scslib import shards
from scslib.shards import run_shards
from scslib.video.probe import VideoError

CALLS = []


def work(path, params):
    CALLS.append(path.name)
    if path.name == "bad":
        raise VideoError(f"{path}: broken")
    count = 2 if path.name == "short" else 3
    return {"x": np.full((count, 2), params["value"], np.float32)}, 3, count


VIDEOS = [(name, name) for name in ("a", "bad", "short", "b")]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "VIDEOS_PER_SHARD", 2)
    CALLS.clear()


def run(folder, value=1.0):
    return run_shards(work, VIDEOS, folder / "step", params={"value": value}, workers=1, title="x")


def test_every_video_has_one_status(tmp_path):
    result = run(tmp_path)
    status = result.status.set_index("video_id")
    assert status["status"].to_dict() == {"a": "ok", "bad": "failed", "short": "partial", "b": "ok"}
    assert "broken" in status.loc["bad", "reason"] and "2 of 3" in status.loc["short", "reason"]
    assert "a" in result and "bad" not in result
    with pytest.raises(KeyError, match="bad"):
        result.get("bad", "x")
    assert result.get("a", "x", slice(1, 2)).tolist() == [[1.0, 1.0]]
    assert result.has("a", "x") and not result.has("a", "y")


def test_finished_shards_are_not_done_again_and_give_the_same_bytes(tmp_path):
    first = run(tmp_path)
    done = {p.name: p.read_bytes() for p in first.folder.glob("*.safetensors")}
    (first.folder / "00001.json").unlink()  # as if killed before the second shard was complete
    CALLS.clear()
    again = run(tmp_path)
    assert CALLS == ["short", "b"]
    assert {p.name: p.read_bytes() for p in again.folder.glob("*.safetensors")} == done


def test_other_parameters_have_a_folder_of_their_own(tmp_path):
    first, second = run(tmp_path), run(tmp_path, value=2.0)
    assert first.folder != second.folder
    assert first.get("a", "x")[0, 0] == 1.0 and second.get("a", "x")[0, 0] == 2.0


def test_nothing_half_written_is_left(tmp_path):
    assert not list(run(tmp_path).folder.glob("*.part"))


def turned(path, params):
    """Arrays whose memory is in another order than their indices: what NumPy's indexing may give."""
    plain = np.arange(24.0).reshape(2, 3, 4)
    return {"t": plain.T, "p": plain[:, [2, 0]], "f": np.asfortranarray(plain)}, 1, 1


def test_arrays_come_back_as_they_were_whatever_their_order_in_memory(tmp_path):
    result = run_shards(turned, [("a", "a")], tmp_path / "s", params={}, workers=1, title="x")
    for name, array in turned("", {})[0].items():
        np.testing.assert_array_equal(result.get("a", name), array)
        np.testing.assert_array_equal(result.get("a", name, slice(1, 2)), array[1:2])
