"""What is not needed is not decoded, and what is read stays the same."""

import numpy as np
import pytest

from scslib.video import compressed, frames
from scslib.video.clips import index_clips
from scslib.video.compressed import iter_compressed
from tests.support.streams import encode, panning

FRAMES, GOP = 48, 12
H264 = {"g": str(GOP), "bf": "0", "sc_threshold": "0"}
KINDS = {
    "mpeg4.mp4": ("mpeg4", {"g": str(GOP), "sc_threshold": "1000000000"}),
    "h264.mp4": ("libx264", H264),
    "h264_b.mp4": ("libx264", H264 | {"bf": "2"}),
}
# of these a seek misses its keyframe
MISSED = {
    "h264_b.ts": ("libx264", H264 | {"bf": "2"}),
    "refresh.ts": ("libx264", H264 | {"intra-refresh": "1"}),
    "mpeg2_b.mpg": ("mpeg2video", {"g": str(GOP), "bf": "2", "sc_threshold": "1000000000"}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("needed")
    kinds = (KINDS | MISSED).items()
    return {name: encode(folder / name, panning(64, 48, FRAMES), *how) for name, how in kinds}


@pytest.fixture(params=KINDS)
def stream(request, made):
    return request.param, made[request.param]


def decoded_by(index, monkeypatch, **options):
    """The positions that were decoded, and the clips that were read."""
    seen: list[int] = []

    def watched(*arguments, **named):
        for position, frame in frames.visit(*arguments, **named):
            seen.append(position)
            yield position, frame

    monkeypatch.setattr(compressed, "visit", watched)
    return seen, list(iter_compressed(index, **options))


@pytest.mark.parametrize("pictures", [1, 2])
def test_no_frame_after_the_last_needed_one_of_a_group_is_decoded(stream, pictures, monkeypatch):
    kind, path = stream
    index = index_clips(path, clip_len=16)
    seen, clips = decoded_by(index, monkeypatch, pictures=pictures)
    needed = set()
    for clip in clips:
        found = np.array(index.frames(clip.index))[clip.predicted]
        assert len(found) == pictures
        keys = [p for p in index.frames(clip.index) if index.key[p]]
        for last in (*found, *keys):
            needed |= set(range(last // GOP * GOP, last + 1))
    if kind == "h264_b.mp4":  # B-frames are not decoded at all
        assert set(seen) <= needed
    else:
        assert seen == sorted(needed) and len(seen) < 0.9 * FRAMES


OPTIONS = [{}, {"accumulate": True}, {"residuals": False}, {"early": True}]


def the_same(some, others):
    for clip, other in zip(some, others, strict=True):
        for field in ("motion", "residual", "predicted", "iframes"):
            np.testing.assert_array_equal(getattr(clip, field), getattr(other, field))


@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_read_is_what_reading_every_frame_gives(stream, options, monkeypatch):
    _, path = stream
    index = index_clips(path, clip_len=16)
    seen, some = decoded_by(index, monkeypatch, pictures=2, **options)
    monkeypatch.setattr(compressed, "none_shared", lambda runs: False)  # then it reads in one go
    everything, clips = decoded_by(index, monkeypatch, pictures=2, **options)
    the_same(some, clips)
    assert len(seen) < len(everything)


@pytest.mark.parametrize("name", MISSED)
def test_where_a_seek_misses_the_rest_is_read_in_one_go(made, name, monkeypatch):
    index, decoded, of_file = index_clips(made[name], clip_len=16), [], frames.decoded

    def counted(*arguments):
        for frame in of_file(*arguments):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(frames, "decoded", counted)
    seen, some = decoded_by(index, monkeypatch, pictures=2)
    assert seen == sorted(set(seen)) and len(decoded) <= 2 * FRAMES
    monkeypatch.setattr(compressed, "none_shared", lambda runs: False)
    the_same(some, iter_compressed(index, pictures=2))


def test_early_is_the_first_keyframe_of_a_clip_and_what_comes_next(stream, monkeypatch):
    """Of clips that have a keyframe, in streams without B-frames; of others it is as without it."""
    kind, path = stream
    index = index_clips(path, clip_len=16)
    seen, clips = decoded_by(index, monkeypatch, pictures=2, early=True)
    if kind == "h264_b.mp4":
        the_same(clips, iter_compressed(index, pictures=2))
        return
    early = [0, 1, 2, 24, 25, 26, 36, 37, 38]
    assert seen == early
    seen, still = decoded_by(index, monkeypatch, motion=False, pictures=2, early=True)
    assert seen == [0, 24, 36]
    for clip, whole, alone in zip(clips, iter_compressed(index), still, strict=True):
        found = np.array(index.frames(clip.index))[clip.predicted]
        assert found.tolist() == [p for p in early if p % GOP and p in index.frames(clip.index)]
        np.testing.assert_array_equal(clip.iframes, whole.iframes[:1])
        np.testing.assert_array_equal(clip.iframes, alone.iframes)
        np.testing.assert_array_equal(clip.motion[clip.predicted], whole.motion[clip.predicted])
        np.testing.assert_array_equal(clip.residual[clip.predicted], whole.residual[clip.predicted])


def test_early_changes_nothing_where_all_p_frames_are_wanted(stream):
    index = index_clips(stream[1], clip_len=16)
    the_same(iter_compressed(index, early=True), iter_compressed(index))


def test_early_frames_of_a_clip_without_a_keyframe_lie_at_equal_distances(stream):
    _, path = stream
    index = index_clips(path, clip_len=4)
    the_same(*(list(iter_compressed(index, [2], pictures=2, early=e)) for e in (False, True)))


@pytest.mark.parametrize("early", [False, True])
def test_clips_that_share_frames_are_read_in_one_go(stream, early, monkeypatch):
    _, path = stream
    index = index_clips(path, clip_len=16, clip_stride=8)
    seen, clips = decoded_by(index, monkeypatch, pictures=2, early=early)
    assert len(clips) == len(index) and seen == sorted(set(seen))
    for clip in clips:
        (alone,) = iter_compressed(index, [clip.index], pictures=2, early=early)
        own = alone.predicted  # the clip beside it may have given it more
        assert clip.predicted[own].all()
        np.testing.assert_array_equal(clip.residual[own], alone.residual[own])
