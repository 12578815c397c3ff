from models.averaging import SHARES, interpolated
from models.torchlibs import torch


def test_a_mixture_lies_between_its_ends() -> None:
    start = {"w": torch.tensor([0.0, 4.0]), "batches": torch.tensor(3)}
    end = {"w": torch.tensor([1.0, 0.0]), "batches": torch.tensor(9)}
    assert interpolated(start, end, 0.25)["w"].tolist() == [0.25, 3.0]
    assert interpolated(start, end, 0.0)["w"].tolist() == [0.0, 4.0]
    assert interpolated(start, end, 1.0)["w"].tolist() == [1.0, 0.0]
    assert interpolated(start, end, 0.5)["batches"] == 9


def test_shares_are_true_mixtures() -> None:
    assert all(0 < share < 1 for share in SHARES)
