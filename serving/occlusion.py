"""Hiding parts of a picture, one after another, and what their absence says about each place.

Occlusion (Zeiler and Fergus 2014) with soft patches. A patch is filled from what surrounds it: grey
or mean colour would put something new into the picture, and a blur would leave large areas as they
were.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

GRID: Final = 7  # patches a side; with the whole picture 50 questions, each 0.5 s at most
CELLS: Final = 2 * GRID  # of the map, a side
_REACH: Final = 1.3  # from a patch's centre to its border, in distances of centres
_FLATNESS: Final = 1.6  # above 1, a patch hides its middle altogether

_Plane = NDArray[np.float32]


def hidden(picture: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A picture `(3, size, size)` without each patch: `GRID` times `(GRID, 3, size, size)`."""
    size = picture.shape[-1]
    fine, coarse, spread = _profiles(size), _profiles(CELLS), _interpolation(size)
    means = spread / np.maximum(spread.sum(axis=0), 1e-6)
    cells = means.T @ picture @ means  # (3, CELLS, CELLS)
    for row in range(GRID):
        pictures = np.repeat(picture[None], GRID, axis=0)
        for column in range(GRID):
            seen = 1 - np.outer(coarse[row], coarse[column])
            down, across = np.flatnonzero(fine[row]), np.flatnonzero(fine[column])
            area = np.s_[:, down[0] : down[-1] + 1, across[0] : across[-1] + 1]
            fill = spread[down] @ _surroundings(cells, seen) @ spread[across].T
            patch = np.outer(fine[row][down], fine[column][across])
            pictures[column][area] += patch * (fill - picture[area])
        yield pictures


def heat(falls: NDArray[np.float32]) -> _Plane:
    """From what hiding each patch takes away, `(GRID * GRID,)`, to each place: `(CELLS, CELLS)`.

    A place gets the mean of the patches that cover it, each by how much it hides of it.
    """
    cover = _profiles(CELLS)
    shares = cover / cover.sum(axis=0)
    places: _Plane = shares.T @ falls.reshape(GRID, GRID) @ shares
    return places


def _surroundings(cells: NDArray[np.float32], seen: _Plane) -> NDArray[np.float32]:
    """Each cell as the mean of those that are seen, the nearest first."""
    distance = np.abs(np.arange(CELLS)[:, None] - np.arange(CELLS))
    near = np.exp(-distance).astype(np.float32)
    filled: NDArray[np.float32] = (near @ (cells * seen) @ near) / (near @ seen @ near)
    return filled


def _profiles(size: int) -> _Plane:
    """How much each of a row's patches hides, 0..1, `(GRID, size)`."""
    centres, places = (np.arange(GRID) + 0.5) / GRID, (np.arange(size) + 0.5) / size
    distance = np.abs(places - centres[:, None]) * GRID / _REACH
    bell = np.cos(np.pi / 2 * np.minimum(distance, 1)) ** 2
    profiles: _Plane = np.clip(_FLATNESS * bell, 0, 1).astype(np.float32)
    return np.where(distance < 1, profiles, np.float32(0))


def _interpolation(size: int) -> _Plane:
    """Linear, from cells to pixels: `(size, CELLS)`."""
    places = np.clip((np.arange(size) + 0.5) / size * CELLS - 0.5, 0, CELLS - 1)
    distance = np.abs(places[:, None] - np.arange(CELLS))
    weights: _Plane = np.maximum(1 - distance, 0).astype(np.float32)
    return weights
