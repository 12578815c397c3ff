"""What a model sees of a training batch: its own form of input, and variations of it."""

import math
from dataclasses import dataclass, field

from typing_extensions import override

from contracts.bundle import Preprocessing, TextPreprocessing
from models.recipe import Recipe
from models.torchlibs import torch

nn = torch.nn


@dataclass(frozen=True, slots=True)
class Draw:
    """Random numbers for a batch of `count` pictures, of which this process has only `rows`.

    All are drawn, so that a picture is augmented alike on any number of processes.
    """

    count: int
    rows: slice = field(default_factory=lambda: slice(None))
    rank: int = 0

    def uniform(self, low: float, high: float) -> torch.Tensor:
        """One number for each picture of this process, `(n,)`."""
        return torch.empty(self.count).uniform_(low, high)[self.rows]


def augment(images: torch.Tensor, recipe: Recipe, draw: Draw | None = None) -> torch.Tensor:
    """Vary every picture `(n, 3, size, size)` in its own way, in one go.

    torchvision's transforms draw once for a whole batch; one by one they take longer than the
    network's step.
    """
    draw = draw or Draw(len(images))
    views = _recolour(_move(images, recipe, draw), recipe, draw)
    return _erase(views, recipe.erasing, draw) if recipe.erasing else views


def _move(images: torch.Tensor, recipe: Recipe, draw: Draw) -> torch.Tensor:
    """Crop, mirror and turn."""
    count = len(images)
    area = draw.uniform(recipe.smallest_crop, 1.0)
    aspect = draw.uniform(-0.2, 0.2).exp()  # of the crop: up to 1.2 : 1 either way
    half_width = (area * aspect).sqrt().clamp(max=1.0)
    half_height = (area / aspect).sqrt().clamp(max=1.0)
    mirror = 1.0 - 2.0 * (draw.uniform(0, 1) < 0.5).float() if recipe.flip else torch.ones(count)
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0] = half_width * mirror
    transform[:, 1, 1] = half_height
    transform[:, 0, 2] = (1 - half_width) * draw.uniform(-1, 1)
    transform[:, 1, 2] = (1 - half_height) * draw.uniform(-1, 1)
    if recipe.rotation:
        transform[:, :, :2] = _turns(recipe.rotation, draw) @ transform[:, :, :2]
    grid = nn.functional.affine_grid(
        transform.to(images.device), list(images.shape), align_corners=False
    )
    return nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _turns(degrees: float, draw: Draw) -> torch.Tensor:
    """Rotations by up to `degrees` either way, `(n, 2, 2)`."""
    angle = draw.uniform(-math.radians(degrees), math.radians(degrees))
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)


def _recolour(images: torch.Tensor, recipe: Recipe, draw: Draw) -> torch.Tensor:
    """Change contrast around each picture's mean, brightness, and the balance of colours."""
    shape, device = (len(images), 1, 1, 1), images.device
    contrast = 1 + draw.uniform(-recipe.jitter, recipe.jitter).view(shape).to(device)
    brightness = draw.uniform(-recipe.jitter, recipe.jitter).view(shape).to(device)
    if recipe.colour_shift:
        largest = recipe.colour_shift
        shifts = torch.stack([draw.uniform(-largest, largest) for _ in range(3)], 1)
        brightness = brightness + shifts.view(-1, 3, 1, 1).to(device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean + brightness


def _erase(images: torch.Tensor, share: float, draw: Draw) -> torch.Tensor:
    """Grey out a rectangle of 2 to 20 % of the area in a `share` of the pictures.

    Source: DeVries and Taylor 2017; Zhong et al. 2017.
    """
    side, device = images.shape[-1], images.device
    area = draw.uniform(0.02, 0.2) * (draw.uniform(0, 1) < share)
    aspect = draw.uniform(-0.7, 0.7).exp()
    places = torch.arange(side) / side
    inside = []
    for length in ((area * aspect).sqrt()[:, None], (area / aspect).sqrt()[:, None]):
        start = draw.uniform(0, 1)[:, None] * (1 - length)
        inside.append(((places >= start) & (places < start + length)).to(device))
    hidden = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hidden, 0.0)


class Views(nn.Module):
    """Texts: a batch is the model's input already, and nothing is varied."""

    def to_input(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the model takes."""
        return batch

    def augmented(self, batch: torch.Tensor, recipe: Recipe, draw: Draw) -> torch.Tensor:
        """Return what it takes, varied for training."""
        del recipe, draw
        return batch


class PictureViews(Views):
    """Pictures: scaled as serving's `normalise` does; varied in training."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        mean, std = (
            torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std)
        )
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", mean / std, persistent=False)

    @override
    def to_input(self, batch: torch.Tensor) -> torch.Tensor:
        """`(n, size, size, 3)` uint8 to `(n, 3, size, size)`."""
        # A permuted NHWC tensor already is channels_last: no copy.
        return batch.permute(0, 3, 1, 2) * self.scale - self.shift

    @override
    def augmented(self, batch: torch.Tensor, recipe: Recipe, draw: Draw) -> torch.Tensor:
        return augment(self.to_input(batch), recipe, draw)


def views_of(preprocessing: Preprocessing | TextPreprocessing) -> Views:
    """Return a kind's views."""
    return PictureViews(preprocessing) if isinstance(preprocessing, Preprocessing) else Views()
