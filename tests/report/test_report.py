"""report.html without a browser: what it holds, what it leaves out, and that it says so."""

import re

import pandas as pd
import pytest

from scslib.jobs.run_folder import WorkspaceError
from scslib.report.gallery import load_gallery
from scslib.report.page import block_note, guessing_note, readable, shortfalls, write_report
from tests.support.runs import HOSTILE, example_run, example_tables


def test_it_holds_everything_and_asks_for_nothing(movie, tmp_path):
    run = example_run(tmp_path / "run", movie.path)
    page = write_report(run).read_text()
    assert page.count("<video ") == 2 * 5 and page.count('<section class="entry"') == 5
    assert not re.search(r"https?://|url\(|<link rel=.stylesheet|@import", page)
    assert set(re.findall(r'(?:src|poster)="(.{5})', page)) == {"data:"}
    assert str(tmp_path) not in page
    assert "left out" not in page


def test_names_are_escaped_wherever_they_stand(movie, tmp_path):
    page = write_report(example_run(tmp_path / "run", movie.path)).read_text()
    assert HOSTILE not in page and page.count("</script>") == 1
    assert page.count("&lt;/script&gt;") >= 5  # attribute, heading, the filter's choice, the answer


def test_without_a_gallery_there_is_no_filter(movie, tmp_path):
    page = write_report(example_run(tmp_path / "run", movie.path, answers=[])).read_text()
    assert '<form id="filter"' not in page and 'href="#videos"' not in page and "Methods" in page


def test_a_page_too_large_leaves_videos_out_and_says_how_many(movie, tmp_path):
    run = example_run(tmp_path / "run", movie.path)
    whole = write_report(run).stat().st_size
    path = write_report(run, most=whole - 30_000)
    page = path.read_text()
    shown = page.count('<section class="entry"')
    assert 1 <= shown < 5 and path.stat().st_size < whole
    assert f"{5 - shown} of the gallery's 5 videos are left out" in page
    assert len(list(load_gallery(run.folder / "gallery"))) == 5


def test_it_says_of_how_many_videos_these_are(movie, tmp_path):
    run = example_run(tmp_path / "run", movie.path)
    run.note(gallery={"method": "visual", "seed": 0, "of": 40})
    page = write_report(run).read_text()
    assert "These are 5 of 40 test videos" in page and "as the visual sampler sees it" in page


def test_figures_of_single_videos_are_the_gallerys(movie, tmp_path):
    page = write_report(example_run(tmp_path / "run", movie.path)).read_text()
    assert page.count("data:image/png;base64,") == 1 and "<figcaption>Accuracy" in page


# of ten test videos one is missing, two are cut, and one more the samplers could not read
UNREAD = [("failed", 0, "failed", 0), ("partial", 4, "ok", 8), ("ok", 8, "partial", 2)]
UNREAD += [("ok", 8, "timeout", 0)]


def text_of(page):
    return " ".join(re.sub("<[^>]+>", " ", page.split("</style>")[1]).split())


def test_it_opens_with_the_coverage_and_has_it_beside_every_accuracy(tmp_path):
    run = example_tables(tmp_path / "run", unread=UNREAD, held_out="timeout")
    page = write_report(run).read_text()
    header, table = page.split("<main")[0], page.split("<tbody>")[1].split("</tbody>")[0]
    said = (
        "Coverage 67.5 %: 2 of 10 test videos could not be read (1 failed, 1 timeout for the samplers "
    )
    said += "only), 2 only in part: see results/videos.csv."
    assert said in text_of(header)
    assert "1 of 2 held-out training videos could not be read (1 timeout)" in header
    assert "· 10 test videos ·" in text_of(header)  # asked for, not read
    assert (
        '<th scope="col">coverage of videos</th>' in page and "“Coverage of videos” is the share" in page
    )
    assert (
        table.count("<td>85.0 %</td>") == 2 and table.count("<td>67.5 %</td>") == 1
    )  # f alone, and both


def test_of_a_complete_run_it_says_nothing_of_coverage(tmp_path):
    page = text_of(write_report(example_tables(tmp_path / "run")).read_text())
    assert "overage" not in page and "could not be read" not in page and "uniform's clips" not in page


def test_it_names_the_methods_that_fell_back_to_uniform(tmp_path):
    run = example_tables(tmp_path / "run")
    summary = run.load_table("summary")
    summary.loc[2, "videos_uniform"] = 3
    run.save_table("summary", summary)
    assert "uniform's clips: audio-visual of 3 videos" in text_of(write_report(run).read_text())


def test_the_table_in_words_has_coverage_only_below_100_percent(tmp_path):
    whole, torn = example_tables(tmp_path / "a"), example_tables(tmp_path / "b", unread=UNREAD)
    assert "coverage of videos" not in readable(whole.load_table("summary"))
    table = readable(torn.load_table("summary"))
    assert table["coverage of videos"].tolist() == ["85.0 %", "85.0 %", "67.5 %"]
    columns = list(table.columns)
    assert columns.index("coverage of videos") == columns.index("95 % interval") + 1


def test_a_table_that_misses_more_than_the_others_is_named(tmp_path):
    run = example_tables(tmp_path / "run")
    assert shortfalls(run) == []
    run.save_table("classifiers", pd.DataFrame({"coverage": [1.0, 0.8]}))
    run.save_table("choices", pd.DataFrame({"coverage": [1.0, 1.0]}))
    assert shortfalls(run) == ["coverage 80.0 % in results/classifiers.csv"]
    torn = example_tables(tmp_path / "torn", unread=UNREAD)
    torn.save_table("choices", pd.DataFrame({"coverage": [0.675, 0.9]}))  # as the line says
    assert len(shortfalls(torn)) == 1 and shortfalls(torn)[0].startswith("coverage 67.5 %: 2 of 10")


def test_a_table_of_another_version_of_the_kit_is_refused_by_its_column(tmp_path):
    run = example_tables(tmp_path / "run")
    run.save_table("summary", run.load_table("summary").drop(columns=["coverage", "seeds"]))
    with pytest.raises(
        WorkspaceError, match=r"summary\.csv: no column coverage, seeds, .* run notebook 06"
    ):
        write_report(run)


def test_what_the_intervals_hold_fixed_is_said_at_the_top(tmp_path):
    run = example_tables(tmp_path / "run")
    run.note(seeds=[0], trainings_of_f=1)
    assert "one training of f, one of the samplers" in block_note(run.notes())
    run.note(seeds=[0, 1, 2], trainings_of_f=3)
    said = "one training of f (2 before it failed), 3 of the samplers"
    assert said in block_note(run.notes())
    assert said in write_report(run).read_text().split("<main")[0]


def test_a_classifier_that_guesses_is_said_at_the_top(tmp_path):
    run = example_tables(tmp_path / "run")
    for p, line in (
        (None, ""),
        (0.009, ""),
        ("0.5", ""),
        (0.47, "may be guessing"),
        (float("nan"), "nan"),
    ):
        run.note(p_of_guessing=p)
        assert line in guessing_note(run.notes()) and bool(line) == bool(guessing_note(run.notes()))
        top = write_report(run).read_text().split("<main")[0]
        assert ("may be guessing" in top) == bool(line), p
