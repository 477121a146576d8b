"""A user's own folders become a dataset: any names, nothing lost silently, groups kept whole."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scslib.datasets.folder import index_folder, test_groups
from scslib.datasets.manifest import DatasetError, load_dataset
from scslib.datasets.public.listing import place, video_ids
from scslib.datasets.sources import Source
from scslib.video.probe import probe
from scslib.video.write import Encoding, write_video
from tests.support.layouts import own

test_groups.__test__ = False  # a function of the library, not a test

CLASSES = ("jump, high", "пить чай")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two small files to copy from: with and without sound."""
    folder, picture = tmp_path_factory.mktemp("videos"), np.full((32, 48, 3), 90, np.uint8)
    encoding = Encoding(48, 32, 8, 8)
    write_video(folder / "quiet.mp4", [picture] * 8, None, encoding)
    write_video(folder / "sound.mp4", [picture] * 8, np.zeros(16_000, np.float32), encoding)
    return folder


@pytest.fixture
def clips(tmp_path, videos):
    """Two classes of ten files in five groups, with names that break what is not careful."""
    for label in CLASSES:
        (tmp_path / "clips" / label).mkdir(parents=True)
        for i in range(10):
            target = tmp_path / "clips" / label / f"видео {i}, g{i // 2:02d} (1).mp4"
            target.write_bytes(own((videos / "quiet.mp4").read_bytes(), f"{label} {i}"))
    return tmp_path / "clips"


def index(clips, out="out", **options):
    return index_folder(clips, clips.parent / out, workers=1, **options)


def test_any_names_work_and_every_file_is_there(clips):
    data = load_dataset(index(clips).folder)
    assert data.classes == CLASSES and data.name == "clips" and len(data.videos) == 20
    assert data.videos["video_id"].is_unique
    for video in data.videos.itertuples():
        path = data.path(video.video_id)
        assert path.samefile(clips / video.source) and path.stat().st_nlink == 2  # a hard link
        assert not set(video.video_id) & set(" ,/()")
        assert probe(path).duration_s == pytest.approx(1.0)
        assert Path(video.source).parent.name == video.label
    assert data.about["licence"] == "of the sources" and data.about["left_out"] == 0
    assert not (data.folder / "left_out.csv").exists()
    assert len(data.segments) == 0


def test_the_split_is_drawn_by_class_and_seed(clips):
    splits = [index(clips, f"out{i}", seed=s).videos["split"] for i, s in enumerate((0, 0, 1))]
    assert splits[0].equals(splits[1]) and not splits[0].equals(splits[2])
    data = load_dataset(clips.parent / "out0")
    assert data.videos.groupby(["label", "split"]).size().to_dict() == {
        (label, split): count for label in CLASSES for split, count in (("test", 3), ("train", 7))
    }
    assert "group" not in data.videos


def test_a_group_is_never_cut_in_two(clips):
    for seed in range(5):
        videos = index(clips, f"out{seed}", group_pattern=r"(g\d\d)", seed=seed).videos
        assert (videos.groupby("group")["split"].nunique() == 1).all()  # over both classes, too
        assert set(videos["group"]) == {f"g{i:02d}" for i in range(5)}
        share = (videos["split"] == "test").groupby(videos["label"]).mean()
        assert share.to_dict() == {label: pytest.approx(0.4) for label in CLASSES}  # 2 of 5 groups


def source(label, i, group=""):
    return Source(Path("x"), f"{label}/{i}.mp4", label, group or f"{label}/{i}.mp4")


@pytest.mark.parametrize(
    "count, share, expected", [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (9, 0.9, 8)]
)
def test_each_class_keeps_a_video_on_either_side(count, share, expected):
    videos = [source(label, i) for label in "ab" for i in range(count)]
    test = test_groups(videos, share, 0)
    assert [sum(v.group in test for v in videos if v.label == label) for label in "ab"] == [expected] * 2


def test_a_class_without_a_test_video_is_mentioned(clips):
    for path in sorted((clips / CLASSES[0]).iterdir())[1:]:
        path.unlink()
    data = index(clips)
    first, second = data.about["notes"]
    assert first == f"class {CLASSES[0]!r} has no test video: too few of its own groups"
    assert second.startswith("1 classes have 1 training video and") and repr(CLASSES[0]) in second


def test_files_that_cannot_be_opened_are_named(clips, videos):
    folder = clips / CLASSES[1]
    (folder / "пусто.mp4").write_bytes(b"")
    (folder / "notes, 1.avi").write_text("no video")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile 'видео 1, g00 (1).mp4'\n")
    (folder / "deeper").mkdir()
    (clips / "loose.mp4").write_bytes(own((videos / "quiet.mp4").read_bytes(), "loose"))
    (folder / ".DS_Store").write_bytes(b"x")
    bytes_name = os.fsencode(folder) + b"/\xff.mp4"
    Path(os.fsdecode(bytes_name)).write_bytes(b"x")
    data = index(clips)
    left = pd.read_csv(data.folder / "left_out.csv").set_index("path")["problem"].to_dict()
    label = CLASSES[1]
    assert left == {
        f"{label}/пусто.mp4": "the file is empty",
        f"{label}/notes, 1.avi": left[f"{label}/notes, 1.avi"],
        f"{label}/list.mp4": left[f"{label}/list.mp4"],
        f"{label}/deeper": "a folder inside a class's folder",
        f"{label}/\\xff.mp4": "the file's name is not UTF-8",
        "loose.mp4": "not in a class's folder",
    }
    assert all(
        "not a readable video" in left[f"{label}/{name}"] for name in ("notes, 1.avi", "list.mp4")
    )
    assert data.about["left_out"] == 6 and data.about["notes"][0].startswith("6 files left out")
    assert len(data.videos) == 20


def test_what_downloaders_leave_beside_videos_is_no_video_and_no_error(clips):
    before = index(clips, "before").videos
    folder = clips / CLASSES[1]
    names = ["v.jpg", "v.info.json", "v.en.srt", "v.mp4.part", "v.mp4.ytdl", "v.f137.mp4.part-Frag7"]
    for name in (*names, "v.description", "v.WEBP", "v.live_chat.json.part", "v.vtt", "v.m4a"):
        (folder / name).write_bytes(b"not a video")
    (clips / "playlist.json").write_text("{}")
    data = index(clips)
    assert data.videos.equals(before) and data.about["left_out"] == 0
    assert not (data.folder / "left_out.csv").exists()
    (note,) = data.about["notes"]
    assert note.startswith("12 files beside the videos passed over: ")
    assert "2 .json" in note and "2 .part," in note and "1 .part-frag7" in note


def test_what_the_files_give_away_is_said(clips, videos):
    for path in (clips / CLASSES[0]).iterdir():
        path.write_bytes(own((videos / "sound.mp4").read_bytes(), path.name))
    told = index(clips).about["notes"]
    assert len(told) == 1 and "sound gives the class away" in told[0] and "100%" in told[0]


def test_a_second_run_takes_up_changes(clips, videos):
    before = index(clips).videos
    (clips / CLASSES[0] / "new.mp4").write_bytes(own((videos / "quiet.mp4").read_bytes(), "new"))
    after = index(clips).videos
    assert len(after) == 21 and set(before["video_id"]) < set(after["video_id"])
    assert index(clips).videos.equals(after)


def test_copies_where_links_are_not_wanted_or_not_possible(clips, monkeypatch):
    data = index(clips, "copies", link=False)
    assert data.path(data.videos["video_id"][0]).stat().st_nlink == 1

    def refuse(*args):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    data = index(clips, "far")
    for video in data.videos.itertuples():
        assert data.path(video.video_id).read_bytes() == (clips / video.source).read_bytes()
    path = data.path(data.videos["video_id"][0])
    node = path.stat().st_ino
    index(clips, "far")
    assert path.stat().st_ino == node  # an unchanged copy is not made again
    (clips / data.videos["source"][0]).write_bytes(b"changed")
    place(clips / data.videos["source"][0], path, link=True)
    assert path.read_bytes() == b"changed"


def test_symbolic_links_are_followed_into_the_dataset(clips, videos):
    """The link's target is linked: a path out of the dataset's folder would be refused."""
    (clips / CLASSES[0] / "linked.mp4").symlink_to(videos / "sound.mp4")
    data = index(clips)
    row = data.videos[data.videos["source"] == f"{CLASSES[0]}/linked.mp4"].iloc[0]
    assert data.path(row["video_id"]).samefile(videos / "sound.mp4")


def test_ids_are_safe_unique_and_stable():
    names = ["a b", "a_b", "A_B", "c", "x" * 200, "x" * 199, "..", "日本 語", "d,e"]
    sources = [source("k", name) for name in names] + [source("k_c", "d"), source("k", "c_d")]
    ids = video_ids(sources)
    assert len({i.casefold() for i in ids}) == len(ids) and max(map(len, ids)) < 70
    assert ids[3] == "k_c" and ids[7] == "k_日本_語" and ids[8] == "k_d_e"
    assert video_ids(sources[::-1]) == ids[::-1]


def no_classes(clips):
    for folder in list(clips.iterdir()):
        folder.rename(clips.parent / folder.name)


def empty_class(clips):
    (clips / "empty").mkdir()


def class_of_text(clips):
    (clips / "text").mkdir()
    (clips / "text/a.mp4").write_text("x")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (no_classes, "clips: has 0 class folders, at least 2 are needed: put the"),
        (empty_class, "clips/empty: class 'empty' has no readable video"),
        (class_of_text, "class 'text' has no readable video (1 left out; text/a.mp4: not a readable"),
    ],
)
def test_what_cannot_be_indexed_gives_one_line(clips, spoil, message):
    spoil(clips)
    with pytest.raises(DatasetError) as caught:
        index(clips)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (clips.parent / "out").exists()


def test_wrong_parameters_are_named(clips):
    with pytest.raises(ValueError, match=r"test_share \(1.0\) must be between 0 and 1"):
        index(clips, test_share=1.0)
    with pytest.raises(ValueError, match="must have 1 capture group, has 2"):
        index(clips, group_pattern="(a)(b)")
    with pytest.raises(DatasetError, match=r"видео 0.*group pattern .* finds no group in its name"):
        index(clips, group_pattern="(zzz)")
    with pytest.raises(DatasetError, match="must not lie inside"):
        index(clips, "clips/out")
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        index(clips.parent / "nowhere")
    (clips.parent / "other").mkdir()
    (clips.parent / "other/dataset.json").write_text('{"name": "other"}')
    with pytest.raises(DatasetError, match="other: holds another dataset"):
        index(clips, "other")


def test_real_videos_as_they_are(real, tmp_path):
    for name in ("Lunges", "WallPushups"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for path in sorted((real / "ucf" / name).iterdir())[::4]:
            (tmp_path / "clips" / name / path.name).symlink_to(path)
    data = index(tmp_path / "clips", link=False, group_pattern=r"_(g\d+)_")
    assert set(data.videos["split"]) == {"train", "test"} and data.about["left_out"] == 0
    assert any("sound gives the class away" in line for line in data.about["notes"])
    assert all(probe(data.path(v)).width == 320 for v in data.videos["video_id"])
