"""What frozen blocks make of pictures, computed once and learnt from many times.

The frozen blocks take most of a training step's time, and give the same for the same view of a
picture. So a few varied views of each are put through them once, and the epochs take turns at
those views. Values are kept as float16 on disk, where they take less room than the pixels do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from typing_extensions import override

from models.data import ExampleSet, PictureSet
from models.torchlibs import torch

MOST_BYTES: Final = 2.0  # of all views, as a multiple of the pixels' bytes
_ROWS: Final = 32  # at once

# Pictures (n, size, size, 3) uint8 and a seed, to the frozen blocks' output (n, c, h, w).
Frozen = Callable[[torch.Tensor, int], Any]


class ViewBank(ExampleSet):
    """Pictures as the frozen blocks' output: a batch is `(n, c, h, w)` float16 and its labels."""

    def __init__(self, pictures: PictureSet, frozen: Frozen, folder: Path, views: int) -> None:
        """Keep `views` of each picture in files in `folder`; `frozen` makes them, given a seed."""
        super().__init__(pictures.labels.tolist())
        self._pixels, self._frozen = pictures.pixels, frozen
        self._folder, self._views = folder, views
        self._maps = np.empty(0, np.float16)

    @property
    def is_worthwhile(self) -> bool:
        """Whether the output is one tensor, and its files take no unseemly room."""
        made = self._frozen(torch.from_numpy(self._pixels[:1]), 0)
        if not isinstance(made, torch.Tensor):
            return False
        taken = 2 * made[0].numel() * self._views
        return taken <= MOST_BYTES * int(self._pixels[0].nbytes)

    def show(self, epoch: int) -> None:
        """Turn to the view of an epoch, made now unless an earlier attempt left it."""
        view = epoch % self._views
        target = self._folder / f"view-{view}.npy"
        if not target.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            self._fill(part, view)
            part.replace(target)
        # Mapped copy-on-write: torch wants writable memory, and the file must never change.
        self._maps = np.load(target, mmap_mode="c")

    def _fill(self, part: Path, view: int) -> None:
        maps: np.memmap[Any, np.dtype[np.float16]] | None = None
        for start in range(0, len(self), _ROWS):
            pixels = torch.from_numpy(self._pixels[start : start + _ROWS])
            made = self._frozen(pixels, view * len(self) + start).half().cpu().numpy()
            if maps is None:
                shape = (len(self), *made.shape[1:])
                maps = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
            maps[start : start + len(made)] = made
        assert maps is not None
        maps.flush()

    @override
    def examples(self, rows: list[int]) -> torch.Tensor:
        return torch.from_numpy(self._maps[rows])
