"""Parts of a file as files of their own, against the pan that was put in and a decode by PyAV alone."""

from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.video.container import VideoError
from scslib.video.recode import Recoding, cut, recode
from tests.support.streams import (
    BEEP_S,
    FRAMES,
    GOP,
    RATE,
    beep,
    every_frame,
    heard,
    numbers,
    panning,
    tone,
    write,
)

WIDTH, HEIGHT = 96, 64
PICTURES = panning(WIDTH, HEIGHT)
GROUPS = "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes="
FINE = {"g": "12", "qmin": "2", "qmax": "2"}
PLAIN = ("libx264", {"x264-params": GROUPS + "0"})
B_FRAMES = ("libx264", {"x264-params": GROUPS + "2:b-adapt=0"})
X265 = {"x265-params": "keyint=12:min-keyint=12:bframes=0:log-level=none:pools=none:frame-threads=1"}
JUMPS = np.cumsum([1, 1, 3, 1, 7] * 8).tolist()  # stamps of frames that last unequally long
FRAME = 1 / RATE

# what can be copied from keyframes, and what must be encoded again wherever it is cut
COPIED = {
    "plain.mp4": (*PLAIN, {}),
    "plain.ts": (*PLAIN, {}),
    "plain.flv": (*PLAIN, {}),
    "late.mkv": (*PLAIN, {"first": 60}),
    "jumps.mp4": (*PLAIN, {"stamps": JUMPS}),
    "odd.mp4": ("mpeg4", FINE, {"width": 97, "height": 67}),
    "part2.avi": ("mpeg4", FINE, {}),
    "hevc.mp4": ("libx265", X265, {}),
    "vp9.webm": ("libvpx-vp9", {"g": "12", "cpu-used": "8", "deadline": "realtime"}, {}),
}
ENCODED = {
    "b.mp4": (*B_FRAMES, {}),
    "b.avi": (*B_FRAMES, {}),
    "b_late.ts": (*B_FRAMES, {"first": 60}),
    "b_jumps.mkv": (*B_FRAMES, {"stamps": JUMPS}),
    "mpeg2.ts": ("mpeg2video", FINE, {}),
    "turned.mp4": (*PLAIN, {"turned": 90}),
    "upside.mp4": (*PLAIN, {"turned": 180}),
    "wide.mp4": ("mpeg4", FINE, {"aspect": Fraction(4, 3)}),
}


def made(folder, kind, **more):
    codec, options, other = (COPIED | ENCODED)[kind]
    more = other | more
    pictures = panning(more.pop("width", WIDTH), more.pop("height", HEIGHT))
    return write(folder / kind, pictures, codec, options, **more)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """No B-frames, I-frames at 0, 12, 24 and 36, the tone of `streams`."""
    folder = tmp_path_factory.mktemp("plain")
    return made(folder, "plain.mp4", sounds=[(tone(), 0.0)])


@pytest.fixture(scope="module")
def b_frames(tmp_path_factory):
    return made(tmp_path_factory.mktemp("b"), "b.mp4", sounds=[(tone(), 0.0)])


def times(path) -> np.ndarray:
    return np.sort([frame.time for frame in every_frame(path)])  # those of an AVI go back


def around(path, first: int, end: int) -> tuple[float, float]:
    """The span of frames first..end-1, by the stamps that PyAV gives."""
    stamps = times(path)
    return float(stamps[first]), float(stamps[end]) if end < FRAMES else float(stamps[-1] + FRAME)


def lasts(path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def pixels(path) -> np.ndarray:
    return np.stack([frame.to_ndarray(format="rgb24") for frame in every_frame(path)])


def types(path) -> str:
    return "".join(av.video.frame.PictureType(f.pict_type).name for f in every_frame(path))


@pytest.mark.parametrize("kind", COPIED)
def test_from_a_keyframe_on_the_pictures_are_the_same_to_the_bit(tmp_path, kind):
    path, out = made(tmp_path, kind), tmp_path / "out.mp4"
    for first, end in ((12, 29), (24, 40), (0, 5)):
        assert cut(path, out, around(path, first, end)) is True
        np.testing.assert_array_equal(pixels(out), pixels(path)[first:end])
        stamps = times(path)[first:end]
        np.testing.assert_allclose(times(out), stamps - stamps[0], atol=2e-3)


@pytest.mark.parametrize("first, end", [(13, 29), (12, 24), (39, 40)])
@pytest.mark.parametrize("kind", [*ENCODED, "plain.mp4", "odd.mp4", "late.mkv", "plain.ts"])
def test_elsewhere_it_is_encoded_and_begins_with_the_right_picture(tmp_path, kind, first, end):
    if kind in COPIED and first == 12:
        return  # copied
    path, out = made(tmp_path, kind), tmp_path / "out.mp4"
    shown = panning(97, 67) if kind == "odd.mp4" else PICTURES
    quarters = {"turned.mp4": 1, "upside.mp4": 2}.get(kind, 0)
    shown = [np.rot90(picture, quarters) for picture in shown]
    assert cut(path, out, around(path, first, end)) is False
    assert numbers(out, shown) == list(range(first, end))
    stamps = times(path)[first:end]
    np.testing.assert_allclose(times(out), stamps - stamps[0], atol=2e-3)
    assert lasts(out) == pytest.approx(stamps[-1] - stamps[0] + FRAME, abs=1.1 * FRAME)
    assert types(out)[0] == "I" and "B" not in types(out)
    size = {"turned.mp4": (HEIGHT, WIDTH), "wide.mp4": (128, 64), "odd.mp4": (96, 68)}
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size.get(kind, (WIDTH, HEIGHT))
        assert (stream.sample_aspect_ratio or 1) == 1 and every_frame(out)[0].rotation == 0


@pytest.mark.parametrize("kind, copied", [("plain.mp4", True), ("b.mp4", False)])
@pytest.mark.parametrize(
    "sound, expected",
    [
        ((tone(), 0.0), BEEP_S[0]),
        ((tone()[: round(1.65 * 16_000)], 0.0), BEEP_S[0]),  # ends in the middle of the cut
        ((tone()[: round(1.7 * 16_000)], 0.75), BEEP_S[0] + 0.75),
        ((tone()[round(1.45 * 16_000) :], 1.6), 1.6 + BEEP_S[0] - 1.45),  # begins there
        ((tone(), -0.3), BEEP_S[0] - 0.3),
    ],
)
def test_the_tone_lies_where_it_did(tmp_path, kind, copied, sound, expected):
    path, out = made(tmp_path, kind, sounds=[sound]), tmp_path / "out.mp4"
    assert cut(path, out, (1.0, 2.75)) is copied
    np.testing.assert_allclose(beep(out), np.array([expected, expected + 0.1]) - 1, atol=5e-3)
    assert 1.75 <= len(heard(out)) / 48_000 < 1.75 + 1024 / 48_000  # silence where there is none


@pytest.mark.parametrize("start_s", [0.5, 1.0, 1.25])
def test_sound_is_cut_to_the_sample(tmp_path, start_s):
    """Noise is like itself at one shift only: the span's first sample is the cut's first."""
    noise = np.random.default_rng(0).normal(0, 0.2, len(tone())).astype(np.float32)
    path, out = made(tmp_path, "part2.avi", sounds=[(noise, 0.0)]), tmp_path / "out.mp4"
    cut(path, out, (start_s, start_s + 1))
    put = heard(path)[round(start_s * 48_000) - 50 :]
    got = heard(out)[:48_000]
    like = [np.dot(got[500:40_000], put[500 + shift : 40_000 + shift]) for shift in range(101)]
    assert np.argmax(like) == 50 and like[50] > 0.8 * np.dot(got[500:40_000], got[500:40_000])


def test_no_sound_stays_none(tmp_path):
    path, out = made(tmp_path, "plain.mp4"), tmp_path / "out.mp4"
    for span in (around(path, 12, 20), around(path, 13, 20)):
        cut(path, out, span)
        with av.open(str(out)) as container:
            assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("kind", ["plain.mp4", "b.mp4"])
@pytest.mark.parametrize("span, number", [((0.95, 2.0), 12), ((-1.0, 0.5), 0), ((0.05, 1.0), 1)])
def test_a_span_that_begins_between_pictures_keeps_sound_and_pictures_together(
    tmp_path, kind, span, number
):
    path, out = made(tmp_path, kind, sounds=[(tone(), -1.4)]), tmp_path / "out.mp4"
    cut(path, out, span)
    assert numbers(out, PICTURES)[0] == number
    assert times(out)[0] == pytest.approx(number / RATE - span[0], abs=2e-3)
    if span[0] < 0.1:
        assert beep(out)[1] == pytest.approx(BEEP_S[1] - 1.4 - span[0], abs=5e-3)


@pytest.mark.parametrize("first", [12, 13])
def test_ends_rounded_as_in_a_table_lose_no_picture(tmp_path, plain, first):
    for shift in (-4e-4, 4e-4):
        start, end = first / RATE + shift, 25 / RATE + shift
        cut(plain, tmp_path / "out.mp4", (start, end))
        assert numbers(tmp_path / "out.mp4", PICTURES) == list(range(first, 25))


@pytest.mark.parametrize("stream", ["plain", "b_frames"])
def test_spans_are_joined_in_the_order_given(tmp_path, request, stream):
    path, out = request.getfixturevalue(stream), tmp_path / "out.mp4"
    runs = [(24, 30), (13, 27), (14, 18), (18, 20)]
    recode(path, out, [around(path, *run) for run in runs], Recoding(gop=12))
    assert numbers(out, PICTURES) == [n for run in runs for n in range(*run)]
    np.testing.assert_allclose(times(out), np.arange(26) / RATE, atol=2e-3)
    keys = [n for n, frame in enumerate(every_frame(out)) if frame.key_frame]
    assert keys == [0, 6, 18, 20, 24]  # each span's first, and where a GOP of 12 is full
    began = 6 / RATE + BEEP_S[0] - 13 / RATE  # the tone: in the second span, and twice cut short
    sound = np.abs(heard(out)) > 0.25
    loud = np.flatnonzero(sound) / 48_000
    assert loud[0] == pytest.approx(began, abs=5e-3)
    assert loud[-1] == pytest.approx(24 / RATE + BEEP_S[1] - BEEP_S[0], abs=5e-3)
    assert not sound[round((began + 0.11) * 48_000) : round(23.9 / RATE * 48_000)].any()


@pytest.mark.parametrize("kind", ["b.mp4", "b_late.ts", "b_jumps.mkv"])
@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_a_whole_file_gets_the_gop_and_keeps_its_times_and_its_sound(tmp_path, kind, codec):
    late = 5.0 if kind == "b_late.ts" else 0.0
    path, out = made(tmp_path, kind, sounds=[(tone(), late)]), tmp_path / "out.mp4"
    quality = 23 if codec == "h264" else 2
    recode(path, out, setting=Recoding(short_side=48, gop=GOP, codec=codec, quality=quality))
    assert numbers(out, PICTURES) == list(range(FRAMES))
    assert types(out) == ("I" + 11 * "P") * 3 + "IPPP"
    first = times(path)[0]
    np.testing.assert_allclose(times(out), times(path) - first, atol=2e-3)
    shift = times(path)[0] - (JUMPS[0] / RATE if kind == "b_jumps.mkv" else late)
    np.testing.assert_allclose(beep(out), np.array(BEEP_S) + late + shift - first, atol=5e-3)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (72, 48, codec)


def test_fewer_pictures_than_one_a_second(tmp_path):
    path = write(tmp_path / "slow.mkv", PICTURES[:5], *PLAIN, stamps=range(0, 120, 24))
    recode(path, tmp_path / "out.mp4")
    assert numbers(tmp_path / "out.mp4", PICTURES) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(times(tmp_path / "out.mp4"), [0, 2, 4, 6, 8], atol=2e-3)


@pytest.mark.parametrize("span", [(50.0, 60.0), (1.01, 1.02), (2.0, 1.0), (-3.0, -2.0)])
def test_a_span_without_frames_is_refused_by_name(tmp_path, plain, span):
    for act in (cut, lambda path, out, span: recode(path, out, [(0.0, 1.0), span])):
        with pytest.raises(VideoError, match=r"plain\.mp4: no frame between") as error:
            act(plain, tmp_path / "out.mp4", span)
        assert f"{span[0]:.3f}" in str(error.value) and not list(tmp_path.iterdir())


def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path, plain):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"before")
    seen = []

    def spans():
        yield 0.0, 1.0
        seen.extend(file.name for file in tmp_path.iterdir())
        yield 50.0, 60.0

    with pytest.raises(VideoError):
        recode(plain, out, Lazy(spans))
    assert sorted(seen) == ["out.mp4", "out.part.mp4"]
    assert list(tmp_path.iterdir()) == [out] and out.read_bytes() == b"before"


class Lazy:
    """Spans that are made while they are read."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return self.make()


def test_a_broken_source_leaves_nothing(tmp_path, plain):
    source, out = tmp_path / "half.mkv", tmp_path / "out" / "out.mp4"
    out.parent.mkdir()
    source.write_bytes(b"no video")
    for act in (recode, lambda path, out: cut(path, out, (0.0, 1.0))):
        with pytest.raises(VideoError, match=r"half\.mkv"):
            act(source, out)
        assert not list(out.parent.iterdir())


@pytest.mark.parametrize("setting", [{"short_side": -1}, {"quality": -1}, {"gop": 0}, {"codec": "vp9"}])
def test_settings_are_checked(tmp_path, plain, setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"^{name} \({value}\) must be"):
        recode(plain, tmp_path / "out.mp4", setting=Recoding(**setting))
    assert not list(tmp_path.iterdir())
