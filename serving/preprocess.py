"""From a picture's bytes to the model's input. Training, draft and serving all use this code."""

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from contracts.bundle import Preprocessing
from contracts.errors import UnreadableExample
from contracts.limits import Limits

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS: Final = Limits().max_pixels

Box = tuple[float, float, float, float]

_FIX = "use a JPEG, PNG, WebP, GIF, BMP or TIFF that a picture viewer can open"
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_tensor(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the model's input of one decoded picture, `(3, size, size)` float32."""
    tensor: NDArray[np.float32] = normalise(crop(image, preprocessing)[None], preprocessing)[0]
    return tensor


def decode(
    data: bytes | Path, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open a picture as upright RGB, transparency on white; a large JPEG comes scaled down.

    Raises `UnreadableExample`, for more than `max_pixels` from the header alone.
    """
    try:
        # Opened formats are a short list: Pillow also reads some that run other programs.
        source = BytesIO(data) if isinstance(data, bytes) else data
        with Image.open(source, formats=FORMATS) as image:
            _check_size(image, max_pixels)
            # libjpeg skips the work for detail that the resize would throw away.
            image.draft("RGB", (preprocessing.resize, preprocessing.resize))
            image.load()
            return _to_rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableExample(f"the picture is too large to open: {error}", fix=_FIX) from error
    except UnreadableExample:
        raise
    except Exception as error:  # decoders raise almost anything on hostile bytes
        raise UnreadableExample(f"this is no readable picture ({error})", fix=_FIX) from error


def crop(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Scale the shorter side to `resize` px and cut the centre out: `(size, size, 3)` uint8."""
    # One resampling of the wanted box does both steps without computing what is cut away.
    target, box = (preprocessing.size, preprocessing.size), crop_box(image.size, preprocessing)
    return np.asarray(image.resize(target, Image.Resampling.BILINEAR, box=box))


def crop_box(size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    """The part of an upright picture that the model sees: left, top, right and bottom in px."""
    side = min(size) * min(preprocessing.size / preprocessing.resize, 1.0)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    return left, top, left + side, top + side


def normalise(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Turn `(n, size, size, 3)` uint8 into `(n, 3, size, size)` float32, scaled by mean and std."""
    mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
    # Channels first while values are still bytes: ten times as fast as the other way round.
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
    planes *= (1 / (255 * std))[:, None, None]
    planes -= (mean / std)[:, None, None]
    return planes


def _check_size(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise UnreadableExample(
            f"the picture has {image.width} × {image.height} = {pixels:,} pixels, "
            f"at most {max_pixels:,} are read",
            fix="scale the picture down, 1,000 pixels a side are plenty",
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block does not make the picture unreadable
        return image
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy() if image.readonly else image
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image)
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey to 8 bits; Pillow's own conversion would clip."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    full = 65535.0 if image.mode.startswith("I;16") else _full_scale(float(values.max()))
    grey = np.clip(values * (255 / full), 0, 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _full_scale(largest: float) -> float:
    """Guess the value of white where the file does not say: 1, 8 bits, 16 bits or the maximum."""
    return next((full for full in (1.0, 255.0, 65535.0) if largest <= full), largest)
