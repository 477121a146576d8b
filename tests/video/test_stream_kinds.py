"""Every kind of stream that users bring goes through the reader: codecs, containers, ways to encode.

Each is made here, and what the reader says of it is held against a full decode by PyAV alone, against
the pan that was put in, and against itself: a part of the stream against the whole.
"""

import dataclasses
import gc
from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.models.samplers import MODALITIES
from scslib.samplers import features
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.clips import expected_clips, index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.container import VideoError
from scslib.video.display import Display
from scslib.video.frames import decode_clips, iter_clips, numbered_clips
from scslib.video.probe import probe
from scslib.video.vectors import EXPORTED
from tests.support.streams import FRAMES, PAN, encode, every_frame, panning, texture, write

HEIGHT, WIDTH, CLIP = 64, 96, 4
X265 = "keyint=12:min-keyint=12:log-level=none:pools=none:frame-threads=1"
VP9 = {"g": "12", "cpu-used": "8", "deadline": "realtime"}
AV1 = {"g": "12", "preset": "11", "svtav1-params": "lp=1"}
TURNED = (PAN, (-2, -3), (-3, 2), (2, 3))  # the pan as it is shown after so many quarters to the left
JUMPS = np.cumsum([1, 1, 3, 1, 7] * 8).tolist()  # stamps of frames that last unequally long

# file: (encoder, its options, what else `write` is told)
KINDS = {
    "h264_b.mp4": ("libx264", {"x264-params": "keyint=12:bframes=3:b-adapt=0:b-pyramid=normal"}, {}),
    "h264_b.avi": ("libx264", {"bf": "2", "g": "12"}, {}),
    "h264_b.flv": ("libx264", {"bf": "2", "g": "12"}, {}),
    "h264_refs.mp4": ("libx264", {"x264-params": "keyint=12:ref=4:bframes=0"}, {}),
    "h264_refs_b.mkv": ("libx264", {"x264-params": "keyint=20:ref=4:bframes=2:b-adapt=0"}, {}),
    "h264_open.mp4": ("libx264", {"x264-params": "keyint=12:bframes=3:b-adapt=0:open-gop=1"}, {}),
    "h264_open.ts": ("libx264", {"x264-params": "keyint=12:bframes=3:b-adapt=0:open-gop=1"}, {}),
    "h264_long.mp4": ("libx264", {"x264-params": "keyint=infinite:scenecut=0:bframes=2"}, {}),
    "h264_refresh.ts": ("libx264", {"x264-params": "keyint=12:intra-refresh=1:bframes=0"}, {}),
    "h264_interlaced.mp4": ("libx264", {"x264-params": "keyint=12:tff=1:bframes=0:ref=1"}, {}),
    "h264_interlaced_b.ts": ("libx264", {"x264-params": "keyint=12:tff=1:bframes=2"}, {}),
    "h264_10bit.mp4": ("libx264", {"bf": "0", "g": "12"}, {"pixels": "yuv420p10le"}),
    "h264_444.mp4": ("libx264", {"bf": "0", "g": "12"}, {"pixels": "yuv444p"}),
    "h264_422.mkv": ("libx264", {"bf": "2", "g": "12"}, {"pixels": "yuv422p"}),
    "h264_grey.mp4": ("libx264", {"g": "12"}, {"pixels": "gray"}),
    "h264_jumps.mp4": ("libx264", {"bf": "2", "g": "12"}, {"stamps": JUMPS}),
    "h264_jumps.mkv": ("libx264", {"bf": "2", "g": "12"}, {"stamps": JUMPS}),
    "h264_late.mp4": ("libx264", {"bf": "2", "g": "12"}, {"first": 60}),
    "h264_late.mkv": ("libx264", {"bf": "2", "g": "12"}, {"first": 60}),
    "h264_late.ts": ("libx264", {"bf": "2", "g": "12"}, {"first": 60}),
    "h264_live.mkv": ("libx264", {"bf": "2", "g": "12"}, {"muxer": {"live": "1"}}),
    "h264_parts.mp4": (
        "libx264",
        {"bf": "2", "g": "12"},
        {"muxer": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}},
    ),
    "mpeg4.mp4": ("mpeg4", {"g": "12"}, {}),
    "mpeg4.avi": ("mpeg4", {"g": "12"}, {}),
    "mpeg4_b.mp4": ("mpeg4", {"g": "12", "bf": "2"}, {}),
    "mpeg4_b.avi": ("mpeg4", {"g": "12", "bf": "2"}, {}),
    "mpeg4_quarter.mkv": ("mpeg4", {"g": "12", "flags": "+qpel+mv4"}, {}),
    "mpeg4_odd.mp4": ("mpeg4", {"g": "12"}, {"width": 97, "height": 67}),
    "mpeg2.ts": ("mpeg2video", {"g": "12"}, {}),
    "mpeg2_b.mpg": ("mpeg2video", {"g": "12", "bf": "2"}, {}),
    "mpeg2_interlaced.ts": ("mpeg2video", {"g": "12", "flags": "+ildct+ilme"}, {}),
    "sorenson.flv": ("flv", {"g": "12"}, {}),
    "hevc.mp4": ("libx265", {"x265-params": X265 + ":bframes=0"}, {}),
    "hevc_open_b.mkv": ("libx265", {"x265-params": X265 + ":bframes=3:open-gop=1"}, {}),
    "hevc_10bit.mp4": ("libx265", {"x265-params": X265 + ":bframes=3"}, {"pixels": "yuv420p10le"}),
    "vp8.webm": ("libvpx", {"g": "12", "lag-in-frames": "16", "auto-alt-ref": "1"}, {}),
    "vp9.webm": ("libvpx-vp9", VP9, {}),
    "vp9_odd.webm": ("libvpx-vp9", VP9, {"width": 97, "height": 67}),
    "vp9_hidden.webm": ("libvpx-vp9", {"g": "12", "lag-in-frames": "16", "auto-alt-ref": "1"}, {}),
    "av1.mp4": ("libsvtav1", AV1, {}),
    "av1.mkv": ("libsvtav1", AV1, {}),
    "lossless.mkv": ("ffv1", {"g": "12"}, {}),
    "intra.avi": ("mjpeg", {}, {"pixels": "yuvj420p"}),
    "intra.mov": ("prores", {}, {"pixels": "yuv422p10le"}),
    "turned_90.mp4": ("libx264", {"bf": "2", "g": "12"}, {"turned": 90}),
    "turned_180.mkv": ("libx264", {"bf": "2", "g": "12"}, {"turned": 180}),
    "turned_270.mov": ("mpeg4", {"g": "12"}, {"turned": 270}),
    "turned_10bit.mp4": (
        "libx265",
        {"x265-params": X265 + ":bframes=3"},
        {"turned": 90, "pixels": "yuv420p10le"},
    ),
}


def copy(source, path, change, muxer=None):
    """The same packets in another file; `change(number, packet)` says whether to keep one."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=muxer or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.dts is not None):
            if change(number, packet):
                packet.stream = stream
                new.mux(packet)
    return path


def same_declared(index, info) -> bool:
    """Whether an index carries what `probe` finds; only it has measured how long and how fast it is."""
    measured = {"duration_s": index.info.duration_s, "frame_rate": index.info.frame_rate}
    return index.info == dataclasses.replace(info, **measured)


def upright(frame) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


def same(clip, other) -> None:
    for field in dataclasses.fields(clip):
        name = field.name
        np.testing.assert_array_equal(getattr(clip, name), getattr(other, name), err_msg=name)


def same_clips(index, full: np.ndarray, seeks=([8], [3, 5], [0], [2, 9])) -> list:
    """Hold every way of reading against `full`, the decoded pictures; gives the compressed clips."""
    count = len(full) // CLIP
    assert len(index) == count and len(index.pts) == len(full)
    pixels = list(iter_clips(index, size=full.shape[1:3]))
    np.testing.assert_array_equal(np.concatenate(pixels), full[: count * CLIP])
    few = [count - 1, 1, 2]
    some = decode_clips(index, few, size=full.shape[1:3])
    np.testing.assert_array_equal(some, np.stack([pixels[clip] for clip in few]))
    for accumulate in (True, False):
        clips = list(iter_compressed(index, accumulate=accumulate))
        assert [clip.index for clip in clips] == list(range(count))
        for wanted in seeks:
            wanted = [clip for clip in wanted if clip < count]
            some = list(iter_compressed(index, wanted, accumulate=accumulate))
            assert [clip.index for clip in some] == wanted
            for clip in some:
                same(clip, clips[clip.index])
    for clip, still, plain in zip(
        clips,
        iter_compressed(index, motion=False),
        iter_compressed(index, residuals=False),
        strict=True,
    ):
        np.testing.assert_array_equal(still.iframes, clip.iframes)
        np.testing.assert_array_equal(plain.iframes, clip.iframes)
        np.testing.assert_array_equal(plain.motion, clip.motion)
        assert not still.motion.any() and not still.predicted.any() and not plain.residual.any()
        run = index.frames(clip.index)
        inside = [p for p in run if index.key[p] and not clip.predicted[p - run[0]]]
        shown = [p for p in inside if len(clip.iframes) == len(inside)]
        for position, picture in zip(shown, clip.iframes, strict=False):
            if picture.shape == full.shape[1:]:
                np.testing.assert_array_equal(picture, full[position])
    return clips


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_reading_gives_the_same(kind, tmp_path, monkeypatch):
    codec, options, more = KINDS[kind]
    more = dict(more)
    width, height = more.pop("width", WIDTH), more.pop("height", HEIGHT)
    path = write(tmp_path / kind, panning(width, height), codec, options, **more)
    info, index = probe(path), index_clips(path, clip_len=CLIP)
    turns = more.get("turned", 0) // 90
    assert info.display == Display(turns) and (info.coded_width, info.coded_height) == (width, height)
    assert (info.width, info.height) == ((height, width) if turns % 2 else (width, height))
    assert expected_clips(index) == len(index) and same_declared(index, info)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    assert len(full) == FRAMES and full.shape[1:3] == (info.height, info.width)
    clips = same_clips(index, full)

    top, left = (2, 1) if turns % 2 else (1, 2)  # what lies at the border may come from outside
    moving = [clip.motion[clip.predicted][:, top:-top, left:-left] for clip in clips]
    if "intra" in kind:
        assert not any(map(len, moving)) and all(len(clip.iframes) == CLIP for clip in clips)
    else:
        right = np.abs(np.concatenate(moving) - TURNED[turns]).max(-1) <= 0.5
        least = 0.75 if "ref" in kind else 0.8
        if info.codec not in EXPORTED:
            least = 0.95  # the search is not out to save bits
        assert len(right) >= 7 and right.mean() > least

    monkeypatch.setattr(features, "AT_ONCE", (1, 3))
    spec = FeatureSpec(clip_len=CLIP)
    alone, beside = (read_video(index, spec, MODALITIES, threads=n).arrays for n in (1, 2))
    assert alone.keys() == beside.keys() and len(alone["times"]) == len(index)
    for name, values in alone.items():
        np.testing.assert_array_equal(beside[name], values, err_msg=name)


@pytest.mark.parametrize("turned, pan", [(90 * n, TURNED[n]) for n in (1, 2, 3)])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_features_turn_with_the_picture(tmp_path, turned, pan, kind):
    """PAN is (3, -2), right and up. A quarter to the left, right becomes up and up becomes left."""
    path = write(
        tmp_path / f"turned.{kind}",
        panning(WIDTH, HEIGHT),
        "mpeg4",
        {"g": "12", "qmin": "2", "qmax": "2"},
        turned=turned,
    )
    size = (HEIGHT, WIDTH) if turned == 180 else (WIDTH, HEIGHT)
    index, stored = index_clips(path, clip_len=CLIP), panning(WIDTH, HEIGHT)
    shown = [np.rot90(picture, turned // 90).astype(float) for picture in stored]
    pixels = decode_clips(index, [2], size=size)[0]
    assert all(np.abs(pixels[t] - shown[8 + t]).mean() < 6 for t in range(CLIP))
    arrays = read_video(index, FeatureSpec(clip_len=CLIP), MODALITIES).arrays
    for picture, number in zip(arrays["iframes"][[0, 3, 6]], (0, 12, 24), strict=True):
        assert np.abs(picture - shown[number]).mean() < 6
    moving = arrays["motion"][arrays["predicted"]]
    assert moving.shape[1:] == (size[0] // 16, size[1] // 16, 2)
    right = np.abs(moving[:, 2:-2, 1:-1] if turned != 180 else moving[:, 1:-1, 2:-2]) - np.abs(pan)
    assert (np.abs(right).max(-1) <= 0.5).mean() > 0.9
    middle = moving[:, size[0] // 32, size[1] // 32]
    np.testing.assert_allclose(np.median(middle, axis=0), pan, atol=0.5)


def test_residual_turns_with_the_picture(tmp_path):
    """One corner lights up: its residual lies where the corner is shown."""
    pictures = [np.full((HEIGHT, WIDTH, 3), 60, np.uint8) for _ in range(8)]
    for number, picture in enumerate(pictures):
        picture[:16, :16] += np.uint8(20 * number)  # above, on the left
    for turned, corner in ((90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))):
        path = write(tmp_path / f"{turned}.mp4", pictures, "mpeg4", {"g": "12"}, turned=turned)
        index = index_clips(path, clip_len=8)
        residual = read_video(index, FeatureSpec(clip_len=8), MODALITIES).arrays["residual"][0, 3]
        strong = np.abs(residual).max(-1)
        assert strong[corner] > 10
        strong[corner] = 0
        assert strong.max() < 5


def test_pixels_that_are_not_square(tmp_path):
    """Stored 96 x 64 with pixels of 4 : 3, shown 128 x 64; motion is in shown pixels."""
    path = write(
        tmp_path / "wide.mp4", panning(WIDTH, HEIGHT), "mpeg4", {"g": "12"}, aspect=Fraction(4, 3)
    )
    info = probe(path)
    assert (info.width, info.height, info.coded_width) == (128, 64, 96)
    arrays = read_video(index_clips(path), FeatureSpec(), MODALITIES).arrays
    assert arrays["iframes"].shape[1:] == (64, 128, 3) and arrays["motion"].shape[2:4] == (4, 8)
    moving = arrays["motion"][arrays["predicted"]][:, 1:-1, 3:-3]
    np.testing.assert_allclose(np.median(moving, axis=(0, 1, 2)), (4, -2), atol=0.1)


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_search_begins_anew_at_keyframes(tmp_path, codec):
    """Pictures without rule: what is found depends on what was found before, and must not on seeks."""
    rng = np.random.default_rng(0)
    whole = texture(200)
    starts = rng.integers(0, 200 - WIDTH, (FRAMES, 2))
    noise = rng.integers(-20, 21, (FRAMES, HEIGHT, WIDTH, 3))
    pictures = [
        np.clip(whole[y : y + HEIGHT, x : x + WIDTH] + n, 0, 255).astype(np.uint8)
        for (y, x), n in zip(starts, noise, strict=True)
    ]
    options = VP9 if codec != "libx264" else {"x264-params": "keyint=12:min-keyint=5:bframes=2"}
    path = write(tmp_path / "wild.mkv", pictures, codec, options)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    clips = same_clips(index_clips(path, clip_len=CLIP), full, [[clip] for clip in range(10)])
    assert any(clip.motion.any() for clip in clips)


def test_iframes_are_keyframes_only(tmp_path):
    """x264 sets I-frames that are no keyframes where the scene changes; nobody can start there."""
    scenes = [panning(WIDTH, HEIGHT, 10)] + [
        [np.roll(p[::-1, ::step], 7 * step, 1) for p in panning(WIDTH, HEIGHT, 10)] for step in (-1, 1)
    ]
    pictures = [np.ascontiguousarray(p) for scene in scenes for p in scene]
    options = {"x264-params": "keyint=100:min-keyint=25:scenecut=60:bframes=0"}
    path = write(tmp_path / "scenes.mp4", pictures, "libx264", options)
    frames = every_frame(path)
    intra = [n for n, f in enumerate(frames) if f.pict_type == av.video.frame.PictureType.I]
    index = index_clips(path, clip_len=CLIP)
    assert intra == [0, 10, 20] and list(np.flatnonzero(index.key)) == [0]
    clips = same_clips(index, np.stack([upright(frame) for frame in frames]))
    assert not clips[2].predicted[2] and not clips[5].predicted[0]  # no P-frames either


@pytest.mark.parametrize("clip_len, pictures", [(4, 1), (6, 1), (6, 2)])
def test_chosen_frames_do_not_depend_on_where_reading_began(tmp_path, clip_len, pictures):
    path = write(tmp_path / "b.mp4", panning(WIDTH, HEIGHT), *KINDS["h264_b.mp4"][:2])
    index = index_clips(path, clip_len=clip_len)
    clips = list(iter_compressed(index, pictures=pictures))
    for clip in clips:
        (alone,) = iter_compressed(index, [clip.index], pictures=pictures)
        same(alone, clip)
    assert clip_len == 4 or 4 <= sum(clip.predicted.sum() for clip in clips) < 10


def trimmed(folder, codec):
    """Cut without encoding anew: the file begins amid a GOP, and its header hides the beginning."""
    options = {"g": "12", "bf": "2"}
    return write(folder / "trimmed.mp4", panning(WIDTH, HEIGHT), codec, options, first=-7)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_trimmed_files(tmp_path, codec):
    """What a telephone makes of a trimmed video: its first picture shown is no keyframe."""
    path = trimmed(tmp_path, codec)
    index = index_clips(path, clip_len=CLIP)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    assert len(full) == FRAMES - 7 and not index.key[0] and index.key.any()
    assert index.clips[0].start_s == 0
    same_clips(index, full, ([3], [0], [1, 6]))


@pytest.mark.parametrize(
    "kind, ending",
    [
        ("h264_open.ts", "ts"),
        ("h264_open.ts", "mkv"),
        ("mpeg2.ts", "ts"),
        ("mpeg4_b.mp4", "mkv"),
        ("vp9.webm", "mkv"),
    ],
)
def test_recordings_that_begin_amid_a_gop(tmp_path, kind, ending):
    """The first keyframe is gone: what refers to it is no part of the video."""
    whole = write(tmp_path / kind, panning(WIDTH, HEIGHT), *KINDS[kind][:2])
    path = copy(whole, tmp_path / f"cut.{ending}", lambda number, packet: number >= 5)
    index, full = index_clips(path, clip_len=CLIP), [upright(frame) for frame in every_frame(whole)]
    head = FRAMES - len(index.pts)
    assert head in range(9, 13) and index.key.any()
    pixels = list(iter_clips(index, size=(HEIGHT, WIDTH)))
    clips = list(iter_compressed(index))
    assert len(pixels) == len(clips) == len(index) == (FRAMES - head) // CLIP
    for clip in range(1, len(index)):  # the first may hold B-frames that are lost
        start = head + clip * CLIP
        np.testing.assert_array_equal(pixels[clip], np.stack(full[start : start + CLIP]))
    np.testing.assert_array_equal(decode_clips(index, [4], size=(HEIGHT, WIDTH))[0], pixels[4])
    for clip, still in zip(clips, iter_compressed(index, motion=False), strict=True):
        np.testing.assert_array_equal(still.iframes, clip.iframes)


@pytest.mark.parametrize("kind", ["h264_b.mp4", "mpeg4_b.mp4", "hevc.mp4"])
def test_keyframes_that_the_container_does_not_name(tmp_path, kind):
    whole = write(tmp_path / kind, panning(WIDTH, HEIGHT), *KINDS[kind][:2])

    def only_the_first(number, packet):
        packet.is_keyframe = number == 0
        return True

    path = copy(whole, tmp_path / "unnamed.mkv", only_the_first)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    same_clips(index_clips(path, clip_len=CLIP), full)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_what_the_container_calls_damaged_costs_its_clip_for_every_reader(tmp_path, codec):
    """A transport stream counts its packets: where one is missing, a picture is only patched up."""
    path = tmp_path / "lost.ts"
    encode(path, panning(WIDTH, HEIGHT), codec, {"g": "8", "bf": "2"})
    data = path.read_bytes()
    parts = [data[i : i + 188] for i in range(0, len(data), 188)]
    path.write_bytes(b"".join(p for n, p in enumerate(parts) if n != len(parts) // 2))
    with av.open(str(path)) as container:
        damaged = [packet.pts for packet in container.demux(video=0) if packet.is_corrupt]
    assert damaged
    index = index_clips(path, clip_len=CLIP)
    seen = [clip for clip, _ in numbered_clips(index, size=(HEIGHT, WIDTH))]
    lost = [c for c in range(len(index)) if set(index.pts[index.frames(c)].tolist()) & set(damaged)]
    assert lost and set(seen) == set(range(len(index))) - set(lost)
    assert [clip.index for clip in iter_compressed(index)] == seen


@pytest.mark.parametrize("kind, size", [("webm", (10, 10)), ("webm", (64, 10)), ("webm", (16, 16))])
def test_pictures_smaller_than_a_block_of_the_search(tmp_path, kind, size):
    path = write(tmp_path / f"tiny.{kind}", panning(*size, 6), "libvpx-vp9", VP9)
    index = index_clips(path, clip_len=6)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    np.testing.assert_array_equal(next(iter_clips(index, size=size[::-1])), full)
    for accumulate in (False, True):
        (clip,) = iter_compressed(index, accumulate=accumulate)
        assert clip.motion.shape == (6, 1, max(1, size[0] // 16), 2) and clip.predicted.sum() == 5


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_video_of_one_or_two_pictures(tmp_path, kind, frames):
    codec = "mpeg2video" if kind == "ts" else "mpeg4"
    path = write(tmp_path / f"short.{kind}", panning(WIDTH, HEIGHT, frames), codec, {})
    index = index_clips(path, clip_len=8)
    full = np.stack([upright(frame) for frame in every_frame(path)])
    filled = np.concatenate([full, np.repeat(full[-1:], 8 - frames, axis=0)])
    np.testing.assert_array_equal(next(iter_clips(index, size=(HEIGHT, WIDTH))), filled)
    arrays = read_video(index, FeatureSpec(clip_len=8), MODALITIES).arrays
    assert len(arrays["times"]) == 1 and arrays["predicted"].sum() == frames - 1


def test_a_change_of_size_ends_a_stream_with_estimated_vectors(tmp_path):
    for number, (width, height) in enumerate(((WIDTH, HEIGHT), (64, 48))):
        options = {"x265-params": X265}
        write(tmp_path / f"{number}.ts", panning(width, height, 12), "libx265", options)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"{n}.ts").read_bytes() for n in (0, 1)))
    shapes = {clip.motion.shape for clip in iter_compressed(index_clips(joined, clip_len=4))}
    assert shapes == {(4, 4, 6, 2)}


@pytest.mark.parametrize("name, format_name", [("a.asf", "asf"), ("a.h264", "h264"), ("a.gif", "gif")])
def test_containers_that_are_not_read_are_refused_in_one_line(tmp_path, name, format_name):
    codec, pixels = {"asf": ("msmpeg4", "yuv420p"), "gif": ("gif", "rgb8")}.get(
        format_name, ("libx264", "yuv420p")
    )
    path = write(tmp_path / name, panning(WIDTH, HEIGHT, 8), codec, {}, pixels=pixels)
    assert len(every_frame(path)) == 8  # PyAV alone would read it
    for read in (probe, index_clips):
        with pytest.raises(VideoError) as error:
            read(path)
        assert name in str(error.value) and "\n" not in str(error.value)


def alive() -> int:
    """Decoded frames that somebody holds; pictures in RGB are what the reader gives away."""
    frames = [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    formats = [frame.format.name for frame in frames if frame.format]  # else it waits for a picture
    return len(formats) - formats.count("rgb24")


@pytest.mark.parametrize("kind", ["h264_b.mp4", "mpeg4.mp4", "hevc_open_b.mkv", "intra.avi"])
def test_no_frame_outlives_its_turn(tmp_path, kind):
    """Without the garbage collector: a frame in a reference cycle would stay, with its picture."""
    codec, options, more = KINDS[kind]
    path = write(tmp_path / kind, panning(WIDTH, HEIGHT), codec, options, **more)
    index = index_clips(path, clip_len=FRAMES // 2)
    gc.collect()
    gc.disable()
    try:
        for _ in iter_compressed(index):
            assert alive() <= 8
        for _ in iter_compressed(index, accumulate=True):
            assert alive() <= 8
        for _ in iter_clips(index, size=(HEIGHT, WIDTH)):
            assert alive() <= 8
    finally:
        gc.enable()


def test_frames_are_seen_by_the_count(tmp_path):
    """The control: `frame.side_data` does make such a cycle."""
    path = encode(tmp_path / "pan.mp4", panning(WIDTH, HEIGHT), "mpeg4", {"g": "12"})
    gc.collect()
    gc.disable()
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                frame.side_data.get("MOTION_VECTORS")
        del frame
        assert alive() >= FRAMES
    finally:
        gc.enable()
        gc.collect()
