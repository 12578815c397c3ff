"""What a file really is, by its first bytes; an extension proves nothing."""

SNIFF_BYTES = 32

_BMP_HEADER_SIZES = {12, 40, 52, 56, 64, 108, 124}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis"}


def picture_type(head: bytes) -> str | None:
    """The content type of a picture the API accepts, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return "image/tiff"
    return "image/bmp" if _is_bmp(head) else None


def reason_against(head: bytes) -> str:
    """Why these first bytes are no accepted picture, in words for the uploader."""
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "HEIC and AVIF pictures are not read: export them as JPEG"
    return "no picture (JPEG, PNG, WebP, GIF, BMP or TIFF)"


def _is_bmp(head: bytes) -> bool:
    """`BM` begins many texts, so the size of the header behind it has to be a known one."""
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES
