import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from contracts.bundle import Preprocessing
from contracts.errors import UnreadableExample
from serving.preprocess import crop, decode, normalise, to_tensor

SMALL = Preprocessing(size=32, resize=32)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 64, height: int = 64) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_gives_nearly_the_same_tensor(kind: str) -> None:
    options = {"quality": 95} if kind in {"JPEG", "WEBP"} else {}
    tensor = to_tensor(decode(encoded(gradient(), kind, **options), SMALL), SMALL)
    expected = to_tensor(gradient(), SMALL)
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == np.float32
    assert np.abs(tensor - expected).mean() < 0.15  # GIF has 256 colours


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "TIFF" if mode in {"I", "PA"} else "PNG"
    image = gradient().convert("P").convert("PA") if mode == "PA" else None
    image = image or gradient().convert("L" if mode.startswith("I") else mode).convert(mode)
    try:
        data = encoded(image, kind)
    except OSError:
        pytest.skip(f"Pillow does not write {mode}")
    assert decode(data, SMALL).mode == "RGB"


def test_transparency_is_shown_on_white() -> None:
    clear = Image.new("RGBA", (40, 40), (200, 0, 0, 0))
    assert decode(encoded(clear, "PNG"), SMALL).getpixel((0, 0)) == (255, 255, 255)


def test_transparent_palette_colour_is_shown_on_white() -> None:
    picture = Image.new("P", (40, 40), 3)
    picture.putpalette([0, 0, 0] * 256)
    data = encoded(picture, "PNG", transparency=3)
    assert decode(data, SMALL).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = np.full((40, 40), 32768, np.uint16)
    grey = decode(encoded(Image.fromarray(values), "PNG"), SMALL).getpixel((0, 0))
    assert grey == (128, 128, 128)


@pytest.mark.parametrize(("largest", "expected"), [(0.5, 128), (128.0, 128), (32768.0, 128)])
def test_float_grey_is_scaled_by_its_range(largest: float, expected: int) -> None:
    values = np.full((40, 40), largest, np.float32)
    assert decode(encoded(Image.fromarray(values), "TIFF"), SMALL).getpixel((0, 0))[0] == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int) -> None:
    upright = gradient(48, 64)
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = upright.transpose(stored[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = decode(encoded(turned, "JPEG", quality=95, exif=exif), SMALL)
    assert shown.size == upright.size
    assert np.abs(np.asarray(shown, int) - np.asarray(upright, int)).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_matter() -> None:
    data = encoded(gradient(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(data, SMALL).mode == "RGB"


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    large = gradient(1600, 1200)
    quick = decode(encoded(large, "JPEG", quality=95), SMALL)
    assert quick.size == (200, 150)
    assert np.abs(to_tensor(quick, SMALL) - to_tensor(large, SMALL)).max() < 0.15


def test_a_wide_picture_is_cut_in_the_middle() -> None:
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste("black", (100, 0, 200, 100))
    middle = crop(wide, SMALL)
    assert middle.shape == (32, 32, 3)
    assert middle[:, 2:-2].max() == 0  # the edge columns blend with their neighbours


def test_resize_larger_than_size_cuts_the_border_off() -> None:
    framed = Image.new("RGB", (128, 128), "white")
    framed.paste("black", (16, 16, 112, 112))
    assert crop(framed, Preprocessing(size=32, resize=64)).max() == 0


def test_normalise_follows_the_bundles_numbers() -> None:
    pixels = np.full((1, 2, 2, 3), 255, np.uint8)
    tensor = normalise(pixels, Preprocessing(2, 2, (0.5, 0.0, 1.0), (0.5, 1.0, 2.0)))
    assert tensor[0, :, 0, 0] == pytest.approx([1.0, 1.0, 0.0])


BAD = {
    "nothing": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "html": b"<!doctype html><title>404</title>",
    "cut off": encoded(gradient(), "JPEG")[:400],
    "header only": encoded(gradient(), "PNG")[:60],
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused_with_a_fix(name: str) -> None:
    with pytest.raises(UnreadableExample) as refusal:
        decode(BAD[name], SMALL)
    assert refusal.value.fix


def test_every_cut_of_a_picture_is_refused_or_read_never_anything_else() -> None:
    data = encoded(gradient(), "PNG")
    for length in range(0, len(data), 7):
        try:
            assert decode(data[:length], SMALL).mode == "RGB"
        except UnreadableExample:
            continue


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize("side", [9_700, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    with pytest.raises(UnreadableExample):
        decode(png_header(side, side), SMALL)


def test_files_are_read_as_well(tmp_path) -> None:
    path = tmp_path / "no.extension"
    path.write_bytes(encoded(gradient(), "PNG"))
    assert np.array_equal(np.asarray(decode(path, SMALL)), np.asarray(gradient()))
