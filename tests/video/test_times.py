"""Times are checked, not believed: clocks that go back or stand still, pauses, packets and frames.

Frames carry their number and the sound its second (see `coded`), so that every clip says what it holds.
"""

import subprocess
import sys

import av
import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import write_dataset
from scslib.datasets.prepare import prepare
from scslib.datasets.sources import Source, survey
from scslib.models.samplers import MODALITIES
from scslib.samplers.features import FeatureSpec, read_features, read_video
from scslib.video.audio import iter_samples
from scslib.video.clips import expected_clips, index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.container import VideoError
from scslib.video.frames import decode_clips, iter_clips, numbered_clips
from scslib.video.recode import Recoding, cut, recode
from tests.support import fields
from tests.support.coded import (
    RATE,
    TICK,
    film,
    number_of,
    numbers_of,
    tone_of,
    tones,
)

SIZE, CLIP = (48, 64), 8
B_FRAMES = {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:bframes=2:b-adapt=0"}
PLAIN = {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0"}
VP8 = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
MPEG2 = {"g": "12", "bf": "2", "qmin": "2", "qmax": "2"}
MPEG4 = {"g": "12", "qmin": "2", "qmax": "2"}


def shown(path) -> list[int]:
    """The numbers of a file's frames, decoded by PyAV alone."""
    with av.open(str(path)) as container:
        return [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def held(index) -> dict[int, list[int]]:
    """The numbers that f sees, by clip, after both ways of decoding are found to agree."""
    found = {clip: numbers_of(pixels) for clip, pixels in numbered_clips(index, size=SIZE)}
    some = list(found)[::-3]
    again = decode_clips(index, some, size=SIZE)
    assert [numbers_of(pixels) for pixels in again] == [found[clip] for clip in some]
    return found


def tones_heard(index) -> list[int]:
    """The tone in the middle of each clip."""
    samples = np.zeros(round((index.clips[-1].end_s + 3) * 16_000), np.float32)
    for position, part in iter_samples(index.path, joins=index.joins):
        begin = max(0, position)
        part = part[begin - position : len(samples) - position]
        samples[begin : begin + len(part)] = part
    middles = [round((clip.start_s + clip.end_s) * 8000) for clip in index.clips]
    return [tone_of(samples[m - 1600 : m + 1600]) for m in middles]


# --- the clock goes back ---------------------------------------------------------------------------

JOINED = {
    "b.ts": ("libx264", B_FRAMES, "aac"),
    "plain.ts": ("libx264", PLAIN, "aac"),
    "mpeg2.ts": ("mpeg2video", MPEG2, "mp2"),
    "vob.mpg": ("mpeg2video", MPEG2, "mp2"),
    "b.mkv": ("libx264", B_FRAMES, "aac"),
    "vp8.webm": ("libvpx", VP8, "libopus"),
}


def joined(folder, name, frames=48):
    """Two recordings, one after the other: frames 0.. and 100.., tones 0.. and 10..; each from 0 s."""
    codec, options, coding = JOINED[name]
    format = "dvd" if name.endswith("mpg") else None
    content = b""
    for number in range(2):
        seconds = frames / (25 if codec == "mpeg2video" else RATE)
        part = film(
            folder / f"{number}.{name}",
            codec,
            options,
            range(100 * number, 100 * number + frames),
            sound=tones(seconds, 10 * number),
            coding=coding,
            format=format,
        )
        content += part.read_bytes()
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", JOINED)
def test_joined_recordings_are_read_in_their_order_with_times_that_go_on(tmp_path, name):
    path = joined(tmp_path, name)
    index = index_clips(path, clip_len=CLIP)
    frames = [*range(48), *range(100, 148)]
    assert shown(path) == frames and len(index.pts) == 96 and len(index) == expected_clips(index) == 12
    assert (np.diff(index.pts) > 0).all() and index.missing == "" and "clock goes back" in index.note
    rate = 25 if "mpeg2" in name or "vob" in name else RATE
    lengths = [clip.end_s - clip.start_s for clip in index.clips]
    np.testing.assert_allclose(lengths, CLIP / rate, atol=2e-3)
    assert index.info.duration_s == pytest.approx(96 / rate, abs=0.01)
    assert held(index) == {clip: frames[8 * clip : 8 * clip + 8] for clip in range(12)}
    assert [clip.index for clip in iter_compressed(index)] == list(range(12))

    begin = index.clips[0].start_s
    offset = (np.arange(12) + 0.5) * CLIP / rate
    inside, part = offset % (48 / rate), (offset >= 48 / rate).astype(int)
    expected = (10 * part + np.floor(inside)).astype(int)
    clear = np.abs(inside - np.round(inside)) > 0.15  # the tone does not change there
    heard = np.array(tones_heard(index))
    assert clear.sum() >= 6 and begin < 2
    np.testing.assert_array_equal(heard[clear], expected[clear])


@pytest.mark.parametrize("name", ["b.ts", "vp8.webm"])
def test_joined_recordings_are_encoded_whole_and_cut_where_they_are(tmp_path, name):
    path, out = joined(tmp_path, name), tmp_path / "out.mp4"
    index = index_clips(path, clip_len=CLIP)
    recode(index, out, setting=Recoding(quality=16))
    assert shown(out) == [*range(48), *range(100, 148)]
    again = index_clips(out, clip_len=CLIP)
    assert again.joins == () and again.info.duration_s == pytest.approx(8, abs=0.02)
    assert tones_heard(again)[7] == 10  # 5.0 s: a second into the other recording
    cut(index, out, index.clips[7][1:])
    assert shown(out) == list(range(108, 116))
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    assert arrays["clip"].tolist() == list(range(12))
    assert arrays["audio"].astype(float).std(axis=(1, 2)).min() > 1


def test_scs_sample_says_where_the_clock_goes_back_and_what_is_left_out(tmp_path, tiny_run):
    stamps = [1000 * n + (n >= 30) * 12_000 * 90 for n in range(48)]
    files = [
        joined(tmp_path, "b.ts"),
        film(tmp_path / "p.mkv", "libx264", PLAIN, range(48), stamps=stamps),
    ]
    command = [sys.executable, "-m", "scslib.cli", "sample", *map(str, files), "--run", str(tiny_run)]
    done = subprocess.run(
        [*command, "-k", "2", "--status", str(tmp_path / "status.csv")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    status = pd.read_csv(tmp_path / "status.csv", keep_default_na=False)
    assert done.returncode == 0 and status["status"].tolist() == ["ok", "partial"], done.stderr
    assert "b.ts: the clock goes back at" in done.stderr and "p.mkv: a pause from" in done.stderr
    assert "across a pause" in status["reason"][1]


def test_joined_recordings_are_prepared_whole_and_no_source_of_composed_videos(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    path = joined(source, "b.ts")
    for part in source.glob("?.b.ts"):
        part.unlink()
    videos = pd.DataFrame({"video_id": ["v"], "path": [path.name], "label": ["a"], "split": ["train"]})
    about = {"classes": ("a",), "licence": "CC0-1.0", "origin": "this test"}
    write_dataset(source, name="joined", videos=videos, **about)
    data = prepare(source, tmp_path / "data", Recoding(gop=12, quality=16), workers=1)
    assert shown(data.path("v")) == [*range(48), *range(100, 148)]
    assert index_clips(data.path("v")).info.duration_s == pytest.approx(8, abs=0.02)
    for whole, lost in ((True, 1), (False, 0)):
        _, left_out = survey([Source(source, path.name, "a")], whole=whole, workers=1, title="looking")
        assert len(left_out) == lost
        assert all("the clock goes back at" in one.problem for one in left_out)


@pytest.mark.parametrize(
    "name, codec, options", [("x.mkv", "libx264", B_FRAMES), ("x.mp4", "mpeg4", MPEG4)]
)
def test_frames_in_no_time_are_left_out_and_said(tmp_path, name, codec, options):
    """As remuxing leaves them when stamps went back: the second half in a fraction of a second."""
    step = 24 if name.endswith("mkv") else 1
    stamps = [1000 * n if n < 40 else 40_000 + step * (n - 40) for n in range(80)]
    path = film(tmp_path / name, codec, options, range(80), stamps=stamps)
    index = index_clips(path, clip_len=CLIP)
    assert held(index) == {clip: list(range(8 * clip, 8 * clip + 8)) for clip in range(5)}
    assert expected_clips(index) == 10 and "5 clips between 3.33" in index.missing
    assert "time stands still" in index.missing
    read = read_features(path, {"clip_len": CLIP})
    assert (read.clips, read.clips_expected, read.missing) == (5, 10, index.missing)


# --- pauses, and what is damaged, cost one clip ----------------------------------------------------


@pytest.mark.parametrize("name, codec, options, coding", [
    ("x.mkv", "libx264", B_FRAMES, "aac"),
    ("x.mp4", "mpeg4", MPEG4, "aac"),
    ("x.webm", "libvpx", VP8, "libopus"),
])  # fmt: skip
@pytest.mark.parametrize("pause_s", [70, 2400, 9000])
def test_a_pause_costs_the_clip_across_it(tmp_path, name, codec, options, coding, pause_s):
    stamps = [1000 * n + (pause_s * 12_000 if n >= 44 else 0) for n in range(80)]
    path = film(tmp_path / name, codec, options, range(80), stamps=stamps, sound=tones(3), coding=coding)
    index = index_clips(path, clip_len=CLIP)
    assert len(index) == 9 and expected_clips(index) == 10
    assert "a clip between 3.3" in index.missing and "across a pause" in index.missing
    numbers = [number for number in range(10) if number != 5]
    assert held(index) == {clip: list(range(8 * n, 8 * n + 8)) for clip, n in enumerate(numbers)}
    assert max(clip.end_s - clip.start_s for clip in index.clips) < 0.7
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    assert arrays["audio"].shape[0] == arrays["motion"].shape[0] == 9
    by_time = index_clips(path, clip_len=CLIP, frame_rate=10)
    assert len(by_time) == expected_clips(by_time) == 4 + 3 and "a pause from 3.6" in by_time.note
    assert all(0 <= n - clip[0] <= 11 for clip in held(by_time).values() for n in clip)


def test_a_video_of_slides_has_no_pauses(tmp_path):
    """Ten minutes a picture are its own pace."""
    stamps = [600 * 12_000 * n for n in range(16)]
    path = film(tmp_path / "slides.mkv", "libx264", PLAIN, range(16), stamps=stamps)
    index = index_clips(path, clip_len=CLIP)
    assert len(index) == 2 and index.missing == index.note == ""
    assert index.clips[0].end_s == pytest.approx(4800, abs=0.1)


def test_a_video_without_one_clip_that_can_be_is_refused(tmp_path):
    stamps = [600 * 12_000 * n for n in range(8)]
    path = film(tmp_path / "slides.mkv", "libx264", PLAIN, range(8), stamps=stamps, sound=tones(1))
    with pytest.raises(
        VideoError, match="no clip can be read, without a clip .* longer than 30 minutes"
    ):
        index_clips(path, clip_len=CLIP)


@pytest.mark.parametrize("name, codec, options", [
    ("x.webm", "libvpx-vp9", {"g": "8", "deadline": "realtime", "cpu-used": "8"}),
    ("x.mkv", "libx265", {"x265-params": "keyint=8:min-keyint=8:bframes=0:log-level=none:pools=none"}),
    ("x.mkv", "libvpx", VP8 | {"g": "8"}),
])  # fmt: skip
def test_a_damaged_group_of_pictures_costs_its_clip(tmp_path, name, codec, options):
    whole = film(tmp_path / name, codec, options, range(64))
    content = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        damaged = [bytes(packet) for packet in packets[24:32]]  # the fourth group
    at = 0
    for packet in damaged:
        at = bytes(content).index(packet, at)
        content[at : at + len(packet)] = b"\xff" * len(packet)
    path = tmp_path / f"damaged-{name}"
    path.write_bytes(content)
    index = index_clips(path, clip_len=CLIP)
    found = {clip: numbers_of(pixels) for clip, pixels in numbered_clips(index, size=SIZE)}
    assert found == {clip: list(range(8 * clip, 8 * clip + 8)) for clip in range(8) if clip != 3}
    assert [clip.index for clip in iter_compressed(index)] == list(found)
    with pytest.raises(VideoError, match="is damaged in clip 3"):
        decode_clips(index, [2, 3, 4], size=SIZE)
    read = read_features(path, {"clip_len": CLIP})
    assert (read.clips, read.clips_expected) == (7, 8)


# --- packets and frames ----------------------------------------------------------------------------


@pytest.mark.parametrize("name, together", [("one.ts", False), ("both.mkv", True), ("both.mp4", True)])
def test_field_pictures_are_counted_as_frames(tmp_path, name, together):
    path = fields.write(tmp_path / name, range(48), together=together)
    with av.open(str(path)) as container:
        packets = sum(1 for packet in container.demux(video=0) if packet.size)
    assert packets == (48 if together else 96) and shown(path) == list(range(48))
    index = index_clips(path)
    assert len(index.pts) == 48 and len(index) == 3 and index.missing == index.note == ""
    np.testing.assert_allclose([clip.end_s - clip.start_s for clip in index.clips], 0.64, atol=1e-3)
    assert index.info.duration_s == pytest.approx(1.92, abs=1e-3)
    assert index.key[::12].all()
    with av.open(str(path)) as container:
        assert index.size.sum() == sum(packet.size for packet in container.demux(video=0))
    assert held(index) == {clip: list(range(16 * clip, 16 * clip + 16)) for clip in range(3)}


@pytest.mark.parametrize("name, together", [("one.ts", False), ("both.mkv", True), ("one.mkv", False)])
def test_a_copied_clip_holds_every_field(tmp_path, name, together):
    path, out = fields.write(tmp_path / name, range(48), together=together), tmp_path / "out.mp4"
    start = index_clips(path).clips[0].start_s
    copied = cut(path, out, (start + 0.48, start + 0.96))
    assert shown(out) == list(range(12, 24))
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
    assert bool(frame.interlaced_frame) is copied  # what is encoded again comes in frames


def test_a_copy_that_does_not_decode_to_as_many_frames_is_encoded(tmp_path, monkeypatch):
    path, out = film(tmp_path / "x.mkv", "libx264", PLAIN, range(48)), tmp_path / "out.mp4"
    assert cut(path, out, (1.0, 2.0)) is True and shown(out) == list(range(12, 24))
    copied = out.read_bytes()

    def first_only(container, stream):
        for number, packet in enumerate(container.demux(stream)):
            if number != 5:
                yield packet

    monkeypatch.setattr("scslib.video.recode.packets", first_only)
    assert cut(path, out, (1.0, 2.0)) is False and shown(out) == list(range(12, 24))
    assert out.read_bytes() != copied and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("options", [PLAIN, B_FRAMES])
def test_packets_without_stamps_are_frames_too(tmp_path, options):
    """As recorders and DVDs have them: one stamp a group of pictures."""
    path = film(tmp_path / "x.ts", "libx264", options, range(48))
    content = bytearray(path.read_bytes())
    count = 0
    for at in range(0, len(content), 188):
        packet = content[at : at + 188]
        begins = packet.find(b"\0\0\1\xe0")
        if not packet[1] & 0x40 or begins < 0:
            continue
        count += 1
        if count % 12 != 1:
            content[at + begins + 7] &= 0x3F
            length = packet[begins + 8]
            content[at + begins + 9 : at + begins + 9 + length] = b"\xff" * length
    path.write_bytes(content)
    assert count == 48 and shown(path) == list(range(48))
    index = index_clips(path, clip_len=CLIP)
    assert len(index.pts) == 48 and expected_clips(index) == len(index) == 6
    assert held(index) == {clip: list(range(8 * clip, 8 * clip + 8)) for clip in range(6)}
    np.testing.assert_allclose(
        [clip.end_s - clip.start_s for clip in index.clips], CLIP / RATE, atol=2e-3
    )


# --- how long, how fast ----------------------------------------------------------------------------


@pytest.mark.parametrize("name, codec, options, coding", [
    ("x.mkv", "libx264", B_FRAMES, "aac"),
    ("x.webm", "libvpx", VP8, "libopus"),
    ("x.flv", "libx264", PLAIN, "aac"),
    ("x.mp4", "mpeg4", MPEG4, "aac"),
    ("x.ts", "libx264", B_FRAMES, "aac"),
    ("x.avi", "mpeg4", MPEG4, "pcm_s16le"),
])  # fmt: skip
def test_sound_that_lasts_longer_is_no_broken_file(tmp_path, name, codec, options, coding):
    path = film(tmp_path / name, codec, options, range(48), sound=tones(12), coding=coding)
    index = index_clips(path, clip_len=CLIP)
    assert len(index) == expected_clips(index) == 6 and index.missing == ""
    assert index.info.duration_s == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize("kind", ["mkv", "webm", "flv"])
def test_a_file_that_breaks_off_is_said_still(tmp_path, kind):
    codec, options, coding = ("libvpx", VP8, "libopus") if kind == "webm" else ("libx264", PLAIN, "aac")
    path = film(tmp_path / f"x.{kind}", codec, options, range(96), sound=tones(8), coding=coding)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    index = index_clips(path, clip_len=CLIP)
    assert 3 <= len(index) < 9 and 11 <= expected_clips(index) <= 13 and " of 9" in index.missing


UNEVEN = np.cumsum([0, *[700, 1900, 800, 3000, 600, 1400] * 16]).tolist()  # ticks: 8.57 a second


@pytest.mark.parametrize("name, codec, options", [
    ("x.mkv", "libx264", B_FRAMES),
    ("x.mp4", "mpeg4", MPEG4),
    ("x.webm", "libvpx", VP8),
])  # fmt: skip
@pytest.mark.parametrize("wanted, clip_len", [(15.0, 16), (5.0, 4), (8.0, 6)])
def test_clips_by_time_last_equally_long_at_a_variable_rate(
    tmp_path, name, codec, options, wanted, clip_len
):
    path = film(tmp_path / name, codec, options, range(len(UNEVEN)), stamps=UNEVEN)
    index = index_clips(path, clip_len=clip_len, frame_rate=wanted)
    seconds = np.array(UNEVEN) * float(TICK)
    assert index.info.frame_rate == pytest.approx(12_000 / 1400, rel=0.02)
    lengths = [clip.end_s - clip.start_s for clip in index.clips]
    np.testing.assert_allclose(lengths, clip_len / wanted, atol=1e-9)
    assert len(index) == expected_clips(index) == int((seconds[-1] + 0.1) / (clip_len / wanted))
    found = held(index)
    assert list(found) == list(range(len(index)))
    for clip, numbers in found.items():
        start, end = index.clips[clip][1:]
        # what is on the screen at equally distant moments of the clip
        moments = start + (np.arange(index.clip_len) + 0.5) * (end - start) / index.clip_len
        on_screen = np.searchsorted(seconds, moments + 1e-3, side="right") - 1
        near = np.abs(seconds[:, None] - moments).min(0) < 2e-3  # stamps are rounded
        assert [n for n, skip in zip(numbers, near, strict=True) if not skip] == [
            n for n, skip in zip(on_screen.tolist(), near, strict=True) if not skip
        ]
    arrays = read_video(
        index, FeatureSpec(clip_len=clip_len, frame_rate=wanted), ("motion", "iframes")
    ).arrays
    assert arrays["predicted"].shape == (len(index), index.clip_len)


@pytest.mark.parametrize("kind", ["mkv", "webm"])
def test_a_declared_rate_that_is_wrong_does_not_count(tmp_path, kind):
    """60 a second in the header, 12 by the stamps."""
    codec, options = ("libvpx", VP8) if kind == "webm" else ("libx264", PLAIN)
    path = film(tmp_path / f"x.{kind}", codec, options, range(96), rate=60)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 60
    index = index_clips(path, clip_len=16, frame_rate=6.0)
    assert index.info.frame_rate == pytest.approx(12, rel=0.01)
    assert index.clip_len == 32 and [round(c.end_s - c.start_s, 2) for c in index.clips] == [2.67] * 3


def test_ordinary_clips_of_a_video_are_all_there_once(tmp_path):
    """The control: nothing is noted and nothing is left out."""
    path = film(tmp_path / "x.mp4", "libx264", B_FRAMES, range(48), sound=tones(4))
    index = index_clips(path, clip_len=CLIP)
    assert index.note == index.missing == "" and index.joins == () and index.seekable
    assert [numbers_of(c) for c in iter_clips(index, size=SIZE)] == [
        list(range(8 * clip, 8 * clip + 8)) for clip in range(6)
    ]
    heard = tones_heard(index)
    assert [heard[clip] for clip in (0, 2, 3, 5)] == [0, 1, 2, 3]  # the others lie where it changes
