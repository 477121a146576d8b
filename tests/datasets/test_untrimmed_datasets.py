"""Sports1M and ActivityNet, each on a small tree in the dataset's own layout."""

import gzip
import json

import pytest

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.activitynet import merged, read_activitynet
from scslib.datasets.public.sports1m import read_sports1m
from tests.support.layouts import add, left_out, splits, texts, videos, write

LABELS = "boomerang\nkyūdō\nskittles (sport)\n"


def sports(tmp_path, count=6):
    """Three classes; videos c0v0.. of which every third is multi-label, and one in no file."""
    lines = {"train": [], "test": []}
    for label in range(3):
        for i in range(count):
            more = f",{(label + 1) % 3}" if i % 3 == 0 else ""
            split = "test" if i % 2 else "train"
            lines[split].append(f"https://www.youtube.com/watch?v=c{label}v{i:02d}-_AbCd {label}{more}")
    texts(
        tmp_path / "lists/original",
        train_partition__txt="\n".join(lines["train"]),
        test_partition__txt="\n".join(lines["test"]),
    )
    texts(tmp_path / "lists", labels__txt=LABELS)
    names = [f"{i % 2}/x/c{label}v{i:02d}-_AbCd.mkv" for label in range(3) for i in range(1, count)]
    return videos(tmp_path / "videos", names), tmp_path / "lists"


def test_sports1m_takes_the_first_of_several_labels(tmp_path):
    data = write(read_sports1m(*sports(tmp_path)), tmp_path)
    assert data.classes == ("boomerang", "kyūdō", "skittles (sport)") and data.name == "sports1m"
    labels = data.videos.set_index("video_id")["labels"]
    assert (
        labels["c2v03-_AbCd"] == "skittles (sport)|boomerang"
        and labels["c2v02-_AbCd"] == "skittles (sport)"
    )
    assert splits(data)["c2v03-_AbCd"] == ("skittles (sport)", "test")
    assert left_out(data) == {f"c{label}v00-_AbCd.*": "no such file" for label in range(3)}


def test_all_forms_of_the_sports1m_lists_say_the_same(tmp_path):
    folder, lists = sports(tmp_path)
    whole = read_sports1m(folder, lists)
    for split in ("train", "test"):
        path = lists / f"original/{split}_partition.txt"
        lines = path.read_text().splitlines()
        entries = []
        for line in lines:
            url, _, own = line.partition(" ")
            entries.append(
                {"id": url[-11:], "label487": [int(n) for n in own.split(",")], "duration": 9}
            )
        path.unlink()
        (lists / f"sports1m_{split}.json").write_text(json.dumps(entries[::-1]))
        (lists / f"{split}_partition.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_sports1m(folder, lists) == whole
    for path in lists.glob("*.gz"):
        path.unlink()
    assert read_sports1m(folder, lists) == whole  # and the order of the entries does not matter


def test_minisports_is_drawn_by_seed_among_what_exists(tmp_path):
    folder, lists = sports(tmp_path, 20)
    draw = {"per_class_train": 4, "per_class_test": 2}
    first = read_sports1m(folder, lists, **draw)
    counts = {(label, split): 0 for label in first.classes for split in ("train", "test")}
    for row in first.rows:
        counts[row.label, row.split] += 1
        assert (folder / row.path).is_file()
    assert set(counts.values()) == {4, 2} and first.name == "minisports"
    assert first.made_with == draw | {"seed": 0}
    assert read_sports1m(folder, lists, **draw) == first
    assert read_sports1m(folder, lists, **draw, seed=1).rows != first.rows
    gone = first.rows[0]
    (folder / gone.path).unlink()
    again = read_sports1m(folder, lists, **draw)
    assert len(set(again.rows) - set(first.rows)) == 1  # one moves up; the others stay
    with pytest.raises(ValueError, match=r"per_class_test \(0\) must be > 0"):
        read_sports1m(folder, lists, per_class_test=0)
    many = read_sports1m(folder, lists, per_class_train=99)
    assert any("fewer than asked for: 'boomerang' (" in line for line in many.notes)


@pytest.mark.parametrize(
    "line, message",
    [
        ("https://www.youtube.com/watch?v=abc 3", "classes must be in 0..2: '[3]'"),
        ("https://www.youtube.com/watch?v=../../x 1", "is not '<youtube url>"),
        ("https://www.youtube.com/watch?v=abc", "is not '<youtube url>"),
        (
            "https://www.youtube.com/watch?v=c1v01-_AbCd 1",
            "kyūdō, test), but (1/x/c1v01-_AbCd.mkv, kyūdō, train) in line 10 of train_partition.txt",
        ),
    ],
)
def test_sports1m_lists_that_cannot_be_used(tmp_path, line, message):
    folder, lists = sports(tmp_path)
    if "c1v01" in line:
        message = (
            "is (1/x/c1v01-_AbCd.mkv, kyūdō, test), but (1/x/c1v01-_AbCd.mkv, kyūdō, train) in line 10"
        )
    add(lists / "original/train_partition.txt", "\n" + line)
    with pytest.raises(DatasetError) as caught:
        read_sports1m(folder, lists)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def net(**database):
    return {"database": database, "taxonomy": [], "version": "VERSION 1.3"}


def entry(subset, *annotations, duration=100.0):
    found = [{"segment": [start, end], "label": label} for label, start, end in annotations]
    return {"subset": subset, "duration": duration, "annotations": found, "url": "https://..."}


def annotations(tmp_path, value):
    path = tmp_path / "activity_net.v1-3.min.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return path


def test_activitynet_labels_and_segments(tmp_path):
    """The longest label; its segments clipped, sorted, merged; empty ones dropped and named."""
    database = {
        "QOlSCBRmfWY": entry("training", ("Чай", 20, 30), ("Чай", 5, 21), ("Throw, far", 0, 24)),
        "--1DO2V4K74": entry("training", ("Throw, far", 90, 120), ("Throw, far", 7, 7)),
        "sJn-2aKd3yU": entry("validation", ("Чай", 0.5, 2), ("Чай", 1, 3), ("Чай", 50, 40)),
        "none5678901": entry("training"),
        "lost5678901": entry("training", ("Чай", 1, 2)),
        "test5678901": entry("testing"),
    }
    names = ["a/v_QOlSCBRmfWY.mp4", "v_--1DO2V4K74.webm", "sJn-2aKd3yU.mkv", "none5678901.mp4"]
    folder = videos(tmp_path / "videos", names)
    (folder / "v_QOlSCBRmfWY.jpg").write_bytes(b"a thumbnail")
    data = write(read_activitynet(folder, annotations(tmp_path, net(**database))), tmp_path)
    assert splits(data) == {
        "QOlSCBRmfWY": ("Чай", "train"),
        "--1DO2V4K74": ("Throw, far", "train"),
        "sJn-2aKd3yU": ("Чай", "test"),
    }
    assert data.segments_of("QOlSCBRmfWY").tolist() == [[5, 30]]
    assert data.segments_of("--1DO2V4K74").tolist() == [[90, 100]]
    assert data.segments_of("sJn-2aKd3yU").tolist() == [[0.5, 3]]
    assert len(data.segments) == 3  # none of the video that is lost
    assert data.videos.set_index("video_id")["labels"]["QOlSCBRmfWY"] == "Throw, far|Чай"
    assert left_out(data) == {"none5678901.mp4": "no annotation", "v_lost5678901.*": "no such file"}
    notes = data.about["notes"]
    assert "1 videos of its testing set are not used: their labels are withheld" in notes
    assert "segments without a length were dropped in: --1DO2V4K74, sJn-2aKd3yU" in notes


def test_segments_are_merged_where_they_touch():
    assert merged([(5, 6), (0, 1), (1, 2), (5.5, 5.7), (8, 9)]) == [(0, 2), (5, 6), (8, 9)]


@pytest.mark.parametrize(
    "value, message",
    [
        ("{", "not JSON"),
        ("[]", "has no object 'database'"),
        ('{"database": {"a": {}, "a": {}}}', "'a' occurs twice"),
        (net(a={"subset": "train"}), "video 'a': subset 'train' must be"),
        (net(**{"../../x": entry("training")}), "video '../../x': is not a YouTube id"),
        (net(a=entry("training", ("x", 1, None))), "video 'a': annotation"),
        (net(a=entry("training", ("", 1, 2))), "video 'a': annotation"),
        (net(a={"subset": "training", "annotations": {}}), "video 'a': annotations must be a list"),
    ],
)
def test_activitynet_files_that_cannot_be_used(tmp_path, value, message):
    with pytest.raises(DatasetError) as caught:
        read_activitynet(tmp_path, annotations(tmp_path, value))
    assert message in str(caught.value) and "v1-3.min.json" in str(caught.value)
