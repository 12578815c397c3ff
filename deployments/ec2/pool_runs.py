"""Flow runs of one pool as Prefect knows them, many with each request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

_PAGE: Final = 200  # the most a server gives


@dataclass(frozen=True)
class PoolRuns:
    """Asks for runs by id or by state."""

    client: "PrefectClient"
    pool: str

    async def by_id(self, ids: Iterable[str]) -> dict[str, FlowRun]:
        """Those that exist; what is no id names no run."""
        wanted = sorted(set(_uuids(ids)))
        found: dict[str, FlowRun] = {}
        for start in range(0, len(wanted), _PAGE):
            part = [str(run_id) for run_id in wanted[start : start + _PAGE]]
            runs = await self.client.read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": part}}), limit=_PAGE
            )
            found |= {str(run.id): run for run in runs}
        return found

    async def in_state(self, state_type: str) -> list[FlowRun]:
        """All of the pool's in a state such as PENDING."""
        state: dict[str, Any] = {"state": {"type": {"any_": [state_type]}}}
        found: list[FlowRun] = []
        while page := await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(state),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [self.pool]}}),
            limit=_PAGE,
            offset=len(found),
        ):
            found += page
            if len(page) < _PAGE:
                break
        return found


def _uuids(ids: Iterable[str]) -> Iterator[UUID]:
    for value in ids:
        try:
            yield UUID(value)
        except ValueError:
            continue
