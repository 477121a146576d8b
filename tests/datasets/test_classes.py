"""Classes that cannot be told apart or learnt are said by every maker, at once, with what to do."""

import json
import unicodedata

import pandas as pd
import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.datasets.classes import alike, alone, shortages
from scslib.datasets.manifest import DatasetError, load_dataset
from scslib.datasets.public.listing import write_listing
from scslib.datasets.table import read_video_table
from tests.support.layouts import texts, videos

ALIKE = {
    "case": ("Jump", "jump"),
    "sharp s": ("STRASSE", "straße"),
    "composed": (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
    "wide": ("jump", "\uff4a\uff55\uff4d\uff50"),
    "spaces": ("high jump", "high  jump"),
    "no-break space": ("high jump", "high\u00a0jump"),
}


@pytest.mark.parametrize("names", ALIKE.values(), ids=ALIKE)
def test_classes_that_look_alike_are_named(names):
    words = alike(["wave", *names])
    assert "differ in case, spaces or Unicode form only: write them alike" in words
    first, second = sorted(names)
    shown = repr if first.isascii() and second.isascii() else ascii
    assert shown(first) in words and shown(second) in words and shown(first) != shown(second)


def test_other_classes_are_left_alone():
    assert alike(["jump", "jumps", "прыжок", "прыжок 2", "0", "00", "NA", "none", "1e3", "1000"]) == ""
    assert alone([]) == alike([]) == "" and alone(["a", "a", "b"]) == alike(["a", "a", "b"]) == ""
    assert "has 1 class ('a'), at least 2 are needed" in alone(["a", "a"])


def folders(root, classes, count=3):
    return videos(root, [f"{label}/{n}.mp4" for label in classes for n in range(count)])


def made_by_table(root, classes, count=3):
    folders(root / "v", classes, count)
    lines = [f"{label}/{n}.mp4,{label}" for label in classes for n in range(count)]
    texts(root, my__csv="\n".join(["path,label", *lines]))
    return ["table", root / "my.csv", "--videos", root / "v"]


def made_by_index(root, classes, count=3):
    return ["index", folders(root / "v", classes, count)]


def made_by_compose(root, classes, count=3):
    names = [f"{label}/x_g{n:02d}_.mp4" for label in classes for n in range(count)]
    videos(root / "other", ["a.mp4", "b.mp4"])
    return ["compose", videos(root / "v", names), "--distractors", root / "other"]


def made_by_kinetics(root, classes, count=3):
    names, lists = [], {"train": [], "val": []}
    for c, label in enumerate(classes):
        for n in range(count):
            split, name = "val" if n == 2 else "train", f"id{c:04d}{n:05d}"
            names.append(f"{split}/{label}/{name}_000001_000002.mp4")
            lists[split].append(f"{label},{name},1,2,{split}")
    head = "label,youtube_id,time_start,time_end,split"
    texts(root / "lists", **{f"{s}__csv": "\n".join([head, *lines]) for s, lines in lists.items()})
    return ["kinetics", videos(root / "v", names), "--lists", root / "lists"]


def made_by_prepare(root, classes, count=3):
    """Of a dataset that somebody wrote by hand."""
    folder = folders(root / "v", classes, count)
    rows = [
        (f"{c}{n}", f"{label}/{n}.mp4", label, "test" if n == 2 else "train")
        for c, label in enumerate(classes)
        for n in range(count)
    ]
    frame = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    frame.to_csv(folder / "videos.csv", index=False)
    (folder / "dataset.json").write_text(json.dumps({"name": "by hand"}))
    return ["prepare", folder]


MAKERS = [made_by_index, made_by_table, made_by_compose, made_by_kinetics, made_by_prepare]


def make(maker, tmp_path, classes, count=3):
    name, source, *options = maker(tmp_path, classes, count)
    words = ["data", name, source, tmp_path / "out", *options]
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("classes", [ALIKE["case"], ALIKE["composed"], ALIKE["wide"]])
def test_every_maker_refuses_classes_that_look_alike_before_it_looks_into_videos(
    maker, tmp_path, classes, monkeypatch
):
    monkeypatch.setattr("scslib.datasets.sources.map_processes", None)  # reads the files
    done = make(maker, tmp_path, ("wave", *classes))
    assert done.exit_code == 1 and done.output.count("\n") == 1, done.output
    assert done.output.startswith("Error: ") and "Unicode form only: write them alike" in done.output
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("maker", [m for m in MAKERS if m != made_by_prepare])
def test_every_maker_refuses_one_class_alone(maker, tmp_path):
    done = make(maker, tmp_path, ["jump"])
    assert done.exit_code == 1 and done.output.count("\n") == 1, done.output
    assert "at least 2 are needed" in done.output and "1 class" in done.output


def test_prepare_and_a_run_say_it_of_a_dataset_by_hand(tmp_path):
    done = make(made_by_prepare, tmp_path, ["jump"])
    assert done.exit_code == 0 and "the dataset has 1 class ('jump')" in done.stderr
    assert "the dataset has 1 class ('jump')" in done.stdout
    arguments = ["run", "--data", str(tmp_path / "out"), "--out", str(tmp_path / "run")]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 1 and "videos.csv: the dataset has 1 class ('jump')" in ran.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("maker", [m for m in MAKERS if m != made_by_compose])
def test_every_maker_says_which_classes_have_one_training_video(maker, tmp_path):
    done = make(maker, tmp_path, ["hop", "jump"], count=1 if maker != made_by_index else 2)
    assert done.exit_code == 0, done.output
    assert "2 classes have 1 training video and a run needs 2" in done.output
    assert "'hop', 'jump': add videos, or take these classes out" in done.output


def test_synth_and_compose_say_it_before_they_encode(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise ValueError("encoding began")

    monkeypatch.setattr("scslib.datasets.synthetic.make.map_processes", stop)
    monkeypatch.setattr("scslib.datasets.compose.plan_all_composed", stop)
    counts = ["--train-videos", "2", "--test-videos", "2", "--duration-s", "10"]
    options = ["--classes", "2", *counts]
    synth = CliRunner().invoke(main, ["data", "synth", str(tmp_path / "s"), *options])
    name, source, *more = map(str, made_by_compose(tmp_path, ["hop", "jump"]))
    words = ["data", name, source, str(tmp_path / "c"), *more, *counts, "--workers", "1"]
    compose = CliRunner().invoke(main, words)
    for done, unit in ((synth, "video"), (compose, "group")):
        first, last = done.stderr.splitlines()
        assert f"2 classes have 1 training {unit} and a run needs 2" in first
        assert last == "Error: encoding began"


def test_a_dataset_by_hand_is_looked_at_when_it_is_loaded(tmp_path):
    (_, folder) = made_by_prepare(tmp_path, ["Jump", "jump"])
    with pytest.raises(DatasetError, match="videos.csv: classes 'Jump' and 'jump' differ"):
        load_dataset(folder)
    (folder / "dataset.json").write_text(json.dumps({"classes": ["Jump", "jump", "Jump"]}))
    with pytest.raises(DatasetError, match="dataset.json: a class occurs twice"):
        load_dataset(folder)


def test_a_run_refuses_a_class_with_one_training_video_before_it_begins(tmp_path):
    (_, folder) = made_by_prepare(tmp_path, ["hop", "jump"], count=1)
    done = CliRunner().invoke(main, ["run", "--data", str(folder), "--out", str(tmp_path / "run")])
    assert done.exit_code == 1 and "classes have 1 training video" in done.output
    assert not (tmp_path / "run").exists()


def test_only_one_class_that_is_left_is_said_with_the_reason(tmp_path):
    made_by_table(tmp_path, ["hop", "jump"])
    for path in (tmp_path / "v" / "hop").iterdir():
        path.write_text("no video")
    with pytest.raises(DatasetError, match="only class 'jump' has usable training videos, .*hop/0.mp4"):
        write_listing(read_video_table(tmp_path / "my.csv", tmp_path / "v"), tmp_path / "out", workers=1)


def test_shortages_count_groups_where_there_are_groups():
    rows = [("a", "train", "g1"), ("a", "train", "g1"), ("b", "train", "g1"), ("b", "train", "g2")]
    frame = pd.DataFrame(rows, columns=["label", "split", "group"]).assign(video_id=list("1234"))
    assert "1 classes have 1 training group" in shortages(frame)[0] and "'a'" in shortages(frame)[0]
    assert shortages(frame.drop(columns="group")) == []
