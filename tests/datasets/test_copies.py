"""The same content in train and test, or in two classes: found by every maker, named, and left out."""

import json
import os

import pandas as pd
import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.datasets.copies import refuse_copies, same_content, without_copies
from scslib.datasets.folder import index_folder
from scslib.datasets.manifest import DatasetError, load_dataset
from scslib.datasets.prepare import SETTING, prepare
from scslib.datasets.public.listing import write_listing
from scslib.datasets.sources import Source
from scslib.datasets.table import read_video_table
from tests.support.layouts import left_out, own, texts, tiny, videos


@pytest.fixture
def clips(tmp_path):
    """Two classes of four videos, all different."""
    return videos(tmp_path / "clips", [f"{label}/{i}.mp4" for label in "ab" for i in range(4)])


def copy(clips, name, target, how="write"):
    (clips / target).unlink(missing_ok=True)
    {
        "write": lambda: (clips / target).write_bytes((clips / name).read_bytes()),
        "link": lambda: os.link(clips / name, clips / target),
        "symlink": lambda: (clips / target).symlink_to(clips / name),
    }[how]()


def table(clips, split_of):
    """The videos by a table; `split_of`: train or test by a video's path."""
    paths = sorted(p.relative_to(clips).as_posix() for p in clips.rglob("*.mp4"))
    lines = [f"{path},{path[0]},{split_of(path)}" for path in paths]
    texts(clips, my__csv="\n".join(["path,label,split", *lines]))
    return read_video_table(clips / "my.csv")


def of_content(data):
    """The rows of a dataset by what is in their files."""
    rows = {}
    for row in data.videos.itertuples():
        rows.setdefault(data.path(row.video_id).read_bytes(), []).append((row.label, row.split))
    return rows


@pytest.mark.parametrize("how", ["write", "link", "symlink"])
def test_a_folder_with_a_copy_in_its_class_has_it_once(clips, tmp_path, how):
    copy(clips, "a/0.mp4", "a/again.mp4", how)
    for seed in range(4):
        data = index_folder(clips, tmp_path / f"out{seed}", test_share=0.5, seed=seed, workers=1)
        assert left_out(data) == {"a/again.mp4": "the same content as a/0.mp4"}
        assert all(len(rows) == 1 for rows in of_content(data).values()) and len(data.videos) == 8
        assert "1 copies left out: a/again.mp4 is the same content as a/0.mp4" in data.about["notes"]


def test_of_a_content_in_two_classes_none_stays(clips, tmp_path):
    copy(clips, "a/0.mp4", "b/0.mp4")
    data = index_folder(clips, tmp_path / "out", workers=1)
    assert left_out(data) == {
        "a/0.mp4": "the same content as b/0.mp4, of class 'b'",
        "b/0.mp4": "the same content as a/0.mp4, of class 'a'",
    }
    assert len(data.videos) == 6


def test_of_a_content_in_train_and_test_the_training_video_stays(clips, tmp_path):
    copy(clips, "a/0.mp4", "a/1.mp4")
    listing = table(clips, lambda path: "test" if path[2] in "03" else "train")
    data = write_listing(listing, tmp_path / "out", workers=1)
    assert left_out(data) == {"a/0.mp4": "the same content as a/1.mp4"}
    assert all(len(rows) == 1 for rows in of_content(data).values())
    assert of_content(data)[(clips / "a/1.mp4").read_bytes()] == [("a", "train")]


def test_a_class_of_nothing_but_copies_is_left_out_or_refused(clips, tmp_path):
    for i in range(4):
        copy(clips, f"a/{i}.mp4", f"b/{i}.mp4")
    with pytest.raises(
        DatasetError, match="class 'a' has no readable video .4 left out; a/0.mp4: the same"
    ):
        index_folder(clips, tmp_path / "out", workers=1)
    with pytest.raises(DatasetError, match="no usable training video of 8 listed .first left out: a/0"):
        write_listing(table(clips, lambda path: "train"), tmp_path / "out", workers=1)


def by_hand(folder, rows):
    """A dataset that somebody wrote down: (id, path, label, split)."""
    frame = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    frame.to_csv(folder / "videos.csv", index=False)
    (folder / "dataset.json").write_text(json.dumps({"name": "hand"}))
    return load_dataset(folder)


ROWS = [(f"{c}{i}", f"{c}/{i}.mp4", c, "test" if i == 3 else "train") for c in "ab" for i in range(4)]


def test_a_dataset_by_hand_is_prepared_without_its_copies(clips, tmp_path):
    copy(clips, "a/0.mp4", "a/3.mp4")
    copy(clips, "a/1.mp4", "b/1.mp4")
    by_hand(clips, ROWS)
    data = prepare(clips, tmp_path / "out", SETTING, workers=1)
    assert set(left_out(data)) == {"a/3.mp4", "a/1.mp4", "b/1.mp4"}
    assert list(data.videos["video_id"]) == ["a0", "a2", "b0", "b2", "b3"]
    assert any(line.startswith("3 copies left out: ") for line in data.about["notes"])
    refuse_copies(data)


@pytest.mark.parametrize(
    "name, target, words",
    [
        ("a/0.mp4", "a/3.mp4", "'a0' (a, train) and 'a3' (a, test) have the same content"),
        ("a/1.mp4", "b/2.mp4", "'a1' (a, train) and 'b2' (b, train) have the same content"),
    ],
)
def test_a_run_and_a_sweep_refuse_a_dataset_by_hand_with_copies(clips, tmp_path, name, target, words):
    copy(clips, name, target)
    by_hand(clips, ROWS)
    own_data = ["-p", "data", str(clips), "-p", "make_data", "no"]
    for arguments in (["run", "--data", str(clips)], ["run", *own_data], ["sweep", "k", *own_data]):
        done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "run")])
        assert done.exit_code == 1 and words in done.output and done.output.count("\n") == 1
        assert "scs data prepare" in done.output and not (tmp_path / "run").exists()


def test_copies_within_one_class_and_split_are_no_leak(clips):
    copy(clips, "a/0.mp4", "a/1.mp4")
    refuse_copies(by_hand(clips, ROWS))


def test_equal_sizes_are_no_copies_and_what_cannot_be_read_is_none(tmp_path):
    for name, content in {"a": b"12", "b": b"21", "c": b"12", "e": b"", "f": b""}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "d").mkdir()
    paths = [tmp_path / name for name in ("a", "b", "gone", "c", "d", "e", "f", "a")]
    assert same_content(paths) == [[0, 3, 7]]


def test_only_files_of_one_size_are_read(tmp_path, monkeypatch):
    for n in range(5):
        (tmp_path / str(n)).write_bytes(own(tiny().read_bytes(), "x" * n))
    paths, opened = [tmp_path / str(n) for n in range(5)], []
    monkeypatch.setattr(type(tmp_path), "open", lambda path, *a: opened.append(path))
    assert same_content(paths) == [] and opened == []


def test_a_distractor_that_shows_a_class_is_the_copy(tmp_path):
    for name in ("clip", "other"):
        (tmp_path / name).write_bytes(b"same")
    kept, copies = without_copies([Source(tmp_path, "clip", "a"), Source(tmp_path, "other")])
    assert [s.name for s in kept] == ["clip"] and copies[0].problem == "the same content as clip"
