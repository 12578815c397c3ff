"""Ports are chosen once, kept, and never taken from anybody."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.errors import Conflict
from deployments.local.ports import Ports, is_free


@contextmanager
def taken(address: str = "127.0.0.1") -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ports.json"


def test_the_preferred_port_is_chosen_and_kept(file: Path) -> None:
    with taken() as port:
        pass
    assert Ports(file).claim("emulator", port) == port
    assert Ports(file).kept("emulator") == port
    assert Ports(file).claim("emulator", 1) == port


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_preferred_port_is_left_alone(file: Path, address: str) -> None:
    with taken(address) as port:
        chosen = Ports(file).claim("emulator", port)
        assert chosen != port
        assert is_free(chosen)


def test_two_services_never_share_a_port(file: Path) -> None:
    with taken() as port:
        pass
    ports = Ports(file)
    assert ports.claim("one", port) != ports.claim("two", port)


def test_a_kept_port_that_was_taken_is_an_error_with_its_fix(file: Path) -> None:
    with taken() as port:
        file.parent.mkdir()
        file.write_text(json.dumps({"emulator": port}))
        with pytest.raises(Conflict, match=f"port {port}, which emulator has used") as raised:
            Ports(file).claim("emulator", 4566)
        assert str(file) in raised.value.fix
        assert Ports(file).claim("emulator", 4566, is_running=True) == port


@pytest.mark.parametrize("content", ["{", "[]", '{"emulator": "x"}', "null"])
def test_a_broken_file_is_an_error_with_its_fix(file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(Conflict, match="not readable"):
        Ports(file).claim("emulator", 4566)
