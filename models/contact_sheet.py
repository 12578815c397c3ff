"""One picture that shows a data set: a row of examples per class."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from contracts.bundle import Preprocessing
from serving.preprocess import crop, decode

PER_CLASS: Final = 8
MAX_CLASSES: Final = 12
_TILE_PX: Final = 72
_GAP_PX: Final = 4
_PREPROCESSING: Final = Preprocessing(size=_TILE_PX, resize=_TILE_PX)


def contact_sheet(rows: Sequence[Sequence[Path]]) -> bytes:
    """Return a JPEG with one row per class, of readable pictures; at most some tens of kilobytes.

    Only the first `MAX_CLASSES` rows and `PER_CLASS` pictures of each are shown.
    """
    shown = [row[:PER_CLASS] for row in rows[:MAX_CLASSES]]
    step = _TILE_PX + _GAP_PX
    columns = max((len(row) for row in shown), default=0)
    sheet = Image.new("RGB", (columns * step + _GAP_PX, len(shown) * step + _GAP_PX), "white")
    for y, row in enumerate(shown):
        for x, path in enumerate(row):
            tile = Image.fromarray(crop(decode(path, _PREPROCESSING), _PREPROCESSING))
            sheet.paste(tile, (_GAP_PX + x * step, _GAP_PX + y * step))
    buffer = BytesIO()
    sheet.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()
