"""Hostile files: what each tries, and what it gets.

    python tests/hostile.py > docs/hostile.md

An entry of `CORPUS` makes its files in a `Place` and gives what a user would then do with them. What is
in backquotes in `gets` has to be in what comes out, so that the table says what the tests have seen.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import struct
import sys
import tarfile
import tempfile
import traceback
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import mutate
import numpy as np
import torch
from runs import example_run
from safetensors.torch import save_file

from scslib.cli import main
from scslib.datasets.archives import unpack
from scslib.datasets.manifest import load_dataset
from scslib.features import FeatureSpec, read_features
from scslib.models.checkpoints import load_classifier, load_sampler, save_sampler
from scslib.models.samplers import Sampler
from scslib.run import execute, notebooks
from scslib.trained import export, load_trained
from scslib.workspace import Run

SCRIPT = "<script>alert(1)</script>"
PAGE = """# Hostile files

Videos, datasets, runs and checkpoints come from strangers. This is what the kit does with files
that were made to harm. The tests (`tests/test_hostile.py`) do with each what a user would do, and
watch that no file outside its folder is opened, nothing outside is written, and no connection is
made. The tables are made by `python tests/hostile.py > docs/hostile.md`; what is in backquotes in
their last column is what the tests saw.

**What the kit defends against.** Videos are opened with a whitelist of container formats and the
protocol `file` only: no playlists, no concat scripts, no URLs. What a file claims of sizes, rates
and counts is bounded before memory is set aside. What is left happens in a child process that is
killed when it takes too long or too much (`scslib/isolation.py`), and costs that one video.
Datasets and runs are folders that are not left, neither by `..` nor by links. Weights are read
without running code, and take no memory before they fit what is said of them. All text in a report
is escaped. Of a run's notebooks none is executed: only the kit's own are.

**What it does not.** FFmpeg is large, native code. A file that makes it write beyond its memory
could do in the child what you can do: the child has limits of time and memory, and no sandbox. If
you read videos of people who may be after *you*, do it in a container or a virtual machine without
a network and without your files. A name that begins with `=` is a formula to a spreadsheet: the
kit's tables keep names as they are. A folder of your own videos may have links in it, and they are
followed. The options of a command are yours, and the YAML file of a preset: they are checked for
sense, not for malice.

"""
HEADER = "| what | what it tries | what it gets |\n|---|---|---|\n"


@dataclass(frozen=True)
class Place:
    """folder: where hostile files lie. outside: what must not be touched; `secret` is a video in it.

    port: where somebody waits for a connection.
    """

    folder: Path
    outside: Path
    port: int

    @property
    def secret(self) -> Path:
        return self.outside / "secret.mp4"


Use = Callable[[], object]


@dataclass(frozen=True)
class Hostile:
    """An entry: `make` makes the files and gives what is done with them, in the words of the table."""

    name: str
    kind: str
    what: str
    tries: str
    gets: str
    make: Callable[[Place], Use]

    @property
    def words(self) -> list[str]:
        """What has to be in what comes out."""
        return re.findall(r"`([^`]+)`", self.gets)


CORPUS: list[Hostile] = []


def hostile(kind: str):
    """Enter a function that makes files into the corpus; its docstring is its row of the table.

    Of a `video` it gives name and content.
    """

    def enter(make):
        what, tries, gets = " ".join(make.__doc__.split()).split(" | ")
        made = (lambda place: _reading(place, *make(place))) if kind == "video" else make
        CORPUS.append(Hostile(make.__name__, kind, what, tries, gets, made))
        return make

    return enter


def page() -> str:
    """docs/hostile.md."""
    titles = {"video": "Videos", "dataset": "Datasets", "archive": "Archives"}
    titles |= {"run": "Runs", "weights": "Weights"}
    text = PAGE
    for kind, title in titles.items():
        rows = [e for e in CORPUS if e.kind == kind]
        lines = [f"| {e.what} | {e.tries} | {e.gets} |\n" for e in rows]
        text += f"## {title}\n\n{HEADER}{''.join(lines)}\n"
    return text.rstrip() + "\n"


# What is done with them


def _reading(place: Place, name: str, content: bytes | None) -> Use:
    """Read a video as a step of the notebooks does; content None: the file is there already."""
    path = name if "://" in name else place.folder / name
    if content is not None:
        path.write_bytes(content)

    def use() -> str:
        found = read_features(path, asdict(FeatureSpec(clip_len=4)))
        return f"ok: {found.clips} of {found.clips_expected} clips {found.missing}"

    return use


def _cli(*words: object) -> Use:
    def use() -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main([str(word) for word in words], prog_name="scs")
            except SystemExit as end:
                said.write(f" [status {end.code}]")
        return said.getvalue().replace("\n [status", " [status")

    return use


# Videos


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
    `ok: 6 of 6 clips`, of what is there"""
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
    | `frames a second, must be 0 to 1000`"""
    content = mutate.good()["mpeg4.mkv"]
    at = content.index(bytes.fromhex("23E38384"))
    return "clip.mkv", mutate._put(content, at + 4, struct.pack(">I", 1))


@hostile("video")
def gap(place: Place):
    """two moments with sound, a year apart | the sound around a clip of a year is held in memory: 2
    TB | `more than 3600 s of sound are not held at a time`"""
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


# Datasets


def _dataset(place: Place, *, about: object = None, **columns: str) -> Path:
    """A dataset of two videos, with other values in the columns of the second."""
    folder = place.folder / "data"
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "a.mp4").write_bytes(mutate.good()["mpeg4.mp4"])
    row = {"video_id": "b", "path": "videos/a.mp4", "label": "hop", "split": "test"} | columns
    lines = [",".join(row), "a,videos/a.mp4,hop,train", ",".join(row.values())]
    (folder / "videos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = about if isinstance(about, str) else json.dumps(about or {"name": "d", "classes": ["hop"]})
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return folder


@hostile("dataset")
def dotted_path(place: Place):
    """a path with .. in videos.csv | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path="videos/../../../outside/secret.mp4")
    return lambda: load_dataset(folder)


@hostile("dataset")
def absolute_path(place: Place):
    """an absolute path in videos.csv | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path=str(place.secret))
    return lambda: load_dataset(folder)


@hostile("dataset")
def linked_video(place: Place):
    """a video that is a link to a file outside | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path="videos/b.mp4")
    (folder / "videos" / "b.mp4").symlink_to(place.secret)
    return lambda: load_dataset(folder)


@hostile("dataset")
def linked_table(place: Place):
    """a videos.csv that is a link to a file outside | its first line is shown in the error | `leads
    out of the dataset's folder`"""
    folder = _dataset(place)
    (folder / "videos.csv").unlink()
    (folder / "videos.csv").symlink_to(place.secret)
    return lambda: load_dataset(folder)


@hostile("dataset")
def id_as_path(place: Place):
    """a video_id of ../../outside/pwned | what is made of the video is written there | `must be a
    plain name`"""
    folder = _dataset(place, video_id="../../outside/pwned")
    return lambda: load_dataset(folder)


@hostile("dataset")
def deep_json(place: Place):
    """a dataset.json with brackets 100,000 deep | overflows the parser's stack | `not JSON`"""
    folder = _dataset(place, about="[" * 100_000)
    return lambda: load_dataset(folder)


@hostile("dataset")
def odd_classes(place: Place):
    """a dataset.json whose classes are objects | ends in a traceback | `classes must be a list of
    names`"""
    folder = _dataset(place, about={"classes": [{"hop": 1}], "name": SCRIPT})
    return lambda: load_dataset(folder)


@hostile("dataset")
def endless_segment(place: Place):
    """a segment that ends at infinity | ends in a traceback, or a picture without end | `start_s
    and end_s must be numbers`"""
    folder = _dataset(place)
    (folder / "segments.csv").write_text("video_id,start_s,end_s\na,0,inf\n")
    return lambda: load_dataset(folder)


# Archives


def _zip(place: Place, *names: str) -> Path:
    path = place.folder / "videos.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"pwned")
    return path


@hostile("archive")
def zip_slip(place: Place):
    """a zip file with ../../outside/pwned | is written there | `leads out of the folder; nothing
    unpacked`"""
    path = _zip(place, "good.txt", "../../outside/pwned")
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def zip_slip_windows(place: Place):
    r"""a zip file with ..\..\pwned, for Windows | is written there | `leads out of the folder;
    nothing unpacked`"""
    path = _zip(place, "good.txt", "..\\..\\pwned")
    return lambda: unpack(path, place.folder / "out")


def _tar(place: Place, *members: tuple[str, bytes, str]) -> Path:
    path = place.folder / "videos.tar"
    with tarfile.open(path, "w") as file:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 5 if kind == tarfile.REGTYPE else 0
            file.addfile(info, io.BytesIO(b"pwned") if info.size else None)
    return path


@hostile("archive")
def tar_slip(place: Place):
    """a tar file with an absolute path | is written there | `leads out of the folder; nothing
    unpacked`"""
    path = _tar(place, (str(place.outside / "pwned"), tarfile.REGTYPE, ""))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def tar_link(place: Place):
    """a tar file with a link to a folder outside, then a file in it | is written there | `is a link
    or a device; nothing unpacked`"""
    link = ("videos", tarfile.SYMTYPE, str(place.outside))
    path = _tar(place, link, ("videos/pwned", tarfile.REGTYPE, ""))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def tar_hard_link(place: Place):
    """a tar file with a hard link to a file outside | is given its content | `is a link or a
    device; nothing unpacked`"""
    path = _tar(place, ("stolen.mp4", tarfile.LNKTYPE, str(place.secret)))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def unpack_through_link(place: Place):
    """a folder that has a link to outside, and an archive with a file in it | is written there | `a
    link that leads out of`"""
    out = place.folder / "out"
    out.mkdir()
    (out / "videos").symlink_to(place.outside)
    path = _zip(place, "videos/pwned")
    return lambda: unpack(path, out)


@hostile("archive")
def zip_bomb(place: Place):
    """a zip file of 150 kB that unpacks to 2 GB | fills the disk | `unpacks to more than 1073741824
    bytes; nothing unpacked`"""
    path = place.folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("zeros", "w") as member:
            for _ in range(32):
                member.write(bytes(1 << 20))
    content, size = path.read_bytes(), struct.pack("<I", 32 << 20)
    path.write_bytes(content.replace(size, struct.pack("<I", 2**31)))  # said instead of done: quicker
    return lambda: unpack(path, place.folder / "out")


# Runs


def _run(place: Place) -> Run:
    path = place.folder / "a.mp4"
    path.write_bytes(mutate.good()["h264.mp4"])
    return example_run(place.folder / "run", path, answers=[("hop", "hop")])


def _entry(run: Run) -> tuple[Path, dict]:
    path = next((run.folder / "gallery").glob("*.json"))
    return path, json.loads(path.read_text())


@hostile("run")
def linked_results(place: Place):
    """a results/ that is a link to a folder outside | its tables are read, and others written there
    | `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "results").rename(place.folder / "results")
    (run.folder / "results").symlink_to(place.outside)
    return _cli("report", run.folder)


@hostile("run")
def linked_gallery(place: Place):
    """a gallery/ that is a link to a folder outside | its files are read into the report | `a link,
    and a gallery is a folder of the run`"""
    run = _run(place)
    (run.folder / "gallery").rename(place.folder / "gallery")
    (run.folder / "gallery").symlink_to(place.outside)
    return _cli("report", run.folder)


@hostile("run")
def linked_report(place: Place):
    """a report.html that is a link to a file outside | that is overwritten with the report |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "report.html").symlink_to(place.secret)
    return _cli("report", run.folder)


@hostile("run")
def linked_figure(place: Place):
    """figures/ with a picture that is a link to a file outside | its content is in the report |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "figures" / "stolen.png").symlink_to(place.secret)
    return _cli("report", run.folder)


@hostile("run")
def linked_log(place: Place):
    """a notebooks/kernels.log that is a link to a file outside | what kernels say is added to that |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "notebooks").mkdir()
    (run.folder / "notebooks" / "kernels.log").symlink_to(place.secret)
    return lambda: execute(notebooks()[0], run.folder / "notebooks", {})


@hostile("run")
def linked_checkpoint(place: Place):
    """a checkpoint that is a link to a file outside | is read | `leads out of the run's folder`"""
    run = _run(place)
    run.note(objective="rank")
    path = run.checkpoint("motion-rank-seed0")
    path.parent.mkdir()
    path.symlink_to(place.secret)
    return lambda: load_trained(run.folder)


@hostile("run")
def script_in_gallery(place: Place):
    """a gallery whose labels and ids are scripts | run in the reader's browser |
    `&lt;script&gt;alert(1)`: all text is escaped"""
    run = _run(place)
    path, values = _entry(run)
    path.write_text(json.dumps(values | {"label": SCRIPT, "video_id": SCRIPT, "predicted": SCRIPT}))
    return _page(run)


def _page(run: Run) -> Use:
    """The report's text, but for the kit's own script."""

    def use() -> str:
        said = _cli("report", run.folder)()
        page = (run.folder / "report.html").read_text(encoding="utf-8")
        assert SCRIPT not in page, "a script of the run's is in the report"
        return said + re.sub(r"\s+", " ", page)

    return use


@hostile("run")
def script_as_number(place: Place):
    """a gallery whose ranks and times are scripts | get into the page where numbers stand | `not a
    video of the gallery`"""
    run = _run(place)
    path, values = _entry(run)
    values["clips"][0]["rank"] = values["clips"][0]["start_s"] = SCRIPT
    path.write_text(json.dumps(values))
    return _cli("report", run.folder)


@hostile("run")
def no_time(place: Place):
    """a gallery whose times are all zero, or not numbers | ends in a traceback: a division by zero
    | `not a video of the gallery (times and saliency do not fit)`"""
    run = _run(place)
    path, values = _entry(run)
    path.write_text(json.dumps(values | {"times": [[0, 0]], "saliency": [1]}))
    return _cli("report", run.folder)


@hostile("run")
def script_as_method(place: Place):
    """a results/summary.csv whose method is a script | runs in the reader's browser |
    `&lt;script&gt;alert(1)`: all text is escaped"""
    run = _run(place)
    table = run.load_table("summary")
    table.loc[0, "method"] = SCRIPT
    run.save_table("summary", table)
    return _page(run)


@hostile("run")
def odd_notes(place: Place):
    """a notes.json that is a list | ends in a traceback | `must hold an object`"""
    run = _run(place)
    (run.folder / "results" / "notes.json").write_text("[1, 2]")
    return lambda: load_trained(run.folder)


@hostile("run")
def notebook(place: Place):
    """a notebook in RUN/notebooks | its code is run by scs report or scs sample | `report.html`;
    notebooks of a run are never executed"""
    run = _run(place)
    code = f"open({str(place.outside / 'pwned')!r}, 'w')"
    cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": [], "execution_count": None}
    (run.folder / "notebooks").mkdir()
    path = run.folder / "notebooks" / "06_evaluation.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return _cli("report", run.folder)


@hostile("run")
def preset(place: Place):
    """a preset with a python/object tag | calls os.system when it is read | `not YAML`"""
    path = place.folder / "preset.yaml"
    path.write_text(f"k: !!python/object/apply:os.system ['touch {place.outside / 'pwned'}']\n")
    return _cli("run", "--preset", path, "--out", place.folder / "out")


@hostile("run")
def name_as_path(place: Place):
    """a figure or a table named ../../outside/pwned | is written there | `leads out of the run's
    folder`"""
    run = _run(place)
    return lambda: run.save_figure("../../outside/pwned", None)


# Weights


class _Pwn:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@hostile("weights")
def pickle_in_zip(place: Place):
    """a .pth file (of torch.save) with a call in its pickle | makes a folder outside when it is
    loaded | `holds more than weights: reading it would call posix.mkdir, so it is refused`"""
    path = place.folder / "model.pth"
    torch.save({"fc.weight": _Pwn(place.outside / "pwned")}, path)
    return lambda: load_classifier(path)


@hostile("weights")
def bare_pickle(place: Place):
    """a bare pickle named model.pth | makes a folder outside when it is loaded |
    `reading it would call posix.mkdir, so it is refused`"""
    path = place.folder / "model.pth"
    path.write_bytes(pickle.dumps(_Pwn(place.outside / "pwned"), protocol=2))
    return lambda: load_classifier(path)


@hostile("weights")
def weights_bomb(place: Place):
    """a .pth file of some kB whose weights unpack to a hundred times as much | fills the memory |
    `more than torch.save writes`"""
    path = place.folder / "model.pth"
    plain = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(10, 10_000)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return lambda: load_classifier(path)


@hostile("weights")
def huge_header(place: Place):
    """a safetensors file whose header claims 2^62 bytes | makes the reader set aside as much |
    `cannot be read`"""
    path = place.folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{" * 100)
    return lambda: load_classifier(path)


def _claims(place: Place, **claims: object) -> Path:
    """Small weights of the kit's, with other things said of them in the JSON."""
    path = place.folder / "model.safetensors"
    features = {"clip_len": 4}
    network = Sampler(("motion",), 1, 4, 4)
    save_sampler(path, network, objective="rank", classes=["a"], features=features)
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | claims))
    return path


@hostile("weights")
def absurd_width(place: Place):
    """a sampler's JSON that claims a width of a million | makes the network, of some 100 TB, before
    the weights are looked at | `the weights do not fit the network`"""
    path = _claims(place, width=10**6)
    return lambda: load_sampler(path)


@hostile("weights")
def absurd_clip(place: Place):
    """a sampler's JSON that claims clips of a billion frames | makes the reader of the next video
    hold as many | `clip_len (1000000000) must be a number in 0..1024`"""
    path = _claims(place, features={"clip_len": 10**9})
    return lambda: load_sampler(path)


@hostile("weights")
def absurd_classifier(place: Place):
    """a classifier's JSON that claims a width of a million | makes the network before the weights
    are looked at | `the weights do not fit the network`"""
    about = {"kind": "classifier", "architecture": "mc3_18", "classes": ["a", "b"], "input": {}}
    path = _claims(place, **about, width=10**6)
    return lambda: load_classifier(path)


@hostile("weights")
def odd_settings(place: Place):
    """an exported sampler whose settings are objects | ends in a traceback | `its settings are
    incomplete or wrong`"""
    path = place.folder / "all.safetensors"
    about = {"kind": "scslib sampler", "format": 1, "objective": "rank", "networks": {"iframes": [1]}}
    save_file({"a": torch.zeros(1)}, path, {"scslib": json.dumps(about | {"features": {}})})
    return lambda: export(path, place.folder / "out.safetensors")


# Doing it, watched


@dataclass
class Outcome:
    """What came out, and the files outside of what an entry may touch that Python opened meanwhile.

    text: what was given or printed, or the error's one line; escaped: another error's traceback.
    """

    text: str = ""
    escaped: str = ""
    opened: list[str] = field(default_factory=list)


_now: tuple[Outcome, tuple[str, ...]] | None = None  # what is being done, and where it may open files


def attempt(job: tuple[int, Place]) -> Outcome:
    """Do with an entry's files what a user does, in a process that has nothing else to do."""
    global _now
    entry, place, outcome = CORPUS[job[0]], job[1], Outcome()
    use = entry.make(place)
    mine = [place.folder, *map(Path, (sys.prefix, sys.base_prefix)), Path(__file__).parents[1]]
    mine += [Path(tempfile.gettempdir()) / "scs-clip-"]
    roots = tuple(str(path.resolve()) for path in mine) + ("/proc", "/sys", "/dev", "/usr")
    if _now is None:
        sys.addaudithook(_hook)
    _now = outcome, roots
    try:
        outcome.text = str(use())
    except (ValueError, OSError) as error:  # `scs` makes one line of these
        outcome.text = str(error)
    except BaseException:
        outcome.escaped = traceback.format_exc()
    _now = Outcome(), ("/",)
    return outcome


def _hook(event: str, arguments: tuple) -> None:
    outcome, roots = _now or (Outcome(), ("/",))
    if event in ("os.system", "subprocess.Popen", "socket.connect"):
        outcome.opened.append(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith(roots):
            outcome.opened.append(path)


if __name__ == "__main__":
    print(page(), end="")
