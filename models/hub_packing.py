"""Looking at a model of the hub once, with torch, and packing it into one file.

What is packed has been taken apart, put together again, exported, and compared each time.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from contracts.archive import write_zip
from contracts.bundle import TOKENIZER_FILE, Preprocessing, TextPreprocessing
from contracts.errors import InvalidRequest
from models.export import export_onnx, parity_error
from models.hub_blocks import ENDS, POOLS, blocks_of, load_model
from models.hub_packs import FITTING, HUB_FILES, PACK_FILE, PROCESSOR_FILE, Pack, unfit
from models.sentence_encoders import CONFIG_FILE
from models.torchlibs import torch
from models.zoo import Classifier
from serving.windows import open_tokenizer

MOST_PIXELS_A_SIDE: Final = 1024
_TOLERANCE: Final = 1e-3  # of logits and of features, relative to the largest


def pack_model(hub_id: str, revision: str, folder: Path, target: Path) -> Pack:
    """Examine the model in a folder and write it to `target`, whole or not at all.

    Raises `InvalidRequest` that says why a model cannot be a backbone.
    """
    pack = _examined(Pack(hub_id, revision, 0, "", False, "", False, Preprocessing()), folder)
    files: list[tuple[str, bytes | Path]] = [
        (name, folder / name) for name in HUB_FILES if (folder / name).is_file()
    ]
    write_zip([(PACK_FILE, pack.to_json()), *files], target)
    return pack


@contextmanager
def _told(hub_id: str, doing: str) -> Iterator[None]:
    try:
        yield
    except InvalidRequest:
        raise
    except Exception as error:  # the libraries raise almost anything on a model they cannot do
        said = " ".join(str(error).split())[:300]
        raise unfit(hub_id, f"{doing} failed ({type(error).__name__}: {said})") from error


def _examined(pack: Pack, folder: Path) -> Pack:
    with _told(pack.hub_id, "reading its configuration"):
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        pack = _with_preprocessing(pack, config, folder)
    with _told(pack.hub_id, "loading its weights"):
        model: Any = load_model(folder).eval()
    inputs = _inputs(pack, config, rows=2)
    with _told(pack.hub_id, "running it"), torch.inference_mode():
        expected = _run(pack, model, inputs)
        pack = replace(pack, pool=_pool_of(pack, model, expected))
        pack = _taken_apart(pack, model, inputs, expected)
        blocks = blocks_of(model, pack).eval()
        pack = replace(pack, feature_dim=POOLS[pack.pool](blocks(inputs)).shape[1])
    with _told(pack.hub_id, "its export to ONNX"):
        classifier = Classifier(blocks, pack.feature_dim, 2, pool=POOLS[pack.pool])
        torch.nn.init.normal_(classifier.head.weight, std=0.1)
        graph = export_onnx(classifier, pack.preprocessing)
        error = parity_error(classifier, graph, _inputs(pack, config, rows=3).numpy())
    if not error < _TOLERANCE:
        raise unfit(pack.hub_id, f"as ONNX it answers otherwise (logits differ by {error:.2g})")
    return pack


def _run(pack: Pack, model: Any, inputs: torch.Tensor) -> torch.Tensor:
    """The whole model's states, as the library gives them."""
    if isinstance(pack.preprocessing, TextPreprocessing):
        is_token = (inputs != pack.preprocessing.pad_id).long()
        found = model(input_ids=inputs, attention_mask=is_token)
    else:
        found = model(pixel_values=inputs.flip(1) if pack.flips_channels else inputs)
    states: torch.Tensor = found.last_hidden_state
    return states


def _taken_apart(pack: Pack, model: Any, inputs: torch.Tensor, expected: torch.Tensor) -> Pack:
    """Find how its layers, one after the other, give what the whole model gives."""
    for end in ENDS:
        candidate = replace(pack, has_layers=True, end=end)
        try:
            found = blocks_of(model, candidate).eval()(inputs)
        except Exception:  # noqa: BLE001, S112 - layers of another form take other arguments
            continue
        states = found[0] if isinstance(found, tuple) else found
        if isinstance(states, torch.Tensor) and _is_like(states, expected):
            return candidate
    return pack


def _is_like(found: torch.Tensor, expected: torch.Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() < _TOLERANCE * expected.abs().max())


def _pool_of(pack: Pack, model: Any, states: torch.Tensor) -> str:
    if isinstance(pack.preprocessing, TextPreprocessing):
        return "mean of tokens"
    if states.dim() == 4:
        return "maps"
    has_class_token = hasattr(getattr(model, "embeddings", None), "cls_token")
    return "class token" if has_class_token else "mean of patches"


def _inputs(pack: Pack, config: dict[str, Any], rows: int) -> torch.Tensor:
    """Random pictures, or token ids of another length for every number of rows, some padded."""
    random = np.random.default_rng(rows)
    if isinstance(pack.preprocessing, Preprocessing):
        shape = (rows, 3, pack.preprocessing.size, pack.preprocessing.size)
        return torch.from_numpy(random.standard_normal(shape, np.float32))
    length = min(8 * rows, pack.preprocessing.max_tokens)
    ids = random.integers(0, config["vocab_size"], (rows, length))
    # The padding's id has a meaning of its own.
    ids[ids == pack.preprocessing.pad_id] = (pack.preprocessing.pad_id + 1) % config["vocab_size"]
    ids[-1, length // 2 :] = pack.preprocessing.pad_id
    return torch.from_numpy(ids)


def _with_preprocessing(pack: Pack, config: dict[str, Any], folder: Path) -> Pack:
    if (folder / PROCESSOR_FILE).is_file():
        values = json.loads((folder / PROCESSOR_FILE).read_bytes())
        flips = bool(values.get("do_flip_channel_order"))
        return replace(pack, preprocessing=_of_pictures(pack, values), flips_channels=flips)
    if "vocab_size" in config:
        return replace(pack, preprocessing=_of_text(pack, config, folder))
    raise unfit(
        pack.hub_id,
        f"it has neither a {PROCESSOR_FILE}, as models for pictures have, nor a vocabulary",
    )


def _of_pictures(pack: Pack, values: dict[str, Any]) -> Preprocessing:
    """Sizes in pixels; a picture is never squeezed, whatever the model's own processor does."""
    if not values.get("do_rescale", True) or abs(
        values.get("rescale_factor", 1 / 255) * 255 - 1
    ) > (1e-3):
        raise unfit(pack.hub_id, "its pictures are not scaled to 0..1")
    resize = _side(values.get("size", 224))
    size = resize
    if values.get("do_center_crop") and "crop_size" in values:
        size = _side(values["crop_size"])
    elif values.get("crop_pct"):
        resize = round(size / values["crop_pct"])
    if not 16 <= size <= resize <= 2 * MOST_PIXELS_A_SIDE or size > MOST_PIXELS_A_SIDE:
        raise unfit(pack.hub_id, f"its pictures are {size} of {resize} px")
    scaled = values.get("do_normalize", "image_mean" in values)
    mean = values["image_mean"] if scaled else (0.0, 0.0, 0.0)
    std = values["image_std"] if scaled else (1.0, 1.0, 1.0)
    if len(mean) != 3 or len(std) != 3:
        raise unfit(pack.hub_id, f"its pictures have {len(mean)} channels")
    return Preprocessing(size, resize, (*map(float, mean),), (*map(float, std),))  # type: ignore[arg-type]


def _side(value: Any) -> int:
    """A square's side in any of the library's forms."""
    if isinstance(value, dict):
        sides = {value[key] for key in ("height", "width", "shortest_edge") if value.get(key)}
        if len(sides) != 1:
            raise ValueError(f"pictures of {value} are no squares")
        return int(sides.pop())
    return int(value)


def _of_text(pack: Pack, config: dict[str, Any], folder: Path) -> TextPreprocessing:
    if not (folder / TOKENIZER_FILE).is_file():
        raise unfit(
            pack.hub_id,
            f"it has no {TOKENIZER_FILE}",
            "write one: AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER), where the "
            f"tokenizer is a fast one; or {FITTING}",
        )
    pad_id = config.get("pad_token_id")
    if pad_id is None:
        raise unfit(pack.hub_id, "it has no padding token")
    positions = config.get("max_position_embeddings", 512)
    # Models of RoBERTa's form begin to count positions behind the padding's id.
    longest = min(TextPreprocessing().max_tokens, positions - pad_id - 1)
    found = TextPreprocessing(max_tokens=longest, pad_id=pad_id)
    tokenizer = open_tokenizer((folder / TOKENIZER_FILE).read_bytes(), found)
    if tokenizer.get_vocab_size() > config["vocab_size"]:
        raise unfit(
            pack.hub_id,
            f"its tokenizer knows {tokenizer.get_vocab_size():,} tokens and the model "
            f"{config['vocab_size']:,}",
        )
    return found
