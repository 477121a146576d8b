"""Each public dataset from its own layout through the notebooks: see `make test-datasets`."""

import json
from pathlib import Path

import pandas as pd
import pytest

from scslib.datasets.synthetic.make import make_synthetic
from scslib.datasets.synthetic.plan import Synthetic
from scslib.video.write import Encoding
from tests.experiments.test_headless_run import scs
from tests.support.layouts import texts

pytestmark = pytest.mark.slow

NOTEBOOKS = "01,03-07"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Short videos with an action in them: two classes, eight for training and two for test of each."""
    spec = Synthetic(2, 16, 4, 12.0, 0.3, encoding=Encoding(96, 80))
    return make_synthetic(tmp_path_factory.mktemp("source"), spec)


def placed(source, root: Path, name) -> list[tuple[str, str, str, str]]:
    """Each video linked to root/`name(label, split, number)`: (that name, label, split, video_id)."""
    rows = []
    for number, video in enumerate(source.videos.itertuples()):
        path = root / name(video.label, video.split, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(source.folder / video.path)
        rows.append((path.relative_to(root).as_posix(), video.label, video.split, video.video_id))
    return rows


def ucf101(source, root):
    rows = placed(source, root / "v", lambda c, s, n: f"UCF-101/{c}/v_{c}_g{n:02d}_c01.avi")
    rows = [(path.removeprefix("UCF-101/"), *rest) for path, *rest in rows]
    texts(
        root / "lists",
        classInd__txt="".join(f"{n} {c}\n" for n, c in enumerate(source.classes, 1)),
        trainlist01__txt="".join(
            f"{p} {1 + source.classes.index(c)}\n" for p, c, s, _ in rows if s == "train"
        ),
        testlist01__txt="".join(f"{p}\n" for p, _, s, _ in rows if s == "test"),
    )
    return ["ucf101", root / "v", "--lists", root / "lists"]


def hmdb51(source, root):
    rows = placed(
        source, root / "v", lambda c, s, n: f"{c}/Some_{n}_#film!(1)_{c}_f_cm_np1_fr_med_0.avi"
    )
    (root / "lists").mkdir()
    for label in source.classes:
        own = [(Path(p).name, 1 + (s == "test")) for p, c, s, _ in rows if c == label]
        text = "".join(f"{name} {number} \n" for name, number in own)
        (root / "lists" / f"{label}_test_split1.txt").write_text(text)
    return ["hmdb51", root / "v", "--lists", root / "lists"]


def kinetics(source, root):
    folder = {"train": "train", "test": "val"}
    rows = placed(source, root / "v", lambda c, s, n: f"{folder[s]}/{c}/id-{n:08d}_000010_000020.mp4")
    for split, own in folder.items():
        ids = [(c, Path(p).name[:11], 10, 20, own) for p, c, s, _ in rows if s == split]
        names = ["label", "youtube_id", "time_start", "time_end", "split"]
        (root / "lists").mkdir(exist_ok=True)
        pd.DataFrame(ids, columns=names).to_csv(root / "lists" / f"{own}.csv", index=False)
    return ["kinetics", root / "v", "--lists", root / "lists"]


def sports1m(source, root):
    rows = placed(source, root / "v", lambda c, s, n: f"{n % 3}/id-{n:08d}.mp4")
    texts(root / "lists", labels__txt="".join(f"{c}\n" for c in source.classes))
    for split in ("train", "test"):
        lines = [
            f"https://www.youtube.com/watch?v={Path(p).stem} {source.classes.index(c)}\n"
            for p, c, s, _ in rows
            if s == split
        ]
        texts(root / "lists/original", **{f"{split}_partition__txt": "".join(lines)})
    options = ["--per-class-train", "7", "--per-class-test", "2"]
    return ["sports1m", root / "v", "--lists", root / "lists", *options]


def activitynet(source, root):
    rows = placed(source, root / "v", lambda c, s, n: f"v_id-{n:08d}.mp4")
    database = {}
    for path, label, split, video_id in rows:
        spans = source.segments_of(video_id).tolist()
        database[Path(path).stem[2:]] = {
            "subset": {"train": "training", "test": "validation"}[split],
            "duration": 14.0,
            "annotations": [{"segment": span, "label": label} for span in spans],
        }
    texts(root, anet__json=json.dumps({"database": database, "taxonomy": [], "version": "1.3"}))
    return ["activitynet", root / "v", "--annotations", root / "anet.json"]


def table(source, root):
    rows = placed(source, root / "v", lambda c, s, n: f"Spiel, Satz {n}/видео {c}.mp4")
    pd.DataFrame(rows, columns=["path", "label", "split", "video_id"]).to_csv(
        root / "t.csv", index=False
    )
    return ["table", root / "t.csv", "--videos", root / "v"]


@pytest.mark.parametrize("layout", [ucf101, hmdb51, kinetics, sports1m, activitynet, table])
def test_its_own_layout_goes_through_the_notebooks(layout, source, tmp_path):
    command, *rest = layout(source, tmp_path)
    out, _ = scs("data", command, rest[0], tmp_path / "data", *rest[1:], work=tmp_path)
    assert "2 classes" in out
    scs("run", "--data", tmp_path / "data", "--out", "own", "--notebooks", NOTEBOOKS, work=tmp_path)
    methods = pd.read_csv(tmp_path / "runs/own/results/methods.csv")
    assert {"random", "uniform", "dense", "audio", "visual", "audio-visual", "oracle"} <= set(
        methods["method"]
    )
    assert (methods["videos"] == 4).all() and (methods["videos_failed"] == 0).all()
    annotated = methods["in_segments"].notna()
    assert annotated.all() if layout is activitynet else not annotated.any()
    assert (tmp_path / "runs/own/report.html").stat().st_size > 100_000
