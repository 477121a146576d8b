"""What files say of themselves, and files that lie: one-line `VideoError`, nothing else."""

import dataclasses

import av
import numpy as np
import pytest

from scslib.video.audio import iter_logmel
from scslib.video.clips import index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.container import VideoError, open_video
from scslib.video.frames import decode_clips, iter_clips
from scslib.video.probe import probe
from scslib.video.write import Encoding, write_video
from tests.support.streams import FRAMES, RATE, encode, every_frame, panning, tone


def test_probe_says_what_was_encoded(pan):
    info, e = probe(pan.path), pan.encoding
    assert (info.width, info.height, info.codec) == (e.width, e.height, e.codec)
    assert info.frame_rate == e.frame_rate and info.audio_codec == "aac" and info.has_audio
    assert info.duration_s == pytest.approx(FRAMES / RATE, abs=0.01)
    assert info.size_bytes == len(pan.path.read_bytes()) and info.path == pan.path


def hls(target) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n"


def bad_file(kind: str, folder, movie):
    path = folder / "clip.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is not a video\n" * 100)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(50_000))
    elif kind == "ffconcat":
        path.write_text(f"ffconcat version 1.0\nfile '{movie.path}'\n")
    elif kind == "hls":
        path.write_text(hls(movie.path))
    elif kind == "hls relative":
        (folder / "real.mp4").write_bytes(movie.path.read_bytes())
        path.write_text(hls("real.mp4"))
    elif kind == "directory":
        path.mkdir()
    elif kind == "url":
        return f"file://{movie.path}"
    elif kind == "protocol":
        return f"concat:{movie.path}"
    elif kind == "moov cut off":
        path.write_bytes(movie.path.read_bytes()[:2000])
    elif kind == "sound only":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=16_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


KINDS = (
    "missing,empty,text,noise,ffconcat,hls,hls relative,directory,url,protocol,moov cut off,sound only"
)


@pytest.mark.parametrize("kind", KINDS.split(","))
@pytest.mark.parametrize("read", [probe, index_clips])
def test_unusable_files_give_one_line(kind, read, tmp_path, movie):
    path = bad_file(kind, tmp_path, movie)
    with pytest.raises(VideoError) as error:
        read(path)
    message = str(error.value)
    assert kind != "url" or "only local files" in message
    assert "\n" not in message and str(path).split("/")[-1] in message and len(message) < 500


def test_ffconcat_and_hls_would_be_followed_without_the_whitelist(tmp_path, movie):
    """The control: av alone opens the other file, so the two tests above do test something."""
    path = bad_file("ffconcat", tmp_path, movie)
    with av.open(str(path), options={"safe": "0"}) as container:
        assert container.format.name == "concat" and len(list(container.decode(video=0))) == FRAMES


def test_errors_inside_the_block_become_video_errors(movie):
    with pytest.raises(VideoError), open_video(movie.path) as container:
        container.seek(-(2**62), stream=container.streams.video[0], backward=False)
        raise av.error.InvalidDataError(1, "broken")


def unknown(path, name: bytes, other: bytes):
    """A Matroska file with one track in a format that no decoder knows."""
    write_video(path, panning(64, 48), tone(), Encoding(64, 48, RATE))
    content = path.read_bytes()
    assert content.count(name) == 1 and len(name) == len(other)
    path.write_bytes(content.replace(name, other))
    return path


@pytest.mark.parametrize("read", [probe, index_clips])
def test_unknown_video_format_is_refused(tmp_path, read):
    path = unknown(tmp_path / "unknown.mkv", b"V_MPEG4/ISO/AVC", b"V_XXXX4/ISO/AVC")
    with pytest.raises(VideoError, match="unknown.mkv: the video stream is in no format known"):
        read(path)


def test_unknown_sound_format_is_no_sound(tmp_path):
    path = unknown(tmp_path / "unknown.mkv", b"A_AAC", b"A_XYZ")
    assert not probe(path).has_audio
    pictures = np.stack(list(iter_logmel(path, index_clips(path).clips)))
    np.testing.assert_allclose(pictures, np.log(1e-6), atol=1e-3)


def test_metadata_in_another_encoding_is_no_obstacle(tmp_path):
    path = encode(tmp_path / "latin.avi", panning(64, 48, 8), "mpeg4", {})
    content = path.read_bytes()
    assert content.count(b"Lavf") == 1
    path.write_bytes(content.replace(b"Lavf", b"L\xe9\xff\xfe"))
    assert probe(path).width == 64 and len(index_clips(path, clip_len=4)) == 2


def truncated(kind: str, folder):
    whole = folder / f"whole.{kind}"
    options = {"movflags": "+faststart"} if kind == "mp4" else {}
    encode(folder / "raw.mkv", panning(96, 64), "libx264", {"g": "12", "bf": "0"})
    with av.open(str(folder / "raw.mkv")) as source, av.open(str(whole), "w", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None or packet.pts is not None:
                packet.stream = stream
                out.mux(packet)
    part = folder / f"part.{kind}"
    content = whole.read_bytes()
    part.write_bytes(content[: len(content) * 6 // 10])
    return whole, part


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_truncated_files_give_fewer_clips(kind, tmp_path):
    whole, part = truncated(kind, tmp_path)
    declared, index = index_clips(whole, clip_len=4), index_clips(part, clip_len=4)
    full = [f.to_ndarray(format="rgb24") for f in every_frame(whole)]
    pixels = list(iter_clips(index, size=(64, 96)))
    assert 2 <= len(pixels) < len(declared) == 10
    for number, clip in enumerate(pixels[:-1]):  # the last one may be cut inside
        np.testing.assert_array_equal(clip, np.stack(full[4 * number : 4 * number + 4]))
    compressed = list(iter_compressed(index))
    assert [c.index for c in compressed] == list(range(len(pixels)))
    assert len(list(iter_logmel(part, index.clips))) == len(index)


def test_a_clip_that_cannot_be_decoded_is_an_error_not_a_black_picture(tmp_path):
    whole, part = truncated("mp4", tmp_path)
    index = dataclasses.replace(index_clips(whole, clip_len=4), path=part)
    with pytest.raises(VideoError, match="breaks off before clip 9"):
        decode_clips(index, [0, 9], size=(64, 96))


def test_flipped_bytes_never_end_in_a_traceback_of_another_type(tmp_path, movie):
    content = bytearray(movie.path.read_bytes())
    for seed in range(12):
        rng, broken = np.random.default_rng(seed), bytearray(content)
        for at in rng.integers(0, len(content), 40):
            broken[at] = int(rng.integers(256))
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(broken)
        try:
            probe(path)
            index = index_clips(path, clip_len=4)
            pictures, stream = iter_clips(index, size=(48, 64)), iter_compressed(index)
            assert len(list(pictures)) <= len(index) and len(list(stream)) <= len(index)
            assert len(list(iter_logmel(path, index.clips))) == len(index)
        except VideoError as error:
            assert "\n" not in str(error)
