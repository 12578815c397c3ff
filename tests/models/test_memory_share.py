import threading

import pytest

from models.memory_share import MemoryShare


def test_who_needs_more_than_is_left_waits() -> None:
    share, begun, ended = MemoryShare(100), threading.Event(), threading.Event()

    def second() -> None:
        begun.set()
        with share.held(50):
            ended.set()

    with share.held(60):
        thread = threading.Thread(target=second)
        thread.start()
        begun.wait(5)
        with share.held(40):  # fits beside the first
            assert not ended.wait(0.05)
    thread.join(5)
    assert ended.is_set()


def test_who_needs_more_than_there_is_gets_it_alone() -> None:
    share = MemoryShare(100)
    with share.held(1_000):
        pass
    with share.held(100):
        pass


def test_it_is_given_back_after_a_failure() -> None:
    share = MemoryShare(100)
    with pytest.raises(ValueError, match="x"), share.held(100):
        raise ValueError("x")
    with share.held(100):
        pass
