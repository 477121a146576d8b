"""Colours: every matrix that FFmpeg knows gives the pictures that FFmpeg's own filter gives.

And the pictures that were put in: tags say which numbers they became.
"""

from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.video.clips import index_clips
from scslib.video.colour import matrix_of, read_as
from scslib.video.compressed import iter_compressed
from scslib.video.container import VideoError
from scslib.video.display import Display
from scslib.video.frames import RgbConverter, iter_clips
from scslib.video.recode import Recoding, recode
from tests.support.streams import every_frame, texture

HEIGHT, WIDTH = 64, 96
PICTURE = texture(100)[:HEIGHT, :WIDTH]
NOTHING = (2, 2, 2)
TAGS = {  # matrix, primaries, transfer
    "nothing": NOTHING,
    "bt709": (1, 1, 1),
    "bt601": (6, 6, 6),
    "bt2020": (9, 9, 14),
    "hlg": (9, 9, 18),
    "pq": (9, 9, 16),
    "smpte240m": (7, 7, 7),
    "fcc": (4, 4, 4),
}
KINDS = [  # file, encoder, pixels, options
    ("c.mp4", "libx264", "yuv420p", {"qp": "0"}),
    ("c.mkv", "ffv1", "yuv444p", {}),
    ("c.mov", "libx265", "yuv420p10le", {"x265-params": "log-level=none:lossless=1:pools=none"}),
]


def made(path, codec, pixels, options, tags, full=False, pictures=(PICTURE,) * 4):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixels
        coder = stream.codec_context
        coder.thread_count, coder.color_range = 1, 2 if full else 1
        coder.colorspace, coder.color_primaries, coder.color_trc = tags
        matrix = tags[0] if tags[0] in (1, 4, 6, 7, 9) else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=1 + full)
            frame.colorspace, frame.color_primaries, frame.color_trc = tags
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def by_filter(path) -> np.ndarray:
    """The first picture by libavfilter, as `ffmpeg -pix_fmt rgb24` would write it; colour as in MPEG."""
    frame, graph = every_frame(path)[0], av.filter.Graph()
    shape = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/12"
    tags = f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    how = "flags=bilinear:in_chroma_loc=left"
    chain = [graph.add("buffer", shape + tags), graph.add("scale", how), graph.add("format", "rgb24")]
    chain.append(graph.add("buffersink"))
    for one, other in zip(chain, chain[1:], strict=False):
        one.link_to(other)
    graph.configure()
    graph.push(frame)
    return graph.vpull().to_ndarray()


def tags_of(path) -> tuple[int, int, int]:
    frame = every_frame(path)[0]
    return frame.colorspace, frame.color_primaries, frame.color_trc


@pytest.mark.parametrize("name, codec, pixels, options", KINDS)
@pytest.mark.parametrize("full", [False, True])
def test_pictures_are_those_of_ffmpegs_own_filter(tmp_path, name, codec, pixels, options, full):
    for tags in TAGS.values():
        path = made(tmp_path / name, codec, pixels, options, tags, full)
        (clip,) = iter_clips(index_clips(path, clip_len=4), size=(HEIGHT, WIDTH))
        assert np.abs(clip[0].astype(int) - by_filter(path)).max() <= 1, tags
        assert np.abs(clip[0].astype(int) - PICTURE).mean() < 4, tags
        (shown,) = iter_compressed(index_clips(path, clip_len=4), motion=False)
        np.testing.assert_array_equal(shown.iframes[0], clip[0])


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_encoded_again_it_keeps_its_colours_and_their_tags(tmp_path, codec):
    for tags in TAGS.values():
        path = made(tmp_path / "c.mkv", "ffv1", "yuv444p", {}, tags)
        recode(path, tmp_path / "out.mp4", None, Recoding(quality=2, codec=codec))
        assert tags_of(tmp_path / "out.mp4") == tags
        assert np.abs(by_filter(tmp_path / "out.mp4").astype(int) - PICTURE).mean() < 5, tags


@pytest.mark.parametrize("tags, expected", [((1, 2, 2), (1, 1, 1)), ((9, 2, 18), (9, 9, 18))])
def test_where_only_the_matrix_is_known_its_standard_goes_along(tmp_path, tags, expected):
    path = made(tmp_path / "c.mkv", "ffv1", "yuv444p", {}, tags)
    recode(path, tmp_path / "out.mp4", None, Recoding(quality=2, codec="mpeg4"))
    assert tags_of(tmp_path / "out.mp4") == expected
    assert np.abs(by_filter(tmp_path / "out.mp4").astype(int) - PICTURE).mean() < 5


@pytest.mark.parametrize("name, matrix", [("ictcp", 14), ("ycgco", 8), ("bt2020c", 10)])
def test_matrices_without_a_way_to_rgb_are_named(tmp_path, name, matrix):
    path = made(tmp_path / "c.mkv", "ffv1", "yuv444p", {}, (matrix, 9, 16))
    for read in (lambda: list(iter_clips(index_clips(path), size=(8, 8))), lambda: recode(path, "out")):
        with pytest.raises(VideoError, match=f"c.mkv: its colours are stored as {name}, from which"):
            read()


def test_a_reserved_matrix_is_read_as_none_said():
    frame = av.VideoFrame.from_ndarray(PICTURE, format="rgb24").reformat(format="yuv444p")
    expected = RgbConverter(Display(), (HEIGHT, WIDTH))(frame)
    frame.colorspace = 3
    assert read_as(frame) is not None
    np.testing.assert_array_equal(RgbConverter(Display(), (HEIGHT, WIDTH))(frame), expected)


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("full", [False, True])
def test_residuals_are_differences_of_the_rgb_pictures(tmp_path, tags, full):
    """A level picture that changes its colour: the residual is what each block gained."""
    colours = [(120, 120, 120), (160, 110, 90), (120, 90, 140), (140, 110, 150)]
    pictures = [np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in colours]
    options = {"x264-params": "keyint=12:bframes=0:scenecut=0", "qp": "1"}
    path = made(tmp_path / "c.mp4", "libx264", "yuv420p", options, tags, full, pictures)
    clip = next(iter_compressed(index_clips(path, clip_len=4)))
    assert clip.predicted.tolist() == [False, True, True, True]
    for number, gained in enumerate(np.diff(colours, axis=0), 1):
        np.testing.assert_allclose(clip.residual[number], clip.residual[number] * 0 + gained, atol=2.5)


def test_the_usual_matrix_is_the_one_in_the_books():
    frame = av.VideoFrame(16, 16, "yuvj420p")
    expected = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]
    np.testing.assert_allclose(matrix_of(frame), expected, atol=1e-6)
