"""Cut, join and encode parts of a video file.

Pictures come out upright, with square pixels and at their own times (a variable frame rate stays one);
sound, if there is any, at 48 kHz in stereo and cut to the sample. Nothing is held but one moment.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from scslib.jobs.files import replacing
from scslib.video import colour
from scslib.video.audio import iter_samples
from scslib.video.clips import ClipIndex, index_clips
from scslib.video.container import VideoError, decoded, open_video, packets, tick_of, video_stream
from scslib.video.frames import RgbConverter, short_side, visit
from scslib.video.write import Encoding, add_pictures, writing

TICK = Fraction(1, 60_000)  # of 24, 25, 30 and 29.97 pictures a second each takes a whole number
SOUND_RATE = 48_000
PLAYABLE = {"movflags": "+faststart"}  # a player need not have the end to begin
COPIED = {"h264", "hevc", "mpeg4", "vp9", "av1"}  # an MP4 file carries them as they are

Span = tuple[float, float]  # seconds of presentation time, half-open
Track = Iterator[av.Packet | None]  # the packets of a stream; before them None, when it is set up


@dataclass(frozen=True)
class Recoding:
    """How pictures are encoded again: without B-frames, an I-frame every `gop` frames.

    short_side: pixels; 0 keeps the size. codec and quality as in `write.Encoding`. sound_kbits: kilobits
    a second.
    """

    short_side: int = 0
    gop: int = 12
    codec: str = "h264"
    quality: int = 20
    sound_kbits: int = 128

    def __post_init__(self):
        for name in ("short_side", "quality"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be >= 0")
        if self.sound_kbits < 1:
            raise ValueError(f"sound_kbits ({self.sound_kbits}) must be > 0")


FINE = Recoding(quality=17)  # what a cut is encoded with where it cannot be copied


def recode(
    source: str | Path | ClipIndex,
    target: str | Path,
    spans: Sequence[Span] | None = None,
    setting: Recoding | None = None,
) -> None:
    """Encode the `spans` of a file, or all of it, into the MP4 `target`. They are joined in the order
    given.

    source: the file, or its index, which saves reading its packets for each clip of many. A span begins
    with the first frame that is shown at its start or later. Written under a temporary name and moved
    when complete. Raises `VideoError` for a file that cannot be read, and where a span holds no frame or
    the stream breaks off before one.
    """
    index, setting = _index(source), setting or Recoding()
    if spans is None:
        spans = [_whole(index)]
    with writing(target, format="mp4", options=PLAYABLE) as output:
        pictures = _encoded(index, spans, setting, output)
        _mux(output, pictures, _sound(index, spans, setting.sound_kbits, output))


def cut(source: str | Path | ClipIndex, target: str | Path, span: Span) -> bool:
    """Cut one span out of a file into the MP4 `target`; True if its pictures are copied as they are.

    They can be copied where the span begins with a keyframe and no B-frames lie in it, so that a player
    can begin there, and where the copy gives as many frames; else they are encoded again, finely. source
    and errors as for `recode`.
    """
    index = _index(source)
    if _can_copy(index, span):
        with replacing(Path(target)) as part:
            with writing(part, format="mp4", options=PLAYABLE) as output, open_video(index.path) as file:
                pictures = _copied(index, span, file, output)
                _mux(output, pictures, _sound(index, [span], Recoding.sound_kbits, output))
            copied = _count(part) == len(_frames(index, span))
            if not copied:
                recode(index, part, [span], FINE)
        return copied
    recode(index, target, [span], FINE)
    return False


def _count(path: Path) -> int:
    """How many frames a decoder gives of a file."""
    with open_video(path) as container:
        return sum(1 for _ in decoded(container, video_stream(container)))


def _index(source: str | Path | ClipIndex) -> ClipIndex:
    return source if isinstance(source, ClipIndex) else index_clips(source)


def _whole(index: ClipIndex) -> Span:
    first, last = index.pts[[0, -1]] * index.time_base
    return float(first), float(last + index.frame_s)


def _frames(index: ClipIndex, span: Span) -> range:
    """Positions of the frames of a span. CSV files round its ends, so a millisecond does not count."""
    slack = min(1e-3, index.frame_s / 4)
    first, end = np.searchsorted(index.pts * index.time_base, np.array(span) - slack)
    if not first < end:
        raise VideoError(f"{index.path}: no frame between {span[0]:.3f} and {span[1]:.3f} s")
    return range(int(first), int(end))


def _encoded(index: ClipIndex, spans: Sequence[Span], setting: Recoding, output) -> Track:
    """The packets of the pictures of all spans, one after the other."""
    info, time = index.info, index.pts * index.time_base
    height, width = short_side(
        info.width, info.height, setting.short_side or min(info.width, info.height)
    )
    rate = Fraction(1 / index.frame_s).limit_denominator(1001)  # the last frame's; all have times
    how = Encoding(width, height, max(Fraction(1), rate), setting.gop, setting.codec, setting.quality)
    stream = add_pictures(output, how)
    stream.codec_context.time_base = TICK
    yield None  # the output knows its stream now
    to_rgb, offset, last = RgbConverter(info.display, (height, width)), 0.0, -1
    for span in spans:
        run = _frames(index, span)
        with open_video(index.path) as container:
            reached = -1
            for reached, picture in visit(index, container, video_stream(container), [run]):
                if reached < run[0]:
                    continue
                frame = av.VideoFrame.from_ndarray(to_rgb(picture), format="rgb24")
                if last < 0:  # the encoder is not open yet
                    colour.tag(stream.codec_context, picture)
                colour.tag(frame, stream.codec_context)
                late = max(0.0, time[reached] - span[0])  # a player skips what lies before 0
                last = max(last + 1, round((offset + late) / TICK))  # broken files repeat their times
                frame.pts, frame.time_base = last, TICK
                if reached == run[0]:
                    frame.pict_type = PictureType.I
                yield from stream.encode(frame)
        if reached < run[0]:
            raise VideoError(f"{index.path}: the stream breaks off before {span[0]:.3f} s")
        offset += span[1] - span[0]
    yield from stream.encode(None)


def _can_copy(index: ClipIndex, span: Span) -> bool:
    info, run = index.info, _frames(index, span)
    whole = info.as_stored and not info.reordered and info.codec in COPIED and index.seekable
    return bool(whole and index.key[run[0]] and (np.diff(index.pts[run.start : run.stop]) > 0).all())


def _copied(index: ClipIndex, span: Span, source, output) -> Track:
    """The packets of the pictures of a span, all of each frame: fields may have one each."""
    run, stream = _frames(index, span), video_stream(source)
    first, end = int(index.pts[run[0]]), math.inf
    if run.stop < len(index.pts):
        end = int(index.pts[run.stop])
    zero = min(first, round(span[0] / index.time_base))  # the sound begins there, too
    copy = output.add_stream_from_template(stream)
    yield None
    source.seek(first, stream=stream)
    for packet in packets(source, stream):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or stamp < first or not packet.size:
            continue
        if stamp >= end:
            return
        packet.pts = packet.dts = stamp - zero
        packet.stream = copy
        yield packet


def _sound(index: ClipIndex, spans: Sequence[Span], kbits: int, output) -> Track:
    """The packets of the sound of all spans; none where the file has no sound."""
    if not index.info.has_audio:
        yield None
        return
    stream = output.add_stream("aac", rate=SOUND_RATE, layout="stereo")
    stream.bit_rate = 1000 * kbits
    yield None
    position = 0
    for samples in (piece for span in spans for piece in _samples(index, span)):
        packed = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, position, Fraction(1, SOUND_RATE)
        position += len(samples)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _samples(index: ClipIndex, span: Span) -> Iterator[np.ndarray]:
    """(n, 2) float32 that fill the span without a gap: silence where the file has no sound."""
    reached, end = (round(second * SOUND_RATE) for second in span)
    heard = iter_samples(
        index.path, max(0.0, span[0]), rate=SOUND_RATE, layout="stereo", joins=index.joins
    )
    for position, samples in heard:
        if position + len(samples) <= reached:
            continue
        if position >= end:
            break
        if position > reached:
            yield from _silence(min(position, end) - reached)
            reached = position
        piece = samples[reached - position : end - position]
        reached += len(piece)
        yield piece
        if reached >= end:
            return
    yield from _silence(end - reached)


def _silence(count: int) -> Iterator[np.ndarray]:
    for start in range(0, count, SOUND_RATE):
        yield np.zeros((min(SOUND_RATE, count - start), 2), np.float32)


def _mux(output, *tracks: Track) -> None:
    """Write the packets of the tracks in the order of their time."""
    for track in tracks:
        next(track)
    ordered: Iterable = heapq.merge(*tracks, key=lambda packet: packet.dts * packet.time_base)
    for packet in ordered:
        output.mux(packet)


def lengthened(source: Path, seconds: float) -> Path:
    """A file beside `source` that repeats it until `seconds` are full; its path.

    Packets are copied with later time stamps, so nothing is encoded: an hour takes seconds. The source
    must have no B-frames. Where its pictures and its sound (AAC packets of 1,024 samples) have exactly
    the same length, as in 64 s at 30 frames a second and 16 kHz, its features repeat too.
    """
    target = source.with_name(f"{source.stem}-{seconds:g}s{source.suffix}")
    wanted = Fraction(seconds).limit_denominator(1000)
    with writing(target, options={"fflags": "+bitexact"}) as out:
        offset = Fraction(0)
        streams: dict[int, av.stream.Stream] = {}
        while offset < wanted:
            with open_video(source) as container:
                video = video_stream(container)
                if video.duration is None:
                    raise VideoError(f"{source}: does not say how long its pictures last")
                period = video.duration * tick_of(video)
                if not streams:
                    streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
                for packet in container.demux():
                    if packet.dts is None:
                        continue  # the end of a stream
                    if packet.pts is None:
                        raise VideoError(f"{source}: not all packets say when they are shown")
                    start = packet.pts * packet.time_base
                    leading = offset and start < 0  # what the sound's encoder puts before it
                    if leading or start >= period or offset + start >= wanted:
                        continue
                    packet.pts += round(offset / packet.time_base)
                    packet.dts += round(offset / packet.time_base)
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
            offset += period
    return target
