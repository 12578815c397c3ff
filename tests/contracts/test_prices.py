from datetime import date

import pytest

from contracts.prices import AS_OF, ON_DEMAND, SPOT_SHARE, calls_dollars, machine_dollars


def test_an_hour_costs_the_list_price_and_spot_a_share_of_it() -> None:
    assert machine_dollars("g4dn.xlarge", 3_600, is_spot=False) == pytest.approx(0.526)
    spot = machine_dollars("g4dn.xlarge", 3_600, is_spot=True)
    assert spot == pytest.approx(0.526 * SPOT_SHARE)


def test_the_disk_is_counted() -> None:
    bare = machine_dollars("t3.large", 730 * 3_600, is_spot=False)
    with_disk = machine_dollars("t3.large", 730 * 3_600, is_spot=False, disk_gb=100)
    assert bare is not None
    assert with_disk == pytest.approx(bare + 8.0)


def test_a_minute_is_the_least() -> None:
    least = machine_dollars("t3.large", 60, is_spot=False)
    assert machine_dollars("t3.large", 1, is_spot=False) == least


def test_an_unknown_type_has_no_price_rather_than_a_wrong_one() -> None:
    assert machine_dollars("x99.mega", 3_600, is_spot=False) is None


def test_the_table_says_how_old_it_is_and_holds_prices() -> None:
    assert date.fromisoformat(AS_OF)
    assert all(0.01 < price < 50 for price in ON_DEMAND.values())


def test_a_million_calls_of_a_tenth_of_a_second() -> None:
    gb_seconds = 1_000_000 * 0.1 * 1_769 / 1_024
    assert calls_dollars(1_000_000, gb_seconds) == pytest.approx(0.20 + 2.88, abs=0.01)
