"""Mutated video files: file NUMBER of SEED is always the same bytes.

    python tests/support/mutate.py SEED NUMBER OUT        makes one again; OUT gets the file's suffix

A few tiny good files, one for each container and codec, are cut, flipped, spliced and lied about by the
functions in `MUTATIONS`, each (bytes, rng) -> bytes; `FOREIGN` are files that were never a video.
"""

from __future__ import annotations

import io
import struct
import sys
import tempfile
import wave
import zipfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

Rng = np.random.Generator

WIDTH, HEIGHT, FRAMES, RATE = 96, 64, 24, 12
HEAD = 1500  # bytes at the beginning (and the end) that are mostly headers
EXTREMES = (0, 1, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
B_FRAMES = {"bf": "2", "g": "8", "preset": "ultrafast", "x264-params": "b-adapt=0:threads=1"}
GOOD = {  # name: pictures' codec, its options, sound's codec, the muxer's options
    "h264.mp4": ("libx264", B_FRAMES, "aac", {"movflags": "+faststart"}),
    "h264-index-last.mp4": ("libx264", B_FRAMES, "aac", {}),
    "h264-fragments.mp4": ("libx264", B_FRAMES, "", {"movflags": "+frag_keyframe+empty_moov"}),
    "mpeg4.mp4": ("mpeg4", {"bf": "0", "g": "12"}, "", {"movflags": "+faststart"}),
    "h264.mkv": ("libx264", B_FRAMES, "libmp3lame", {}),
    "mpeg4.mkv": ("mpeg4", {"bf": "2", "g": "12"}, "", {}),
    "h264.avi": ("libx264", B_FRAMES, "pcm_s16le", {}),
    "mpeg4.avi": ("mpeg4", {"bf": "0", "g": "12"}, "libmp3lame", {}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, "libopus", {}),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}, "", {}),
}
MP4_BOXES = (
    *b"ftyp moov mvhd trak tkhd mdia mdhd hdlr minf vmhd smhd dinf dref stbl stsd avc1 avcC".split(),
    *b"mp4v esds mp4a stts stss ctts stsc stsz stco edts elst udta mdat moof mfhd traf tfhd".split(),
    *b"tfdt trun mvex trex".split(),
)
RIFF_CHUNKS = tuple(b"RIFF LIST hdrl avih strl strh strf movi idx1 00dc 01wb INFO JUNK".split())
EBML = tuple(  # header, segment, seek head, info, tracks, cues, cluster, track, block, picture, sound
    bytes.fromhex(i)
    for i in "1A45DFA3 18538067 114D9B74 1549A966 1654AE6B 1C53BB6B 1F43B675 AE A3 E0 E1 63A2".split()
)
EBML_VALUES = (
    tuple(  # width, height, time scale, duration, default duration, rate, channels, time, lacing
        bytes.fromhex(i)
        for i in "B0 BA 2AD7B1 4489 23E383 B5 9F E7 9C 83 D7 54B0 54BA 53AB 53AC".split()
    )
)


@cache
def good() -> dict[str, bytes]:
    """The files that all mutated ones are made of, by name; the same bytes each time."""
    with tempfile.TemporaryDirectory(prefix="scs-mutate-") as folder:
        return {name: _encode(Path(folder) / name, *how) for name, how in GOOD.items()}


def _encode(path: Path, codec: str, options: dict, sound: str, muxer: dict) -> bytes:
    whole = np.random.default_rng(0).integers(90, 160, (HEIGHT // 8 + 8, WIDTH // 8 + 8, 3), np.uint8)
    whole = whole.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w", options=muxer | {"fflags": "+bitexact"}) as container:
        video = container.add_stream(codec, rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count, video.bit_rate = 1, 100_000
        rate = {"libopus": 48_000, "pcm_s16le": 8_000}.get(sound, 16_000)
        audio = container.add_stream(sound, rate=rate, layout="mono") if sound else None
        for number in range(FRAMES):
            picture = whole[2 * number : 2 * number + HEIGHT, number : number + WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            tone = np.sin(np.arange(FRAMES * rate // RATE) / 5).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None] / 2, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            resampler = av.AudioResampler(audio.format, audio.layout, rate, audio.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return path.read_bytes()


def _place(content: bytes, rng: Rng) -> int:
    return int(rng.integers(len(content) + 1))


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    start = _place(content, rng)
    return start, start + int(2 ** rng.uniform(0, 12))


def _found(content: bytes, names: tuple[bytes, ...], rng: Rng) -> int | None:
    """Where one of the names stands that occur at all: just behind it."""
    places = []
    for name in names:
        at = content.find(name)
        while at >= 0 and len(places) < 2000:
            places.append(at + len(name))
            at = content.find(name, at + 1)
    return int(rng.choice(places)) if places else None


def _put(content: bytes, at: int, new: bytes) -> bytes:
    at = max(0, at)
    return content[:at] + new + content[at + len(new) :]


def _extreme(rng: Rng) -> int:
    return int(rng.choice(EXTREMES)) if rng.random() < 0.8 else int(rng.integers(2**32))


def truncate(content: bytes, rng: Rng) -> bytes:
    """Cut off anywhere."""
    return content[: _place(content, rng)]


def cut_in_front(content: bytes, rng: Rng) -> bytes:
    """The beginning is not there."""
    return content[_place(content, rng) :]


def flip_bits(content: bytes, rng: Rng) -> bytes:
    """A few single bits."""
    out = bytearray(content)
    for at in rng.integers(len(out), size=int(2 ** rng.uniform(0, 8))):
        out[at] ^= 1 << int(rng.integers(8))
    return bytes(out)


def flip_in_headers(content: bytes, rng: Rng) -> bytes:
    """Other bytes at both ends of the file only, where the headers are."""
    out, reach = bytearray(content), min(HEAD, len(content))
    for at in rng.integers(reach, size=int(rng.integers(1, 12))):
        out[at if rng.random() < 0.7 else len(out) - 1 - at] = int(rng.integers(256))
    return bytes(out)


def zeros(content: bytes, rng: Rng) -> bytes:
    """A run of zeros, as of a broken download."""
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: Rng) -> bytes:
    """A run of random bytes."""
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def delete(content: bytes, rng: Rng) -> bytes:
    """A run is not there."""
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def double(content: bytes, rng: Rng) -> bytes:
    """A run comes several times."""
    start, end = _span(content, rng)
    return content[:start] + content[start:end] * int(rng.integers(2, 40)) + content[end:]


def insert(content: bytes, rng: Rng) -> bytes:
    """Random bytes between the others."""
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[start:]


def swap(content: bytes, rng: Rng) -> bytes:
    """Two halves in the wrong order."""
    at = _place(content, rng)
    return content[at:] + content[:at]


def splice(content: bytes, rng: Rng) -> bytes:
    """The head of one file on the body of another."""
    other = good()[str(rng.choice(list(GOOD)))]
    return content[: _place(content, rng)] + other[_place(other, rng) :]


def join(content: bytes, rng: Rng) -> bytes:
    """Two whole files, one after the other."""
    return content + good()[str(rng.choice(list(GOOD)))]


def lie_about_size(content: bytes, rng: Rng) -> bytes:
    """The size of a box, an element or a chunk is an extreme, or a little wrong."""
    if content[4:8] == b"ftyp":
        at = _found(content, MP4_BOXES, rng) - 8
        value = _extreme(rng) if rng.random() < 0.7 else int(rng.integers(64))
        return _put(content, at, struct.pack(">I", value))
    if content[:4] == b"RIFF":
        return _put(content, _found(content, RIFF_CHUNKS, rng), struct.pack("<I", _extreme(rng)))
    at = _found(content, EBML, rng)
    if at is None or at >= len(content):
        return flip_in_headers(content, rng)
    first = content[at] or 1
    length = 9 - first.bit_length()
    value = _extreme(rng) << (8 * max(0, length - 4) if rng.random() < 0.5 else 0)
    value &= (1 << 7 * length) - 1
    return _put(content, at, (value | 1 << 7 * length).to_bytes(length, "big"))


def lie_in_fields(content: bytes, rng: Rng) -> bytes:
    """Sizes of pictures, time scales, counts, durations, offsets: one to three are extremes."""
    for _ in range(int(rng.integers(1, 4))):
        if content[4:8] == b"ftyp":
            at, order = _found(content, MP4_BOXES, rng), ">"
            at += int(rng.integers(0, 24)) * int(rng.choice([2, 4]))
        elif content[:4] == b"RIFF":
            at, order = _found(content, RIFF_CHUNKS, rng), "<"
            at += 4 + 4 * int(rng.integers(0, 14))
        else:
            at, order = _found(content, EBML_VALUES, rng), ">"
            if at is None:
                return flip_in_headers(content, rng)
            size = content[at : at + 1]
            if size and 0x81 <= size[0] <= 0x88:  # as many bytes as the value has
                value = _extreme(rng).to_bytes(8, "big")[-(size[0] & 15) :]
                content = _put(content, at + 1, value)
                continue
        value, wide = _extreme(rng), rng.random() < 0.7
        content = _put(
            content,
            at,
            struct.pack(order + ("I" if wide else "H"), value & (2**32 - 1 if wide else 65535)),
        )
    return content


MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    *(truncate, cut_in_front, flip_bits, flip_in_headers, zeros, noise, delete, double, insert, swap),
    *(splice, join, lie_about_size, lie_in_fields),
)


def _text(rng: Rng) -> bytes:
    return ("This is no video.\n" * int(rng.integers(1, 300))).encode()


def _m3u8(rng: Rng) -> bytes:
    target = str(
        rng.choice(["/etc/passwd", "http://127.0.0.1:9/a.ts", "other.mp4", "file:///etc/passwd"])
    )
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", target, "#EXT-X-ENDLIST", ""]
    return "\n".join(lines).encode()


def _mpd(rng: Rng) -> bytes:
    return (
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        b'mediaPresentationDuration="PT4S"><Period><AdaptationSet mimeType="video/mp4"><Representation '
        b'id="1" bandwidth="1"><BaseURL>http://127.0.0.1:9/a.mp4</BaseURL></Representation>'
        b"</AdaptationSet></Period></MPD>"
    )


def _ffconcat(rng: Rng) -> bytes:
    return b"ffconcat version 1.0\nfile '/etc/passwd'\n"


def _sdp(rng: Rng) -> bytes:
    return b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"


def _subrip(rng: Rng) -> bytes:
    return b"1\n00:00:00,000 --> 00:00:04,000\n<script>alert(1)</script>\n\n"


def _empty(rng: Rng) -> bytes:
    return b""


def _random(rng: Rng) -> bytes:
    return rng.bytes(int(2 ** rng.uniform(0, 16)))


def _one_byte(rng: Rng) -> bytes:
    return rng.bytes(1)


def _wav(rng: Rng) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(rng.bytes(8_000))
    return out.getvalue()


def _zip(rng: Rng) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("clip.mp4"), good()["mpeg4.mp4"])
    return out.getvalue()


def _image(rng: Rng) -> bytes:
    codec = av.CodecContext.create("png" if rng.random() < 0.5 else "mjpeg", "w")
    codec.width, codec.height, codec.time_base = 16, 16, Fraction(1, 25)
    codec.pix_fmt = "rgb24" if codec.name == "png" else "yuvj420p"
    frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (16, 16, 3), np.uint8), format="rgb24")
    return b"".join(
        bytes(p) for p in [*codec.encode(frame.reformat(format=codec.pix_fmt)), *codec.encode()]
    )


def _whole(rng: Rng) -> bytes:
    return good()[str(rng.choice(list(GOOD)))]


FOREIGN: tuple[Callable[[Rng], bytes], ...] = (
    *(_text, _m3u8, _mpd, _ffconcat, _sdp, _subrip, _empty, _random, _one_byte, _wav, _zip, _image),
    _whole,  # under any of the suffixes: what counts is what is in it
)
SUFFIXES = (".mp4", ".mkv", ".avi", ".webm")
EACH = 15  # of so many files one is foreign


def mutated(seed: int, number: int) -> tuple[str, bytes]:
    """(name, content) of file `number` of `seed`. The name says how it was made."""
    rng = np.random.default_rng([seed, number])
    if number % EACH == EACH - 1:
        make = FOREIGN[number // EACH % len(FOREIGN)]
        suffix = str(rng.choice(SUFFIXES))
        return f"{number:05d}-{make.__name__.strip('_')}{suffix}", make(rng)
    source = str(rng.choice(list(GOOD)))
    first = MUTATIONS[number % len(MUTATIONS)]
    names, content = [first.__name__], first(good()[source], rng)
    if content and rng.random() < 0.25:
        second = MUTATIONS[rng.integers(len(MUTATIONS))]
        names.append(second.__name__)
        content = second(content, rng)
    stem, _, suffix = source.rpartition(".")
    return f"{number:05d}-{stem}-{'-'.join(names)}.{suffix}", content


def write_mutated(folder: Path, seed: int, count: int) -> list[Path]:
    """The first `count` files of `seed`, in `folder`."""
    paths = []
    for number in range(count):
        name, content = mutated(seed, number)
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return paths


if __name__ == "__main__":
    seed, number, out = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    name, content = mutated(seed, number)
    out = out / name if out.is_dir() else out.with_suffix(Path(name).suffix)
    out.write_bytes(content)
    print(f"{out}: {len(content)} bytes, {name}")
