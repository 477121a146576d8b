"""A dataset folder that cannot be used says so in one line that names the file and the value."""

import json

import pandas as pd
import pytest

from scslib.datasets.manifest import (
    DatasetError,
    hold_out,
    in_folds,
    load_dataset,
    training_parts,
    write_dataset,
)

ROWS = [
    ("a0", "videos/a0.mp4", "jump, high", "train"),
    ("a1", "videos/a1.mp4", "jump, high", "test"),
    ("b0", "videos/b0.mp4", "бег", "train"),
    ("b1", "videos/b1.mp4", "бег", "test"),
]
COLUMNS = ["video_id", "path", "label", "split"]


@pytest.fixture
def folder(tmp_path):
    """A dataset of four files that need not be videos: the manifest does not look into them."""
    (tmp_path / "videos").mkdir()
    for _, path, *_ in ROWS:
        (tmp_path / path).write_bytes(b"x")
    write_dataset(
        tmp_path,
        name="four",
        classes=("бег", "jump, high"),
        videos=pd.DataFrame(ROWS, columns=COLUMNS),
        segments=pd.DataFrame([("a0", 1.0, 2.5)], columns=["video_id", "start_s", "end_s"]),
        licence="CC0-1.0",
        origin="this test",
        seed=7,
    )
    return tmp_path


def test_what_was_written_is_read(folder):
    data = load_dataset(folder)
    assert data.name == "four" and data.classes == ("бег", "jump, high")
    assert list(data.videos.itertuples(index=False, name=None)) == ROWS
    assert list(data.split("test")["video_id"]) == ["a1", "b1"]
    assert data.label_index(data.videos).tolist() == [1, 1, 0, 0]
    assert data.path("b0") == folder / "videos/b0.mp4"
    assert data.segments_of("a0").tolist() == [[1.0, 2.5]] and len(data.segments_of("b0")) == 0
    assert data.about["seed"] == 7 and data.about["licence"] == "CC0-1.0"
    assert "2 classes" in repr(data) and "b0" not in repr(data)


def test_ids_that_look_like_numbers_stay_text(folder):
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    table["video_id"] = ["007", "1e5", "NA", "nan"]
    table.to_csv(folder / "videos.csv", index=False)
    (folder / "segments.csv").unlink()
    assert list(load_dataset(folder).videos["video_id"]) == ["007", "1e5", "NA", "nan"]


def change(row, column, value):
    def mutate(folder):
        table = pd.read_csv(folder / "videos.csv", dtype=str)
        table.loc[row, column] = value
        table.to_csv(folder / "videos.csv", index=False)

    return mutate


def write(name, text):
    return lambda folder: (folder / name).write_bytes(text)


def remove(pattern):
    return lambda folder: [path.unlink() for path in folder.glob(pattern)]


@pytest.mark.parametrize(
    "mutate, message",
    [
        (remove("dataset.json"), "dataset.json: no such file (is"),
        (write("dataset.json", b"{"), "dataset.json: not JSON"),
        (write("dataset.json", b"\xff"), "dataset.json: not JSON"),
        (write("dataset.json", b"[1]"), "dataset.json: must hold an object"),
        (remove("videos.csv"), "videos.csv: no such file"),
        (write("videos.csv", b""), "videos.csv: not a CSV file"),
        (write("videos.csv", b"\xff\xfe"), "videos.csv: not a CSV file"),
        (write("videos.csv", b"video_id,path,label,split\n"), "videos.csv: no videos"),
        (write("videos.csv", b"video_id,path,split\na,b,c\n"), "videos.csv: column 'label' is missing"),
        (change(1, "video_id", "a0"), "videos.csv: video_id 'a0' occurs twice"),
        (change(2, "path", ""), "videos.csv: line 4: path is empty"),
        (change(2, "label", "swim"), "videos.csv: label 'swim' is not a class"),
        (change(2, "split", "test"), "videos.csv: class 'бег' has no video in split 'train'"),
        (change(0, "path", "../a0.mp4"), "videos.csv: path '../a0.mp4' leads out"),
        (change(0, "path", "/etc/passwd"), "videos.csv: path '/etc/passwd' leads out"),
        (remove("videos/*"), "videos.csv: none of its 4 videos exists (first: videos/a0.mp4)"),
        (write("segments.csv", b"video_id,start_s,end_s\na0,x,2\n"), "segments.csv: start_s and end_s"),
        (write("segments.csv", b"video_id,start_s\na0,1\n"), "segments.csv: column 'end_s' is missing"),
        (
            write("segments.csv", b"video_id,start_s,end_s\na0,1,2\n0,1,2\n"),
            "segments.csv: video_id must be in videos.csv (1 lines, first '0'; there are such as 'a0')",
        ),
    ],
)
def test_each_fault_gives_one_line(folder, mutate, message):
    mutate(folder)
    with pytest.raises(DatasetError) as caught:
        load_dataset(folder)
    assert message in str(caught.value) and str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_that_leads_out_is_refused(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.mp4"
    secret.write_bytes(b"x")
    (folder / "videos/a0.mp4").unlink()
    (folder / "videos/a0.mp4").symlink_to(secret)
    with pytest.raises(DatasetError, match="leads out"):
        load_dataset(folder)


def test_one_missing_video_is_left_to_the_reader(folder):
    (folder / "videos/a1.mp4").unlink()
    assert len(load_dataset(folder).videos) == 4


def test_an_unknown_split_is_named(folder):
    with pytest.raises(DatasetError, match=r"no videos in split 'dev' of \['test', 'train'\]"):
        load_dataset(folder).split("dev")


def test_without_segments_there_are_none(folder):
    (folder / "segments.csv").unlink()
    data = load_dataset(folder)
    assert len(data.segments) == 0 and data.segments_of("a0").shape == (0, 2)


def test_classes_are_the_labels_where_nobody_names_them(folder):
    (folder / "dataset.json").write_text(json.dumps({"name": "four"}))
    assert load_dataset(folder).classes == ("jump, high", "бег")


def table_of(groups):
    rows = [
        (f"{label}{i}", label, group) for label, own in groups.items() for i, group in enumerate(own)
    ]
    return pd.DataFrame(rows, columns=["video_id", "label", "group"])


def test_held_out_videos_are_parted_by_class_and_group():
    videos = table_of({"a": [1, 1, 2, 2, 3, 3, 4, 4], "b": [1, 2, 3, 4]})
    kept, held = hold_out(videos, 0.25)
    assert sorted([*kept["video_id"], *held["video_id"]]) == sorted(videos["video_id"])
    assert list(held["video_id"]) == ["a6", "a7", "b3"]
    kept, held = hold_out(videos.drop(columns="group"), 0.25)
    assert list(held["video_id"]) == ["a6", "a7", "b3"]
    kept, held = hold_out(videos, 0.99)
    assert set(kept["label"]) == {"a", "b"}  # something is always left to learn from


def test_training_parts_share_no_video_and_no_group():
    videos = table_of({"a": [1, 1, 2, 2, 3, 4, 5, 6], "b": [1, 2, 3, 4], "c": [7, 8]})
    parts = training_parts(videos, 0.5, 0.34)
    ids = [set(part["video_id"]) for part in parts]
    assert set.union(*ids) == set(videos["video_id"]) and sum(map(len, ids)) == len(videos)
    assert (parts.classifier["video_id"].tolist(), parts.samplers["video_id"].tolist()) == (
        hold_out(videos, 0.5)[0]["video_id"].tolist(),
        ["a5", "a6", "b2", "c1"],  # class c has one held-out video, which teaches
    )
    for label in "ab":
        groups = [set(part.loc[part["label"] == label, "group"]) for part in parts]
        assert all(groups) and sum(map(len, groups)) == len(set.union(*groups))
    assert training_parts(videos, 0.5).validation.empty
    assert training_parts(videos, 0.5).samplers.equals(hold_out(videos, 0.5)[1])


def test_folds_share_no_group_and_cover_all_that_another_video_teaches():
    videos = table_of({"a": [1, 1, 2, 2, 3, 4, 5, 6], "b": [1, 2, 3, 4], "c": [7, 7]})
    folds = in_folds(videos, 3)
    ids = [set(fold["video_id"]) for fold in folds]
    teachable = set(videos.loc[videos["label"] != "c", "video_id"])  # class c has one group
    assert set.union(*ids) == teachable and sum(map(len, ids)) == len(teachable)
    for label in "ab":
        groups = [set(fold.loc[fold["label"] == label, "group"]) for fold in folds]
        assert all(groups) and sum(map(len, groups)) == len(set.union(*groups))
        assert all(set(videos.loc[videos["label"] == label, "group"]) - group for group in groups)
    assert in_folds(videos, 0) == in_folds(table_of({"a": [1], "b": [1]}), 2) == []


def test_hold_out_refuses_what_cannot_be_parted():
    with pytest.raises(DatasetError, match="class 'a' has 1 training group"):
        hold_out(table_of({"a": [1, 1, 1], "b": [1, 2]}), 0.3)
    with pytest.raises(ValueError, match=r"fraction \(1\) must be between 0 and 1"):
        hold_out(table_of({"a": [1, 2]}), 1)
