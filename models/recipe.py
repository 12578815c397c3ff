"""How to train: one frozen record of every number that training depends on."""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from contracts.errors import InvalidRequest
from contracts.manifest import Kind

CUSTOM: Final = "custom"  # name of a recipe with values of its own
ALL_BLOCKS: Final = 1_000  # more than any backbone has
# "cosine" rises evenly and falls along a cosine; "one_cycle" does both along cosines, from a 25th
# of the peak (Smith 2018); "plateau" falls tenfold when the validation loss has stopped falling.
SCHEDULES: Final = ("cosine", "one_cycle", "plateau", "constant")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to fine-tune.

    Stage 1 solves the head on frozen features, stage 2 trains blocks, stage 3 averages the two.
    """

    name: str = "balanced"
    backbone: str = "mobilenet_v2"  # a key of models.zoo.ZOO
    epochs: int = 8  # of stage 2; one epoch sees every training example once
    unfrozen_blocks: int = 8  # counted from the backbone's end; 0 leaves stage 1's model
    solve_head: bool = True  # stage 1; only of use with pretrained weights
    batch_size: int = 32  # examples per step, on all devices together
    optimizer: str = "adamw"  # or "sgd", with momentum
    learning_rate: float = 3e-4  # peak, of the unfrozen blocks
    head_learning_rate: float = 3e-5  # peak, of the classifier, which is solved already
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.01  # L2, per step; decoupled with adamw, part of the gradient with sgd
    l1: float = 0.0  # times the sum of the learning weights' absolute values, added to the loss
    schedule: str = "cosine"  # of the rates; one of SCHEDULES
    warmup_share: float = 0.2  # of a stage's steps, in which the rate rises to its peak
    # Steps in which the blocks are unfrozen, from the end; each has a schedule of its own. Where no
    # head was solved, the first one trains the head alone (Howard and Ruder 2018).
    unfreezing_stages: int = 1
    find_rates: bool = False  # a test at the beginning of each stage finds the peak rates
    class_weights: bool = False  # rare classes weigh as much as frequent ones
    # 0..1, probability spread over the other classes. It spoils a solved head: after one epoch with
    # 0.1 the validation loss was .34 instead of .29 (scenes), and never came back below its start.
    label_smoothing: float = 0.0
    dropout: float = 0.2  # 0..1, of the features before the classifier
    freeze_batch_norm: bool = True  # keep pretrained statistics: small batches spoil them
    smallest_crop: float = 0.5  # 0..1, least share of the picture's area a training crop keeps
    flip: bool = True  # mirror half of the training pictures; off where left and right differ
    rotation: float = 0.0  # degrees, largest turn either way
    jitter: float = 0.2  # 0..1, largest relative change of brightness and of contrast
    colour_shift: float = 0.0  # 0..1, largest shift of red, green and blue, each by itself
    erasing: float = 0.0  # 0..1, how often a rectangle is cut out of a picture (cutout)
    # Varied views of each picture that are put through the frozen blocks, once, for the epochs to
    # take turns at; 0 makes new ones in every epoch. See `models.view_bank`.
    kept_views: int = 4
    patience: int = 8  # epochs without a lower validation loss before stopping; the loss rises
    # while the learning rate is at its peak, so fewer than half of the epochs would be too few
    # Of text with fewer than `models.draft.FEW_PER_CLASS` examples in a class; 0 for never. With 8
    # per class (TREC) .83 were right instead of .51; more steps or a higher rate gave no more.
    contrastive_steps: int = 60
    contrastive_rate: float = 5e-5  # peak, of the unfrozen blocks
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `InvalidRequest` for the first value out of its range."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES and value not in _CHOICES[field.name]:
                raise InvalidRequest(
                    f"recipe value {field.name} is {str(value)[:40]!r}",
                    fix=f"use one of: {', '.join(_CHOICES[field.name])}",
                )
            if field.name in _RANGES and not _is_within(value, *_RANGES[field.name]):
                low, high = _RANGES[field.name]
                raise InvalidRequest(
                    f"recipe value {field.name} is {value!r}, it must lie in {low}..{high}",
                    fix=f"use a value such as {field.default!r}",
                )

    @classmethod
    def from_name(cls, name: str, kind: Kind = Kind.IMAGE) -> Self:
        """Return a built-in recipe for a kind. Raises `InvalidRequest` for an unknown name."""
        recipes = RECIPES if kind is Kind.IMAGE else TEXT_RECIPES
        if name not in recipes:
            raise InvalidRequest(
                f"recipe {name!r} is unknown", fix=f"use one of: {', '.join(sorted(recipes))}"
            )
        return cls(**asdict(recipes[name]))

    @classmethod
    def of(cls, text: str, kind: Kind = Kind.IMAGE) -> Self:
        """Return a built-in recipe by its name, or one with values of its own from JSON.

        The JSON holds what differs from the recipe that it names as its `preset`, or else from the
        balanced one. Raises `InvalidRequest`.
        """
        if not text.startswith("{"):
            return cls.from_name(text, kind)
        values = json.loads(text)
        preset = cls.from_name(str(values.pop("preset", "balanced")), kind)
        fixed = sorted({"name", "backbone", "seed"} & set(values))
        if fixed:
            raise InvalidRequest(
                f"a recipe's {fixed[0]} cannot be set in it", fix="use --model or --seed"
            )
        return cls.from_dict(preset.as_dict() | values | {"name": CUSTOM})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from a plain dict; raises `InvalidRequest` for unknown names and wrong types."""
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InvalidRequest(
                    f"a recipe has no value {name!r}", fix=f"use one of: {', '.join(known)}"
                )
            if not _has_type(value, known[name]):
                raise InvalidRequest(
                    f"recipe value {name} is {value!r}, it must be of type {known[name].__name__}",
                    fix=f"use a value such as {getattr(cls(), name)!r}",
                )
        return cls(**values)

    def from_scratch(self) -> Self:
        """Return what to do without weights: learn everything, at higher rates and for longer."""
        if not self.solve_head and self.unfrozen_blocks == ALL_BLOCKS:
            return self
        kept = ("name", "backbone", "batch_size", "flip", "seed")
        return replace(self, **RECIPES["scratch"].as_dict() | {k: getattr(self, k) for k in kept})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for MLflow's parameters and JSON."""
        return asdict(self)


_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "optimizer": ("adamw", "sgd"),
    "schedule": SCHEDULES,
}

_RANGES: Final[dict[str, tuple[float, float]]] = {
    "epochs": (0, 10_000),
    "unfrozen_blocks": (0, ALL_BLOCKS),
    "batch_size": (1, 4096),
    "learning_rate": (0, 10),
    "head_learning_rate": (0, 10),
    "momentum": (0, 0.999),
    "weight_decay": (0, 10),
    "l1": (0, 10),
    "unfreezing_stages": (1, 100),
    "warmup_share": (0, 1),
    "label_smoothing": (0, 0.99),
    "dropout": (0, 0.99),
    "smallest_crop": (0.01, 1),
    "rotation": (0, 180),
    "jitter": (0, 1),
    "colour_shift": (0, 1),
    "erasing": (0, 1),
    "kept_views": (0, 1_000),
    "patience": (1, 10_000),
    "contrastive_steps": (0, 1_000_000),
    "contrastive_rate": (0, 10),
    "seed": (0, 2**31 - 1),
}


def _is_within(value: float, low: float, high: float) -> bool:
    return low <= value <= high  # false for NaN


def _has_type(value: object, expected: type) -> bool:
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is expected


_BALANCED: Final = Recipe()

RECIPES: Final[dict[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        _BALANCED,
        replace(
            _BALANCED, name="fast", epochs=4, unfrozen_blocks=3, smallest_crop=0.6, kept_views=2
        ),
        replace(
            _BALANCED,
            name="accurate",
            epochs=12,
            kept_views=6,
            patience=12,
        ),
        Recipe(
            name="scratch",
            backbone="cnn",
            epochs=30,
            unfrozen_blocks=ALL_BLOCKS,
            solve_head=False,
            learning_rate=2e-3,
            head_learning_rate=2e-3,
            freeze_batch_norm=False,
            smallest_crop=0.6,
            patience=10,
        ),
        # What is usual elsewhere, to compare with: a new head on a frozen network, ...
        Recipe(
            name="head",
            epochs=15,
            unfrozen_blocks=0,
            solve_head=False,
            head_learning_rate=1e-3,
            schedule="plateau",
            smallest_crop=0.6,
            kept_views=2,
            patience=6,
        ),
        # ... and blocks unfrozen by stages, each at rates that a test has found.
        Recipe(
            name="staged",
            epochs=9,
            unfrozen_blocks=ALL_BLOCKS,
            solve_head=False,
            unfreezing_stages=3,
            find_rates=True,
            optimizer="sgd",
            learning_rate=1e-2,
            head_learning_rate=1e-2,
            weight_decay=5e-4,
            schedule="one_cycle",
            warmup_share=0.3,
            label_smoothing=0.1,
            freeze_batch_norm=False,
            smallest_crop=0.5,
            rotation=15.0,
            colour_shift=0.1,
            erasing=0.5,
        ),
    )
}

_TEXT: Final = Recipe(
    backbone="minilm_l6",
    epochs=4,
    unfrozen_blocks=6,  # all layers; the words' embeddings stay as pretrained
    learning_rate=5e-5,
    head_learning_rate=5e-4,
    warmup_share=0.1,
    dropout=0.1,
    patience=3,
)

TEXT_RECIPES: Final[dict[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        _TEXT,
        replace(_TEXT, name="fast", epochs=2, unfrozen_blocks=3),
        replace(_TEXT, name="accurate", epochs=8, patience=4),
    )
}
