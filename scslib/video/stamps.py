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


# A frame, or a packet: its stamp, and where it lies in the file. stamped: whether the stamp was given.
# One array for all rows, so that Python's garbage collection has little to go through.
ROW = np.dtype(
    [("stamp", "i8"), ("key", "?"), ("size", "i8"), ("duration", "i8"), ("byte", "i8")]
    + [("shape", "i8", 2), ("stamped", "?")]
)
UNKNOWN = -(2**63)  # in the place of a stamp, as in libav


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
    known = rows[rows["stamp"] != UNKNOWN]
    if not len(known):
        raise VideoError(f"{container.name}: the video stream has no packets")
    fields = stream.codec_context.name == "h264" and (
        stream.codec_context.field_order not in PROGRESSIVE or _twice_as_many(container, stream, known)
    )
    if fields or without or len(headers) > 1:
        decoded_rows = _decoded_rows(container.name, rows)
        rows = decoded_rows if len(decoded_rows) else known
    return _table(_without_leading(rows, first), stream)


def _packet_rows(
    container: av.container.InputContainer, stream: av.VideoStream, first: FirstFrame
) -> tuple[np.ndarray, bool, set[bytes]]:
    """A row for each packet with a picture, whether stamps are missing, and the sizes' headers."""
    found: list[tuple] = []
    headers: set[bytes] = set()
    begun, without, byte = False, False, 0
    codec, stamped = stream.codec_context.name, container.format.name != "avi"
    for packet in packets(container, stream):
        if first.looking:
            first(packet)
        key, size, stamp = packet.is_keyframe, packet.size, packet.pts
        if key and not begun:
            found, begun, without = [], True, False  # what lies before the first one cannot be decoded
        if not size or packet.is_discard:
            continue
        byte = byte if packet.pos is None else packet.pos
        if stamp is None:
            stamp = UNKNOWN if packet.dts is None else packet.dts
            without |= stamped or stamp == UNKNOWN
        if key:
            headers.add(size_header(codec, packet))
        found.append((stamp, key, size, packet.duration or 0, byte))
        if len(found) > MOST_FRAMES:
            break
    _check_count(container.name, found)
    return _rows(found, "stamp", "key", "size", "duration", "byte"), without, headers - {b""}


def _rows(found: list[tuple], *names: str) -> np.ndarray:
    """An array of `ROW` with these fields; the others are zero, and `stamped` is True."""
    rows = np.zeros(len(found), ROW)
    rows["stamped"] = True
    for name, column in zip(names, zip(*found, strict=True), strict=False):
        rows[name] = column
    return rows


def _without_leading(rows: np.ndarray, first: FirstFrame) -> np.ndarray:
    """The rows without the frames before the first keyframe that no decoder can give.

    A recording that begins with an open group of pictures has lost what these refer to.
    """
    if not rows["key"].any() or first.frame is None or first.frame.pts is None:
        return rows
    shown = min(int(rows["stamp"][rows["key"].argmax()]), first.frame.pts)
    if rows["stamp"].min() >= shown:
        return rows
    return rows[(rows["stamp"] >= shown) | (_parts_of(rows) > 0)]


def _check_count(name: str, rows: list) -> None:
    if len(rows) > MOST_FRAMES:
        raise VideoError(f"{name}: more than {MOST_FRAMES} frames")


def _twice_as_many(container, stream: av.VideoStream, rows: np.ndarray) -> bool:
    """Whether packets follow each other about twice as fast as the declared frames."""
    apart = _typical(np.sort(rows["stamp"]))
    return 1.8 < 1 / max(1e-9, apart * float(tick_of(stream)) * declared_rate(stream)) < 2.2


def _decoded_rows(path: str, packet_rows: np.ndarray) -> np.ndarray:
    """A row for each frame that the decoder gives, in the order in which they are shown.

    Bytes and keyframes are those of its packets: the ones stamped from its time up to the next frame's.
    """
    found: list[tuple] = []
    with open_video(path) as container:
        stream = video_stream(container)
        stream.codec_context.options |= {"skip_loop_filter": "all"}
        for frame in decoded(container, stream):
            stamp = UNKNOWN if frame.pts is None else frame.pts
            found.append((stamp, frame.key_frame, (frame.width, frame.height)))
            _check_count(path, found)
    rows = _rows(found, "stamp", "key", "shape")
    if not len(rows):
        return rows
    if (rows["stamp"] == UNKNOWN).any():
        return _stamped(rows, packet_rows)
    packet_rows = packet_rows[packet_rows["stamp"] != UNKNOWN]
    parts, stamps = _parts_of(rows), rows["stamp"].copy()
    rows["key"] = False
    for part, packet in zip(_parts_of(packet_rows), packet_rows, strict=True):
        begin, end = np.searchsorted(parts, [part, part + 1])
        if begin == end:  # none of this part could be decoded
            continue
        at = max(begin, begin + np.searchsorted(stamps[begin:end], packet["stamp"], side="right") - 1)
        row = rows[at]
        row["size"] += packet["size"]
        row["key"] |= packet["key"]
        row["byte"] = row["byte"] or packet["byte"]
    return rows


def _stamped(rows: np.ndarray, packet_rows: np.ndarray) -> np.ndarray:
    """The rows with stamps for all: evenly between those that are known.

    Which packet is which frame's is not known then: sizes and bytes go in the order of storing.
    """
    rows["stamped"] = rows["stamp"] != UNKNOWN
    at = np.flatnonzero(rows["stamped"]).tolist() or [0]
    known = rows["stamp"][at].tolist() if rows["stamped"].any() else [0]
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
    rows["stamp"] = [round(stamp) for stamp in stamps]
    rows["size"] = np.diff(np.concatenate([[0], np.cumsum(packet_rows["size"])])[share])
    rows["byte"] = packet_rows["byte"][np.minimum(share[:-1], len(packet_rows) - 1)]
    return rows


def _typical(stamps: np.ndarray) -> int:
    """How many ticks usually lie between two stamps of (F,), in whatever order they come; at least 1."""
    apart = np.abs(np.diff(stamps))
    return max(1, round(float(np.median(apart[apart > 0])))) if (apart > 0).any() else 1


def _parts_of(rows: np.ndarray) -> np.ndarray:
    """(F,) int: which part of the stream each row belongs to; rows are in the order of storing.

    A new part begins with a keyframe that is to be shown before something that was stored earlier, and
    with a frame that is to be shown before one that was stored more than `REORDERED` frames earlier.
    """
    stamps, key = rows["stamp"], rows["key"]
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


def _table(rows: np.ndarray, stream: av.VideoStream) -> FrameTable:
    """The rows in the order in which they are shown, their times going on from part to part."""
    part = _parts_of(rows)
    begins = np.searchsorted(part, np.arange(part[-1] + 1)).tolist()
    rows = rows[np.lexsort((rows["stamp"], part))]
    stamps, tick, shape = np.ascontiguousarray(rows["stamp"]), tick_of(stream), rows["shape"]
    pts, joins, apart = stamps.copy(), [], _typical(stamps)
    for begin, end in itertools.pairwise([*begins[1:], len(rows)]):
        shift = int(pts[begin - 1]) + apart - int(stamps[begin])
        pts[begin:end] += shift
        joins.append(Join(int(rows["byte"][begin:end].min()), float(shift * tick)))
    other = (shape != shape[0]).any(1)
    same = int(other.argmax()) if other.any() else len(rows)
    ended = ""
    if same < len(rows):
        (width, height), at = shape[same], float(pts[same] * tick)
        was = " x ".join(map(str, shape[0]))
        ended = f"the picture's size changes at {at:.2f} s from {was} to {width} x {height}"
    return FrameTable(
        pts=pts[:same],
        stamps=stamps[:same],
        key=rows["key"][:same].copy(),
        size=rows["size"][:same].copy(),
        parts=tuple(begin for begin in begins if begin < same),
        joins=tuple(joins),
        end=int((pts + rows["duration"])[:same].max()),
        found=len(rows),
        ended=ended,
        stamped=bool(rows["stamped"].all()),
    )
