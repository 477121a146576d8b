"""Which frames make which clip: against a plain loop, a full decode, and clocks."""

import av
import pytest

from scslib.video.clips import index_clips
from scslib.video.container import decoded, packets
from tests.support.streams import FRAMES, GOP, RATE, encode, every_frame, panning


@pytest.mark.parametrize(
    "clip_len, stride", [(16, None), (4, None), (4, 3), (4, 9), (40, None), (41, 5)]
)
def test_clips_are_laid_out_as_a_loop_does(pan, clip_len, stride):
    index = index_clips(pan.path, clip_len=clip_len, clip_stride=stride)
    starts = [s for s in range(0, FRAMES, stride or clip_len) if s + clip_len <= FRAMES] or [0]
    assert len(index) == len(index.clips) == len(starts)
    for clip, start in zip(index.clips, starts, strict=True):
        stop = min(start + clip_len, FRAMES)
        assert index.frames(clip.index) == range(start, stop)
        assert clip.start_s == pytest.approx(start / RATE, abs=1e-3)
        assert clip.end_s == pytest.approx(stop / RATE, abs=1e-3)


@pytest.mark.parametrize(
    "frame_rate, frames", [(RATE, 8), (RATE / 2, 16), (2 * RATE, 4), (9, 11), (1e6, 1)]
)
def test_a_clip_lasts_as_long_at_any_frame_rate(movie, frame_rate, frames):
    """8 pictures at `frame_rate` are as many frames of the video as last equally long."""
    index = index_clips(movie.path, clip_len=8, frame_rate=frame_rate)
    assert index.clip_len == index.clip_stride == frames
    assert len(index) == 1 + (FRAMES - frames) // frames


def test_index_equals_a_full_decode(tmp_path):
    path = encode(tmp_path / "b.mp4", panning(96, 64), "libx264", {"bf": "2", "g": str(GOP)})
    index, frames = index_clips(path), every_frame(path)
    assert list(index.pts) == [f.pts for f in frames]
    assert list(index.key) == [bool(f.key_frame) for f in frames]
    assert 0 < index.size.sum() < path.stat().st_size


@pytest.mark.parametrize("name, value", [("clip_len", 0), ("clip_stride", -2)])
def test_lengths_are_checked(movie, name, value):
    with pytest.raises(ValueError, match=rf"{name} \({value}\)"):
        index_clips(movie.path, **{name: value})


def test_a_stream_that_begins_later_is_the_end_of_the_file(movie):
    """PyAV 18 then raises IndexError in its flush, but not always: it reads memory beyond its own.

    So the container here is one that raises it every time.
    """

    class Flushing:
        def __init__(self, container):
            self.container = container

        def demux(self, stream):
            yield from self.container.demux(stream)
            raise IndexError("list index out of range")

    with av.open(str(movie.path)) as container:
        found = [p for p in packets(Flushing(container), container.streams.video[0]) if p.size]
    with av.open(str(movie.path)) as container:
        frames = list(decoded(Flushing(container), container.streams.video[0]))
    assert len(found) == len(frames) == FRAMES
