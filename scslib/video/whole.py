"""Tell whether a file ends before it should.

The header counts what lasts longest: sound, subtitles or chapters may go on after the pictures.
"""

from __future__ import annotations

import os

import av

from scslib.video.container import open_video, packets

EBML, SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")


def is_whole(container: av.container.InputContainer, promised_s: float) -> bool:
    """Tell whether an open file's end is there: it may be, though its pictures end before `promised_s`
    seconds.

    A Matroska file says how many bytes it has. Of others some other stream has to last as long.
    """
    if "matroska" in container.format.name:
        end = _segment_end(container.name)
        if end is not None:
            return end <= os.stat(container.name).st_size
    last = 0.0
    with open_video(container.name) as again:
        others = [stream for stream in again.streams if stream.type in ("audio", "subtitle")]
        for packet in packets(again, others) if others else ():
            if packet.pts is not None:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return promised_s <= 1.02 * last


def _segment_end(path: str) -> int | None:
    """Where the first segment of a Matroska file ends, in bytes; None where it does not say."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head.startswith(EBML):
        return None
    size, at = _vint(head, len(EBML))
    at += size or 0
    if head[at : at + len(SEGMENT)] != SEGMENT:
        return None
    size, at = _vint(head, at + len(SEGMENT))
    return None if size is None else at + size


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of EBML at a byte of `data`, None for one not known, and the byte after it."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return None, at + 1
    bits = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if bits == (1 << 7 * length) - 1 else bits), at + length
