"""The only door to torch, torchvision, Lightning and torchmetrics.

Some package indexes pair a CPU build of torch with a CUDA build of torchvision. The two then
disagree about torchvision's compiled operators and the import fails, although the models and
transforms need none of them. Declaring the two operators that are looked up lets it succeed.
Where the builds match, nothing is declared.
"""

import sys
from typing import Any

import torch

try:
    import torchvision
except RuntimeError as mismatch:
    if "torchvision::nms" not in str(mismatch):
        raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # half-initialised by the failed import
    # The operators live as long as the Library object does.
    _declared: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        _declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

import pytorch_lightning as lightning  # after torchvision, which it imports through torchmetrics
import torchmetrics

__all__ = ["lightning", "torch", "torchmetrics", "torchvision"]
