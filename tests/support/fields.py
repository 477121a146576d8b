"""H.264 in field pictures, bit by bit: no encoder at hand writes them. Every macroblock is plain PCM."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support.coded import HEIGHT, WIDTH, picture

GOP = 12
HALF = 1800  # ticks of 1/90000 s: a field at 25 frames a second
BYTES = [format(value, "08b") for value in range(256)]
SPS, PPS, IDR, OTHER = 7, 8, 5, 1


class Bits:
    def __init__(self):
        self.text: list[str] = []

    def u(self, count: int, value: int) -> None:
        self.text.append(format(value, f"0{count}b"))

    def ue(self, value: int) -> None:
        digits = format(value + 1, "b")
        self.text.append("0" * (len(digits) - 1) + digits)

    def aligned(self) -> None:
        if odd := sum(map(len, self.text)) % 8:
            self.text.append("0" * (8 - odd))

    def nal(self, kind: int) -> bytes:
        """The bits as a unit, with a start code, and with bytes that keep other start codes out."""
        self.text.append("1")
        self.aligned()
        digits = "".join(self.text)
        data = int(digits, 2).to_bytes(len(digits) // 8, "big")
        out, zeros = bytearray(), 0
        for byte in data:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([0x60 | kind]) + bytes(out)


def parameters() -> bytes:
    sps = Bits()
    sps.u(8, 77), sps.u(8, 0), sps.u(8, 30), sps.ue(0)  # Main profile
    sps.ue(0)  # frame numbers of 4 bits
    sps.ue(2)  # shown in the order of decoding
    sps.ue(1), sps.u(1, 0)
    sps.ue(WIDTH // 16 - 1), sps.ue(-(-HEIGHT // 32) - 1)
    sps.u(1, 0), sps.u(1, 0)  # not only frames; no mixing inside of a frame
    sps.u(1, 1)
    extra = -(-HEIGHT // 32) * 32 - HEIGHT
    sps.u(1, 1 if extra else 0)
    if extra:
        sps.ue(0), sps.ue(0), sps.ue(0), sps.ue(extra // 4)
    sps.u(1, 1)  # what else is good to know: the rate
    sps.u(4, 0)
    sps.u(1, 1), sps.u(32, 1), sps.u(32, 50), sps.u(1, 1)
    sps.u(4, 0)
    pps = Bits()
    pps.ue(0), pps.ue(0), pps.u(2, 0), pps.ue(0), pps.ue(0), pps.ue(0)
    pps.u(3, 0), pps.ue(0), pps.ue(0), pps.ue(0), pps.u(3, 0b100)
    return sps.nal(SPS) + pps.nal(PPS)


def field(planes: Sequence[np.ndarray], frame: int, bottom: bool) -> bytes:
    """One field as a picture of its own; planes Y, Cb, Cr are those of the field."""
    first = frame % GOP == 0
    kind = IDR if first and not bottom else OTHER
    bits = Bits()
    bits.ue(0), bits.ue(7), bits.ue(0), bits.u(4, frame % GOP)
    bits.u(1, 1), bits.u(1, int(bottom))
    if kind == IDR:
        bits.ue(frame // GOP % 2), bits.u(2, 0)
    else:
        bits.u(1, 0)
    bits.ue(0), bits.ue(1)  # the quantiser's step, no loop filter
    rows, columns = planes[0].shape[0] // 16, planes[0].shape[1] // 16
    for row in range(rows):
        for column in range(columns):
            bits.ue(25)  # PCM
            bits.aligned()
            for plane, size in zip(planes, (16, 8, 8), strict=True):
                block = plane[row * size : (row + 1) * size, column * size : (column + 1) * size]
                bits.text += [BYTES[value] for value in np.maximum(block, 1).ravel().tolist()]
    unit = bits.nal(kind)
    return parameters() + unit if kind == IDR else unit


def fields_of(number: int, frame: int) -> list[bytes]:
    luma = picture(number)[..., 0].astype(int) * 219 // 255 + 16
    height = -(-HEIGHT // 32) * 32
    luma = np.pad(luma, ((0, height - HEIGHT), (0, 0)), mode="edge")
    grey = np.full((height // 2, WIDTH // 2), 128)
    return [field([p[half::2] for p in (luma, grey, grey)], frame, bool(half)) for half in (0, 1)]


def write(path: Path, numbers: Sequence[int], *, together: bool) -> Path:
    """A file at 25 frames a second, with a packet for each field, or for both of a frame."""
    raw = path.with_suffix(".h264")
    pairs = [fields_of(number, frame) for frame, number in enumerate(numbers)]
    raw.write_bytes(b"".join(b"".join(pair) for pair in pairs))
    units = [b"".join(pair) for pair in pairs] if together else [one for pair in pairs for one in pair]
    step = 2 * HALF if together else HALF
    with av.open(str(raw), format="h264") as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, unit in enumerate(units):
            packet = av.Packet(unit)
            packet.stream, packet.time_base = stream, Fraction(1, 90_000)
            packet.pts = packet.dts = number * step
            packet.duration = step
            packet.is_keyframe = (number if together else number / 2) % GOP == 0
            out.mux(packet)
    raw.unlink()
    return path
