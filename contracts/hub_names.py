"""Models of the Hugging Face hub as backbones: `hf:owner/name`, and their name in files."""

import re
from typing import Final

from contracts.errors import InvalidRequest

PREFIX: Final = "hf:"
HUB_ID_MAX: Final = 96  # the hub's own limit
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"{PREFIX}({_PART}/{_PART})")


def is_hub_model(model: str) -> bool:
    """Whether a backbone's name is meant as a model of the hub."""
    return model.startswith(PREFIX)


def hub_id(model: str) -> str:
    """Return `owner/name`. Raises `InvalidRequest` for a name that the hub cannot have."""
    match = _NAME.fullmatch(model) if len(model) <= len(PREFIX) + HUB_ID_MAX else None
    if match is None or "--" in model or ".." in model:
        raise InvalidRequest(
            f"model {model[:120]!r} is no model of the hub: owner and name hold only letters, "
            "digits, '_', and inner '-' and '.', neither twice in a row",
            fix="use a name such as 'hf:google/vit-base-patch16-224'",
        )
    return match[1]


def file_stem(model: str) -> str:
    """`owner--name`: no two models have the same, for neither part may hold `--`."""
    return hub_id(model).replace("/", "--")
