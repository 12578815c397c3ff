"""From a picture's bytes to the model's input. Training, draft and serving all use this code."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contracts.bundle import Preprocessing
from contracts.errors import UnreadableExample
from contracts.limits import Limits
from serving.lookalikes import why_unreadable
from serving.picture_cost import check_cost, orientation
from serving.structure import TooCostly, check_structure

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS: Final = Limits().max_pixels

Box = tuple[float, float, float, float]

_BAND_PIXELS: Final = 2**20  # converted at once
_SMALLER = "scale the picture down, 1,000 pixels a side are plenty"
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

    Raises `UnreadableExample`, for what would take too much time or memory before it takes it.
    """
    data = data if isinstance(data, bytes) else data.read_bytes()
    try:
        image, turn = _opened(data, preprocessing, max_pixels)
        return image if turn is None else image.transpose(turn)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooCostly(
            f"the picture has far too many pixels, at most {max_pixels:,} are read", fix=_SMALLER
        ) from error
    except UnreadableExample:
        raise
    except Exception as error:  # decoders raise almost anything on hostile bytes
        why, fix = why_unreadable(data, error)
        raise UnreadableExample(why, fix=fix) from error


def _opened(
    data: bytes, preprocessing: Preprocessing, max_pixels: int
) -> tuple[Image.Image, Image.Transpose | None]:
    """The picture as RGB and how to make it upright; its stored form is given up on return."""
    passes = check_structure(data)
    # Opened formats are a short list: Pillow also reads some that run other programs.
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        _check_size(image, max_pixels)
        stored = image.size
        # libjpeg skips the work for detail that the resize would throw away.
        image.draft("RGB", (preprocessing.resize, preprocessing.resize))
        check_cost(image, stored, passes)
        image.load()
        return _to_rgb(image), _UPRIGHT.get(orientation(image))


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
        raise TooCostly(
            f"the picture has {image.width} × {image.height} = {pixels:,} pixels, "
            f"at most {max_pixels:,} are read",
            fix=_SMALLER,
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy() if image.readonly else image
    if image.mode.startswith(("I", "F")):
        full = 65535.0 if image.mode.startswith("I;16") else _full_scale(_largest(image))
        return _in_bands(image, lambda part: _from_deep_grey(part, full))
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        return _in_bands(image, _on_white)
    return image.convert("RGB")


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes from the top down: copies of all of a large picture would take gigabytes."""
    height = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, height):
        yield 0, top, image.width, min(top + height, image.height)


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    result = Image.new("RGB", image.size)
    for box in _bands(image):
        result.paste(convert(image.crop(box)), box)
    return result


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _from_deep_grey(image: Image.Image, full: float) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey to 8 bits; Pillow's own conversion would clip."""
    grey = np.clip(_values(image) * (255 / full), 0, 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _values(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64))


def _largest(image: Image.Image) -> float:
    return max(float(_values(image.crop(box)).max()) for box in _bands(image))


def _full_scale(largest: float) -> float:
    """Guess the value of white where the file does not say: 1, 8 bits, 16 bits or the maximum."""
    return next((full for full in (1.0, 255.0, 65535.0) if largest <= full), largest)
