"""What is kept and shown of one video: the right clips, playable, and HTML that survives a notebook."""

import html.parser
import io
import itertools
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from scslib.report.gallery import evenly, load_gallery, make_entry, save_gallery
from scslib.report.player import curve, marks, show_clips, ticks, within
from scslib.video.container import VideoError
from scslib.video.probe import probe
from tests.support.runs import HOSTILE, TIMES
from tests.support.streams import BEEP_S, beep, numbers


@pytest.fixture(scope="module")
def entry(movie):
    """Of the clips, the second is the most salient; the segment covers it and half of the third."""
    return make_entry(movie.path, TIMES, [2, 4, 1], top=1, bottom=1, segments=[[1.0, 2.5]], label="a")


def test_the_clips_are_those_of_the_ranking(entry):
    assert [(c.rank, c.top, c.start_s, c.end_s, c.saliency) for c in entry.clips] == [
        (1, True, 1.0, 2.0, 4.0),
        (3, False, 2.0, 3.0, 1.0),
    ]
    assert [c.inside for c in entry.clips] == [1.0, 0.5]
    assert [within(c) for c in entry.clips] == ["● inside", "◐ 50 % inside"]


def test_a_clip_is_a_small_file_of_exactly_its_pictures_and_sound(entry, movie, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(entry.clips[0].video)
    assert numbers(path, movie.pictures) == list(range(12, 24))
    info = probe(path)
    assert (info.codec, info.height) == ("h264", 128)
    assert np.allclose(beep(path), np.array(BEEP_S) - 1.0, atol=0.03)
    poster = matplotlib.image.imread(io.BytesIO(entry.clips[0].poster), format="jpeg")
    assert poster.shape[:2] == (info.height, info.width)


def test_a_short_video_shows_no_clip_twice(movie):
    entry = make_entry(movie.path, TIMES, [2, 4, 1], top=2, bottom=5)
    assert [(c.rank, c.top) for c in entry.clips] == [(1, True), (2, True), (3, False)]
    assert {c.inside for c in entry.clips} == {None} and within(entry.clips[0]) == ""
    assert make_entry(movie.path, TIMES, [2, 4, 1], top=0, bottom=0).clips == ()


def test_whether_it_was_right_is_known_only_with_both_names(movie):
    def correct(label, predicted):
        about = {"label": label, "predicted": predicted}
        return make_entry(movie.path, TIMES[:1], [1], top=0, bottom=0, **about).correct

    assert [correct("a", "a"), correct("a", "b"), correct("a", ""), correct("", "b")] == [
        True,
        False,
        None,
        None,
    ]


def test_a_clip_that_cannot_be_read_is_shown_as_such_and_a_file_that_is_no_video_raises(movie, tmp_path):
    entry = make_entry(movie.path, [[0.0, 1.0], [90.0, 91.0]], [1, 2], top=2, bottom=0)
    assert [bool(c.video) for c in entry.clips] == [False, True]
    shown = show_clips(movie.path, [[0.0, 1.0], [90.0, 91.0]], [1, 2]).data
    assert shown.count("could not be read") == 1 and shown.count("<video") == 1
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="text.mp4"):
        make_entry(tmp_path / "text.mp4", TIMES, [1, 2, 3])
    with pytest.raises(ValueError, match=r"times \(3, 2\) and saliency \(2,\)"):
        make_entry(movie.path, TIMES, [1, 2])
    with pytest.raises(ValueError, match=r"top \(-1\)"):
        make_entry(movie.path, TIMES, [1, 2, 3], top=-1)


def test_saved_and_loaded_it_is_the_same_and_older_entries_are_gone(entry, tmp_path):
    save_gallery(tmp_path / "gallery", [entry] * 3)
    save_gallery(tmp_path / "gallery", [entry])
    (loaded,) = load_gallery(tmp_path / "gallery")
    assert loaded.clips == entry.clips and loaded.label == "a"
    for name in ("times", "saliency", "segments"):
        assert np.array_equal(getattr(loaded, name), getattr(entry, name)), name


def test_a_gallery_is_complete_or_the_old_one(entry, tmp_path):
    def breaks_off():
        yield entry
        raise VideoError("broken")

    save_gallery(tmp_path / "gallery", [entry, entry])
    with pytest.raises(VideoError):
        save_gallery(tmp_path / "gallery", breaks_off())
    assert len(list(load_gallery(tmp_path / "gallery"))) == 2
    assert list(load_gallery(tmp_path / "nothing")) == []


def test_evenly_takes_the_classes_in_turn():
    videos = pd.DataFrame({"video_id": list("vwxyz"), "label": list("aaabb")})
    assert evenly(videos, 3)["video_id"].tolist() == ["v", "y", "w"]
    assert len(evenly(videos, 0)) == len(evenly(videos, 99)) == 5


@pytest.mark.parametrize("starts", [[0, 1, 2, 3], [50, 50, 51], [97, 98, 99], list(range(40))])
def test_marks_keep_apart_and_in_the_picture(movie, starts):
    times = np.array([[s, s + 1] for s in range(100)], float)
    saliency = np.zeros(100)
    saliency[starts] = 1
    entry = make_entry(movie.path, times, saliency, top=len(set(starts)), bottom=0)
    places = [place for _, place in marks(entry)]
    assert min(places) >= 0.99 and max(places) <= 99.01
    assert min(b - a for a, b in itertools.pairwise(places)) >= min(7, 98 / (len(places) - 1)) - 1e-6


@pytest.mark.parametrize("seconds", [0.4, 3, 59, 125, 4000])
def test_ticks_are_round_and_few(movie, seconds):
    entry = make_entry(movie.path, [[0, seconds]], [1], top=0, bottom=0)
    places = [place for place, _ in ticks(entry)]
    assert 2 <= len(places) <= 7 and places[0] == 0 and places[-1] < 100
    assert all(len(text) <= 4 for _, text in ticks(entry))


def test_a_level_curve_is_drawn(movie):
    picture = curve(make_entry(movie.path, TIMES, [1, 1, 1], top=0, bottom=0))
    assert picture.startswith("data:image/svg+xml;base64,")


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.attributes = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.attributes += attributes


def test_what_a_notebook_shows_needs_neither_trust_nor_script_nor_network(movie):
    """JupyterLab's sanitiser keeps these tags and properties, of a notebook that is not trusted too."""
    shown = Tags(show_clips(movie.path, TIMES, [1, 3, 2], segments=[[0, 1]], title=HOSTILE).data)
    assert shown.found <= {"section", "div", "img", "span", "figure", "video", "figcaption", "b", "br"}
    assert not [name for name, _ in shown.attributes if name.startswith("on") or name == "id"]
    addresses = [value for name, value in shown.attributes if name in ("src", "poster", "href")]
    assert len(addresses) == 7 and all(a.startswith("data:") for a in addresses)
    styles = ";".join(value for name, value in shown.attributes if name == "style")
    assert not re.search("transform|var\\(|calc|inset|aspect", styles)
