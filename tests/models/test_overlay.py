"""An explanation drawn on its picture."""

import numpy as np
import pytest
from PIL import Image

from models.overlay import overlay


@pytest.mark.parametrize("size", [(200, 100), (100, 200), (100, 100), (7, 300), (1, 1)], ids=str)
def test_what_matters_keeps_its_colours_and_all_else_is_grey(size: tuple[int, int]) -> None:
    side = min(size)
    left, top = (size[0] - side) / 2 / size[0], (size[1] - side) / 2 / size[1]
    heat = np.zeros((14, 14))
    heat[:5, -5:] = 1
    drawn = overlay(Image.new("RGB", size, "red"), heat, (left, top, 1 - left, 1 - top))
    assert drawn.size == size
    if side < 100:
        return
    pixels = np.asarray(drawn)
    is_red = (pixels == (255, 0, 0)).all(axis=-1)
    rows, columns = np.nonzero(is_red)
    assert rows.max() < (top + 0.4 * (1 - 2 * top)) * size[1]
    assert columns.min() > (left + 0.6 * (1 - 2 * left)) * size[0]
    assert columns.max() < (1 - left) * size[0]  # nothing outside of what the model saw
    far = pixels[-1, 0]
    assert far.max() == far.min()


def test_a_map_of_nothing_leaves_nothing() -> None:
    pixels = np.asarray(
        overlay(Image.new("RGBA", (60, 40), "blue"), np.zeros((3, 3)), (0, 0, 1, 1))
    )
    assert (pixels == pixels[0, 0]).all()
