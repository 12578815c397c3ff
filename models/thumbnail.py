"""Small pictures for inside of a page."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from contracts.bundle import Preprocessing
from serving.preprocess import crop, decode

SMALL: Final = Preprocessing(size=96, resize=96)
LARGE: Final = Preprocessing(size=144, resize=144)


def thumbnail(picture: bytes | Path, form: Preprocessing = SMALL) -> str:
    """A data address of some 3 kB. Raises `UnreadableExample`."""
    return encoded(decode(picture, form), form)


def encoded(image: Image.Image, form: Preprocessing) -> str:
    """A picture's middle as a data address."""
    buffer = BytesIO()
    Image.fromarray(crop(image, form)).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
