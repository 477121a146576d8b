"""What people see: axes that begin where the video does, titles in any script, what is not read."""

import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from scslib.report import fonts, plots, plots_training, show
from scslib.report.fonts import drawn
from scslib.report.gallery import load_gallery, make_entry, save_gallery
from scslib.report.player import curve, marks, render_entry, ticks
from scslib.video.clips import index_clips
from scslib.video.container import FORMATS, READABLE, VideoError
from scslib.video.probe import probe
from tests.support.streams import panning, write

README = Path(__file__).resolve().parents[2] / "README.md"
LATE = 46219.0  # seconds


def late(movie, begin: float, seconds: float = 16.0, **more):
    edges = np.linspace(begin, begin + seconds, 9)
    return make_entry(movie.path, np.stack([edges[:-1], edges[1:]], 1), np.arange(8), **more)


@pytest.mark.parametrize("begin", [0.0, 0.8, LATE, 1_234_567.5, -0.08])
def test_the_axis_begins_where_the_video_does(movie, begin):
    entry = late(movie, begin, top=3, bottom=3, segments=[[begin + 4, begin + 8]])
    places = [(place, float(text)) for place, text in ticks(entry)]
    assert 3 <= len(places) <= 7
    for place, second in places:  # as its text says
        assert place == pytest.approx(100 * (second - begin) / 16, abs=0.5) and 0 <= place < 100
    assert [clip.rank for clip, place in sorted(marks(entry), key=lambda m: m[1])][-3:] == [3, 2, 1]
    points = drawing(entry)
    np.testing.assert_allclose(points[:, 0], 1000 * (np.arange(8) + 0.5) / 8, atol=0.1)
    assert 'x="250.0" width="250.0"' in picture(entry)


def picture(entry) -> str:
    import base64

    return base64.b64decode(curve(entry).split(",")[1]).decode()


def drawing(entry) -> np.ndarray:
    """The points of the curve, (N, 2)."""
    line = re.search(r'<polyline points="([^"]*)"', picture(entry))[1]
    return np.array([point.split(",") for point in line.split()], float)


def test_a_late_video_is_kept_in_a_gallery_and_shown(movie, tmp_path):
    save_gallery(tmp_path / "gallery", [late(movie, LATE), late(movie, -3.0, 2.0)])
    for entry, begin in zip(load_gallery(tmp_path / "gallery"), (LATE, -3.0), strict=True):
        assert entry.extent[0] == begin
        assert f"from {begin:.1f} s" in render_entry(entry) or entry.clips[0].start_s != begin


@pytest.mark.parametrize("make", ["sheet", "curve"])
def test_figures_write_the_seconds_out(make):
    begin = LATE + 1.5  # from here on matplotlib would write + 4.622e4
    times = np.stack([np.arange(8.0), np.arange(1.0, 9.0)], 1) + begin
    if make == "sheet":
        pictures = np.zeros((2, 1, 8, 8, 3), np.uint8)
        figure = show.sheet_with_curve(pictures, "ab", times, np.arange(8), [1, 2], title="t")
    else:
        figure = plots.saliency_curve(times, {"a": np.arange(8)}, np.zeros((0, 2)))
    figure.canvas.draw()
    axis = figure.axes[0]
    texts = [label.get_text() for label in axis.get_xticklabels() if label.get_text()]
    assert axis.get_xlim() == (begin, begin + 8) and axis.xaxis.get_offset_text().get_text() == ""
    assert texts and all(begin - 2 <= float(text) <= begin + 10 for text in texts)
    plt.close(figure)


# Titles ------------------------------------------------------------------------------------------

HERE, NOWHERE = "\u6f22\U00017000", "\U00017001"  # a font of ours has the first two
OWN = "A font of this test"


@pytest.fixture
def font(tmp_path, monkeypatch):
    """A font of the system that has two characters, each a black square of a whole em."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", "square"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(character): "square" for character in HERE})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": OWN, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "own.ttf")
    brought = [e for e in fontManager.ttflist if e.fname.startswith(matplotlib.get_data_path())]
    monkeypatch.setattr(fontManager, "ttflist", brought)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(tmp_path / "own.ttf")])
    for cached in (fonts._family, fonts._look_for_new_ones):
        cached.cache_clear()
    yield OWN
    for cached in (fonts._family, fonts._look_for_new_ones):
        cached.cache_clear()


def dark(figure) -> int:
    """How many pixels of a figure are nearly black."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    return int((pixels.max(-1) < 60).sum())


def titled(title: str):
    pictures, times = np.full((1, 1, 8, 8, 3), 255, np.uint8), np.array([[0.0, 1.0], [1.0, 2.0]])
    return show.sheet_with_curve(pictures, [""], times, np.zeros(2), [0], title=title)


def test_a_title_borrows_the_font_that_has_its_characters(font, recwarn):
    (text,), how = drawn(f"match {HERE}.mp4")
    assert text == f"match {HERE}.mp4" and how["family"][-1] == font
    more = dark(titled(f"match {HERE}")) - dark(titled("match "))
    em = plt.rcParams["font.size"] * 1.2 * plt.rcParams["figure.dpi"] / 72  # pixels
    assert more == pytest.approx(2 * em**2, rel=0.35)  # two black squares, an em wide
    assert not [w for w in recwarn if "missing from font" in str(w.message)]


@pytest.mark.parametrize(
    "text, expected",
    [
        (f"a {NOWHERE}{NOWHERE}\u200d{NOWHERE} b {NOWHERE}", "a … b …"),
        (f"{NOWHERE}\ufe0f", "…"),
        ("price $5 and $10, \\frac{1}{2}", "price $5 and $10, \\frac{1}{2}"),
        ("lost \udcff, line\nbreak, bell\x07", "lost \\udcff, line\\nbreak, bell\\x07"),
        ("Ελληνικά, Русский, e\u0301", "Ελληνικά, Русский, e\u0301"),
        ("العربية.mp4, b", "\u200eالعربية.mp4, b"),  # else the whole line would run to the left
        ("", ""),
    ],
)
def test_what_no_font_has_is_no_box_and_nothing_is_a_formula(font, recwarn, text, expected):
    (written,), how = drawn(text)
    assert written == expected and "family" not in how
    matrix = np.eye(2, dtype=int)
    for figure in (
        titled(text),
        plots_training.confusion(matrix, [text, "b"]),
        show.panels([np.zeros((8, 8, 3), np.uint8)], [text]),
        show.picture_rows([np.zeros((1, 8, 8, 3), np.uint8)], [text], columns=1),
    ):
        dark(figure)
        labels = [label.get_text() for label in figure.findobj(matplotlib.text.Text)]
        assert any(expected in label for label in labels)
    assert not [w for w in recwarn if "missing from font" in str(w.message)]


# What is not read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, codec, pixels, container",
    [
        ("a b.wmv", "msmpeg4", "yuv420p", "asf"),
        ("-a.h264", "libx264", "yuv420p", "h264"),
        ("a.gif", "gif", "rgb8", "gif"),
        ("a.m2v", "mpeg2video", "yuv420p", "mpegvideo"),
        ("a.ivf", "libvpx", "yuv420p", "ivf"),
        ("a.nut", "mpeg4", "yuv420p", "nut"),
    ],
)
def test_a_video_in_another_container_says_so_and_what_to_do(tmp_path, name, codec, pixels, container):
    path = write(tmp_path / name, panning(96, 64, 4), codec, {}, pixels=pixels)
    for read in (probe, index_clips, probe):  # the second time, too
        with pytest.raises(VideoError, match=f"a video in the container {container}, ") as error:
            read(path)
        assert READABLE in str(error.value) and "`ffmpeg -i " in str(error.value)
        assert path.stem + ".mkv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile 'x'\n", "1\n00:00:01,0 --> 00:00:02,0\nx\n"]
)
def test_what_is_no_video_is_not_to_be_converted(tmp_path, text):
    (tmp_path / "v.srt").write_text(text)
    with pytest.raises(VideoError, match="not a readable video") as error:
        probe(tmp_path / "v.srt")
    assert "ffmpeg" not in str(error.value)


def test_the_page_on_videos_lists_the_containers_that_are_read():
    assert READABLE in (README.parent / "docs" / "videos.md").read_text(encoding="utf-8")
    families = {"mov": "MOV", "mp4": "MP4", "3gp": "3GP", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS"}
    families |= {"matroska": "Matroska", "webm": "WebM", "avi": "AVI", "flv": "FLV", "ogg": "Ogg"}
    others = {"m4a", "3g2", "mj2"}  # the same as MP4
    assert {families[name] for name in FORMATS.split(",") if name not in others} == set(
        READABLE.split(", ")
    )
