"""What is not needed is not decoded, and what is read stays the same."""

import numpy as np
import pytest

from scslib.video import compressed
from scslib.video.clips import index_clips
from scslib.video.compressed import iter_compressed
from tests.support.streams import encode, panning

FRAMES, GOP = 48, 12
KINDS = {
    "mpeg4": ("mpeg4", {"g": str(GOP), "sc_threshold": "1000000000"}),
    "h264": ("libx264", {"g": str(GOP), "bf": "0", "sc_threshold": "0"}),
    "h264 with B-frames": ("libx264", {"g": str(GOP), "bf": "2", "sc_threshold": "0"}),
}


@pytest.fixture(scope="module", params=KINDS)
def stream(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("needed") / "stream.mp4"
    codec, options = KINDS[request.param]
    return request.param, encode(path, panning(64, 48, FRAMES), codec, options)


def decoded_by(index, monkeypatch, **options):
    """The positions that were decoded, and the clips that were read."""
    seen, visit = [], compressed.visit

    def watched(*arguments, **named):
        for position, frame in visit(*arguments, **named):
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
    if kind == "h264 with B-frames":  # those are not decoded at all
        assert set(seen) <= needed
    else:
        assert seen == sorted(needed) and len(seen) < 0.9 * FRAMES


@pytest.mark.parametrize("options", [{}, {"accumulate": True}, {"residuals": False}])
def test_what_is_read_is_what_reading_every_frame_gives(stream, options, monkeypatch):
    _, path = stream
    index = index_clips(path, clip_len=16)
    some = list(iter_compressed(index, pictures=2, **options))
    monkeypatch.setattr(compressed, "none_shared", lambda runs: False)  # then it reads in one go
    for clip, other in zip(some, iter_compressed(index, pictures=2, **options), strict=True):
        for field in ("motion", "residual", "predicted", "iframes"):
            np.testing.assert_array_equal(getattr(clip, field), getattr(other, field))


def test_early_frames_are_those_soonest_after_a_keyframe(stream, monkeypatch):
    """Of clips that have a keyframe; where a B-frame comes soonest, the P-frame after it."""
    kind, path = stream
    index = index_clips(path, clip_len=16)
    seen, clips = decoded_by(index, monkeypatch, pictures=2, early=True)
    for clip in clips:
        found = np.array(index.frames(clip.index))[clip.predicted]
        assert len(found) == 2 and clip.residual[clip.predicted].any(axis=(1, 2, 3)).all()
        if kind != "h264 with B-frames":
            after = sorted(index.frames(clip.index), key=lambda p: (p % GOP or GOP, p))
            assert found.tolist() == sorted(after[:2])
    if kind != "h264 with B-frames":
        assert len(seen) <= 3 * FRAMES // GOP
    everything = {clip.index: clip for clip in iter_compressed(index)}
    for clip in clips:
        rows = clip.predicted
        np.testing.assert_array_equal(clip.motion[rows], everything[clip.index].motion[rows])
        np.testing.assert_array_equal(clip.residual[rows], everything[clip.index].residual[rows])


def test_early_frames_of_a_clip_without_a_keyframe_lie_at_equal_distances(stream):
    kind, path = stream
    index = index_clips(path, clip_len=4)
    [some], [early] = (list(iter_compressed(index, [2], pictures=2, early=e)) for e in (False, True))
    np.testing.assert_array_equal(some.predicted, early.predicted)


def test_clips_that_share_frames_are_read_in_one_go(stream, monkeypatch):
    _, path = stream
    index = index_clips(path, clip_len=16, clip_stride=8)
    seen, clips = decoded_by(index, monkeypatch, pictures=2)
    assert len(clips) == len(index) and seen == sorted(set(seen))
    for clip in clips:
        (alone,) = iter_compressed(index, [clip.index], pictures=2)
        own = alone.predicted  # the clip beside it may have given it more
        assert clip.predicted[own].all()
        np.testing.assert_array_equal(clip.residual[own], alone.residual[own])
