"""A dataset encoded again: to the setting, once, with every video accounted for."""

import json
import os
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import DatasetError, load_dataset, write_dataset
from scslib.datasets.prepare import fits, prepare
from scslib.video.clips import index_clips
from scslib.video.recode import Recoding
from tests.support.streams import BEEP_S, FRAMES, beep, every_frame, numbers, panning, tone, write

WIDTH, HEIGHT = 96, 64
PICTURES = panning(WIDTH, HEIGHT)
SETTING = Recoding(short_side=48, gop=12, codec="h264", quality=20)
GROUPS = "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes="
PLAIN, B_FRAMES = ({"x264-params": GROUPS + b} for b in ("0", "2:b-adapt=0"))
SMALL = panning(48, 32)


def dataset(folder, paths, **columns):
    """A dataset folder whose videos lie there already: all of one class, for training."""
    table = {"video_id": [f"v{i}" for i in range(len(paths))], "path": list(paths), "label": "pan"}
    videos = pd.DataFrame(table | {"split": "train"} | columns)
    segments = pd.DataFrame([("v0", 0.5, 2.0)], columns=["video_id", "start_s", "end_s"])
    about = {"classes": ("pan",), "licence": "CC0-1.0", "origin": "this test"}
    return write_dataset(folder, name="source", videos=videos, segments=segments, **about).folder


def run(source, folder, setting=SETTING):
    return prepare(source, folder, setting, workers=1)


def told(data) -> str:
    return "\n".join(data.about["notes"])


def types(path) -> str:
    return "".join(av.video.frame.PictureType(f.pict_type).name for f in every_frame(path))


def state(folder) -> dict:
    """Every file below a folder: its inode, size and time."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {f: (f.stat().st_ino, f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """In two folders: to be encoded, as it should be, small, begun at 5 s, no video, and missing."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("a", "b"):
        (folder / name).mkdir()
    write(folder / "a/big.mkv", PICTURES, "libx264", B_FRAMES, sounds=[(tone(), 0.0)])
    write(folder / "a/right.mp4", SMALL, "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "b/small.avi", SMALL, "mpeg4", {"g": "6", "qmin": "2", "qmax": "2"})
    write(folder / "b/late.ts", PICTURES, "libx264", B_FRAMES, first=60, sounds=[(tone(), 5.0)])
    (folder / "b/text.mp4").write_text("no video")
    paths = ["a/big.mkv", "a/right.mp4", "b/small.avi", "b/late.ts", "b/text.mp4", "b/gone.mp4"]
    made = dataset(folder, paths, split=["train"] * 5 + ["test"], group=list("gghhii"))
    rows = [("v0", 0.5, 2.0), ("v1", 1.0, 2.0), ("v3", 5.5, 7.0), ("v3", 4.0, 5.25), ("v4", 0.0, 1.0)]
    table = pd.DataFrame(rows, columns=["video_id", "start_s", "end_s"])
    table.to_csv(made / "segments.csv", index=False)
    return made


@pytest.fixture(scope="module")
def done(source, tmp_path_factory):
    return run(source, tmp_path_factory.mktemp("done") / "data")


def test_videos_are_encoded_to_the_setting(source, done):
    path = done.path("v0")
    assert path == done.folder / "a/big.mp4" and types(path) == ("I" + 11 * "P") * 3 + "IPPP"
    assert numbers(path, PICTURES) == list(range(FRAMES))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (72, 48, "h264")
    np.testing.assert_allclose(beep(path), BEEP_S, atol=5e-3)
    assert every_frame(path)[0].time == 0


def test_smaller_ones_are_not_made_larger(done):
    path = done.path("v2")
    assert numbers(path, SMALL) == list(range(FRAMES)) and types(path).count("I") == 4
    assert {(f.width, f.height) for f in every_frame(path)} == {(48, 32)}


def test_one_that_is_so_already_is_linked_and_reported(source, done):
    assert done.path("v1") == done.folder / "a/right.mp4"
    assert os.path.samefile(done.path("v1"), source / "a/right.mp4")
    assert not done.path("v1").is_symlink()
    assert sum(path.stat().st_nlink > 1 for path in done.folder.rglob("*.mp4")) == 1
    assert "1 of 6 videos are so already" in told(done)


def test_those_that_cannot_be_read_are_named(done):
    lost = pd.read_csv(done.folder / "left_out.csv").set_index("path")["problem"]
    assert list(lost.index) == ["b/text.mp4", "b/gone.mp4"]
    assert "no such file" in lost["b/gone.mp4"] and "not a readable video" in lost["b/text.mp4"]
    assert "2 files left out" in told(done) and "b/text.mp4, b/gone.mp4" in told(done)
    assert done.about["left_out"] == 2 and list(done.videos["video_id"]) == ["v0", "v1", "v2", "v3"]
    assert len(list(done.folder.rglob("*.mp4"))) == 4


def test_tables_go_along(source, done):
    before = load_dataset(source)
    kept = before.videos.iloc[:4].drop(columns="path")
    pd.testing.assert_frame_equal(done.videos.drop(columns="path"), kept)
    assert (done.name, done.classes) == (before.name, before.classes)
    assert done.about["licence"] == "CC0-1.0" and "this test" in done.about["origin"]
    assert done.about["made_with"]["short_side"] == 48 and done.about["made_with"]["gop"] == 12


def test_segments_count_from_the_first_picture(done):
    rows = [tuple(row) for row in done.segments.itertuples(index=False)]
    late = [("v3", 0.5, 2.0), ("v3", 0.0, 0.25)]
    assert rows == [("v0", 0.5, 2.0), ("v1", 1.0, 2.0), *late]
    path = done.path("v3")
    assert every_frame(path)[0].time == 0 and numbers(path, PICTURES) == list(range(FRAMES))
    np.testing.assert_allclose(beep(path), BEEP_S, atol=5e-3)


@pytest.mark.parametrize("listed", [True, False])
def test_no_segment_left(tmp_path, listed):
    """The one that has a segment cannot be read, or none has any."""
    write(tmp_path / "good.mp4", SMALL, "libx264", B_FRAMES)
    (tmp_path / "text.mp4").write_text("no video")
    paths = ["text.mp4", "good.mp4"]
    folder = dataset(tmp_path, paths)
    if not listed:
        (folder / "segments.csv").unlink()
    data = run(folder, tmp_path.with_name(f"{tmp_path.name}-out"))
    assert list(data.videos["video_id"]) == ["v1"] and data.segments.empty
    assert (data.folder / "segments.csv").exists() is listed


def test_a_second_run_does_nothing_and_a_broken_one_goes_on(source, tmp_path):
    first = run(source, tmp_path / "data")
    before = state(tmp_path / "data")
    tables = {path: path.read_bytes() for path in before if path.suffix in (".csv", ".json")}
    again = run(source, tmp_path / "data")
    after = state(tmp_path / "data")
    assert before.keys() == after.keys()
    assert all(after[path] == before[path] for path in before if path.suffix == ".mp4")
    assert all(path.read_bytes() == content for path, content in tables.items())
    pd.testing.assert_frame_equal(first.videos, again.videos)
    pd.testing.assert_frame_equal(first.segments, again.segments)

    (tmp_path / "data" / "a/big.mp4").unlink()
    run(source, tmp_path / "data")
    last = state(tmp_path / "data")
    assert {p.name for p in before if p.suffix == ".mp4" and last[p] != before[p]} == {"big.mp4"}


def test_a_source_that_changed_is_encoded_again(tmp_path):
    video = tmp_path / "s" / "v.mp4"
    video.parent.mkdir()
    write(video, SMALL[:8], "libx264", B_FRAMES)
    folder = dataset(tmp_path / "s", ["v.mp4"])
    out = run(folder, tmp_path / "d").path("v0")
    write(video, SMALL[8:20], "libx264", B_FRAMES)
    os.utime(video, ns=(0, out.stat().st_mtime_ns + 1_000_000_000))
    run(folder, tmp_path / "d")
    assert numbers(out, SMALL) == list(range(8, 20))


@pytest.mark.parametrize(
    "changed",
    [Recoding(32, 12), Recoding(48, 6), Recoding(48, 12, "mpeg4", 5), Recoding(48, 12, "h264", 21)],
)
def test_another_setting_in_the_same_folder_is_refused(source, done, changed):
    before = state(done.folder)
    with pytest.raises(DatasetError, match=r"prepare\.json: was prepared otherwise"):
        run(source, done.folder, changed)
    assert state(done.folder) == before


def test_folders_that_must_not_be_written_to(source, done, tmp_path):
    for inside in (source, source / "a", source / "new" / "deep", source / "a" / ".." / "x"):
        before = state(source)
        with pytest.raises(DatasetError, match="must not lie inside"):
            run(source, inside)
        assert state(source) == before and not inside.is_dir() or inside in (source, source / "a")
    (tmp_path / "v.mp4").write_bytes((source / "a/right.mp4").read_bytes())
    other = dataset(tmp_path, ["v.mp4"])
    with pytest.raises(DatasetError, match="holds another dataset"):
        run(source, other)
    assert json.loads((other / "dataset.json").read_text())["origin"] == "this test"


def test_two_of_one_stem_do_not_overwrite_each_other(tmp_path):
    paths = ["x.avi", "x.mkv", "sub.1/x.avi", "y.v2.avi"]
    (tmp_path / "s" / "sub.1").mkdir(parents=True)
    for number, path in enumerate(paths):
        part = SMALL[5 * number : 5 * number + 5]
        write(tmp_path / "s" / path, part, "mpeg4", {"g": "12", "qmin": "2", "qmax": "2"})
    data = run(dataset(tmp_path / "s", paths), tmp_path / "d")
    assert list(data.videos["path"]) == ["x.avi.mp4", "x.mkv.mp4", "sub.1/x.mp4", "y.v2.mp4"]
    for number, path in enumerate(data.videos["path"]):
        assert numbers(data.folder / path, SMALL) == list(range(5 * number, 5 * number + 5))


def test_a_wrong_setting_is_no_fault_of_the_videos(source, tmp_path):
    with pytest.raises(ValueError, match=r"gop \(0\) must be > 0"):
        run(source, tmp_path / "d", Recoding(48, 0))


@pytest.mark.parametrize(
    "expected, codec, options, more",
    [
        (True, "libx264", PLAIN, {}),
        (False, "libx264", B_FRAMES, {}),
        (False, "libx264", {"x264-params": GROUPS.replace("12", "6") + "0"}, {}),
        (False, "mpeg4", {"g": "12"}, {}),
        (False, "libx264", PLAIN, {"turned": 90}),
        (False, "libx264", PLAIN, {"aspect": Fraction(4, 3)}),
        (False, "libx264", {"x264-params": "keyint=infinite:min-keyint=12:bframes=0"}, {}),
    ],
)
def test_what_is_so_already(tmp_path, expected, codec, options, more):
    path = write(tmp_path / "v.mp4", SMALL, codec, options, **more)
    index = index_clips(path)
    assert fits(index, Recoding(48, 12)) is expected
    assert fits(index, Recoding(32, 12)) is expected and fits(index, Recoding(0, 12)) is expected
    assert fits(index, Recoding(30, 12)) is False and fits(index, Recoding(48, 10)) is False
