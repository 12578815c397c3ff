"""What a file is that is no readable picture: the usual mistakes, whatever it is called."""

from typing import Final

_FIX: Final = "save it as JPEG or PNG and send it again"
_WITHOUT: Final = "save it again without texts and profiles"
# How it begins, what it is, what to do.
_LOOKALIKES: Final = (
    (b"%PDF", "a PDF document", "export its pages as PNG"),
    (b"PK\x03\x04", "a zip archive or office document", "unpack it and send the pictures"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and send the pictures"),
    (b"<svg", "an SVG drawing", "export it as PNG"),
    (b"<!doctype html", "a web page", "save the picture itself, not the page around it"),
    (b"<html", "a web page", "save the picture itself, not the page around it"),
    (b"8BPS", "a Photoshop document", "export it as PNG"),
)
_BEGINNINGS: Final = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)


def why_unreadable(data: bytes, error: Exception) -> tuple[str, str]:
    """Why these bytes are no picture, of which a decoder said `error`; and the fix."""
    if "MAX_TEXT" in str(error):  # Pillow's bounds of what is unpacked beside the pixels
        return "the picture carries a text or colour profile that is far too long", _WITHOUT
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data[4:8] == b"ftyp":
        return "this is a HEIC, AVIF or video file", "export it as JPEG"
    if start.startswith(b"<?xml") and b"<svg" in start:
        return "this is an SVG drawing, no picture of pixels", "export it as PNG"
    for magic, what, fix in _LOOKALIKES:
        if start.startswith(magic.lower()):
            return f"this is {what}, no picture of pixels", fix
    if data.startswith(_BEGINNINGS) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return "the picture is damaged or cut off", _FIX
    return "this is no JPEG, PNG, WebP, GIF, BMP or TIFF picture", _FIX
