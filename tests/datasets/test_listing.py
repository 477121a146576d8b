"""What a listing becomes: nothing lost silently, nothing from outside, any names; and the table."""

import json

import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.datasets.manifest import DatasetError, load_dataset
from scslib.datasets.public.listing import Listing, unique_ids, write_listing
from scslib.datasets.public.lists import Files, ListRow, leads_out
from scslib.datasets.table import read_video_table
from tests.support.layouts import add, left_out, splits, texts, videos, write

ROWS = (
    ListRow("a1", "jump, high/видео 1.mp4", "jump, high", "train"),
    ListRow("a2", "jump, high/видео 2.mp4", "jump, high", "test"),
    ListRow("b1", "пить чай/1.mp4", "пить чай", "train"),
    ListRow("c1", "only test/1.mp4", "only test", "test"),
)
CLASSES = ("jump, high", "пить чай", "only test")


@pytest.fixture
def root(tmp_path):
    return videos(tmp_path / "videos", [row.path for row in ROWS])


def listing(root, rows=ROWS, **more):
    return Listing("four", root, CLASSES, tuple(rows), "CC0-1.0", "made by this test", **more)


def test_every_listed_video_is_in_one_of_two_tables(root, tmp_path):
    (root / ROWS[1].path).unlink()
    (root / "broken.mp4").write_text("no video")
    more = (
        ListRow("x1", "broken.mp4", "jump, high", "train"),
        ListRow("x2", ROWS[0].path, "jump, high", "train"),
        ListRow("x3", "x3.*", "jump, high", "train", problem="no such file"),
    )
    segments = (("b1", 0.25, 0.5), ("a2", 0.0, 1.0), ("c1", 0.0, 1.0))
    data = write(listing(root, ROWS + more, segments=segments, notes=("a note",)), tmp_path)
    assert splits(data) == {"a1": ("jump, high", "train"), "b1": ("пить чай", "train")}
    lost = left_out(data)
    assert lost.pop("broken.mp4").startswith("not a readable video")
    assert lost == {
        "jump, high/видео 2.mp4": "no such file",
        "jump, high/видео 1.mp4": "the same file as 'a1'",
        "x3.*": "no such file",
        "only test/1.mp4": "its class has no training video",
    }
    assert data.about["left_out"] == 5 and data.classes == CLASSES[:2]
    assert data.segments.values.tolist() == [["b1", 0.25, 0.5]]
    notes = data.about["notes"]
    assert notes[0].startswith("5 files left out (left_out.csv says why): ") and "a note" in notes
    assert "1 classes left out, without a usable training video: 'only test'" in notes
    assert "2 classes have no test video: 'jump, high', 'пить чай'" in notes


def test_videos_are_linked_or_copied_under_safe_names(root, tmp_path):
    data = load_dataset(write(listing(root), tmp_path).folder)
    for video in data.videos.itertuples():
        assert data.path(video.video_id).samefile(root / video.source)
    copy = write_listing(listing(root), tmp_path / "copy", link=False, workers=1)
    assert not copy.path("a1").samefile(root / ROWS[0].path)
    (root / "sub").mkdir()
    with pytest.raises(DatasetError, match="must not lie inside"):
        write_listing(listing(root), root / "sub", workers=1)


def test_one_kind_of_dataset_never_overwrites_another(root, tmp_path):
    write(listing(root), tmp_path)
    assert len(write(listing(root, ROWS[:3]), tmp_path).videos) == 3  # the same kind: takes up changes
    about = tmp_path / "out/dataset.json"
    about.write_text(about.read_text(encoding="utf-8").replace("made by", "made before"))
    before = about.read_bytes()
    with pytest.raises(DatasetError, match="out: holds another dataset"):
        write(listing(root), tmp_path)
    assert about.read_bytes() == before


def test_without_a_training_video_nothing_is_made(root, tmp_path):
    with pytest.raises(DatasetError) as caught:
        write(listing(root, [row._replace(path="x/" + row.path) for row in ROWS]), tmp_path)
    assert "no usable training video of 4 listed (first left out: x/jump, high" in str(caught.value)
    with pytest.raises(DatasetError, match="no usable training video of 0 listed$"):
        write(listing(root, []), tmp_path)
    assert not (tmp_path / "out").exists()


def test_own_ids_stay_where_they_are_safe():
    plain = ["-a_", "x", "X", "", "y" * 200]
    ids = unique_ids(plain, [f"name{i}" for i in range(5)], 100)
    assert ids[0] == "-a_" and ids[3] == "video" and len({i.casefold() for i in ids}) == 5
    assert max(map(len, ids)) < 120 and ids[1].startswith("x-")


def test_files_are_found_by_name_and_folder(tmp_path):
    names = ["deep/er/a/x.mp4", "a/x.mp4", "b/x.mp4", "y.webm", "old/y.mp4", "y.txt", "c/.hidden.mp4"]
    files = Files(videos(tmp_path / "v", names))
    assert files.of_class("a", "x.mp4", ["a", "b"]) == "a/x.mp4"  # the one nearest to the top
    assert files.of_class("c", "x.mp4", ["a", "b", "c"]) is None  # it lies with other classes
    assert files.of_class("c", "y.webm", ["a", "b", "c"]) == "y.webm"
    assert files.of_stem("y") == ["y.webm", "old/y.mp4"] and files.of_stem(".hidden") == []


@pytest.mark.parametrize("name", ["/x", "../x", "a/../../x", "..", "\\x", "a\\..\\x", "C:\\x", "a\0b"])
def test_names_that_lead_out(name):
    assert leads_out(name)
    assert not any(map(leads_out, ["a..b/c", "a: b.mp4", "...", "-x", "#1 (2)!.avi"]))


TABLE = (
    'path,label,split,group,colour\n"a, 1.mp4","пить, чай",train,g1,red\nб 2.mp4,"пить, чай",test,g2,\n'
)


def test_a_table_with_splits(tmp_path):
    texts(tmp_path, my__csv="\ufeff" + TABLE + "c.mp4,x,train,g3,\n")
    videos(tmp_path, ["a, 1.mp4", "б 2.mp4", "c.mp4"])
    data = write_listing(read_video_table(tmp_path / "my.csv"), tmp_path.parent / "made", workers=1)
    own = {"a_1": ("пить, чай", "train"), "б_2": ("пить, чай", "test"), "c": ("x", "train")}
    assert splits(data) == own and sorted(data.videos["group"]) == ["g1", "g2", "g3"]
    assert "colour" not in data.videos
    assert data.name == "my" and data.about["made_with"] == {}


def test_a_table_without_splits_draws_them(tmp_path):
    lines = [f"{label}/{i}.mp4,{label},{i // 2}" for label in "ab" for i in range(10)]
    tables = [lines, lines[::-1]]
    for i, own in enumerate(tables):
        (tmp_path / f"{i}.csv").write_text("\n".join(["path,label,group", *own]))
    first, again = (read_video_table(tmp_path / f"{i}.csv", tmp_path, test_share=0.4) for i in (0, 1))
    assert first.rows == again.rows and first.made_with == {"test_share": 0.4, "seed": 0}
    parts = {split: {r.group for r in first.rows if r.split == split} for split in ("train", "test")}
    assert len(parts["test"]) == 2 and not parts["train"] & parts["test"]
    with pytest.raises(ValueError, match=r"test_share \(0\) must be"):
        read_video_table(tmp_path / "0.csv", test_share=0)


@pytest.mark.parametrize(
    "line, message",
    [
        ("../../etc/passwd,x,train,,", "line 4: its path leads out of the videos' folder: '../.."),
        ("/etc/passwd,x,train,,", "line 4: its path leads out"),
        ("c.mp4,x,val,,", "line 4: split 'val' must be train or test: 'c.mp4,x,val,,'"),
        ("c.mp4,,train,,", "line 4: label is empty"),
        ("c.mp4,x", "line 4: has 2 cells, the header has 5"),
        ("б 2.mp4,other,train,g1,", "line 4: 'б 2' is (б 2.mp4, other, train), but"),
        ("c.mp4,x,train,g2,", "group 'g2' is in train and in test"),
        ('"c.mp4,x', "not a CSV file"),
    ],
)
def test_lines_that_cannot_be_used(tmp_path, line, message):
    texts(tmp_path, my__csv=TABLE)
    add(tmp_path / "my.csv", line)
    with pytest.raises(DatasetError) as caught:
        read_video_table(tmp_path / "my.csv")
    assert message in str(caught.value) and "my.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line(root, tmp_path):
    texts(tmp_path, my__csv="path,label\n" + "".join(f'"{r.path}","{r.label}"\n' for r in ROWS))
    texts(tmp_path, latin__csv="path,label\n")
    (tmp_path / "latin.csv").write_bytes("path,label\né.mp4,x\n".encode("latin-1"))
    options = ["--videos", str(root), "--workers", "1", "--copy"]
    done = CliRunner().invoke(
        main, ["data", "table", str(tmp_path / "my.csv"), str(tmp_path / "out"), *options]
    )
    assert done.exit_code == 0 and "3 classes" in done.output
    assert "classes have no test video" in done.output
    about = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))
    assert about["origin"] == "a user's table, read by scslib.datasets.table"
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "out/videos").iterdir())  # --copy
    done = CliRunner().invoke(main, ["data", "table", str(tmp_path / "latin.csv"), str(tmp_path / "x")])
    assert done.exit_code == 1 and "latin.csv: not a CSV file" in done.output
    for name in ("ucf101", "hmdb51", "kinetics", "sports1m"):
        arguments = ["data", name, str(root), str(tmp_path / "x"), "--lists", str(tmp_path)]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1 and done.output.startswith("Error: ") and str(tmp_path) in done.output
