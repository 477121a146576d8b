"""report.html without a browser: what it holds, what it leaves out, and that it says so."""

import re

from runs import HOSTILE, example_run

from scslib.gallery import load_gallery
from scslib.report import write_report


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
