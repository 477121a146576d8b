"""Rules without training, against plain loops."""

import numpy as np
import pytest

from scslib.samplers.base import Setting
from scslib.samplers.features import FeatureSpec, VideoFeatures, read_video
from scslib.samplers.registry import make_sampler, sampler_names
from scslib.samplers.rules import empirical
from scslib.video.clips import index_clips
from tests.support.streams import encode, panning


def rule(name):
    return make_sampler(name, Setting())


def video(clips: int, **arrays) -> VideoFeatures:
    times = np.stack([np.arange(clips), np.arange(clips) + 1], axis=1)
    return VideoFeatures({"times": times} | arrays)


def test_packet_size_is_the_bytes_of_the_clips_frames(movie):
    index = index_clips(movie.path, clip_len=8)
    read = read_video(index, FeatureSpec(8), rule("packet-size").modalities)
    assert not read.has("", "motion")  # nothing was decoded for it
    expected = [sum(index.size[i * 8 : i * 8 + 8]) for i in range(5)]
    assert rule("packet-size").saliency(read, "").tolist() == expected


def test_motion_energy_equals_a_loop_over_frames_and_cells():
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 3, (4, 6, 2, 3, 2)).astype(np.float16)
    intra = rng.random((4, 6)) < 0.3
    intra[2] = True  # a clip of I-frames alone moves nothing
    motion[intra] = 0
    got = rule("motion-energy").saliency(video(len(motion), motion=motion, predicted=~intra), "")
    for clip in range(4):
        lengths = [
            float(np.hypot(*motion[clip, t, y, x].astype(float)))
            for t in range(6)
            if not intra[clip, t]
            for y in range(2)
            for x in range(3)
        ]
        assert got[clip] == pytest.approx(np.mean(lengths) if lengths else 0.0, rel=1e-3)


def test_motion_energy_finds_the_clip_that_moves(tmp_path):
    still, moving = panning(96, 64, 1) * 16, panning(96, 64, 16)
    path = encode(tmp_path / "m.mp4", still + moving + still, "mpeg4", {"g": "12"})
    spec = FeatureSpec(16)
    read = read_video(spec.index(path), spec, rule("motion-energy").modalities)
    assert not read.has("", "residual")
    assert rule("motion-energy").saliency(read, "").argmax() == 1


def fields(rng, clips=3, frames=4, height=5, width=6):
    """Vectors of a camera that pans, by another way in each frame, and of one small thing that moves."""
    motion = np.zeros((clips, frames, height, width, 2)) + rng.normal(0, 9, (clips, frames, 1, 1, 2))
    motion[1, :, 1:4, 2:5] += [3, 4]
    predicted = np.ones((clips, frames), bool)
    predicted[:, 0] = False
    motion[:, 0] = 100  # of an I-frame: must not count
    return video(len(motion), motion=motion.astype(np.float32), predicted=predicted)


def test_local_motion_is_the_longest_mean_of_nine_cells_without_the_cameras():
    found = rule("local-motion").saliency(fields(np.random.default_rng(0)), "")
    assert found == pytest.approx([0, 5, 0], abs=1e-4)


def test_moving_area_is_the_share_of_cells_that_move_against_the_camera():
    found = rule("moving-area").saliency(fields(np.random.default_rng(0)), "")
    assert found == pytest.approx([0, 9 / 30, 0])


def test_still_contrast_sees_the_one_thing_that_stands_out():
    rng = np.random.default_rng(0)
    pictures = rng.integers(90, 120, (4, 48, 60, 3)).astype(np.uint8)
    pictures[2, 20:28, 30:38] = 255
    features = video(3, iframes=pictures, iframe_start=np.array([0, 2, 3, 4]))
    found = rule("still-contrast").saliency(features, "")
    assert found.argmax() == 1 and found[1] > 2 * max(found[0], found[2])


def test_the_loudest_band_is_above_the_median_one():
    logmel = np.full((3, 200, 40), -5.0, np.float32)
    logmel[1, :, 7] += 3  # one pitch
    logmel[2] += 4  # everything is louder
    found = rule("loudest-band").saliency(video(len(logmel), audio=logmel), "")
    assert found.tolist() == [0, 3, 0]


def test_rules_read_no_more_than_they_say(movie):
    index = index_clips(movie.path, clip_len=8)
    for one in map(rule, sampler_names("")):
        scores = one.score_file(index, FeatureSpec(8))
        assert len(scores.saliency) == len(index) and np.isfinite(scores.saliency).all(), one.name


def test_empirical_prior_is_the_mean_of_each_part_of_the_length():
    targets = [np.array([0.0, 1.0, 0.0, 0.2]), np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.4, 0.4])]
    prior = empirical(targets, bins=4).saliency(video(4), "")
    parts = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.2, 0.4, 0.4]]
    np.testing.assert_allclose(prior, [np.mean(part) for part in parts])


def test_empirical_prior_fits_any_number_of_clips_and_stays_within_what_it_saw():
    prior_of = empirical([np.linspace(0, 1, 50)])
    for clips in (1, 3, 200):
        prior = prior_of.saliency(video(clips), "")
        assert prior.shape == (clips,) and 0 <= prior.min() and prior.max() <= 1
        assert list(prior) == sorted(prior)


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match=r"bins \(0\)"):
        empirical([np.ones(3)], bins=0)
    with pytest.raises(ValueError, match="targets"):
        empirical([])
