"""The kit as a user runs it: `scs run`, then what it leaves, then `scs sample` and `scs report`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torchvision.models.video import MC3_18_Weights, mc3_18

from scslib.cli.main import main
from scslib.jobs.run_folder import Run
from scslib.models.checkpoints import load_classifier
from scslib.models.torchvision_video import torchvision_view
from tests.support.runs import example_tables

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests" / "support" / "own_plugin.py"
NEEDED = "01,03-06,08,10"  # for a second run: without slow ones that no other needs
FEW = dict.fromkeys(("trimmed_steps", "mixed_steps", "ac_steps", "rank_steps", "aggregator_steps"), 2)
FEW |= {"other_etas": "[]", "other_rankings": "[]"}  # where only what is counted matters


def scs(*arguments, work, code=0):
    """Run the command line; returns (stdout, stderr) after checking its exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "scslib.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=work,
        env=os.environ | {"SCS_WORK": str(work)},
        timeout=1200,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def one_line(*arguments, work, code=1):
    """The command must fail with one line on stderr and no traceback; returns the line."""
    with pytest.MonkeyPatch.context() as patch:  # in this process: a start of Python costs seconds
        patch.setenv("SCS_WORK", str(work))
        patch.chdir(work)
        done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == code and isinstance(done.exception, SystemExit), done.output
    assert done.stderr.strip().count("\n") == 0, done.stderr
    return done.stderr.strip()


def without_sound(source_path, target_path):
    """Copy the pictures of a video, as they are, into a file that has no audio track."""
    with av.open(str(source_path)) as source, av.open(str(target_path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def smoke(work):
    """A complete smoke run of all notebooks: (its folder, what it printed)."""
    stdout, _ = scs("run", "--preset", "smoke", work=work)
    return work / "runs" / "smoke", stdout


def test_run_leaves_what_the_contract_says(smoke):
    folder, stdout = smoke
    for name in ("params.json", "env.json", "report.html", "results/methods.csv"):
        assert (folder / name).is_file(), name
    assert len(list((folder / "notebooks").glob("*.ipynb"))) == len(
        list((ROOT / "notebooks").glob("*.ipynb"))
    )
    assert list((folder / "figures").glob("*.png"))
    for weights in (folder / "checkpoints").glob("*.safetensors"):
        assert json.loads(weights.with_suffix(".json").read_text())["classes"]
    environment = json.loads((folder / "env.json").read_text())
    assert environment["packages"]["torch"].startswith("2.11") and environment["cores"] >= 1
    assert "report:" in stdout and "audio-visual" in stdout


def test_methods_table_has_the_papers_rows(smoke):
    table = pd.read_csv(smoke[0] / "results" / "methods.csv")
    rows = {"random", "uniform", "dense", "audio", "visual", "audio-visual", "oracle"}
    assert rows <= set(table["method"])
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()
    assert (table["seconds_per_video"] > 0).all()
    by_method = table.groupby("method").first()
    assert by_method.loc["dense", "speedup_vs_dense"] == 1
    assert by_method.loc["uniform", "overhead_vs_uniform"] == 1
    assert by_method.loc["oracle", "accuracy"] >= by_method["accuracy"].max() - 1e-9


def test_smoke_gives_what_benchmarks_expected_says(smoke, work):
    stdout, _ = scs("regress", "smoke", work=work)
    assert "methods are as" in stdout


def test_running_again_does_nothing_and_a_changed_parameter_starts_where_it_matters(smoke, work):
    stdout, _ = scs("run", "--preset", "smoke", work=work)
    assert stdout.count("done before") == len(list((ROOT / "notebooks").glob("*.ipynb")))
    stdout, _ = scs("run", "--preset", "smoke", "--notebooks", "00-01,05", work=work)
    assert "[3/3] 05_" in stdout and stdout.count("done before") == 3


def test_samplers_of_ones_own_have_rows_and_leave_the_others_as_they_were(smoke, work):
    folder, _ = smoke
    shutil.copytree(folder, work / "runs" / "own")
    own = ("-p", "plugins", f'["{PLUGIN}"]', "-p", "extra_methods", '["probe+cdf3", "visual+mdp3"]')
    scs("run", "--preset", "smoke", "--out", "own", "--notebooks", "05-06", *own, work=work)
    before, after = (
        pd.read_csv(work / "runs" / name / "results" / "methods.csv").set_index("method")
        for name in ("smoke", "own")
    )
    new = ["loudest", "brightest", "probe", "probe+cdf3", "visual+mdp3", "audio-visual+best-of-each"]
    assert set(after.index) == {*before.index, *new}
    counted = ["seed", "k", "clips", "videos", "coverage", "accuracy", "covered", "in_segments", "gmacs"]
    pd.testing.assert_frame_equal(after.loc[before.index, counted], before[counted])
    assert after.loc[new, ["accuracy", "seconds_per_video", "gmacs"]].notna().all(axis=None)
    assert (after.loc[new, "clips"] == 4).all() and (after.loc[new, "coverage"] == 1).all()
    assert all(f">{name}<" in (work / "runs/own/report.html").read_text() for name in new)


def test_a_trained_sampler_of_ones_own_goes_on_in_an_exported_file(smoke, work, tmp_path):
    kept = pd.read_csv(work / "runs" / "own" / "results" / "saliency.csv")
    kept = kept[kept["method"] == "probe"]
    video = work / "data" / "smoke" / "videos" / f"{kept['video_id'].iloc[0]}.mp4"
    file, tables = tmp_path / "all.safetensors", []
    scs("export", "own", file, work=work)
    for run in ("own", file):
        tables.append(tmp_path / f"{len(tables)}.csv")
        options = ("--plugin", PLUGIN, "--sampler", "probe", "-k", 3, "--csv", tables[-1])
        scs("sample", video, "--run", run, *options, work=work)
    one, other = map(pd.read_csv, tables)
    pd.testing.assert_frame_equal(one, other)
    kept = kept[kept["video_id"] == video.stem].sort_values("saliency", ascending=False, kind="stable")
    assert one["clip"].tolist() == kept["clip"].head(3).tolist()
    line = one_line("sample", video, "--run", work / "runs/own", "--sampler", "nobody", work=work)
    assert "sampler ('nobody') must be one of" in line


def test_report_is_one_page_without_a_network(smoke, work):
    folder, _ = smoke
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    scs("report", "smoke", work=work)
    page = (folder / "report.html").read_text()
    assert page == before
    assert "data:image/png;base64," in page and "audio-visual</th>" in page
    assert page.count('<section class="entry"') == 4
    assert "http://" not in page and "https://" not in page and str(work) not in page.split("command")[0]


def papermill(name, out, **parameters):
    """One notebook with plain papermill, as its documentation says."""
    notebook = next((ROOT / "notebooks").glob(f"{name}_*.ipynb"))
    given = [part for key, value in parameters.items() for part in ("-p", key, str(value))]
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), "-k", "python3", *given]
    subprocess.run(command, check=True, capture_output=True, timeout=600)


def test_single_notebook_runs_with_plain_papermill(smoke, work, tmp_path):
    data = work / "data" / "smoke"
    papermill("07", tmp_path / "07.ipynb", run=smoke[0], data=data, shown_videos=1)
    assert (tmp_path / "07.ipynb").is_file()


def test_a_published_classifier_takes_the_place_of_f(smoke, work, tmp_path, monkeypatch):
    """Notebook 03 with torchvision's name: its input comes along, and nothing but a head is new."""
    theirs, kept = mc3_18().state_dict(), tmp_path / "hub/checkpoints"
    kept.mkdir(parents=True)  # where torchvision keeps what it has fetched
    torch.save(theirs, kept / Path(MC3_18_Weights.KINETICS400_V1.url).name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    steps = {"trimmed_steps": 0, "mixed_steps": 0, "clips_per_video": 1}
    where = {"run": tmp_path / "run", "data": work / "data" / "smoke"}
    papermill(
        "03", tmp_path / "03.ipynb", checkpoint="torchvision:mc3_18/KINETICS400_V1", **where, **steps
    )
    network, view, classes = load_classifier(tmp_path / "run" / "checkpoints" / "classifier.safetensors")
    assert view == torchvision_view("mc3_18")
    assert len(classes) == 3
    for name, tensor in theirs.items():
        assert name.startswith("fc.") or torch.equal(tensor, network.state_dict()[name]), name


def test_sample_gives_k_clips_of_any_video_and_a_sheet(smoke, work, tmp_path):
    video = next((work / "data" / "smoke" / "videos").glob("*.mp4"))
    csv, sheet = tmp_path / "k.csv", tmp_path / "k.png"
    scs("sample", video, "--run", "smoke", "-k", 3, "--csv", csv, "--sheet", sheet, work=work)
    table = pd.read_csv(csv)
    assert table["rank"].tolist() == [1, 2, 3] and table["clip"].is_unique
    assert table["saliency"].is_monotonic_decreasing
    assert ((table["end_s"] - table["start_s"]) - 16 / 12).abs().max() < 0.01
    assert sheet.read_bytes()[:4] == b"\x89PNG"


def test_sample_takes_real_video_of_other_size_rate_and_codec_with_and_without_sound(real, smoke, work):
    videos = [
        next((real / "ucf" / "JumpingJack").glob("*.avi")),
        next((real / "ucf" / "BrushingTeeth").glob("*.avi")),
        real / "motion_vectors" / "vid_h264.mp4",
    ]
    stdout, stderr = scs("sample", *videos, "--run", "smoke", "-k", 3, work=work)
    assert "no sound, so the visual sampler chose" in stderr
    assert stdout.count("v_JumpingJack") == 3 and stdout.count("v_BrushingTeeth") == 3


def test_a_bad_video_is_one_line_and_the_others_go_on(smoke, work, tmp_path):
    good = next((work / "data" / "smoke" / "videos").glob("*.mp4"))
    bad = {
        "empty.mp4": b"",
        "text.mp4": b"no video at all",
        "list.mp4": b"ffconcat version 1.0\nfile x.mp4\n",
    }
    run = work / "runs/smoke"  # processes were started before SCS_WORK said where names lie
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        line = one_line("sample", tmp_path / name, "--run", run, work=work)
        assert name in line
    assert "missing.mp4" in one_line("sample", tmp_path / "missing.mp4", "--run", run, work=work)
    stdout, stderr = scs(
        "sample", tmp_path / "text.mp4", good, "--run", "smoke", "-k", 2, work=work, code=1
    )
    assert stdout.count(good.name) == 2 and "text.mp4" in stderr


def test_a_truncated_video_gives_what_it_has_and_says_so(smoke, work, tmp_path):
    good = next((work / "data" / "smoke" / "videos").glob("*.mp4"))
    cut = tmp_path / "cut.mkv"
    without_sound(good, cut)
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    stdout, stderr = scs("sample", cut, "--run", "smoke", "-k", 2, work=work)
    assert stdout.count("cut.mkv") == 2 and "broken off" in stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "-p", "no_such_thing", "3"], ["no_such_thing", "3"]),
        (["run", "--preset", "huge"], ["huge"]),
        (["run", "--notebooks", "7", "--out", "out"], ["notebooks ('7')"]),
        (["run", "--notebooks", "90-98", "--out", "out"], ["90-98", "only 00 to"]),
        (["run", "--data", "nowhere"], ["nowhere"]),
        (["run", "-p", "plugins", '["none.py"]'], ["plugins (none.py)", "no such file"]),
        (["sweep", "k", "-p", "plugins", '["none.py"]', "--dry-run"], ["plugins (none.py)"]),
        (["sample", "x.mp4", "--run", "no-such-run"], ["no-such-run"]),
        (["report", "no-such-run"], ["no-such-run"]),
        (["data", "synth", "out", "--classes", "1"], ["classes (1)"]),
        (["data", "index", "nowhere", "out"], ["nowhere"]),
    ],
)
def test_bad_input_is_one_line_that_names_the_value(arguments, words, work):
    line = one_line(*arguments, work=work)
    for word in words:
        assert word in line, line
    assert not (work / "out").exists()
    assert not any((work / "runs" / name).exists() for name in ("out", "no-such-run"))


def test_dataset_csv_that_points_nowhere_is_refused_before_anything_runs(work, tmp_path):
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    (tmp_path / "videos.csv").write_text("video_id,path,label,split\nv1,gone.mp4,a,train\n")
    line = one_line("run", "--data", tmp_path, "--out", "never", work=work)
    assert "videos.csv" in line and "gone.mp4" in line
    assert not (work / "runs" / "never").exists()


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """`scs run` after whose notebooks a folder with these tables lies there; returns its result."""

    def command(*options, tables=True, **how):
        run = example_tables(tmp_path / "made-up", **how) if tables else Run(tmp_path / "empty")
        monkeypatch.setattr("scslib.experiments.notebooks.run_notebooks", lambda *_, **__: run)
        return run, CliRunner().invoke(main, ["run", *options])

    return command


TORN = [("failed", 0, "failed", 0), ("timeout", 0, "timeout", 0), ("partial", 4, "partial", 4)]
LINE = "coverage 75.0 %: 2 of 10 test videos could not be read (1 failed, 1 timeout), 1 only in part: "
LINE += "see results/videos.csv"


def test_the_last_lines_say_which_part_of_the_test_videos_the_table_is_about(ran):
    _, done = ran(unread=TORN)
    assert done.exit_code == 0 and LINE in done.stdout.splitlines() and done.stderr == ""
    assert done.stdout.count("75.0 %") == 4  # the line, and beside each of three methods


def test_require_complete_fails_with_that_line_after_the_report_is_made(ran):
    run, done = ran("--require-complete", unread=TORN)
    assert done.exit_code == 1 and done.stderr == f"Error: {LINE}\n"
    assert LINE not in done.stdout and "report: " in done.stdout
    assert "overage 75.0 %" in (run.folder / "report.html").read_text()


@pytest.mark.parametrize("row", [("partial", 7, "ok", 8), ("ok", 8, "timeout", 0)])
def test_require_complete_wants_every_clip_for_every_method(ran, row):
    assert ran("--require-complete", unread=[row])[1].exit_code == 1


def test_a_clip_is_what_is_counted_not_the_frames_after_the_last(ran):
    assert ran("--require-complete", unread=[("partial", 8, "ok", 8)])[1].exit_code == 0


def test_a_complete_run_says_nothing_and_passes(ran):
    run, done = ran("--require-complete")
    assert done.exit_code == 0 and done.stderr == ""
    assert "overage" not in done.stdout and "could not be read" not in done.stdout
    run.save_table("classifiers", pd.DataFrame({"coverage": [0.5]}))
    again = CliRunner().invoke(main, ["run", "--require-complete"])
    assert again.exit_code == 1 and again.stderr == "Error: coverage 50.0 % in results/classifiers.csv\n"


def test_training_videos_are_said_and_are_no_error(ran):
    _, done = ran("--require-complete", held_out="failed")
    assert done.exit_code == 0
    said = "1 of 2 held-out training videos could not be read (1 failed): see results/videos.csv"
    assert said in done.stdout.splitlines()


def test_require_complete_is_not_met_without_a_table(ran):
    _, done = ran("--require-complete", tables=False)
    assert done.exit_code == 1 and "notebook 06" in done.stderr
    assert ran(tables=False)[1].exit_code == 0


@pytest.fixture(scope="session")
def holed(smoke, work, tmp_path_factory):
    """The smoke dataset with one test video missing, one empty, and one without sound."""
    folder = tmp_path_factory.mktemp("holed") / "holed"
    subprocess.run(["cp", "-r", str(work / "data" / "smoke"), str(folder)], check=True)
    videos = pd.read_csv(folder / "videos.csv")
    test = videos[videos["split"] == "test"]["path"].tolist()
    (folder / test[0]).unlink()
    (folder / test[1]).write_bytes(b"")
    silent = folder / "silent.mp4"
    without_sound(folder / test[2], silent)
    silent.replace(folder / test[2])
    return folder


def test_bad_videos_in_a_dataset_are_reported_and_counted(holed, work):
    command = ["run", "--data", holed, "--out", "holed", "--notebooks", NEEDED]
    command += [part for name, value in FEW.items() for part in ("-p", name, value)]
    stdout, _ = scs(*command, work=work)
    table = pd.read_csv(work / "runs" / "holed" / "results" / "methods.csv")
    count = int(table["videos"].iloc[0]) + 2
    assert set(table["videos_failed"]) == {2}
    assert table["coverage"].to_numpy() == pytest.approx(1 - 2 / count, abs=1e-5)
    said = f"2 of {count} test videos could not be read (2 failed): see results/videos.csv"
    assert said in stdout and stdout.count(said) == 1
    silent = table.groupby("method")["videos_uniform"].max()
    assert silent["audio"] == 1 and silent["audio-visual"] == silent["uniform"] == 0
    status = pd.read_csv(work / "runs" / "holed" / "results" / "videos.csv")
    failed = status[status["status"] == "failed"]
    assert len(failed) == 2 and failed["reason"].str.contains(".mp4").all()
    assert (failed["features_status"] == "failed").all()
    assert np.isfinite(table["accuracy"]).all()
    for name in ("choices", "aggregations"):
        quoted = pd.read_csv(work / "runs" / "holed" / "results" / f"{name}.csv")["coverage"]
        assert quoted.to_numpy() == pytest.approx(1 - 2 / count, abs=1e-5), name
    assert said in (work / "runs" / "holed" / "report.html").read_text()
    assert one_line(*command, "--require-complete", work=work).endswith(said)
