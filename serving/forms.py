"""The first file of a form (multipart/form-data, RFC 7578), found in one pass over its bytes.

Python's own parser splits a body into lines and nests parts in parts: 7 MB of delimiters keep it
busy for two minutes, and a few thousand nested parts exhaust the stack.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Final

MAX_PARTS: Final = 1_000
_MAX_HEAD_BYTES: Final = 16_384  # of one part
_BOUNDARY: Final = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.I)
_FILE: Final = re.compile(rb"^content-disposition:[^\n]*;\s*filename\*?\s*=", re.I | re.M)
_CODING: Final = re.compile(
    rb"^content-transfer-encoding:\s*(base64|quoted-printable)", re.I | re.M
)
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")


def first_file(body: bytes, content_type: str) -> bytes | None:
    """The content of the first part that is a file; None where there is none.

    A form of more than `MAX_PARTS` parts has none behind them.
    """
    found = _BOUNDARY.search(content_type)
    if not found:
        return None
    boundary = re.escape((found[1] or found[2]).encode("utf-8", "replace"))
    for head, content in _parts(body, boundary):
        if _FILE.search(head):
            return _decoded(content, _CODING.search(head))
    return None


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each part's headers and content; a last one that is cut off goes to the end."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + boundary + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    here = delimiter.search(body)
    for _ in range(MAX_PARTS):
        if here is None or here[1]:
            return
        following = delimiter.search(body, here.end())
        until = following.start() if following else len(body)
        # From the delimiter on, so that a part without headers ends at once. The blank line may
        # be the one before the next delimiter.
        end = _HEAD_END.search(body, here.end(), min(until + 2, here.end() + _MAX_HEAD_BYTES))
        if end:
            yield body[here.end() : end.start()], body[end.end() : max(until, end.end())]
        here = following


def _decoded(content: bytes, coding: re.Match[bytes] | None) -> bytes:
    """As sent, but for old-fashioned senders who say that they wrap bytes in text."""
    if coding is None:
        return content
    try:
        is_base64 = coding[1].lower() == b"base64"
        return binascii.a2b_base64(content) if is_base64 else binascii.a2b_qp(content)
    except binascii.Error:
        return content
