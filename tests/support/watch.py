"""Seeing from outside what is done with files and sockets, by native code, too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from pathlib import Path


class Watch:
    """What is done in a folder by any process, native code included: Linux's inotify."""

    OPENED, CHANGED = 0x20, 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200  # open; write, move, make, delete

    def __init__(self, folder: Path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, bytes(folder), self.OPENED | self.CHANGED) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def seen(self) -> list[str]:
        """The names of files that were opened or changed since this was asked the last time."""
        names = []
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.fd, 65_536):
                while data:
                    _, _, _, length = struct.unpack_from("iIII", data)
                    names.append(data[16 : 16 + length].rstrip(b"\0").decode() or ".")
                    data = data[16 + length :]
        return names

    def close(self) -> None:
        os.close(self.fd)


class Server:
    """Somebody who waits for a connection, and answers nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def called(self) -> int:
        """How often since this was asked the last time."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
                count += 1
        return count
