"""A picture that changes its size, and files with several video streams: every method reads the same."""

from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.models.samplers import MODALITIES
from scslib.samplers.features import FeatureSpec, read_features, read_video
from scslib.video.audio import iter_samples
from scslib.video.clips import expected_clips, index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.frames import iter_clips
from scslib.video.recode import recode
from tests.support.coded import film, number_of, numbers_of, picture, tone_of, tones

CLIP = 8
B_FRAMES = {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:bframes=2:b-adapt=0"}
VP8 = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
X265 = {"x265-params": "keyint=12:min-keyint=12:bframes=2:log-level=none:pools=none"}
MPEG4 = {"g": "12", "qmin": "2", "qmax": "2"}
CHANGES = {
    "h264.ts": ("libx264", B_FRAMES),
    "hevc.ts": ("libx265", X265),
    "mpeg2.ts": ("mpeg2video", {"g": "12", "qmin": "2", "qmax": "2"}),
    "vp8.webm": ("libvpx", VP8),
    "vp9.webm": ("libvpx-vp9", VP8),
    "mpeg4.ts": ("mpeg4", MPEG4),
}


def changing(folder, name, sizes, frames=24):
    """One stream whose pictures have these sizes in turn, `frames` of each; packets as they come."""
    codec, options = CHANGES[name]
    parts, path = [], folder / name
    for number, size in enumerate(sizes):
        numbers = range(frames * number, frames * (number + 1))
        parts.append(film(folder / f"{number}-{name}", codec, options, numbers, size=size))
    with av.open(str(parts[0])) as first, av.open(str(path), "w") as out:
        stream, step = out.add_stream_from_template(first.streams.video[0]), None
        for number, part in enumerate(parts):
            with av.open(str(part)) as source:
                own = source.streams.video[0]
                found = [p for p in source.demux(own) if p.size]
                begin = min(p.pts for p in found)
                step = step or round((max(p.pts for p in found) - begin) / (frames - 1))
                for packet in found:
                    shift = number * frames * step - begin
                    packet.pts += shift
                    packet.dts = None if packet.dts is None else packet.dts + shift
                    packet.stream = stream
                    out.mux(packet)
    return path


@pytest.mark.parametrize("name", CHANGES)
def test_all_methods_stop_where_the_size_changes_and_say_so(tmp_path, name):
    path = changing(tmp_path, name, [(64, 48), (128, 96), (64, 48)])
    with av.open(str(path)) as container:
        widths = [frame.width for frame in container.decode(video=0)]
    first, clips = widths.index(128), widths.index(128) // CLIP
    assert widths == sorted(widths[:first]) + widths[first:] and widths.count(128) >= 23 <= first <= 24
    index = index_clips(path, clip_len=CLIP)
    everything = expected_clips(index)
    assert len(index.pts) == first and len(index) == clips and everything == len(widths) // CLIP
    assert f"{first} of {len(widths)} frames" in index.missing and "64 x 48 to 128 x 96" in index.missing
    frames = [numbers_of(clip) for clip in iter_clips(index, size=(48, 64))]
    assert frames == [list(range(8 * clip, 8 * clip + 8)) for clip in range(clips)]
    assert [clip.index for clip in iter_compressed(index)] == list(range(clips))
    read = read_features(path, {"clip_len": CLIP})
    assert (read.clips, read.clips_expected, read.missing) == (clips, everything, index.missing)
    recode(index, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert shown == list(range(first))  # a decoder may lose the last one before the change


@pytest.mark.parametrize("name", ["h264.ts", "vp8.webm"])
def test_other_headers_of_the_same_size_are_no_change(tmp_path, name):
    """The control: joined from two encoders' settings, and read to the end."""
    path = changing(tmp_path, name, [(64, 48), (64, 48)])
    index = index_clips(path, clip_len=CLIP)
    assert len(index) == expected_clips(index) == 6 and index.missing == ""


def several(path, sizes, default=None, sound=False):
    """A file with a video stream of each size: the first shows 0.., the next 100.. and so on."""
    with av.open(str(path), "w") as out:
        packets = []
        for number, size in enumerate(sizes):
            stream = out.add_stream("mpeg4", rate=12, options=MPEG4)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.thread_count = 1
            if default is not None:
                kind = av.stream.Disposition
                stream.disposition = kind.default if number == default else kind(0)
            for at in range(24):
                image = picture(100 * number + at, *size)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = at, Fraction(1, 12)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        if sound:
            tracks = [out.add_stream("aac", rate=16_000, layout="mono") for _ in range(2)]
            for number, track in enumerate(tracks):
                wave = tones(2, 5 + number)[None]
                frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16_000, 0
                packets += track.encode(frame) + track.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.ts"])
@pytest.mark.parametrize("sizes, default, taken", [
    ([(32, 16), (64, 48)], 1, 1),
    ([(32, 16), (64, 48)], None, 1),
    ([(64, 48), (32, 16)], None, 0),
    ([(64, 48), (32, 16)], 1, 1),
])  # fmt: skip
def test_of_several_streams_the_default_or_the_largest_is_read_and_noted(
    tmp_path, name, sizes, default, taken
):
    path = several(tmp_path / name, sizes, default, sound=True)
    with av.open(str(path)) as container:
        kind = av.stream.Disposition.default
        flags = [bool(stream.disposition & kind) for stream in container.streams.video]
    if sum(flags) != 1:  # the container has no such flag, or sets it for all
        taken = int(np.argmax([w * h for w, h in sizes]))
    elif default is None:
        taken = flags.index(True)  # the muxer's own choice
    index = index_clips(path, clip_len=CLIP)
    width, height = sizes[taken]
    assert (index.info.width, index.info.height) == (width, height)
    assert index.note.startswith(f"2 video streams: number {taken + 1} is read")
    frames = [numbers_of(clip) for clip in iter_clips(index, size=(height, width))]
    first = 100 * taken
    assert frames == [list(range(first + 8 * c, first + 8 * c + 8)) for c in range(3)]
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    assert arrays["iframes"].shape[1:3] == (height, width)
    position, samples = next(iter_samples(path, 0.0))
    heard = [part for _, part in iter_samples(path)]
    assert tone_of(np.concatenate(heard)[4000:8000]) == 5


def test_one_stream_and_a_cover_is_no_choice(tmp_path):
    path = several(tmp_path / "x.mkv", [(64, 48)])
    assert index_clips(path).note == ""
