"""Parse the frame size from a keyframe's header."""

from __future__ import annotations

import re

import av

LOOKED_AT = 2048  # bytes of a packet
# What follows a start code up to the next one: sequence parameters, in the codec's own coding
PATTERNS = {
    "h264": rb"\x00\x00\x01[\x07\x27\x47\x67](.+?)(?:\x00\x00\x01|\x00\x00\x00|$)",
    "hevc": rb"\x00\x00\x01\x42\x01(.+?)(?:\x00\x00\x01|\x00\x00\x00|$)",
    "mpeg1video": rb"\x00\x00\x01\xb3(...)",
    "mpeg2video": rb"\x00\x00\x01\xb3(...)",
    "mpeg4": rb"\x00\x00\x01[\x20-\x2f](.+?)(?:\x00\x00\x01|$)",
    "vp8": rb"^...\x9d\x01\x2a(....)",
    "vp9": rb"^.\x49\x83\x42(....)",  # all but the last bits of the height
    "av1": rb"^(?:\x12\x00)?\x0a(.{8})",
    "mjpeg": rb"\xff[\xc0\xc2]...(....)",
}
COMPILED = {codec: re.compile(pattern, re.DOTALL) for codec, pattern in PATTERNS.items()}


def size_header(codec: str, packet: av.Packet) -> bytes:
    """What a keyframe's packet says of its size, to be compared with another's; b"" if it says nothing.

    Two that are equal mean the same size. Two that differ may do so, too: only a decoder knows.
    """
    if packet.has_sidedata("new_extradata"):
        return bytes(packet.get_sidedata("new_extradata"))
    pattern = COMPILED.get(codec)
    found = pattern.search(bytes(memoryview(packet)[:LOOKED_AT])) if pattern and packet.size else None
    return found[1] if found else b""
