"""Check and repair the time stamps of a stream's frames.

An ordinary file is only demultiplexed: a packet is a frame, its stamp the time. What is not ordinary:

    the clock goes back     recordings that were joined, or begun again. A keyframe is shown after
                            all that is stored before it; where it claims to be shown earlier, a new part
                            of the stream begins, and its times go on where the part before ended.
    a packet is no frame    H.264 in field pictures has one or two packets a frame, and packets may come
                            without a stamp. Then the stream is decoded once to count its frames.
    the size changes        what follows would be another video: the table ends there and says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np

from scslib.video.container import (
    MOST_FRAMES,
    VideoError,
    declared_rate,
    decoded,
    open_video,
    packets,
    tick_of,
    video_stream,
)
from scslib.video.headers import size_header
from scslib.video.probe import FirstFrame

REORDERED = 20  # a frame is stored at most so many frames away from where it is shown
PROGRESSIVE = (0, 1)  # `field_order`, where the first is "not known"


class Join(NamedTuple):
    """The place where a new part begins: its first packet's byte in the file, and the seconds to add to
    stamps.
    """

    byte: int
    shift_s: float


class StampRow(NamedTuple):
    """One frame, or one packet: its stamp (None: not known), and where it lies in the file."""

    stamp: int | None
    key: bool
    size: int
    duration: int
    byte: int
    shape: tuple[int, int] = (0, 0)
    stamped: bool = True


@dataclass(frozen=True, eq=False)
class FrameTable:
    """All F frames in the order in which they are shown.

    pts: (F,) int64, ticks that do not go back. stamps: (F,) int64, what the decoder says of the frames.
    key: (F,) bool, where decoding can start. size: (F,) int64, bytes. parts: the first position of each
    part of a joined stream. end: the tick at which the last frame ends, as far as its packet says.
    ended: why frames that follow are left out, in words; `found` counts them, too. stamped: whether the
    decoder has a stamp for each.
    """

    pts: np.ndarray
    stamps: np.ndarray
    key: np.ndarray
    size: np.ndarray
    parts: tuple[int, ...]
    joins: tuple[Join, ...]
    end: int
    found: int
    ended: str = ""
    stamped: bool = True


def frame_table(
    container: av.container.InputContainer, stream: av.VideoStream, first: FirstFrame
) -> FrameTable:
    """Read all packets of an open file, as does `first`. Raises `VideoError` if there are none."""
    rows, without, headers = _packet_rows(container, stream, first)
    known = [row for row in rows if row.stamp is not None]
    if not known:
        raise VideoError(f"{container.name}: the video stream has no packets")
    fields = stream.codec_context.name == "h264" and (
        stream.codec_context.field_order not in PROGRESSIVE or _twice_as_many(container, stream, known)
    )
    if fields or without or len(headers) > 1:
        rows = _decoded_rows(container.name, rows) or known
    return _table(_without_leading(rows, first), stream)


def _packet_rows(
    container: av.container.InputContainer, stream: av.VideoStream, first: FirstFrame
) -> tuple[list[StampRow], bool, set[bytes]]:
    """A row for each packet with a picture, whether stamps are missing, and the sizes' headers."""
    rows: list[StampRow] = []
    headers: set[bytes] = set()
    begun, without, byte = False, False, 0
    codec, stamped = stream.codec_context.name, container.format.name != "avi"
    for packet in packets(container, stream):
        if first.looking:
            first(packet)
        if packet.is_keyframe and not begun:
            rows, begun, without = [], True, False  # what lies before the first one cannot be decoded
        if not packet.size or packet.is_discard:
            continue
        byte = byte if packet.pos is None else packet.pos
        without |= packet.pts is None and (stamped or packet.dts is None)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.is_keyframe:
            headers.add(size_header(codec, packet))
        rows.append(StampRow(stamp, packet.is_keyframe, packet.size, packet.duration or 0, byte))
        if len(rows) > MOST_FRAMES:
            break
    _check_count(container.name, rows)
    return rows, without, headers - {b""}


def _without_leading(rows: list[StampRow], first: FirstFrame) -> list[StampRow]:
    """The rows without the frames before the first keyframe that no decoder can give.

    A recording that begins with an open group of pictures has lost what these refer to.
    """
    begins = next((row.stamp for row in rows if row.key), None)
    if begins is None or first.frame is None or first.frame.pts is None:
        return rows
    shown = min(begins, first.frame.pts)
    stamps = _stamps(rows)
    if min(stamps) >= shown:
        return rows
    each = zip(rows, stamps, _parts_of(rows), strict=True)
    return [row for row, stamp, part in each if stamp >= shown or part]


def _stamps(rows: list[StampRow]) -> list[int]:
    """The stamps of rows that all have one."""
    return [row.stamp for row in rows if row.stamp is not None]


def _check_count(name: str, rows: list) -> None:
    if len(rows) > MOST_FRAMES:
        raise VideoError(f"{name}: more than {MOST_FRAMES} frames")


def _twice_as_many(container, stream: av.VideoStream, rows: list[StampRow]) -> bool:
    """Whether packets follow each other about twice as fast as the declared frames."""
    apart = _typical(np.sort(_stamps(rows)))
    return 1.8 < 1 / max(1e-9, apart * float(tick_of(stream)) * declared_rate(stream)) < 2.2


def _decoded_rows(path: str, packet_rows: list[StampRow]) -> list[StampRow]:
    """A row for each frame that the decoder gives, in the order in which they are shown.

    Bytes and keyframes are those of its packets: the ones stamped from its time up to the next frame's.
    """
    rows: list[StampRow] = []
    with open_video(path) as container:
        stream = video_stream(container)
        stream.codec_context.options |= {"skip_loop_filter": "all"}
        for frame in decoded(container, stream):
            rows.append(StampRow(frame.pts, frame.key_frame, 0, 0, 0, (frame.width, frame.height)))
            _check_count(path, rows)
    if not rows:
        return rows
    if any(row.stamp is None for row in rows):
        return _stamped(rows, packet_rows)
    packet_rows = [row for row in packet_rows if row.stamp is not None]
    parts, theirs = _parts_of(rows), _parts_of(packet_rows)
    stamps = np.array(_stamps(rows))
    size, key, byte = np.zeros(len(rows), int), np.zeros(len(rows), bool), np.zeros(len(rows), int)
    for number, packet, stamp in zip(theirs, packet_rows, _stamps(packet_rows), strict=True):
        begin, end = np.searchsorted(parts, [number, number + 1])
        if begin == end:  # none of this part could be decoded
            continue
        at = max(begin, begin + int(np.searchsorted(stamps[begin:end], stamp, side="right")) - 1)
        size[at] += packet.size
        key[at] |= packet.key
        byte[at] = byte[at] or packet.byte
    return [
        row._replace(key=bool(k), size=int(s), byte=int(b))
        for row, k, s, b in zip(rows, key, size, byte, strict=True)
    ]


def _stamped(rows: list[StampRow], packet_rows: list[StampRow]) -> list[StampRow]:
    """The rows with stamps for all: evenly between those that are known.

    Which packet is which frame's is not known then: sizes and bytes go in the order of storing.
    """
    at = [number for number, row in enumerate(rows) if row.stamp is not None] or [0]
    known = [row.stamp if row.stamp is not None else 0 for row in (rows[number] for number in at)]
    paces = [
        (stamp - before) / (number - previous)
        for (previous, number), (before, stamp) in zip(
            itertools.pairwise(at), itertools.pairwise(known), strict=True
        )
        if stamp > before
    ]
    pace = float(np.median(paces)) if paces else 1.0
    stamps: list[float] = [known[0] + pace * (number - at[0]) for number in range(at[0])]
    for number, end, stamp, following in zip(
        at, [*at[1:], len(rows)], known, [*known[1:], -1], strict=True
    ):
        step = (following - stamp) / (end - number) if following > stamp else pace
        stamps += [stamp + step * later for later in range(end - number)]
    share = np.linspace(0, len(packet_rows), len(rows) + 1).astype(int)  # packets of each frame
    total = np.concatenate([[0], np.cumsum([row.size for row in packet_rows])])
    return [
        row._replace(
            stamp=round(stamp),
            size=int(total[stop] - total[begin]),
            byte=packet_rows[min(begin, len(packet_rows) - 1)].byte,
            stamped=row.stamp is not None,
        )
        for row, stamp, (begin, stop) in zip(rows, stamps, itertools.pairwise(share), strict=True)
    ]


def _typical(stamps: np.ndarray) -> int:
    """How many ticks usually lie between two stamps of (F,), in whatever order they come; at least 1."""
    apart = np.abs(np.diff(stamps))
    return max(1, round(float(np.median(apart[apart > 0])))) if (apart > 0).any() else 1


def _parts_of(rows: list[StampRow]) -> np.ndarray:
    """(F,) int: which part of the stream each row belongs to; rows are in the order of storing.

    A new part begins with a keyframe that is to be shown before something that was stored earlier, and
    with a frame that is to be shown before one that was stored more than `REORDERED` frames earlier.
    """
    stamps, key = (np.array(column) for column in zip(*[row[:2] for row in rows], strict=True))
    highest, part = np.maximum.accumulate(stamps), np.zeros(len(stamps), int)
    if not (key & (stamps < highest)).any() and not (stamps[REORDERED:] < highest[:-REORDERED]).any():
        return part
    number, tops = 0, [int(stamps[0])]  # the highest stamp after each row of this part
    for row, (stamp, is_key) in enumerate(zip(stamps.tolist(), key.tolist(), strict=True)):
        if stamp < tops[-1] and (is_key or (len(tops) >= REORDERED and stamp < tops[-REORDERED])):
            number, tops = number + 1, [stamp]
        tops.append(max(tops[-1], stamp))
        part[row] = number
    return part


def _table(rows: list[StampRow], stream: av.VideoStream) -> FrameTable:
    """The rows in the order in which they are shown, their times going on from part to part."""
    columns = list(zip(*rows, strict=True))[:5]
    stamps, key, size, duration, byte = (np.array(column, np.int64) for column in columns)
    part = _parts_of(rows)
    order = np.lexsort((stamps, part))
    begins = np.searchsorted(part, np.arange(part[-1] + 1)).tolist()
    sorted_stamps, apart, tick = stamps[order], _typical(stamps[order]), tick_of(stream)
    pts, joins = sorted_stamps.copy(), []
    for begin, end in itertools.pairwise([*begins[1:], len(rows)]):
        shift = int(pts[begin - 1]) + apart - int(sorted_stamps[begin])
        pts[begin:end] += shift
        joins.append(Join(int(byte[begin:end].min()), float(shift * tick)))
    shapes = [rows[i].shape for i in order]
    same = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), len(rows))
    ended = ""
    if same < len(rows):
        (width, height), at = shapes[same], float(pts[same] * tick)
        was = " x ".join(map(str, shapes[0]))
        ended = f"the picture's size changes at {at:.2f} s from {was} to {width} x {height}"
    return FrameTable(
        pts=pts[:same],
        stamps=sorted_stamps[:same],
        key=key.astype(bool)[order][:same],
        size=size[order][:same],
        parts=tuple(begin for begin in begins if begin < same),
        joins=tuple(joins),
        end=int((pts + duration[order])[:same].max()),
        found=len(rows),
        ended=ended,
        stamped=all(row.stamped for row in rows),
    )
