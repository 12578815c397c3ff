import pytest

from contracts.errors import InvalidRequest
from models.hardware import ONE_PROCESS, Hardware, detected
from models.torchlibs import torch

MEETING = {"MASTER_ADDR": "10.0.0.5", "MASTER_PORT": "29500", "NODE_RANK": "1"}


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    return lambda count: monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize("count", [0, 1])
def test_a_laptop_trains_in_one_process(gpus, count: int) -> None:
    gpus(count)
    assert detected() == ONE_PROCESS == detected(1)
    assert ONE_PROCESS.processes == 1


def test_all_gpus_are_used_unless_fewer_are_asked_for(gpus) -> None:
    gpus(4)
    assert detected() == Hardware(4, "gpu")
    assert detected(2) == Hardware(2, "gpu")
    assert detected(1) == ONE_PROCESS
    with pytest.raises(InvalidRequest, match="has 4 GPUs"):
        detected(5)


def test_without_gpus_a_number_means_processes(gpus) -> None:
    gpus(0)
    assert detected(2) == Hardware(2, "cpu")


def test_nodes_meet_where_torchruns_variables_say(gpus) -> None:
    gpus(4)
    second = detected("auto", 2, MEETING)
    assert second == Hardware(4, "gpu", 2, 1, "10.0.0.5", 29500)
    assert second.variables(3, 29500) == {
        "RANK": "7",
        "LOCAL_RANK": "3",
        "GROUP_RANK": "1",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "10.0.0.5",
        "MASTER_PORT": "29500",
    }


@pytest.mark.parametrize("broken", [{"MASTER_ADDR": None}, {"MASTER_PORT": "x"}])
def test_nodes_that_cannot_meet_are_refused(broken: dict[str, str | None]) -> None:
    environment = {k: v for k, v in (MEETING | broken).items() if v is not None}
    with pytest.raises(InvalidRequest, match="cannot find each other"):
        detected(1, 2, environment)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        Hardware(0)
    with pytest.raises(InvalidRequest, match="NODE_RANK is 2"):
        Hardware(1, "cpu", 2, 2)
