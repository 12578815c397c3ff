"""What a deployable bundle says about itself: `model.json` beside `model.onnx`."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from contracts.errors import BundleInvalid
from contracts.manifest import Kind

SCHEMA_VERSION: Final = 1
MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "model.json"
TOKENIZER_FILE: Final = "tokenizer.json"  # beside a text model, in the form of `tokenizers`


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From a decoded RGB picture to the model's input, `(1, 3, size, size)` float32.

    The shorter side is scaled to `resize` px (bilinear, antialiased), the centre `size` px are cut
    out, values are scaled to 0..1, then `(value - mean) / std` per channel.
    """

    size: int = 224
    resize: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class TextPreprocessing:
    """From a text to the model's input, `(windows, tokens)` int64, padded with `pad_id`.

    The tokenizer cuts a long text into windows of `max_tokens`, its special tokens included; the
    first `max_windows` are read, and their logits averaged.
    """

    max_tokens: int = 256
    max_windows: int = 16
    pad_id: int = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything serving needs beyond the graph.

    The graph maps pictures or tokens to `logits` and, with a rejection threshold, to `novelty`.
    """

    kind: Kind
    classes: tuple[str, ...]
    preprocessing: Preprocessing | TextPreprocessing
    dataset_version: str
    backbone: str  # e.g. "mobilenet_v2", or "pixels" where no pretrained weights were reachable
    recipe: str  # e.g. "draft", "finetune"
    temperature: float = 1.0  # logits are divided by it before the softmax
    rejection_threshold: float | None = None  # above this novelty the label is null
    metrics: dict[str, float] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256
    model_version: str = ""

    def with_version(self) -> "ModelCard":
        """Return the card with `model_version` derived from everything else in it."""
        body = asdict(self) | {"model_version": ""}
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        return ModelCard(**{**_shallow(self), "model_version": f"{self.recipe}-{digest[:12]}"})

    def to_json(self) -> bytes:
        """`model.json`, readable and stable."""
        document = {"schema_version": SCHEMA_VERSION} | asdict(self)
        return json.dumps(document, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ModelCard":
        """Parse `model.json`. Raises `BundleInvalid` for another schema or a broken form."""
        try:
            document: dict[str, Any] = json.loads(data)
            schema = document.pop("schema_version")
            if schema != SCHEMA_VERSION:
                raise BundleInvalid(f"bundle schema {schema} is unknown, expected {SCHEMA_VERSION}")
            kind = Kind(document.pop("kind"))
            card = cls(
                kind=kind,
                classes=tuple(document.pop("classes")),
                preprocessing=_preprocessing(kind, document.pop("preprocessing")),
                **document,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleInvalid(f"this is no model.json: {error}") from error
        return card

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the bundle's files, the card's own last."""
        return (*sorted(self.checksums), CARD_FILE)

    def verify(self, filename: str, data: bytes) -> None:
        """Raise `BundleInvalid` unless `data` has the checksum this card lists for `filename`."""
        expected = self.checksums.get(filename)
        if expected is None or hashlib.sha256(data).hexdigest() != expected:
            raise BundleInvalid(f"{filename} does not match its checksum in {CARD_FILE}")


def _preprocessing(kind: Kind, values: dict[str, Any]) -> Preprocessing | TextPreprocessing:
    if kind is Kind.TEXT:
        return TextPreprocessing(**values)
    return Preprocessing(
        values["size"], values["resize"], tuple(values["mean"]), tuple(values["std"])
    )


def _shallow(card: ModelCard) -> dict[str, Any]:
    return {name: getattr(card, name) for name in card.__dataclass_fields__}
