"""`scslib.sample` and `scs sample`: the clips are the file's, and all that is made of them agrees."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.text import Text

import scslib
from scslib.cli.main import main
from scslib.models.reading import CheckpointError
from scslib.models.samplers import MODALITIES
from scslib.samplers.bundle import load_trained
from scslib.samplers.features import FeatureSpec, read_video
from scslib.samplers.plugins import unload_plugin
from scslib.samplers.set_policies import Mdp3
from scslib.sampling.picked import Picked
from scslib.video.clips import index_clips
from scslib.video.container import VideoError
from tests.support.streams import FRAMES, RATE, beep, every_frame, numbers, panning, tone, write

PICTURES = panning(96, 64)
PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
COLUMNS = ["video", "rank", "clip", "start_s", "end_s", "saliency", "sampler"]
K, CLIP = 3, 4
PLUGIN = Path(__file__).resolve().parents[1] / "support" / "own_plugin.py"


@pytest.fixture(scope="module")
def file(tiny_run, tmp_path_factory):
    return scslib.export(tiny_run, tmp_path_factory.mktemp("file") / "all.safetensors")


@pytest.fixture(scope="module")
def trained(file):
    return load_trained(file)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Ten clips of four frames each: sound.mp4, silent.mp4, and one below `more` that begins at 5 s."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "more").mkdir()
    write(folder / "sound.mp4", PICTURES, "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "silent.mp4", PICTURES, "libx264", PLAIN)
    late = {"first": 60, "sounds": [(tone(), 5.0)]}
    write(folder / "more" / "sound.mkv", PICTURES, "libx264", PLAIN, **late)
    return folder


@pytest.fixture(scope="module")
def picked(videos, trained):
    return scslib.sample(videos / "sound.mp4", k=K, sampler=trained)


def scs(*arguments, code=0):
    """(stdout, lines on stderr) of the command line."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("method", ["audio", "visual", "audio-visual", "cascade"])
@pytest.mark.parametrize("name", ["sound.mp4", "more/sound.mkv"])
def test_the_k_clips_are_the_most_salient_ones(videos, trained, name, method):
    path = videos / name
    found = scslib.sample(path, k=K, sampler=trained, method=method)
    index = index_clips(path, clip_len=CLIP)
    features = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES)
    saliency = trained.sampler(method, k=K).saliency(features, "")
    order = sorted(range(len(index)), key=lambda clip: (-found.saliency[clip], clip))
    assert found.sampler == method and found.path == path.resolve() and not found.incomplete
    np.testing.assert_array_equal(found.clips, range(10))
    np.testing.assert_allclose(found.saliency, saliency, rtol=1e-5, atol=1e-5)  # threads round apart
    np.testing.assert_allclose(found.times, [clip[1:] for clip in index.clips])
    table = found.table
    assert list(table.columns) == COLUMNS and set(table["video"]) == {str(path)}
    assert table["rank"].tolist() == [1, 2, 3] and table["clip"].tolist() == order[:K]
    first = 5.0 if name.startswith("more") else 0.0
    np.testing.assert_allclose(table["start_s"], first + table["clip"] * CLIP / RATE, atol=2e-3)
    np.testing.assert_allclose(table["end_s"] - table["start_s"], CLIP / RATE, atol=2e-3)
    np.testing.assert_allclose(table["saliency"], saliency[order[:K]], rtol=1e-5)


def test_more_clips_than_there_are(videos, file):
    table = scslib.sample(videos / "silent.mp4", k=50, sampler=str(file)).table
    assert sorted(table["clip"]) == list(range(10)) and table["saliency"].is_monotonic_decreasing


def test_without_sound_the_visual_sampler_chooses(videos, trained):
    expected = scslib.sample(videos / "silent.mp4", k=K, sampler=trained, method="visual").table
    for method in ("audio", "audio-visual", "cascade"):
        found = scslib.sample(videos / "silent.mp4", k=K, sampler=trained, method=method)
        assert found.sampler == "visual"
        pd.testing.assert_frame_equal(found.table, expected)


@pytest.mark.parametrize("method", ["visual+cdf3", "audio-visual+mdp3", "focus", "motion-energy+aks"])
def test_policies_and_later_samplers_give_k_clips_best_first(videos, trained, method):
    found = scslib.sample(videos / "sound.mp4", k=K, sampler=trained, method=method)
    assert found.sampler == method and found.table["clip"].nunique() == K
    assert found.table["saliency"].is_monotonic_decreasing
    again = scslib.sample(videos / "sound.mp4", k=K, sampler=trained, method=method)
    assert again.table.equals(found.table)


def test_a_policy_works_on_what_the_sampler_says(videos, trained):
    found = scslib.sample(videos / "sound.mp4", k=K, sampler=trained, method="visual+mdp3")
    features = read_video(found.index, FeatureSpec(clip_len=CLIP), MODALITIES)
    sampler = trained.sampler("visual", k=K)
    saliency, embeddings = (f(features, "") for f in (sampler.saliency, sampler.embeddings))
    expected = Mdp3().pick(saliency, K, embeddings)
    assert set(found.table["clip"]) == set(expected.tolist())
    assert np.allclose(np.linalg.norm(embeddings, axis=1), np.sqrt(3))  # of three networks, each of 1


@pytest.fixture
def unloaded():
    """The plugin is gone after the test: others count which samplers there are."""
    yield
    unload_plugin(PLUGIN)


def test_a_rule_needs_no_run_and_a_plugin_none_but_its_name(videos, tmp_path, unloaded):
    stdout, _ = scs("sample", videos / "sound.mp4", "--sampler", "packet-size", "-k", 2)
    assert stdout.count("packet-size") == 2
    options = ("--plugin", PLUGIN, "-k", 2)
    for name in ("loudest", "brightest", "brightest+best-of-each"):
        both = (videos / "sound.mp4", videos / "silent.mp4")
        stdout, _ = scs("sample", *both, "--sampler", name, *options)
        assert stdout.count(f",{name}\n") == 4
    _, (line, *_) = scs("sample", videos / "sound.mp4", "--sampler", "probe", *options, code=1)
    assert line.startswith("Error: a trained sampler is needed: --run RUN")
    _, (line,) = scs("sample", videos / "sound.mp4", "--plugin", tmp_path / "no.py", code=1)
    assert "no.py) must be a file that ends in .py" in line


def test_what_cannot_be_sampled(videos, trained, tmp_path):
    with pytest.raises(ValueError, match=r"k \(0\) must be > 0"):
        scslib.sample(videos / "sound.mp4", k=0, sampler=trained)
    with pytest.raises(ValueError, match=r"sampler \('best'\) must be one of"):
        scslib.sample(videos / "sound.mp4", sampler=trained, method="best")
    with pytest.raises(VideoError, match=r"gone\.mp4: no such file"):
        scslib.sample(tmp_path / "gone.mp4", sampler=trained)
    with pytest.raises(CheckpointError, match=r"gone\.safetensors: no such file"):
        scslib.sample(videos / "sound.mp4", sampler=tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    "clips, runs",
    [
        ([7, 2, 3], [(2, 4), (7, 8)]),
        ([0, 9, 1, 8, 4], [(0, 2), (4, 5), (8, 10)]),
        ([5], [(5, 6)]),
        ([3, 5, 7], [(3, 4), (5, 6), (7, 8)]),
        ([2, 1, 0, 3], [(0, 4)]),
    ],
)
def test_clips_that_touch_become_one_span(picked, clips, runs, tmp_path):
    times = picked.times
    rows = {"rank": range(1, len(clips) + 1), "clip": clips, "sampler": "x"}
    table = pd.DataFrame(rows | {"start_s": times[clips, 0], "end_s": times[clips, 1]})
    some = Picked(table, picked.clips, picked.saliency, times, picked.index)
    np.testing.assert_allclose(some.spans(), [(4 * a / RATE, 4 * b / RATE) for a, b in runs], atol=1e-9)
    some.highlights(tmp_path / "h.mp4")
    shown = [n for a, b in runs for n in range(CLIP * a, CLIP * b)]
    assert numbers(tmp_path / "h.mp4", PICTURES) == shown
    times = [frame.time for frame in every_frame(tmp_path / "h.mp4")]
    np.testing.assert_allclose(times, np.arange(len(shown)) / RATE, atol=2e-3)
    heard = [frame for frame in shown if frame in (18, 19)]  # the tone lies in clip 4
    if heard:
        assert beep(tmp_path / "h.mp4")[0] == pytest.approx(shown.index(18) / RATE, abs=5e-3)


@pytest.mark.parametrize("name", ["sound.mp4", "silent.mp4", "more/sound.mkv"])
def test_files_of_the_clips_are_what_the_table_says(videos, trained, tmp_path, name):
    found = scslib.sample(videos / name, k=10, sampler=trained)
    table = found.cut(tmp_path / "clips")
    assert list(table.columns) == [*COLUMNS, "file", "copied"]
    assert table["file"].tolist() == [f"{found.path.stem}-{rank:02d}.mp4" for rank in range(1, 11)]
    assert sorted(f.name for f in (tmp_path / "clips").iterdir()) == sorted(table["file"])
    first = 5.0 if name.startswith("more") else 0.0
    for row in table.itertuples():
        frame = round((row.start_s - first) * RATE)
        assert numbers(tmp_path / "clips" / row.file, PICTURES) == list(range(frame, frame + CLIP))
        assert row.copied == (frame % 12 == 0)
    assert set(found.cut(tmp_path / "other", "name")["file"].str[:5]) == {"name-"}


def test_sheet_shows_k_clips_under_the_curve(picked):
    figure = picked.sheet(height=32)
    assert sum(bool(axis.images) for axis in figure.axes) == K
    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "K = 3 of 10" in texts and "audio-visual sampler" in texts
    for row in picked.table.itertuples():
        assert f"{row.rank}.  {row.start_s:.1f}–{row.end_s:.1f} s" in texts


def test_table_as_csv_as_json_and_as_text_agree(videos, file, tmp_path):
    csv, lines = tmp_path / "k.csv", tmp_path / "k.json"
    options = ["--run", file, "-k", 2]
    stdout, stderr = scs("sample", videos, *options, "--csv", csv, "--json", lines)
    names = [str(videos / name) for name in ("more/sound.mkv", "silent.mp4", "sound.mp4")]
    table = pd.read_csv(csv)
    assert list(dict.fromkeys(table["video"])) == names and len(table) == 6
    assert stdout.splitlines() == [f"wrote {csv}", f"wrote {lines}"]
    assert stderr == [f"{names[1]}: no sound, so the visual sampler chose"]
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [set(o) for o in objects] == [{"video", "sampler", "clips"}] * 3
    rows = [
        {"video": o["video"], "sampler": o["sampler"]} | clip for o in objects for clip in o["clips"]
    ]
    pd.testing.assert_frame_equal(pd.DataFrame(rows)[table.columns], table, atol=1e-4)
    for name in names:
        expected = scslib.sample(name, k=2, sampler=file).table
        own = table[table["video"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected, atol=1e-3, check_dtype=False)

    stdout, _ = scs("sample", videos, *options)
    assert stdout == csv.read_text()
    stdout, _ = scs("sample", videos / "sound.mp4", *options, "--json", tmp_path / "one.json")
    assert stdout == f"wrote {tmp_path / 'one.json'}\n"
    (one,) = map(json.loads, (tmp_path / "one.json").read_text().splitlines())
    assert one == objects[2]


def test_same_stems_do_not_overwrite_each_other(videos, file, tmp_path):
    given = [videos / "sound.mp4", videos / "more", "--run", file, "-k", 2]
    kinds = ("sheet", "clips", "highlights")
    folders = [part for kind in kinds for part in (f"--{kind}", tmp_path / kind)]
    scs("sample", *given, *folders, "--csv", tmp_path / "k.csv")
    table = pd.read_csv(tmp_path / "k.csv")
    files = ["sound-v1-01.mp4", "sound-v1-02.mp4", "sound-v2-01.mp4", "sound-v2-02.mp4"]
    made = {kind: sorted(f.name for f in (tmp_path / kind).iterdir()) for kind in kinds}
    assert table["file"].tolist() == files == made["clips"]
    assert made["sheet"] == ["sound-v1.png", "sound-v2.png"]
    assert made["highlights"] == ["sound-v1.mp4", "sound-v2.mp4"]
    for row in table.itertuples():
        first = 5.0 if row.video.endswith("mkv") else 0.0
        number = numbers(tmp_path / "clips" / row.file, PICTURES)[0]
        assert number == round((row.start_s - first) * RATE)


def test_files_for_one_video_and_folders_for_several(videos, file, tmp_path):
    one = videos / "sound.mp4"
    out = ["--sheet", tmp_path / "s.png", "--highlights", tmp_path / "h.mp4", "--run", file, "-k", 2]
    scs("sample", one, *out)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    assert len(every_frame(tmp_path / "h.mp4")) == 2 * CLIP
    for option, name in (("--sheet", "t.png"), ("--highlights", "i.mp4")):
        _, stderr = scs("sample", videos, "--run", file, option, tmp_path / name, code=1)
        (line,) = stderr
        assert option in line and name in line and "folder for 3 videos" in line
    assert sorted(f.name for f in tmp_path.iterdir()) == ["h.mp4", "s.png"]


def test_an_unreadable_one_among_good_ones(videos, file, tmp_path):
    for name in ("a.mp4", "c.mp4"):
        shutil.copy(videos / "sound.mp4", tmp_path / name)
    (tmp_path / "b.mp4").write_text("no video")
    options = ["--run", file, "-k", 2, "--csv", tmp_path / "out.csv", "--clips", tmp_path / "clips"]
    stdout, stderr = scs("sample", tmp_path, *options, code=1)
    assert [line for line in stderr if "b.mp4" in line] == stderr[:1] and len(stderr) == 3
    assert stderr[0].startswith("Error: ") and stderr[1] == f"wrote {tmp_path / 'clips'}"
    assert stderr[2] == "1 of 3 videos could not be read"
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["video"].tolist() == [str(tmp_path / n) for n in ("a.mp4", "a.mp4", "c.mp4", "c.mp4")]
    assert len(list((tmp_path / "clips").iterdir())) == 4


def test_nothing_is_written_where_none_can_be_read(file, tmp_path):
    bad = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    bad[0].write_text("no video")
    out = ["--csv", tmp_path / "out.csv", "--json", tmp_path / "out.json", "--clips", tmp_path / "clips"]
    stdout, stderr = scs("sample", *bad, "--run", file, *out, code=1)
    assert stdout == "" and len(stderr) == 3
    assert "a.mp4" in stderr[0] and "b.mp4" in stderr[1] and "2 of 2" in stderr[2]
    assert list(tmp_path.iterdir()) == bad[:1]
    _, stderr = scs("sample", bad[0], "--run", file, code=1)
    assert len(stderr) == 1 and "a.mp4" in stderr[0]


def test_export_command(tiny_run, videos, tmp_path):
    path = tmp_path / "all.safetensors"
    assert scs("export", tiny_run, path, "--seed", 1)[0] == f"wrote {path}\n"
    tables = []
    for more in (["--run", path], ["--run", tiny_run, "--seed", 1]):
        tables.append(scs("sample", videos / "sound.mp4", "-k", FRAMES, *more)[0])
    one, other = (pd.read_csv(io.StringIO(table)) for table in tables)
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)  # where weights lie in memory rounds apart
    assert len(one) == 10
    _, stderr = scs("export", tmp_path / "none", path, code=1)
    assert len(stderr) == 1 and "none: no trained samplers" in stderr[0]
