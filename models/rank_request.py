"""What the processes of one training are told, as files in its folder: plain values and tensors."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from models.checkpoints import Keeper
from models.data import TrainingData
from models.hardware import Hardware
from models.module import FineTuning
from models.recipe import Recipe
from models.torchlibs import torch

_REQUEST: Final = "request.json"
_START: Final = "start.pt"


@dataclass(frozen=True, slots=True)
class RankRequest:
    """One training's second stage, from the weights in `start` or the checkpoint `resume_from`."""

    recipe: Recipe
    data: TrainingData
    hardware: Hardware
    checkpoint_dir: Path
    resume_from: Path | None
    deadline: float | None  # seconds since the epoch, see `Keeper`'s budget

    @property
    def folder(self) -> Path:
        """Where this request, its starting point and the processes' logs lie."""
        return self.checkpoint_dir / f"node-{self.hardware.node_rank}"

    def write(self, module: FineTuning, keeper: Keeper) -> None:
        """Leave the request and the state after stage 1 in `folder`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        start = {"classifier": module.classifier.state_dict(), "keeper": keeper.state_dict()}
        torch.save(start, self.folder / _START)
        (self.folder / _REQUEST).write_text(json.dumps(asdict(self), default=str))

    def start(self) -> dict[str, Any]:
        """Return the weights ("classifier") and the keeper's state ("keeper") after stage 1."""
        start: dict[str, Any] = torch.load(self.folder / _START, weights_only=True)
        return start

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Undo `write`."""
        values = json.loads((folder / _REQUEST).read_text())
        data = TrainingData(**values["data"])
        is_text = data.tokenizer is not None
        source = str if is_text else Path
        return cls(
            recipe=Recipe.from_dict(values["recipe"]),
            data=replace(
                data,
                classes=tuple(data.classes),
                train_sources=[source(str(given)) for given in data.train_sources],
                validation_sources=[source(str(given)) for given in data.validation_sources],
                tokenizer=Path(str(data.tokenizer)) if is_text else None,
            ),
            hardware=Hardware(**values["hardware"]),
            checkpoint_dir=Path(values["checkpoint_dir"]),
            resume_from=Path(values["resume_from"]) if values["resume_from"] else None,
            deadline=values["deadline"],
        )
