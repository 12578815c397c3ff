"""How long a training will take and what it will cost, judged by those before it."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from contracts.prices import machine_dollars

# Measured on two cores without a GPU: MobileNetV2, the balanced recipe.
_REFERENCE_FIXED_SECONDS: Final = 12.0
_REFERENCE_SECONDS_PER_EXAMPLE: Final = 0.075
_BOOT_SECONDS: Final = 60.0  # until a machine of our own has started and loaded its libraries
_LINE_NEEDS_SPREAD: Final = 1.5  # largest over smallest data set, to tell fixed from running time
KEPT_OBSERVATIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training would run on; without a type it is the computer at hand."""

    instance_type: str = ""
    is_spot: bool = False
    disk_gb: int = 0

    @property
    def name(self) -> str:
        """Such as "g4dn.xlarge spot"; empty for the computer at hand."""
        return f"{self.instance_type}{' spot' if self.is_spot else ''}"


@dataclass(frozen=True, slots=True)
class Observation:
    """A training that has ended: `seconds` of machine time, from its start to its end."""

    examples: int
    seconds: float
    machine: Machine


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected machine time and cost by list prices; `dollars` is None where none are known."""

    seconds: float
    dollars: float | None
    machine: str
    basis: str

    def as_dict(self) -> dict[str, Any]:
        """For the job's record."""
        return asdict(self)


def paced_recipe(recipe: str, tune: int) -> str:
    """The name that trainings of like duration share; a search takes many times as long."""
    return f"{recipe}, tune {tune}" if tune else recipe


def estimate(
    examples: int,
    past: Sequence[Observation],
    machine: Machine | None = None,
    limit_seconds: float | None = None,
) -> Estimate:
    """Judge by trainings on this type of machine, else by a reference measurement.

    Without a `machine` it is the one of the latest training. `limit_seconds` is the time after
    which the training stops by itself.
    """
    machine = machine or (past[-1].machine if past else Machine())
    alike = [seen for seen in past if seen.machine.instance_type == machine.instance_type]
    boot = _BOOT_SECONDS if machine.instance_type else 0.0
    fixed, per_example = _line(alike, boot + _REFERENCE_FIXED_SECONDS)
    seconds = fixed + per_example * examples
    if limit_seconds is not None:
        seconds = min(seconds, fixed + limit_seconds)
    dollars = machine_dollars(
        machine.instance_type, seconds, is_spot=machine.is_spot, disk_gb=machine.disk_gb
    )
    return Estimate(round(seconds, 1), dollars, machine.name, _basis(len(alike)))


def _line(past: Sequence[Observation], fixed: float) -> tuple[float, float]:
    """Fixed seconds and seconds per example."""
    if not past:
        return fixed, _REFERENCE_SECONDS_PER_EXAMPLE
    sizes = [seen.examples for seen in past]
    if max(sizes) >= _LINE_NEEDS_SPREAD * min(sizes):
        fit = statistics.linear_regression(sizes, [seen.seconds for seen in past])
        if fit.slope >= 0 and fit.intercept >= 0:
            return fit.intercept, fit.slope
    fixed = min(fixed, *(seen.seconds for seen in past))
    rates = [(seen.seconds - fixed) / max(seen.examples, 1) for seen in past]
    return fixed, statistics.median(rates)


def _basis(count: int) -> str:
    if not count:
        return "a reference measurement"
    return "an earlier training" if count == 1 else f"{count} earlier trainings"
