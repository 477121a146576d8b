"""Names stay what they are in every table: through a file and back, and where commands read it."""

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.datasets.manifest import load_dataset
from scslib.experiments import regress, results
from scslib.experiments.notebooks import notebooks
from scslib.experiments.parameters import declared
from scslib.jobs.run_folder import Run
from scslib.jobs.tables import TEXT, TableError, read_table, read_texts
from scslib.report.gallery import load_gallery
from tests.support.runs import example_run

ODD = ["0", "007", "None", "NA", "NaN", "null", "true", "1e3", "1_0", "-inf", "#N/A", " x", "a,b", '"']


def methods(names):
    """A results/methods.csv of these methods, two seeds each."""
    rows = [{"method": name, "seed": seed, "k": 2} for name in names for seed in (0, 1)]
    table = pd.DataFrame(rows).assign(clips=2, clips_of=9, videos=40, videos_failed=0, videos_partial=0)
    return table.assign(videos_uniform=0, coverage=1.0, accuracy=0.5, in_segments=np.nan, gmacs=0.1)


def test_a_table_comes_back_as_it_was_written(tmp_path):
    run = Run(tmp_path)
    table = pd.DataFrame({"video_id": ODD, "label": ODD[::-1], "predicted": ODD})
    table["method"] = ODD[2:] + ODD[:2]
    table = table.assign(seed=range(len(ODD)), correct=[True, False] * (len(ODD) // 2))
    table = table.assign(in_segments=[np.nan, 0.5] * (len(ODD) // 2), reason=np.nan)
    run.save_table("it", table)
    back = run.load_table("it")
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    numbers = {name: back[name].dtype.kind for name in ("seed", "correct", "in_segments")}
    assert numbers == {"seed": "i", "correct": "b", "in_segments": "f"}
    assert all(isinstance(value, str) for value in back[["video_id", "label", "method"]].to_numpy().flat)


def test_an_empty_cell_is_missing_and_in_a_dataset_it_is_empty(tmp_path):
    (tmp_path / "t.csv").write_text("video_id,label,reason,n\n1,,NA,\n2,x,,3\n", encoding="utf-8-sig")
    table = read_table(tmp_path / "t.csv")
    assert table["label"].isna().tolist() == [True, False] and table["reason"].tolist()[0] == "NA"
    assert np.isnan(table["n"][0]) and table["n"][1] == 3
    cells = read_texts(tmp_path / "t.csv").to_numpy().tolist()
    assert cells == [["1", "", "NA", ""], ["2", "x", "", "3"]]


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "No columns"),
        (b"\xff\xfe", "can't decode"),
        (b"a,b\n1,2,3\n4,5,6\n", "Length of header"),
        (b"a,b\n1,2\n4,5,6\n", "Expected 2 fields in line 3, saw 3"),
        (b'a\n"b\n', "EOF inside string"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, why):
    (tmp_path / "t.csv").write_bytes(content)
    for read in (read_table, read_texts):
        with pytest.raises(TableError) as caught:
            read(tmp_path / "t.csv")
        assert str(caught.value).startswith(f"{tmp_path / 't.csv'}: not a CSV file (")
        assert why in str(caught.value) and "\n" not in str(caught.value)


def test_text_parameters_of_notebooks_are_declared():
    text = {name for n in notebooks() for name, p in declared(n).items() if p.kind == "str"}
    assert text - TEXT == {"videos"} and "k" not in TEXT  # elsewhere `videos` is a count


def test_no_notebook_and_no_other_module_reads_a_table_by_itself():
    package = Path(results.__file__).parents[1]
    sources = {p: p.read_text(encoding="utf-8") for p in package.rglob("*.py")}
    sources |= {p: "".join(c.source for c in nbformat.read(p, 4).cells) for p in notebooks()}
    reading = [path for path, text in sources.items() if "pd.read_csv" in text]
    assert reading == [package / "jobs" / "tables.py"]


def test_two_methods_are_compared_whatever_their_names(tmp_path):
    names = ["1e3", "NA"]
    rows = [(m, v, (i + j) % 3 > 0) for i, m in enumerate(names) for j, v in enumerate(ODD)]
    table = pd.DataFrame(rows, columns=["method", "video_id", "correct"]).assign(seed=0)
    run = Run(tmp_path / "runs" / "it")
    run.save_table("predictions", table)
    found = results.compare(run.folder, "1e3", "NA")
    wide = table.pivot(index="video_id", columns="method", values="correct")
    assert found.videos == len(ODD) and found.left_out == 0
    assert found.better == int((wide["1e3"] & ~wide["NA"]).sum())


def test_a_sweeps_table_keeps_names_and_commits(tmp_path):
    frame = methods(["0", "NA"]).assign(sweep="007", run="k=1", data="1e3")
    frame = frame.assign(commit="12e4567", python="3.10")
    results.save_results(frame, tmp_path)
    back = results.load_runs(tmp_path / "results.csv")
    for name in ("method", "sweep", "run", "data", "commit", "python"):
        assert back[name].tolist() == frame[name].tolist(), name
    means = results.mean_over_seeds(back, by=["data", "method"])
    assert means[["data", "method"]].to_numpy().tolist() == [["1e3", "0"], ["1e3", "NA"]]


def test_regress_finds_methods_of_any_name(tmp_path, monkeypatch):
    names = ["0", "NA", "true", "1e3"]
    path = tmp_path / "expected.csv"
    regress.expectation(methods(names)).to_csv(path, index=False)
    run = Run(tmp_path / "run")
    run.save_table("methods", methods(names))
    assert regress.differences(run.load_table("methods", "accuracy"), read_table(path)) == []
    worse = run.load_table("methods")
    worse.loc[worse["method"] == "NA", "accuracy"] = 0
    (line,) = regress.differences(worse, read_table(path))
    assert line.startswith("NA: accuracy 0.000 is outside")
    monkeypatch.setattr("scslib.experiments.regress.expected_path", lambda preset: path)
    done = CliRunner().invoke(main, ["regress", str(run.folder)])
    assert done.exit_code == 0 and "4 methods are as" in done.output


@pytest.fixture
def movie_run(tmp_path, movie):
    """A run whose videos and classes have odd names."""
    run = example_run(tmp_path / "run", movie.path, list(zip(ODD, ODD[::-1], strict=True)))
    videos = run.load_table("videos")
    run.save_table("videos", videos.assign(video_id=[*ODD][: len(videos)]))
    return run


def test_the_report_shows_every_class(movie_run):
    done = CliRunner().invoke(main, ["report", str(movie_run.folder)])
    assert done.exit_code == 0, done.output
    page = (movie_run.folder / "report.html").read_text(encoding="utf-8")
    assert {e.label for e in load_gallery(movie_run.folder / "gallery")} == set(ODD)
    for name in ("0", "007", "None", "NA", "true", "1e3"):
        assert re.search(rf">\s*{name}\s*<", page), name


def test_a_datasets_classes_are_names_in_quotes(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"x")
    for n, name in enumerate(ODD[:4]):
        (tmp_path / f"{n}.mp4").write_bytes(name.encode())
    rows = [f"{n},{n}.mp4,{name},train" for n, name in enumerate(ODD[:4])]
    (tmp_path / "videos.csv").write_text("\n".join(["video_id,path,label,split", *rows]))
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": ODD[:4]}))
    assert load_dataset(tmp_path).classes == tuple(ODD[:4])
    for classes in ([0, 7], [True, None], ["a", 1e3]):
        (tmp_path / "dataset.json").write_text(json.dumps({"classes": classes}))
        with pytest.raises(ValueError, match="classes must be a list of names in quotes"):
            load_dataset(tmp_path)
