import time

import pytest

from contracts.errors import LimitExceeded
from serving.time_limit import check_time, time_limit


def test_without_a_limit_nothing_is_late() -> None:
    check_time()
    with time_limit(None):
        check_time()


def test_what_is_late_is_told_with_a_fix() -> None:
    with time_limit(0.01):
        check_time()
        time.sleep(0.02)
        with pytest.raises(LimitExceeded) as late:
            check_time()
    assert late.value.fix
    check_time()


def test_it_ends_with_a_failure_too() -> None:
    with pytest.raises(ValueError, match="x"), time_limit(-1.0):
        raise ValueError("x")
    check_time()
