"""What a model sees of a training batch: its own form of input, and variations of it."""

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
    """Crop, mirror and re-light every picture `(n, 3, size, size)` in its own way, in one go."""
    count = len(images)
    draw = draw or Draw(count)
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
    grid = nn.functional.affine_grid(
        transform.to(images.device), list(images.shape), align_corners=False
    )
    views = nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return _relight(views, recipe.jitter, draw)


def _relight(images: torch.Tensor, jitter: float, draw: Draw) -> torch.Tensor:
    """Change contrast around each picture's mean, and brightness, by at most `jitter` each."""
    shape, device = (len(images), 1, 1, 1), images.device
    contrast = 1 + draw.uniform(-jitter, jitter).view(shape).to(device)
    brightness = draw.uniform(-jitter, jitter).view(shape).to(device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean + brightness


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
    """Pictures: scaled as serving's `normalise` does; cropped, mirrored and re-lit in training."""

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
