"""Features read in chunks, in threads, and in part."""

from dataclasses import asdict

import av
import numpy as np
import pytest

from scslib.models.samplers import MODALITIES
from scslib.samplers import features
from scslib.samplers.features import FeatureSpec, map_chunks, read_features, read_video
from scslib.video.clips import index_clips
from scslib.video.recode import cut

SPEC = FeatureSpec(clip_len=4)


@pytest.fixture(scope="module")
def index(movie):
    return index_clips(movie.path, clip_len=4)


@pytest.fixture(scope="module")
def whole(index):
    return read_video(index, SPEC, MODALITIES).arrays


def same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_chunks_joined_are_the_whole(index, whole, threads, at_once, monkeypatch):
    monkeypatch.setattr(features, "AT_ONCE", (1, at_once))
    sizes = list(map_chunks(lambda c: len(c.get("", "times")), index, SPEC, MODALITIES, threads=threads))
    assert sum(sizes) == len(index) and max(sizes) <= at_once
    same(read_video(index, SPEC, MODALITIES, threads=threads).arrays, whole)


@pytest.fixture
def opens(monkeypatch) -> list[str]:
    """The path of every file that is opened for reading from here on."""
    seen, original = [], av.open

    def counted(path, mode="r", **options):
        seen.extend([path] if mode == "r" else [])
        return original(path, mode, **options)

    monkeypatch.setattr(av, "open", counted)
    return seen


def test_a_video_is_opened_once_for_the_index_once_to_look_and_once_to_listen(movie, opens):
    read_features(movie.path, asdict(SPEC))
    assert opens == [str(movie.path)] * 3


def test_what_the_file_declares_costs_no_opening_more(movie, opens, tmp_path):
    index = SPEC.index(movie.path)
    assert len(opens) == 1 and index.info.has_audio and index.info.duration_s > 3
    list(map_chunks(lambda part: part, index, SPEC, ("iframes",)))
    assert len(opens) == 2
    cut(index, tmp_path / "cut.mp4", index.clips[3][1:])  # copied: pictures and sound
    assert len(opens) == 5 and opens[-1].endswith("cut.part.mp4")  # and it is looked at
    cut(index, tmp_path / "cut.mp4", index.clips[4][1:])  # encoded
    assert len(opens) == 7


def test_some_clips_are_those_rows_of_the_whole(index, whole):
    clips = [1, 2, 6, 9]
    some = read_video(index, SPEC, MODALITIES, clips, threads=2).arrays
    for name in ("clip", "times", "bytes", "motion", "residual", "predicted", "audio"):
        np.testing.assert_array_equal(some[name], whole[name][clips], err_msg=name)
    start = whole["iframe_start"]
    pictures = [whole["iframes"][start[c] : start[c + 1]] for c in clips]
    np.testing.assert_array_equal(some["iframes"], np.concatenate(pictures))


@pytest.mark.parametrize(
    "modality, absent", [("iframes", {"motion", "residual", "audio"}), ("audio", {"iframes"})]
)
def test_what_is_not_asked_for_is_not_there(index, whole, modality, absent):
    found = read_video(index, SPEC, (modality,)).arrays
    assert not absent & set(found)
    np.testing.assert_array_equal(found[modality], whole[modality])


@pytest.mark.parametrize("pictures", [1, 2, 3])
def test_kept_pictures_are_rows_of_all_pictures(small, pictures):
    index = index_clips(small.path, clip_len=10)  # with an I-frame inside
    everything = read_video(index, FeatureSpec(10), MODALITIES).arrays
    few = read_video(index, FeatureSpec(10, pictures=pictures), MODALITIES).arrays
    assert few["motion"].shape[1] == pictures and few["predicted"].all()
    for clip in range(len(index)):
        moving = everything["predicted"][clip]
        for name in ("motion", "residual"):
            rows = {row.tobytes() for row in everything[name][clip][moving]}
            kept = [row.tobytes() for row in few[name][clip]]
            assert set(kept) <= rows
        assert len(set(kept)) == pictures  # residuals, of which no two are the same


def test_bytes_of_a_clip_are_the_sum_over_its_frames(movie):
    index = index_clips(movie.path, clip_len=5, clip_stride=3)  # clips that overlap
    assert index.clip_bytes.tolist() == [
        sum(int(index.size[p]) for p in index.frames(clip)) for clip in range(len(index))
    ]
