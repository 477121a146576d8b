"""Encoding: what was put in comes out, in the structure that was asked for, and byte for byte again."""

import av
import numpy as np
import pytest

from scslib.video.write import Encoding, write_video
from tests.support.streams import FRAMES, GOP, every_frame, panning, tone


def test_pictures_come_back(pan):
    frames = [f.to_ndarray(format="rgb24").astype(int) for f in every_frame(pan.path)]
    assert len(frames) == FRAMES
    for number, (out, put) in enumerate(zip(frames, pan.pictures, strict=True)):
        error = np.abs(out - put).mean()
        assert error < 8
        for other in (number - 1, number + 1):  # and it is this picture, not its neighbour
            if 0 <= other < FRAMES:
                assert error < np.abs(out - pan.pictures[other]).mean() / 2


def test_stream_has_the_gop_and_no_b_frames(pan):
    frames = every_frame(pan.path)
    types = [av.video.frame.PictureType(f.pict_type).name for f in frames]
    assert types == ["I" if i % GOP == 0 else "P" for i in range(FRAMES)]
    assert [f.time for f in frames] == pytest.approx([i / 12 for i in range(FRAMES)], abs=1e-3)


def test_sound_comes_back_in_its_place(movie):
    with av.open(str(movie.path)) as container:
        assert container.streams.audio[0].rate == 16_000
        parts = [f.to_ndarray()[0] for f in container.decode(audio=0)]
    heard, put = np.concatenate(parts)[: len(tone())], tone()
    assert len(heard) == len(put)
    assert np.corrcoef(heard, put)[0, 1] > 0.95


def test_same_input_gives_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, panning(64, 48, 8), tone(), Encoding(64, 48))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_no_sound_means_no_audio_track(tmp_path):
    write_video(tmp_path / "mute.mp4", panning(64, 48, 4), None, Encoding(64, 48))
    with av.open(str(tmp_path / "mute.mp4")) as container:
        assert not container.streams.audio and len(container.streams.video) == 1


def test_a_failure_leaves_no_file_behind(tmp_path):
    def pictures():
        yield from panning(64, 48, 39)
        assert list(tmp_path.iterdir()) and not (tmp_path / "x.mp4").exists()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_video(tmp_path / "x.mp4", pictures(), None, Encoding(64, 48))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "setting", [{"codec": "vp9"}, {"width": 0}, {"height": 33}, {"frame_rate": -1}, {"gop": 0}]
)
def test_settings_are_checked(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"{name} \({value}\)"):
        Encoding(**setting)
