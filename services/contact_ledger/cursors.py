"""Cursors: where a page ended, as opaque text for the caller.

In: the sort key of the last row. Out: URL-safe text, and back. A cursor only says where to go on:
every query names the caller's tenant itself, so a forged cursor shows nothing that is not theirs.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

CURSOR_CHARS_MAX = 256  # ours are under 120; anything longer was not made here

T = TypeVar("T", bound=msgspec.Struct)


class CursorInvalid(ValueError):
    """The text is not a cursor of this list."""


def write(position: msgspec.Struct) -> str:
    """Return `position` as cursor text."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def read(cursor: str, shape: type[T]) -> T:
    """Return the position in `cursor`; raise `CursorInvalid`."""
    if len(cursor) > CURSOR_CHARS_MAX:
        raise CursorInvalid
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise CursorInvalid from error
