"""Shown, not stored: every reader gives pictures and fields as a player shows them.

What is shown is known by construction: an array is turned by its axes, and the file that holds the
stored one gets a matrix, or a message in the stream, that says so.
"""

from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import write_dataset
from scslib.datasets.pieces import Piece, piece_pictures
from scslib.datasets.prepare import prepare
from scslib.datasets.sources import Source
from scslib.models.samplers import MODALITIES
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.clips import index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.display import Display, display_of
from scslib.video.frames import decode_clips, iter_clips
from scslib.video.probe import probe
from scslib.video.recode import Recoding, cut, recode
from scslib.video.write import Encoding
from tests.support.streams import every_frame, panning, write

WIDTH, HEIGHT, FRAMES, CLIP = 96, 64, 14, 4
PAN = np.array((3, -2))  # of `panning`

# how it is shown: (a, b, c, d) of its matrix: x' = a x + c y, y' = b x + d y, y down;
# its message: flipped left to right, top to bottom, then degrees anticlockwise; and both in numpy
WAYS = {
    "upright": ((1, 0, 0, 1), (0, 0, 0), lambda p: p, lambda x, y: (x, y)),
    "mirrored": ((-1, 0, 0, 1), (1, 0, 0), lambda p: p[:, ::-1], lambda x, y: (-x, y)),
    "upside down": ((-1, 0, 0, -1), (0, 0, 180), lambda p: p[::-1, ::-1], lambda x, y: (-x, -y)),
    "in water": ((1, 0, 0, -1), (0, 1, 0), lambda p: p[::-1], lambda x, y: (x, -y)),
    "to the left": ((0, -1, 1, 0), (0, 0, 90), lambda p: across(p)[::-1], lambda x, y: (y, -x)),
    "to the right": ((0, 1, -1, 0), (0, 0, 270), lambda p: across(p)[:, ::-1], lambda x, y: (-y, x)),
    "across": ((0, 1, 1, 0), (1, 0, 90), lambda p: across(p), lambda x, y: (y, x)),
    "across the other way": (
        (0, -1, -1, 0),
        (1, 0, 270),
        lambda p: across(p)[::-1, ::-1],
        lambda x, y: (-y, -x),
    ),
}
X265 = {"x265-params": "keyint=12:min-keyint=12:bframes=0:log-level=none:pools=none:frame-threads=1"}
X264 = {"x264-params": "keyint=12:min-keyint=12:bframes=2"}
CARRIERS = {  # file: encoder, its options, where the way is said
    "matrix.mp4": ("libx264", X264, "matrix"),
    "matrix.mov": ("mpeg4", {"g": "12", "qmin": "2", "qmax": "2"}, "matrix"),
    "matrix.mkv": ("libx264", X264, "matrix"),
    "message.ts": ("libx264", X264, "message"),
    "message.avi": ("libx264", {"x264-params": "keyint=12:min-keyint=12:bframes=0"}, "message"),
    "message.flv": ("libx264", X264, "message"),
    "message.mp4": ("libx264", X264, "message"),
    "hevc.ts": ("libx265", X265, "message"),
    "hevc.mkv": ("libx265", X265, "message"),
}


def across(picture):
    return picture.transpose(1, 0, 2)


def message(codec: str, right: int, down: int, degrees: int) -> bytes:
    """The message "display orientation" of H.264 and H.265, annexes D, as a NAL unit."""
    bits = f"0{right}{down}{round(degrees * 65536 / 360):016b}"
    bits += "0100" if codec == "libx264" else "1"  # it holds on; in H.264, an extension flag more
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    head = b"\x06" if codec == "libx264" else b"\x4e\x01"
    return b"\0\0\0\1" + head + bytes([47, len(payload)]) + payload + b"\x80"


def made(folder, carrier: str, way: str, pictures=None, **more):
    matrix, words, *_ = WAYS[way]
    codec, options, how = CARRIERS[carrier]
    said = {"matrix": matrix} if how == "matrix" else {"message": message(codec, *words)}
    pictures = panning(WIDTH, HEIGHT, FRAMES) if pictures is None else pictures
    return write(folder / carrier, pictures, codec, options, **said, **more)


def nearest(picture, number: int) -> str:
    """Which way a picture of the pan is shown; "" for none."""
    stored = panning(WIDTH, HEIGHT, FRAMES)[number].astype(float)
    error = {}
    for way, (_, _, turn, _) in WAYS.items():
        if turn(stored).shape == picture.shape:
            error[way] = np.abs(turn(stored) - picture).mean()
    best = min(error, key=error.get)
    return best if error[best] < 8 else ""


FEW = ("mirrored", "to the left", "across the other way")


@pytest.mark.parametrize(
    "carrier, way",
    [(c, w) for c in CARRIERS for w in (WAYS if c in ("matrix.mp4", "message.ts") else FEW)],
)
def test_all_eight_ways_of_showing_a_picture(tmp_path, carrier, way):
    path, (_, _, turn, step) = made(tmp_path, carrier, way), WAYS[way]
    size = turn(np.zeros((HEIGHT, WIDTH, 3))).shape[:2]
    info, index = probe(path), index_clips(path, clip_len=CLIP)
    assert (info.height, info.width) == size and (info.coded_width, info.coded_height) == (96, 64)
    assert info.as_stored is (way == "upright")
    clips = list(iter_clips(index, size=size))
    assert [nearest(clip[0], CLIP * n) for n, clip in enumerate(clips)] == [way] * 3
    assert nearest(decode_clips(index, [2], size=size)[0, 3], 11) == way  # reached by a seek

    for accumulate in (False, True):
        for clip in iter_compressed(index, accumulate=accumulate):
            assert nearest(clip.iframes[0], 0) == way
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    assert nearest(arrays["iframes"][0], 0) == way
    moving = arrays["motion"][arrays["predicted"]]
    assert moving.shape[1:3] == (size[0] // 16, size[1] // 16)
    np.testing.assert_allclose(np.median(moving[:, 1:-1, 1:-1], (0, 1, 2)), step(*PAN), atol=0.5)


@pytest.mark.parametrize("way", ["upright", *FEW])
@pytest.mark.parametrize("carrier", ["matrix.mp4", "message.ts"])
def test_all_that_is_made_of_a_file_is_upright_for_anybody(tmp_path, carrier, way):
    path, (_, _, turn, _) = made(tmp_path, carrier, way), WAYS[way]
    cut(path, tmp_path / "cut.mp4", (around(path, 3), around(path, 9)))
    recode(path, tmp_path / "highlights.mp4", [(around(path, 3), around(path, 5))], Recoding())
    write(tmp_path / "other.mkv", panning(64, 64, 4), "mpeg4", {})
    rows = [("v", path.name, "a", "train"), ("other", "other.mkv", "b", "train")]
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    write_dataset(tmp_path, name="d", classes=("a", "b"), videos=videos, licence="none", origin="a test")
    out = tmp_path.parent / f"{tmp_path.name} prepared"
    prepare(tmp_path, out, Recoding(gop=12), workers=1)
    ready = out / f"{path.stem}.mp4"
    for file, first in ((tmp_path / "cut.mp4", 3), (tmp_path / "highlights.mp4", 3), (ready, 0)):
        frame = every_frame(file)[0]
        assert frame.rotation == 0 and not any(d.type.name == "DISPLAYMATRIX" for d in frame.side_data)
        assert nearest(frame.to_ndarray(format="rgb24"), first) == way
    height, width = turn(np.zeros((HEIGHT, WIDTH, 3))).shape[:2]
    piece = Piece(Source(tmp_path, path.name, first_s=around(path, 0) + 0.04), 0.0, 2, 0.0, 1 / 6)
    for picture in piece_pictures(piece, Encoding(width, height)):
        assert nearest(picture, 0) == way or nearest(picture, 1) == way


def around(path, position: int) -> float:
    """Just before the frame at a position, in seconds."""
    times = [frame.time for frame in every_frame(path)]
    return times[position] - 0.04


@pytest.mark.parametrize("way", WAYS)
def test_what_changes_lies_where_it_is_shown(tmp_path, way):
    """One block lights up, and no other: the second from the left, in the first row."""
    pictures = [np.full((HEIGHT, WIDTH, 3), 60, np.uint8) for _ in range(8)]
    for number, picture in enumerate(pictures):
        picture[:16, 16:32] += np.uint8(20 * number)
    path = made(tmp_path, "matrix.mov", way, pictures)
    arrays = read_video(index_clips(path, clip_len=8), FeatureSpec(clip_len=8), MODALITIES).arrays
    grid = WAYS[way][2](np.arange(24).reshape(4, 6, 1))
    strong = np.abs(arrays["residual"][0, 3].astype(float)).max(-1)
    assert grid.flat[strong.argmax()] == 1 and strong.shape == grid.shape[:2]
    assert strong.max() > 10 and np.sort(strong.flat)[-2] < 5


def disc(width: int, height: int, aspect: Fraction) -> np.ndarray:
    """A white circle, above on the left of the middle, where pixels are `aspect` times as wide."""
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) * float(aspect) + 5) ** 2 + (y - height / 2 + 5) ** 2 < 16**2
    return np.repeat(np.uint8(235 * inside)[..., None], 3, 2)


def box(picture) -> tuple[int, int, int, int]:
    """(top, left, height, width) of what is white."""
    rows, columns = (np.flatnonzero((picture[..., 1] > 120).any(axis)) for axis in (1, 0))
    return rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1


@pytest.mark.parametrize(
    "carrier, aspect",
    [("matrix.mp4", "4/3"), ("matrix.mkv", "1/2"), ("message.ts", "8/9"), ("hevc.mkv", "4/3")],
)
def test_a_circle_stays_a_circle_whichever_way_it_is_turned(tmp_path, carrier, aspect):
    aspect = Fraction(aspect)
    stored = [disc(WIDTH, HEIGHT, aspect)] * 4
    square, middle = np.zeros((HEIGHT, round(WIDTH * aspect), 3), np.uint8), round(WIDTH * aspect / 2)
    square[11:44, middle - 21 : middle + 12] = 235
    for way in ("upright", "to the left", "across"):
        path = made(tmp_path, carrier, way, stored, aspect=aspect)
        info, shown = probe(path), WAYS[way][2](square)
        assert (info.height, info.width) == shown.shape[:2] and not info.as_stored
        index = index_clips(path, clip_len=CLIP)
        found = [next(iter_clips(index, size=shown.shape[:2]))[0]]
        found.append(next(iter_compressed(index)).iframes[0])
        recode(path, tmp_path / "out.mp4", None, Recoding(quality=5))
        found.append(every_frame(tmp_path / "out.mp4")[0].to_ndarray(format="rgb24"))
        for picture in found:
            np.testing.assert_allclose(box(picture), box(shown), atol=3)
        piece = Piece(Source(tmp_path, path.name), 0.0, 1, 0.0, 1 / 12)  # covers, so that it may grow
        (picture,) = piece_pictures(piece, Encoding(200, 200))
        *_, height, width = box(picture)
        assert height == pytest.approx(width, rel=0.08) and height > 32


@pytest.mark.parametrize("way", WAYS)
def test_motion_is_in_pixels_as_shown(tmp_path, way):
    """Stored pixels of 2 : 1, so what is shown moves twice as far along the stored x."""
    path, step = made(tmp_path, "matrix.mov", way, aspect=2), WAYS[way][3]
    expected = step(2 * PAN[0], PAN[1])
    index = index_clips(path, clip_len=CLIP)
    moving = np.concatenate([clip.motion[clip.predicted] for clip in iter_compressed(index)])
    np.testing.assert_allclose(np.median(moving[:, 1:-1, 1:-1], (0, 1, 2)), expected, atol=0.3)
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    moving = arrays["motion"][arrays["predicted"]]
    height, width = WAYS[way][2](np.zeros((64, 192, 1))).shape[:2]
    assert moving.shape[1:3] == (height // 16, width // 16)
    np.testing.assert_allclose(np.median(moving[:, 1:-1, 1:-1], (0, 1, 2)), expected, atol=0.3)


@pytest.mark.parametrize(
    "matrix, expected",
    [
        ((0, 0, 0, 0), Display()),
        ((2, 0, 0, 2), Display()),  # larger, not turned
        ((-0.5, 0, 0, 0.5), Display(mirrored=True)),
        ((np.cos(0.5), -np.sin(0.5), np.sin(0.5), np.cos(0.5)), Display()),  # by 29 degrees
        ((np.cos(1.4), -np.sin(1.4), np.sin(1.4), np.cos(1.4)), Display(1)),  # by 80 degrees
        ((32767, 0, 0, -32768), Display(2, True)),
    ],
)
def test_matrices_of_other_kinds_are_the_nearest_way(tmp_path, matrix, expected):
    path = write(tmp_path / "m.mp4", panning(WIDTH, HEIGHT, 2), "mpeg4", {}, matrix=matrix)
    info = probe(path)
    assert (info.display.quarters, info.display.mirrored) == (expected.quarters, expected.mirrored)


@pytest.mark.parametrize("aspect", ["1/100", "100/1"])
def test_pixels_that_cannot_be_are_square(tmp_path, aspect):
    path = write(tmp_path / "m.mkv", panning(WIDTH, HEIGHT, 2), "mpeg4", {}, aspect=Fraction(aspect))
    assert probe(path).display == Display() and probe(path).width == WIDTH


def test_without_a_first_picture_it_is_shown_as_stored(tmp_path):
    path = made(tmp_path, "matrix.mp4", "to the left")
    with av.open(str(path)) as container:
        assert display_of(container.streams.video[0], None) == Display()
