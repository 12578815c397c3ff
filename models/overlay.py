"""An explanation drawn on its picture: what matters keeps its colours, all else turns dark grey.

No scale of colours has to be known or told apart, and what lies below stays visible.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

_BORDER: Final = 0.5  # of the strongest; a line is drawn around what is above
_LINE: Final = (255, 200, 0)
_HALO: Final = (20, 20, 20)  # the line's own edge, for bright pictures


def overlay(image: Image.Image, heat: ArrayLike, box: Sequence[float]) -> Image.Image:
    """Draw a map `(rows, columns)` of 0..1 over the `box` of an upright picture.

    The box is left, top, right and bottom as shares of the picture's sides.
    """
    heat = _placed(np.asarray(heat, np.float32), box, image.size)
    colours = np.asarray(image.convert("RGB"), np.float32)
    grey = colours.mean(axis=-1, keepdims=True) * 0.35 + 40
    shown = np.clip(heat * 1.4, 0, 1)[..., None]
    drawn = (grey + (colours - grey) * shown).astype(np.uint8)
    width = max(round(max(image.size) / 200), 1)
    line, halo = (_outline(heat > _BORDER, part * width) for part in (1, 2))
    drawn[halo], drawn[line] = _HALO, _LINE
    return Image.fromarray(drawn)


def _placed(
    heat: NDArray[np.float32], box: Sequence[float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The map at the picture's resolution, `(height, width)`; 0 outside of the box."""
    left, right = (round(share * size[0]) for share in (box[0], box[2]))
    top, bottom = (round(share * size[1]) for share in (box[1], box[3]))
    inner = Image.fromarray(heat).resize(
        (max(right - left, 1), max(bottom - top, 1)), Image.Resampling.BICUBIC
    )
    whole = Image.new("F", size, 0.0)
    whole.paste(inner, (left, top))
    clipped: NDArray[np.float32] = np.clip(np.asarray(whole), 0, 1)
    return clipped


def _outline(inside: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """`width` px on either side of the border."""
    outline: NDArray[np.bool_] = _grown(inside, width) & _grown(~inside, width)
    return outline


def _grown(area: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """With the `width` px around it; on bits, as Pillow's filters take ten times as long."""
    for axis in (0, 1):
        lines = np.moveaxis(area.copy(), axis, 0)
        for _ in range(width):
            before = lines.copy()
            lines[1:] |= before[:-1]
            lines[:-1] |= before[1:]
        area = np.moveaxis(lines, 0, axis)
    return area
