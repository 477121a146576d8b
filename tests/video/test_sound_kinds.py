"""Every kind of sound that users bring: formats, tracks, and streams that begin or end apart."""

from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.models.samplers import MODALITIES
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.audio import iter_logmel
from scslib.video.clips import Clip, expected_clips, index_clips
from scslib.video.frames import iter_clips
from tests.support.streams import BEEP_S, FRAMES, RATE, panning, tone, write

HEIGHT, WIDTH = 64, 96


def loud_clips(path, index) -> list[int]:
    """Clips in whose own half of the window (of twice their length) there is a tone."""
    windows = iter_logmel(path, index.clips)
    return [n for n, picture in enumerate(windows) if picture[50:150].max() > 0]


def bright_clips(index) -> list[int]:
    clips = iter_clips(index, size=(HEIGHT, WIDTH))
    return [n for n, pixels in enumerate(clips) if pixels.max() > 200]


@pytest.mark.parametrize("first", [0, 5, 60])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "flv", "avi"])
def test_sound_and_pictures_stay_together(tmp_path, kind, first):
    """The pictures flash while the tone sounds, whenever the two streams start."""
    if kind == "avi" and first:
        return  # has no start times
    pictures = [np.full((HEIGHT, WIDTH, 3), 40, np.uint8) for _ in range(FRAMES)]
    for number in (18, 19):  # 1.5 s to 1.67 s at 12 frames a second
        pictures[number][:] = 255
    assert BEEP_S[0] == 18 / RATE
    path = tmp_path / f"flash.{kind}"
    codec = "mpeg4" if kind == "avi" else "libx264"
    write(path, pictures, codec, {"g": "12"}, first=first, sounds=[(tone(), first / RATE)])
    index = index_clips(path, clip_len=2)
    assert bright_clips(index) == loud_clips(path, index) == [9]
    assert expected_clips(index) == len(index)


@pytest.mark.parametrize("start", [0.0, 0.75])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_sound_that_begins_later_than_the_pictures(tmp_path, kind, start):
    """Then the tone comes so much later; before it, and where the sound has ended, is silence."""
    sound = tone()[: round(1.7 * 16_000)]  # 1.6 s less than the pictures
    path = tmp_path / f"late.{kind}"
    write(path, panning(WIDTH, HEIGHT), "libx264", {"g": "12"}, sounds=[(sound, start)])
    index = index_clips(path, clip_len=1)
    expected = [n for n in range(FRAMES) if abs((n + 0.5) / RATE - start - np.mean(BEEP_S)) < 0.05]
    assert set(expected) <= set(loud_clips(path, index)) and len(loud_clips(path, index)) <= 3
    logmels = list(iter_logmel(path, index.clips))
    assert len(logmels) == len(index) and logmels[-1].max() < -13


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_sound_longer_than_the_pictures(tmp_path, kind):
    path = tmp_path / f"long.{kind}"
    long = np.concatenate([tone(), tone()])
    write(path, panning(WIDTH, HEIGHT), "libx264", {"g": "12", "bf": "2"}, sounds=[(long, 0.0)])
    index = index_clips(path, clip_len=2)
    assert len(index) == FRAMES // 2 and loud_clips(path, index) == [9]
    arrays = read_video(index, FeatureSpec(clip_len=2), MODALITIES, threads=2).arrays
    assert len(arrays["audio"]) == len(index)


def test_the_first_of_several_tracks_is_heard(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.3, len(tone())).astype(np.float32)
    for number, sounds in enumerate(([tone(), noise], [noise, tone()])):
        path = tmp_path / f"{number}.mkv"
        tracks = [(samples, 0.0) for samples in sounds]
        write(path, panning(WIDTH, HEIGHT), "libx264", {"g": "12"}, sounds=tracks)
        index = index_clips(path, clip_len=2)
        assert (loud_clips(path, index) == [9]) == (number == 0)


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
def test_of_several_tracks_the_default_is_heard(tmp_path, kind):
    """As with a dubbed film, or a commentary that comes first."""
    noise = np.random.default_rng(0).normal(0, 0.3, len(tone())).astype(np.float32)
    both, path = tmp_path / f"both.{kind}", tmp_path / f"default.{kind}"
    tracks = [(noise, 0.0), (tone(), 0.0)]
    write(both, panning(WIDTH, HEIGHT), "libx264", {"g": "12", "bf": "0"}, sounds=tracks)
    with av.open(str(both)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(stream) for stream in source.streams]
        copies[1].disposition = 0
        copies[2].disposition = av.stream.Disposition.default
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    index = index_clips(path, clip_len=2)
    assert loud_clips(path, index) == [9]


def write_sound(path, codec, layout, rate, format_name, seconds=2.0):
    """A sound track alone, with the tone from 1.0 s to 1.5 s in every channel."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 440 * time) * ((time >= 1.0) & (time < 1.5))
    channels = len(av.AudioLayout(layout).channels)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if format_name == "s16":
            samples = np.repeat((wave * 32767).astype(np.int16), channels)[None]
        elif format_name == "flt":
            samples = np.repeat(wave.astype(np.float32), channels)[None]
        else:
            samples = np.repeat(wave.astype(np.float32)[None], channels, axis=0)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format_name, layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


SOUNDS = [
    ("pcm_f32le", "mono", 16_000, "flt", "mkv"),  # nothing to resample
    ("pcm_s16le", "5.1", 48_000, "s16", "mkv"),
    ("pcm_s16le", "stereo", 44_100, "s16", "avi"),
    ("libmp3lame", "stereo", 44_100, "fltp", "mp4"),
    ("libopus", "stereo", 48_000, "flt", "webm"),
    ("aac", "5.1", 48_000, "fltp", "ts"),
]


def loud_seconds(path, seconds: int = 2) -> np.ndarray:
    clips = [Clip(n, n / 10, (n + 1) / 10) for n in range(10 * seconds)]
    found = [picture[50:150].max() > 0 for picture in iter_logmel(path, clips)]
    return np.flatnonzero(found) / 10


@pytest.mark.parametrize("codec, layout, rate, format_name, ending", SOUNDS)
def test_formats_of_sound(tmp_path, codec, layout, rate, format_name, ending):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    path = write_sound(tmp_path / f"sound.{ending}", codec, layout, rate, format_name)
    loud = loud_seconds(path, 4)
    assert abs(loud[0] - 1.0) < 0.15 and abs(loud[-1] - 1.4) < 0.15


def test_sound_that_changes_its_format(tmp_path):
    """Television: a film in stereo, the advertisement in mono at another rate."""
    parts = [("stereo", 48_000), ("mono", 44_100)]
    for number, (layout, rate) in enumerate(parts):
        write_sound(tmp_path / f"{number}.ts", "aac", layout, rate, "fltp")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"{n}.ts").read_bytes() for n in (0, 1)))
    assert len(loud_seconds(joined, 4)) >= 4
