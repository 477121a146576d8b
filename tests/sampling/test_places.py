"""Where results go is checked before the first video is read; one video's trouble costs one video."""

import os
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.cli.sample import _names
from scslib.datasets.manifest import write_dataset
from scslib.datasets.prepare import prepare
from scslib.datasets.public.listing import unique_ids
from scslib.jobs import files
from scslib.jobs.files import check_file, check_folder, short_file_name, write_text
from scslib.jobs.shards import Read, run_shards
from scslib.video.recode import Recoding
from tests.support.layouts import videos as tiny_videos
from tests.support.streams import panning, tone, write

PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
LONG = "ж" * 120  # 240 bytes: a file can be called so, and nothing can be made of it by that name


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return write(path, panning(96, 64), "libx264", PLAIN, sounds=[(tone(), 0.0)])


def scs(*arguments, code=0):
    """(stdout, lines on stderr) of the command line."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.stdout, done.stderr.splitlines()


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def shut(monkeypatch):
    """Folders called "shut", in which nobody may write: root may, so the system call is taken over."""
    touch, mkdir = files.Path.touch, files.Path.mkdir

    def refuse(function):
        def call(path, *args, **kwargs):
            if "shut" in path.parent.parts:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args, **kwargs)

        return call

    monkeypatch.setattr(files.Path, "touch", refuse(touch))
    monkeypatch.setattr(files.Path, "mkdir", refuse(mkdir))


# ------------------------------------------------------------------------------------- one place


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    check_folder(tmp_path / "a" / "b" / "c", "x.mp4")
    check_file(tmp_path / "d" / "e.csv")
    (tmp_path / "kept").mkdir()
    check_folder(tmp_path / "kept")
    assert tree(tmp_path) == ["kept"]


def blocked(tmp_path):
    (tmp_path / "file").write_text("x")
    return tmp_path / "file" / "below"


@pytest.mark.parametrize(
    "path, why",
    [
        (blocked, "Not a directory"),
        (lambda p: p / "shut" / "x", "Permission denied"),
        (lambda p: p / ("y" * 256), "File name too long"),
        (lambda p: p / "x" / ("y" * 300) / "z", "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(tmp_path, shut, path, why):
    path = path(tmp_path)
    with pytest.raises(OSError) as caught:
        check_folder(path, what="--clips")
    assert str(caught.value).startswith(f"--clips ({path}") and str(caught.value).endswith(why)
    assert not path.parent.name.startswith("y") or not path.parent.exists()


def test_names_are_counted_in_bytes_with_what_is_added_to_them(tmp_path):
    check_folder(tmp_path, "ж" * 110 + ".mp4")
    with pytest.raises(OSError, match="File name too long"):
        check_folder(tmp_path, "ж" * 120 + ".mp4")
    with pytest.raises(OSError, match="it is a folder"):
        check_file(tmp_path)
    check_file(files.Path(os.devnull))
    assert tree(tmp_path) == []


def test_short_names_are_safe_and_different():
    assert short_file_name("v") == "v" and short_file_name("ж" * 90) == "ж" * 90
    cut = [short_file_name("ж" * 120 + end) for end in "ab"] + [short_file_name("x" * 255)]
    assert len(set(cut)) == 3 and all(len(os.fsencode(name)) <= 180 for name in cut)
    assert short_file_name("ж" * 120 + "a") == cut[0] and cut[0].startswith("жжж")
    assert len(os.fsencode(short_file_name(os.fsdecode(b"\xff" * 200)))) <= 180


def test_ids_are_counted_in_bytes():
    ids = unique_ids(["視" * 100, "視" * 99, "視" * 100], ["a", "b", "c"], 100)
    assert len(set(ids)) == 3 and all(len(name.encode()) < 200 for name in ids)


def test_a_table_is_written_all_of_it_or_not_at_all(tmp_path, monkeypatch):
    write_text(tmp_path / "t.csv", "old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(files.os, "replace", fail)
        write_text(tmp_path / "t.csv", "new")
    assert (tmp_path / "t.csv").read_text() == "old" and tree(tmp_path) == ["t.csv"]


# ---------------------------------------------------------------------------------------- sample


@pytest.mark.parametrize("option", ["csv", "json", "status", "sheet", "clips", "highlights", "keep"])
@pytest.mark.parametrize("place", ["shut/x", "file/x", "y" * 300])
def test_sample_checks_its_places_first(video, tiny_run, tmp_path, shut, monkeypatch, option, place):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("scslib.sampling.many_videos.run_shards", None)  # reads the videos
    _, stderr = scs("sample", video, "--run", tiny_run, "-k", 2, f"--{option}", tmp_path / place, code=1)
    (line,) = stderr
    assert option in line and place[:20] in line and "cannot be written: " in line
    assert tree(tmp_path) == ["file"]


def test_sample_never_writes_over_a_video_or_over_what_it_made(video, tiny_run, tmp_path):
    for name in ("a.mp4", "a-01.mp4"):
        shutil.copy(video, tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options in (
        ["--clips", tmp_path],
        ["--highlights", tmp_path],
        ["--clips", tmp_path / "out", "--highlights", tmp_path / "out"],
        ["--csv", tmp_path / "a.mp4"],
        ["--json", tmp_path / "t", "--status", tmp_path / "t"],
    ):
        _, (line,) = scs("sample", *before, "--run", tiny_run, "-k", 2, *options, code=1)
        assert options[0].lstrip("-") in line or options[2].lstrip("-") in line
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_videos_with_very_long_names_are_sampled(video, tiny_run, tmp_path):
    (tmp_path / "in").mkdir()
    for end in "ab":
        shutil.copy(video, tmp_path / "in" / f"{LONG}{end}.mp4")
    kinds = ("clips", "sheet", "highlights")
    places = [part for kind in kinds for part in (f"--{kind}", tmp_path / kind)]
    scs("sample", tmp_path / "in", "--run", tiny_run, "-k", 2, "--csv", tmp_path / "t.csv", *places)
    table = pd.read_csv(tmp_path / "t.csv")
    assert sorted(table["file"]) == tree(tmp_path / "clips") and len(table) == 4
    assert [len(tree(tmp_path / kind)) for kind in kinds] == [4, 2, 2]


def test_names_never_meet():
    paths = ["a/v.mp4", "b/v.mp4", "v-v1.mp4", "V.mkv", "w.mp4", f"{LONG}1.mp4", f"{LONG}2.mp4"]
    names = _names([files.Path(path) for path in paths])
    assert len({name.casefold() for name in names}) == len(names)
    assert names[2] == "v-v1" and names[4] == "w"


def test_what_lies_beside_videos_is_not_sampled(video, tiny_run, tmp_path):
    shutil.copy(video, tmp_path / "v.mp4")
    for name in ("v.info.json", "v.jpg", "v.en.vtt", "v.mp4.part", "v.mp4.ytdl", "v.description"):
        (tmp_path / name).write_text("no video")
    stdout, stderr = scs("sample", tmp_path, "--run", tiny_run, "-k", 1)
    assert len(stdout.splitlines()) == 2
    (line,) = stderr
    assert "6 files beside the videos passed over" in line
    (tmp_path / "v.mp4").unlink()
    _, (line,) = scs("sample", tmp_path, "--run", tiny_run, code=1)
    assert "no videos (6 files beside the videos passed over" in line


def test_one_videos_trouble_is_its_status(video, tiny_run, tmp_path):
    """A folder lies where the sheet of one of them goes."""
    for name in "abc":
        shutil.copy(video, tmp_path / f"{name}.mp4")
    (tmp_path / "sheets" / "b.png").mkdir(parents=True)
    options = ["--sheet", tmp_path / "sheets", "--status", tmp_path / "s.csv"]
    names = [tmp_path / f"{name}.mp4" for name in "abc"]
    stdout, stderr = scs("sample", *names, "--run", tiny_run, "-k", 1, *options, code=1)
    assert len(stdout.splitlines()) == 3 and stderr[-1] == "1 of 3 videos could not be read"
    status = pd.read_csv(tmp_path / "s.csv")
    assert status["status"].tolist() == ["ok", "failed", "ok"]
    assert "b.png" in status["reason"][1] and "Is a directory" in status["reason"][1]


def test_a_table_that_can_no_longer_be_written_is_printed(video, tiny_run, tmp_path, monkeypatch):
    def fail(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("scslib.jobs.files.write_text", fail)
    options = ["--run", tiny_run, "-k", 2, "--csv", tmp_path / "t.csv"]
    stdout, (line,) = scs("sample", video, *options, code=1)
    assert stdout.startswith("video,rank,clip,") and len(stdout.splitlines()) == 3
    assert "No space left on device" in line


# ----------------------------------------------------------------------------------- the others


def _trouble(path, params):
    if path.name == params["bad"]:
        raise OSError(params["number"], "trouble", "somewhere.png")
    return Read({}, 1, 1)


@pytest.mark.parametrize("number, ends", [(13, False), (36, False), (5, False), (28, True), (30, True)])
def test_an_error_of_the_disk_ends_a_step_and_another_does_not(tmp_path, number, ends):
    for name in "abc":
        (tmp_path / name).write_text(name)
    jobs = [(name, tmp_path / name) for name in "abc"]
    params = {"bad": "b", "number": number}
    options = {"params": params, "workers": 1, "title": "trouble"}
    if ends:
        with pytest.raises(OSError, match="trouble"):
            run_shards(_trouble, jobs, tmp_path / "out", **options)
        return
    status = run_shards(_trouble, jobs, tmp_path / "out", **options).status
    assert status["status"].tolist() == ["ok", "failed", "ok"]
    assert str(tmp_path / "b") in status["reason"][1] and "trouble" in status["reason"][1]


def test_long_names_are_prepared(video, tmp_path):
    (tmp_path / "s").mkdir()
    paths = [f"{LONG}{end}.mp4" for end in "abcd"]
    for number, path in enumerate(paths):
        write(tmp_path / "s" / path, panning(96, 64)[number : number + 12], "libx264", PLAIN)
    table = {"video_id": list("abcd"), "path": paths, "label": list("xxyy"), "split": "train"}
    about = {"classes": ("x", "y"), "licence": "CC0-1.0", "origin": "this test"}
    write_dataset(tmp_path / "s", name="long", videos=pd.DataFrame(table), **about)
    data = prepare(tmp_path / "s", tmp_path / "out", Recoding(48, 12), workers=1)
    assert list(data.videos["video_id"]) == list("abcd") and data.about["left_out"] == 0
    assert all(data.path(video_id).is_file() for video_id in "abcd")


@pytest.mark.parametrize("maker", ["index", "table", "compose", "prepare"])
def test_makers_check_their_place_before_they_read(tmp_path, shut, monkeypatch, maker):
    monkeypatch.setattr("scslib.datasets.sources.map_processes", None)
    monkeypatch.setattr("scslib.datasets.prepare.run_shards", None)
    names = [f"{label}/{n}_g{n:02d}_.mp4" for label in "ab" for n in range(3)]
    clips = tiny_videos(tmp_path / "clips", names)
    lines = [f"v{n},{name},{name[0]},train" for n, name in enumerate(names)]
    (clips / "videos.csv").write_text("\n".join(["video_id,path,label,split", *lines]))
    (clips / "dataset.json").write_text("{}")
    more = {"compose": ["--distractors", clips]}.get(maker, [])
    source = clips / "videos.csv" if maker == "table" else clips
    _, (line,) = scs("data", maker, source, tmp_path / "shut" / "out", *more, code=1)
    assert "Permission denied" in line and "shut" in line


@pytest.mark.parametrize("part", ["", "/results", "/notebooks", "/checkpoints"])
def test_a_run_checks_its_place_before_it_begins(tmp_path, monkeypatch, part):
    monkeypatch.setenv("SCS_WORK", str(tmp_path))
    monkeypatch.setattr("scslib.experiments.notebooks.run_notebooks", None)
    (tmp_path / "runs").mkdir()
    blocked = tmp_path / f"runs/it{part}"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file in the way")
    _, (line,) = scs("run", "--out", "it", code=1)
    assert line.startswith("Error: run (") and str(blocked) in line and "cannot be written" in line


def test_a_run_checks_where_its_videos_go(tmp_path, monkeypatch):
    monkeypatch.setenv("SCS_WORK", str(tmp_path))
    monkeypatch.setattr("scslib.experiments.notebooks.run_notebooks", None)
    (tmp_path / "data").write_text("a file in the way")
    _, (line,) = scs("run", "--out", "it", code=1)
    assert line.startswith("Error: data (") and "Not a directory" in line
    _, (line,) = scs("run", "--out", "n" * 300, code=1)
    assert "File name too long" in line
    assert tree(tmp_path) == ["data"]
