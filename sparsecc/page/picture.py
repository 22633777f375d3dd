"""A picture of a layer's blocks as a tiny PNG file within the page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

#: colour of kept blocks; those in between are the same, less opaque, so that it suits light and dark pages
_KEPT = (15, 125, 115)
_PALETTE = bytes(_KEPT) * 10
_ALPHA = bytes([0, 72, 92, 112, 132, 152, 172, 192, 212, 255])


def data_uri(picture: Sequence[str]) -> str:
    """What the ``src`` of an image may be, a pixel for each digit; empty where there is no picture.

    Parameters
    ----------
    picture : sequence of str
        As :func:`~sparsecc.analyse.picture.picture_of` makes it. It may come from a file, and be anything.
    """
    if not picture or not all(line.isdecimal() and line.isascii() for line in picture):
        return ""
    width = len(picture[0])
    if any(len(line) != width for line in picture):
        return ""
    rows = b"".join(b"\0" + bytes(map(int, line)) for line in picture)
    head = struct.pack(">IIBBBBB", width, len(picture), 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", _PALETTE), (b"tRNS", _ALPHA), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
