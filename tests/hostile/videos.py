"""Videos that are something else, lead elsewhere, or lie about their sizes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.hostile.corpus import Place, hostile
from tests.support import mutate


def _text_video(text: str) -> tuple[str, bytes]:
    return "clip.mp4", text.encode()


@hostile("video")
def concat_script(place: Place):
    """an ffconcat script named clip.mp4 | names another file by its absolute path, and would be
    shown instead | `not a readable video`"""
    return _text_video(f"ffconcat version 1.0\nfile '{place.secret}'\n")


@hostile("video")
def concat_script_of_a_neighbour(place: Place):
    """an ffconcat script named clip.mp4 | names a file beside it, as FFmpeg calls safe, and would be
    counted as another video | `not a readable video`"""
    (place.folder / "other.mkv").write_bytes(mutate.good()["mpeg4.mkv"])
    return _text_video("ffconcat version 1.0\nfile other.mkv\n")


@hostile("video")
def playlist_of_a_file(place: Place):
    """an HLS playlist named clip.mp4 | names another file as file://... | `not a readable video`"""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", f"file://{place.secret}"]
    return _text_video("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


@hostile("video")
def playlist_of_a_server(place: Place):
    """an HLS playlist named clip.mp4 | makes the reader call a server | `not a readable video`;
    nobody is called"""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", f"http://127.0.0.1:{place.port}/a.ts"]
    return _text_video("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


@hostile("video")
def dash(place: Place):
    """a DASH manifest named clip.mp4 | makes the reader call a server | `not a readable video`;
    nobody is called"""
    base = f"http://127.0.0.1:{place.port}/a.mp4".encode()
    content = mutate._mpd(np.random.default_rng(0)).replace(b"http://127.0.0.1:9/a.mp4", base)
    return "clip.mp4", content


@hostile("video")
def session(place: Place):
    """a session description (SDP) named clip.mp4 | opens sockets and waits for a stream | `not a
    readable video`"""
    return "clip.mp4", mutate._sdp(np.random.default_rng(0))


@hostile("video")
def address(place: Place):
    """the address of a server | is fetched | `only local files are read`"""
    return f"http://127.0.0.1:{place.port}/a.mp4", None


@hostile("video")
def protocol(place: Place):
    """a path that FFmpeg takes for its protocol concat: | opens the file that stands behind it |
    `no such file`"""
    return f"concat:{str(place.secret).replace('/', '|')}", None


def _with_attachment(path: Path) -> bytes:
    """A Matroska file that has 200 bytes attached, under a name that leads out."""
    with av.open(io.BytesIO(mutate.good()["mpeg4.mp4"])) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        out.add_attachment("../../outside/pwned", "text/plain", b"pwned" * 40)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return path.read_bytes()


@hostile("video")
def attachment(place: Place):
    """a Matroska file with an attachment named ../../outside/pwned | is written there |
    `ok: 6 of 6 clips`: it is not looked at"""
    return "clip.mkv", _with_attachment(place.folder / "clip.mkv")


@hostile("video")
def linked_chapters(place: Place):
    """a Matroska file whose chapters lie in another file | that is looked for in the folder and
    played | `ok: 6 of 6 clips`, its own"""
    content = _with_attachment(place.folder / "clip.mkv")
    at, end = content.index(bytes.fromhex("1941A469")), content.index(b"pwned" * 40) + 200
    times = _element("91", b"\0") + _element("92", b"\7" * 4)
    atom = _element("B6", _element("73C4", b"\1") + times + _element("6E67", b"\x42" * 16))
    chapters = _element("1043A770", _element("45B9", _element("45DD", b"\1") + atom))
    void = end - at - len(chapters) - 9  # an element of nothing, whose size has 8 bytes
    return "clip.mkv", mutate._put(content, at, chapters + b"\xec\1" + void.to_bytes(7, "big"))


def _element(name: str, value: bytes) -> bytes:
    return bytes.fromhex(name) + bytes([0x80 | len(value)]) + value


@hostile("video")
def data_reference(place: Place):
    """a QuickTime file whose data reference is another file | its pictures are read from there |
    `the video stream has no packets`"""
    return "clip.mov", refers_to(place.secret)


def refers_to(path: Path) -> bytes:
    """An MP4 file whose pictures lie in `path`, by a Macintosh alias with an absolute path."""
    whole = mutate.good()["h264-index-last.mp4"]
    name = b"disk" + str(path).replace("/", ":").encode()
    name += b"\0" * (len(name) % 2)
    alias = bytes(10) + b"\4disk".ljust(28, b"\0") + bytes(112)
    body = bytes(4) + alias + struct.pack(">hh", 2, len(name)) + name + struct.pack(">hh", -1, 0)
    entry = struct.pack(">I", 8 + len(body)) + b"alis" + body
    at = whole.index(b"url \0\0\0\1") - 4
    out = bytearray(whole[:at] + entry + whole[at + 12 :])
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        start = out.rindex(box, 0, at) - 4
        size = struct.unpack(">I", out[start : start + 4])[0] + len(entry) - 12
        out[start : start + 4] = struct.pack(">I", size)
    return bytes(out)


def _field(content: bytes, box: bytes, offset: int, form: str, *values: int) -> bytes:
    """`content` with a field of its first box of this kind set, `offset` bytes behind the name."""
    return mutate._put(content, content.index(box) + len(box) + offset, struct.pack(form, *values))


@hostile("video")
def huge_chunks(place: Place):
    """an AVI file whose chunks claim 4 GB each | makes the reader set aside as much |
    `ok: 5 of 6 clips`, those that are there"""
    content = mutate.good()["mpeg4.avi"]
    for chunk in (b"RIFF", b"idx1", b"movi"):
        content = _field(content, chunk, 0, "<I", 2**32 - 1)
    last = content.rindex(b"00dc", 0, content.rindex(b"idx1"))
    return "clip.avi", mutate._put(content, last + 4, struct.pack("<I", 2**32 - 1))


@hostile("video")
def declares_large(place: Place):
    """an MP4 file that declares 65535 x 65535 pixels | makes the reader set aside 12 GB for a
    picture | `declares no size, or has pictures of more than 67 million pixels`"""
    content = _field(mutate.good()["mpeg4.mp4"], b"mp4v", 24, ">HH", 65535, 65535)
    start = b"\0\0\1"  # of the stream's own headers, which say otherwise
    return "clip.mp4", content.replace(start + b"\x20", start + b"\xff")


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    press = zlib.compressobj(9)
    body = b"".join(press.compress(bytes(width + 1)) for _ in range(height)) + press.flush()
    parts = chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pictures(path: Path, *sizes: tuple[int, int], aspect: int = 1) -> bytes:
    """A QuickTime file of black PNG pictures (width, height); `aspect`: how wide a pixel is shown."""
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for number, size in enumerate(sizes):
            packet = av.Packet(_png(*size))
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 12), True
            container.mux(packet)
    return path.read_bytes()


@hostile("video")
def bomb(place: Place):
    """a film of 100 kB a picture that unpack to 108 megapixels | fills the memory with black | `has
    pictures of more than 67 million pixels`"""
    return "clip.mov", pictures(place.folder / "clip.mov", *[(12_000, 9_000)] * 4)


@hostile("video")
def wide_pixels(place: Place):
    """a film of 3000 x 1600 pixels, to be shown 16 times as wide | is stored small and scaled to
    77 megapixels | `pictures of 48000 x 1600 pixels, more than 67 million are refused`"""
    return "clip.mov", pictures(place.folder / "clip.mov", *[(3000, 1600)] * 4, aspect=16)


@hostile("video")
def growing_bomb(place: Place):
    """a film that begins small and goes on with 108 megapixels | is past the check of the header
    when it grows | `1 of 2 clips`: what came before"""
    sizes = [(64, 48)] * 4 + [(12_000, 9_000)] * 4
    return "clip.mov", pictures(place.folder / "clip.mov", *sizes)


@hostile("video")
def many_samples(place: Place):
    """an MP4 file that declares 2147483647 frames | makes the reader set aside 50 GB for its index
    | `the video stream has no packets`"""
    content = mutate.good()["mpeg4.mp4"]
    content = _field(content, b"stts", 8, ">I", 2**31 - 1)
    content = _field(content, b"stsz", 4, ">II", 1, 2**31 - 1)
    return "clip.mp4", _field(content, b"stsc", 12, ">I", 2**31 - 1)


@hostile("video")
def fast(place: Place):
    """a Matroska file with a frame every nanosecond | a clip of a second becomes a billion pictures
    | `ok: 6 of 6 clips`: the frames' own times count"""
    content = mutate.good()["mpeg4.mkv"]
    at = content.index(bytes.fromhex("23E38384"))
    return "clip.mkv", mutate._put(content, at + 4, struct.pack(">I", 1))


@hostile("video")
def gap(place: Place):
    """two moments with sound, a year apart | the sound around a clip of a year is held in memory: 2
    TB | `ok: 5 of 6 clips`, without the one across"""
    path = place.folder / "clip.mkv"
    with av.open(io.BytesIO(mutate.good()["mpeg4.avi"])) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            far = int(365 * 86_400 / packet.time_base) if packet.pts * packet.time_base > 0.8 else 0
            packet.stream = streams[packet.stream.index]
            packet.pts, packet.dts = packet.pts + far, packet.dts + far
            out.mux(packet)
    return "clip.mkv", None


@hostile("video")
def slow_sound(place: Place):
    """sound that claims one sample a second | a few bytes become hours | `sound at 1 Hz, must be
    1000 at least`"""
    content = mutate.good()["h264.avi"]
    at = content.rindex(b"strf") + 8
    return "clip.avi", mutate._put(content, at + 4, struct.pack("<I", 1))


@hostile("video")
def control_characters(place: Place):
    r"""a file whose name has a line break and the terminal's control characters | forges lines of
    the log and colours the terminal | `a\n\x1b[31mred.mp4: not a readable video`, in one line"""
    return "a\n\x1b[31mred.mp4", b"no video"


@hostile("video")
def pipe(place: Place):
    """a named pipe, or a link to /dev/zero, named clip.mp4 | is read for ever | `no such file`"""
    os.mkfifo(place.folder / "clip.mp4")
    return "clip.mp4", None
