"""What machines and endpoints cost: list prices, for estimates and reports, never for invoices.

On demand, Linux, us-east-1, in dollars per hour, as listed when `AS_OF` was written; other regions
differ by up to a third. Spot prices move: `SPOT_SHARE` of the list price is an assumption.
"""

from typing import Final

AS_OF: Final = "2026-11-25"
SPOT_SHARE: Final = 0.4
GP3_DOLLARS_PER_GB_MONTH: Final = 0.08
LAMBDA_DOLLARS_PER_GB_SECOND: Final = 0.0000166667  # x86, without the free tier
LAMBDA_DOLLARS_PER_CALL: Final = 0.0000002

ON_DEMAND: Final = {
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "c6i.large": 0.085,
    "c6i.xlarge": 0.17,
    "c6i.2xlarge": 0.34,
    "c6i.4xlarge": 0.68,
    "c7i.large": 0.08925,
    "c7i.xlarge": 0.1785,
    "c7i.2xlarge": 0.357,
    "c7i.4xlarge": 0.714,
    "m6i.large": 0.096,
    "m6i.xlarge": 0.192,
    "m6i.2xlarge": 0.384,
    "m7i.large": 0.1008,
    "m7i.xlarge": 0.2016,
    "m7i.2xlarge": 0.4032,
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g4dn.12xlarge": 3.912,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g5.12xlarge": 5.672,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6.12xlarge": 4.6016,
}

_SECONDS_PER_HOUR: Final = 3_600
_HOURS_PER_MONTH: Final = 730
_LEAST_SECONDS: Final = 60  # a started machine is billed for a minute at least


def hourly_dollars(instance_type: str, *, is_spot: bool, disk_gb: int = 0) -> float | None:
    """Dollars for an hour of a machine's life; None for a type that is not in the table."""
    hourly = ON_DEMAND.get(instance_type)
    if hourly is None:
        return None
    disk = disk_gb * GP3_DOLLARS_PER_GB_MONTH / _HOURS_PER_MONTH
    return hourly * (SPOT_SHARE if is_spot else 1.0) + disk


def machine_dollars(
    instance_type: str, seconds: float, *, is_spot: bool, disk_gb: int = 0
) -> float | None:
    """Dollars for one machine's life; None for a type that is not in the table."""
    hourly = hourly_dollars(instance_type, is_spot=is_spot, disk_gb=disk_gb)
    if hourly is None:
        return None
    return max(seconds, _LEAST_SECONDS) / _SECONDS_PER_HOUR * hourly


def calls_dollars(calls: int, gb_seconds: float) -> float:
    """Dollars for calls of functions, whose memory times duration is `gb_seconds`."""
    return calls * LAMBDA_DOLLARS_PER_CALL + gb_seconds * LAMBDA_DOLLARS_PER_GB_SECOND
