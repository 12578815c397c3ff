"""A small picture for inside of a page."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from contracts.bundle import Preprocessing
from serving.preprocess import crop, decode

_PREPROCESSING: Final = Preprocessing(size=96, resize=96)


def thumbnail(picture: bytes | Path) -> str:
    """A data address of some 3 kB. Raises `UnreadableExample`."""
    pixels = crop(decode(picture, _PREPROCESSING), _PREPROCESSING)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
