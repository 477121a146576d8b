"""Pictures of clips against a full decode by PyAV alone, in every container that users bring."""

import numpy as np
import pytest

from scslib.video.clips import ClipIndex, index_clips
from scslib.video.frames import decode_clips, iter_clips, short_side
from tests.support.streams import FRAMES, encode, every_frame, panning

SIZE = (64, 96)
ORDERS = ([9], [3], [5, 1], [0, 4], [7, 3, 7, 2], list(range(10)))
STREAMS = {
    "h264.mp4": ("libx264", {"g": "12", "bf": "0"}),
    "h264_b.mp4": ("libx264", {"g": "12", "bf": "3"}),
    "h264_open_gop.mp4": ("libx264", {"bf": "3", "x264-params": "open-gop=1:keyint=6:min-keyint=6"}),
    "h264_b.mkv": ("libx264", {"g": "12", "bf": "2"}),
    "h264_b.ts": ("libx264", {"g": "12", "bf": "2"}),
    "h264_b.avi": ("libx264", {"g": "12", "bf": "2"}),
    "mpeg4.mp4": ("mpeg4", {"g": "12", "bf": "0"}),
    "mpeg4_b.mp4": ("mpeg4", {"g": "12", "bf": "2"}),
    "mpeg4.avi": ("mpeg4", {"g": "12", "bf": "0"}),
    "mpeg4_b.avi": ("mpeg4", {"g": "12", "bf": "2"}),
}


@pytest.fixture(scope="module", params=STREAMS)
def stream(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / request.param
    encode(path, panning(SIZE[1], SIZE[0]), *STREAMS[request.param])
    frames = every_frame(path)
    types = {f.pict_type.name if hasattr(f.pict_type, "name") else int(f.pict_type) for f in frames}
    assert ("_b." not in request.param) or len(types) == 3  # I, P and B
    return path, np.stack([f.to_ndarray(format="rgb24") for f in frames])


def test_decode_clips_equals_a_full_decode_in_the_order_asked(stream):
    path, full = stream
    index = index_clips(path, clip_len=4)
    assert len(full) == FRAMES and len(index) == 10
    for order in ORDERS:
        expected = np.stack([full[4 * c : 4 * c + 4] for c in order])
        np.testing.assert_array_equal(decode_clips(index, order, size=SIZE), expected)


def test_iter_clips_equals_a_full_decode(stream):
    path, full = stream
    index = index_clips(path, clip_len=6, clip_stride=5)
    for clip, pixels in enumerate(iter_clips(index, size=SIZE)):
        np.testing.assert_array_equal(pixels, full[5 * clip : 5 * clip + 6])
    assert clip + 1 == len(index) == 7


def test_real_avi_with_b_frames(real):
    """The time stamps of such a file go back; the decoder's order is the order of presentation."""
    path = real / "ucf/WallPushups/v_WallPushups_g10_c03.avi"
    full = np.stack([f.to_ndarray(format="rgb24") for f in every_frame(path)])
    index = index_clips(path, clip_len=8)
    expected = np.stack([full[8 * c : 8 * c + 8] for c in (5, 1)])
    np.testing.assert_array_equal(decode_clips(index, [5, 1], size=full.shape[1:3]), expected)


@pytest.mark.parametrize("clip", [-1, 10, 1000])
def test_clip_outside_the_video_is_refused(movie, clip):
    with pytest.raises(ValueError, match=rf"clip \({clip}\) must be in 0..9"):
        decode_clips(index_clips(movie.path, clip_len=4), [0, clip], size=(48, 64))


def test_short_video_is_filled_up_with_its_last_frame(tmp_path):
    path = encode(tmp_path / "short.mp4", panning(96, 64, 5), "libx264", {})
    (pixels,) = decode_clips(index_clips(path, clip_len=8), [0], size=SIZE)
    full = [f.to_ndarray(format="rgb24") for f in every_frame(path)]
    np.testing.assert_array_equal(pixels, np.stack(full + full[-1:] * 3))


def test_no_frame_is_decoded_that_is_not_needed(movie, monkeypatch):
    """Seeking is the point: the last clip of the stream costs one GOP, not the whole file."""
    seen = []
    original = ClipIndex.positions

    def counted(self, frames):
        for position, frame in original(self, frames):
            seen.append(position)
            yield position, frame

    monkeypatch.setattr(ClipIndex, "positions", counted)
    decode_clips(index_clips(movie.path, clip_len=4), [9], size=(48, 64))
    assert seen == [36, 37, 38, 39]


@pytest.mark.parametrize(
    "args, expected", [((320, 240, 112), (112, 150)), ((240, 320, 112), (150, 112))]
)
def test_short_side(args, expected):
    assert short_side(*args) == expected
