"""The benchmarks: the quick forms run and say on what; videos that are lengthened repeat themselves."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scs_bench import main, process, readers, tables
from scs_bench.scale import QUICK_ENCODING
from scs_bench.videos import encoded

from scslib.models.samplers import MODALITIES
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.clips import index_clips
from scslib.video.container import VideoError
from scslib.video.probe import probe
from scslib.video.recode import lengthened
from scslib.video.write import Encoding

BASE_S, FRAMES, CLIPS = 3.2, 96, 6  # 50 packets of sound, 8 groups of pictures, 6 clips
PROVENANCE = ["hardware", "versions", "commit", "command"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def base(folder):
    return encoded(folder, QUICK_ENCODING, FRAMES, sound=True)


def bench(folder, *arguments):
    """(CSV, printed text) of a quick `python benchmarks`."""
    out = folder / f"{arguments[0]}.csv"
    arguments = [*arguments, "--quick", "--videos", str(folder), "--out", str(out)]
    done = CliRunner().invoke(main.bench, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return pd.read_csv(out), done.output


def test_extract(folder):
    table, text = bench(folder, "extract")
    assert list(table.columns[-4:]) == PROVENANCE
    assert (table["command"] == "python benchmarks extract --quick").all()
    assert str(folder) not in table.to_csv()
    assert list(table["contestant"]) == list(readers.CONTESTANTS)
    table = table.set_index("contestant")
    assert table.loc["floor", "ratio_to_floor"] == 1
    assert (table["frames"] == 96).all()
    own = table.loc[["floor", "MD", "IF+MD+RGB-R", "IF"]]
    assert (own["status"] == "ok").all() and own["ratio_to_floor"].notna().all()
    assert (own["loop_cpu_s"] < own["process_cpu_s"]).all()
    others = table.drop(own.index)
    assert (others["status"].eq("ok") | others["ratio_to_floor"].isna()).all()
    assert "ratio_to_floor" in text and "extract.csv" in text


def test_scale(folder):
    table, text = bench(folder, "scale")
    assert list(table.columns[-4:]) == PROVENANCE
    assert list(table["part"]) == ["length"] * 2 + ["videos"] * 2
    assert list(table["clips"]) == [CLIPS, 4 * CLIPS, 16 * CLIPS, 16 * CLIPS]
    assert list(table["workers"]) == [1, 1, 1, 2]
    assert (table.loc[table["workers"] == 1, "speedup"] == 1).all()
    assert table.loc[1, "peak_ratio"] == table.loc[2, "peak_ratio"] == 1
    assert (table["peak_mb"] >= table["start_mb"]).all()
    assert not list(folder.glob("tmp*")), "the data sets' features are not kept"
    first = table.loc[table["part"] == "videos", "first_s"]
    assert ((first > 0) & (first < table["seconds"][first.index])).all()
    assert table.loc[table["part"] == "length", "first_s"].isna().all()
    assert "videos_per_s" in text


def test_lengthened_video_has_the_clips_that_it_should(base):
    assert probe(base).duration_s == pytest.approx(BASE_S)
    for seconds in (1.6, 3 * BASE_S, 8.0):  # shorter, whole, and in part
        path = lengthened(base, seconds)
        frames = round(seconds * 30)
        index = index_clips(path)
        assert len(index.pts) == frames and len(index) == frames // 16
        assert np.allclose(np.diff(index.pts) * index.time_base, 1 / 30, atol=1e-4)
        assert np.flatnonzero(index.key).tolist() == list(range(0, frames, 12))
        assert probe(path).duration_s == pytest.approx(seconds, abs=0.01)


def test_features_of_a_lengthened_video_repeat(base):
    spec = FeatureSpec()
    one, many = (
        read_video(spec.index(path), spec, MODALITIES).arrays
        for path in (base, lengthened(base, 3 * BASE_S))
    )
    for name in ("motion", "residual", "predicted", "bytes", "iframes"):
        assert np.array_equal(many[name], np.concatenate([one[name]] * 3)), name
    whole = slice(1, CLIPS - 1)  # the sound of the others reaches over the seams
    for copy in range(3):
        heard = many["audio"][copy * CLIPS : (copy + 1) * CLIPS][whole].astype(np.float32)
        assert np.abs(heard - one["audio"][whole]).max() < 0.1, copy
    assert np.ptp(one["audio"]) > 1
    starts = np.concatenate([one["times"][:, 0] + copy * BASE_S for copy in range(3)])
    assert np.allclose(many["times"][:, 0], starts, atol=1e-3)


def test_videos_are_made_once_and_of_the_files_given(folder, base, movie):
    stamp = base.stat().st_mtime_ns
    assert encoded(folder, QUICK_ENCODING, FRAMES, sound=True) == base
    assert base.stat().st_mtime_ns == stamp
    other = encoded(folder, Encoding(64, 48, 30, 12), 150, sources=[movie.path])
    assert other != base and len(index_clips(other).pts) == 150  # the source's 3.3 s, and again
    noise = folder / "noise.mp4"
    noise.write_bytes(b"no video")
    with pytest.raises(VideoError, match="noise.mp4"):
        encoded(folder, Encoding(64, 48, 30, 12), 16, sources=[noise])


def test_every_contestant_reads_every_frame(base):
    for name in ("floor", "MD", "IF+MD+RGB-R", "IF"):
        assert sum(readers.CONTESTANTS[name].read(str(base))) == FRAMES, name


def test_what_is_absent_is_said(base):
    def absent(path):
        import a_module_that_nobody_has  # noqa: F401

        yield 1

    def broken(path):
        raise RuntimeError("first line\nsecond line")
        yield 1

    report = readers.measure(readers.Contestant("", absent, ("nobody",), "nobody>=1"), str(base))
    assert report == {"problem": "not installed: pip install 'nobody>=1'"}
    report = readers.measure(readers.Contestant("", broken, ("nobody",)), str(base))
    assert report == {"problem": "does not run: first line"}
    assert "ended with 1" in process.run_child("scs_bench.readers", "nobody", base)["problem"]


def test_command_names_files_and_not_where_they_lie(tmp_path):
    options = {"source": (tmp_path / "a b.mp4",), "rounds": 3, "quick": False, "k": None}
    found = tables.command("extract", **options)
    assert found == "python benchmarks extract --source 'a b.mp4' --rounds 3"


def test_rounds_and_workers_are_checked(folder):
    for arguments in (["extract", "--rounds", "0"], ["scale", "--workers", "0"]):
        done = CliRunner().invoke(main.bench, [*arguments, "--videos", str(folder)])
        assert done.exit_code == 1 and "must be > 0" in done.output


def test_manifest(folder):
    table, text = bench(folder, "manifest")
    assert list(table.columns[-4:]) == PROVENANCE
    assert table["part"].tolist() == list(range(1, 11)) and table["videos"].sum() == 800
    assert (table["failed"] == 200).all()  # every fourth row is the file that is no video
    assert (table["videos_per_s_and_worker"] > 0).all() and (table["begun_s"] > 0).all()
    assert (table["again_s"] < 5).all() and "child_mb" in text


def test_estimate(folder, monkeypatch):
    """By hand: 1.5 s read and 0.5 s of f for K = 10 of 630 clips, on two cores."""
    from scs_bench import estimate

    monkeypatch.setattr(estimate, "SAMPLE_S", 4)
    monkeypatch.setattr(estimate, "DATASETS", {"A": (7200, 168.0), "B": (3600, 1.1)})
    row = {"codec": "mpeg4", "device": "cpu", "k": 10, "clips_of": 630, "commit": "c", "read_s": 1.5}
    row |= {"samplers": "width 16"}
    row |= {"decode_s": 0.0, "sampler_s": 1.0, "classifier_s": 0.5, "hardware": "X, 2 cores, 8 GB"}
    runtime = pd.DataFrame([row | {"method": "visual"}, row | {"method": "visual", "device": "cuda"}])
    table = estimate.bench_estimate(folder, runtime).set_index(["data", "device"])
    hours = table["core_hours"]
    assert hours["A", "cpu"] == pytest.approx(2 * 2 * (1.5 / 2 + 1.0 / 2 + 0.5))
    assert hours["A", "cuda"] == pytest.approx(2 * 2 * 1.5 / 2)
    assert table.loc[("A", "cuda"), "gpu_hours"] == pytest.approx(2 * (1.0 / 2 + 0.5))
    short = 2 * (2.5 * 1.1 / 336 + 0.5 * 2 / 10)  # two clips of a second
    assert hours["B", "cpu"] == pytest.approx(short)
    assert (table["paper_tb"] > table["features_tb"]).all()
