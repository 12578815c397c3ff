"""Prefect worker of type `ec2`: one EC2 instance per flow run, ended when the run is."""

import time
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import anyio.abc
import httpx
from botocore.exceptions import BotoCoreError, ClientError
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import InfrastructureNotFound
from prefect.states import AwaitingRetry, Failed
from prefect.utilities.asyncutils import run_sync_in_worker_thread
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseWorker, BaseWorkerResult

from contracts import machine_tags as tags
from contracts.errors import with_fix
from contracts.machine_use import MachineUse, from_labels, total_dollars
from deployments.ec2.configuration import EC2JobConfiguration, EC2Variables
from deployments.ec2.fleet import Fleet
from deployments.ec2.launch import NoCapacity, Started, launch
from deployments.ec2.outage import patiently
from deployments.ec2.pool_runs import PoolRuns
from deployments.ec2.request import Attempt, LaunchRefused
from deployments.ec2.verdict import ENDED, Ending, Verdict, explanation, is_over, verdict

_CAPACITY_PAUSE = timedelta(seconds=60)
# A run that is pending for so long without a machine has lost the worker that took it.
_STUCK = timedelta(minutes=2)

T = TypeVar("T")


class EC2WorkerResult(BaseWorkerResult):
    """`identifier` is the instance's id."""


class EC2Worker(BaseWorker[EC2JobConfiguration, EC2Variables, EC2WorkerResult]):
    """Starts machines, watches them, and puts interrupted runs back into the queue."""

    type = "ec2"
    job_configuration = EC2JobConfiguration
    job_configuration_variables = EC2Variables
    _display_name = "AWS EC2 instance"
    _description = "Run each flow run on an EC2 instance of its own, spot first."
    _documentation_url = "https://docs.prefect.io/v3/concepts/workers"
    _logo_url = (
        "https://cdn.sanity.io/images/3ugk85nk/production/"
        "d74b16fe84ce626345adf235a47008fea2869a60-225x225.png"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fleet_of_pool: Fleet | None = None
        self._watched: set[str] = set()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: EC2JobConfiguration,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> EC2WorkerResult:
        """Start the run's machine and wait for its end."""
        log = self.get_flow_run_logger(flow_run)
        fleet = await self._fleet(configuration)
        try:
            started: Started = await run_sync_in_worker_thread(
                launch, fleet.client, self._attempt(flow_run), configuration
            )
        except (NoCapacity, LaunchRefused) as refusal:
            log.error("%s; %s", refusal.message, refusal.fix)
            await self._refuse(flow_run, configuration, refusal)
            if task_status:
                task_status.started(refusal)
            return EC2WorkerResult(identifier="none", status_code=0)
        log.info("machine %s (%s)", started.instance_id, started.where)
        if task_status:
            task_status.started(started.instance_id)
        await self._note(flow_run.id, started.instance, configuration)
        return await self._watch(fleet, started.instance_id, flow_run.id, configuration)

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: EC2JobConfiguration,
        grace_seconds: int = 30,  # noqa: ARG002 - the machine is ended as a whole
    ) -> None:
        """End a cancelled run's machine. Raises `InfrastructureNotFound`."""
        fleet = await self._fleet(configuration)
        if not await fleet.terminate(infrastructure_pid):
            raise InfrastructureNotFound(f"EC2 knows no instance {infrastructure_pid}")
        self._logger.info("ended machine %s", infrastructure_pid)

    async def sync_with_backend(self) -> None:
        """With every look at the pool, take up machines that nobody watches and lost runs."""
        await super().sync_with_backend()
        if self._work_pool is None or self._runs_task_group is None:
            return
        try:
            await self._adopt()
        except (ClientError, BotoCoreError, httpx.HTTPError) as error:
            self._logger.warning("machines could not be looked for: %s", error)

    async def _adopt(self) -> None:
        """Watch what a worker that has died left, and end what no run needs any more."""
        configuration = await self._plain_configuration()
        fleet = await self._fleet(configuration)
        living = await fleet.living()
        runs = await self._runs.by_id(tags.of(machine).get(tags.FLOW_RUN, "") for machine in living)
        with_machine = set()
        for machine in living:
            run_id = tags.of(machine).get(tags.FLOW_RUN, "")
            if self._is_submitting(run_id) or await self._keeps(
                fleet, machine, runs.get(run_id), configuration
            ):
                with_machine.add(run_id)
        await self._end_cancelled(with_machine)
        await self._requeue_stuck(with_machine)

    async def _keeps(
        self,
        fleet: Fleet,
        machine: Mapping[str, Any],
        run: FlowRun | None,
        configuration: EC2JobConfiguration,
    ) -> bool:
        """End a machine that no run needs, watch one that nobody does; return whether it stays."""
        instance_id = str(machine["InstanceId"])
        is_watched = instance_id in self._watched
        if run is None or is_over(machine, run, is_watched=is_watched):
            self._logger.warning("ending machine %s: its run is over", instance_id)
            await fleet.terminate(instance_id)
            return False
        if not is_watched:
            self._watched.add(instance_id)
            await self._note(run.id, machine, configuration)
            self._logger.info("watching machine %s of %s", instance_id, run.name)
            assert self._runs_task_group is not None
            self._runs_task_group.start_soon(
                self._watch_adopted, fleet, instance_id, run, configuration
            )
        return True

    async def _end_cancelled(self, with_machine: Set[str]) -> None:
        """Prefect leaves a run that is cancelled while its machine boots to that machine."""
        for run in await self._left_alone("CANCELLING", with_machine):
            await self._mark_flow_run_as_cancelled(
                run, state_updates={"message": "cancelled; its machine was ended"}
            )

    async def _requeue_stuck(self, with_machine: Set[str]) -> None:
        """A worker that dies between taking a run and starting its machine leaves it pending."""
        for run in await self._left_alone("PENDING", with_machine):
            if run.state and datetime.now(UTC) - run.state.timestamp > _STUCK:
                self._logger.warning("run %s waits for a machine anew", run.name)
                await propose_state(
                    self.client,
                    AwaitingRetry(message="the worker that took it was lost"),
                    flow_run_id=run.id,
                )

    async def _left_alone(self, state_type: str, with_machine: Set[str]) -> list[FlowRun]:
        """Runs of this pool in a state that have no machine and are not being given one now."""
        return [
            run
            for run in await self._runs.in_state(state_type)
            if str(run.id) not in with_machine and not self._is_submitting(str(run.id))
        ]

    async def _watch_adopted(
        self, fleet: Fleet, instance_id: str, run: FlowRun, configuration: EC2JobConfiguration
    ) -> None:
        result = await self._watch(fleet, instance_id, run.id, configuration)
        if result.status_code:
            await self._propose_crashed_state(run, f"the machine {instance_id} was lost")

    async def _watch(
        self,
        fleet: Fleet,
        instance_id: str,
        flow_run_id: UUID,
        configuration: EC2JobConfiguration,
    ) -> EC2WorkerResult:
        """Wait for the machine's end and give the run the state it should have."""
        self._watched.add(instance_id)
        try:
            instance = await self._patiently(
                lambda: fleet.ended(instance_id, ENDED, configuration.poll_seconds)
            )
            await self._note(flow_run_id, instance, configuration, ended_at=time.time())
            run = await self._patiently(lambda: self.client.read_flow_run(flow_run_id))
            ending = Ending.of(instance, run)
            match verdict(ending, configuration.max_interruptions):
                case Verdict.NOTHING:
                    return EC2WorkerResult(identifier=instance_id, status_code=0)
                case Verdict.AGAIN:
                    message = f"EC2 took the machine {instance_id} back; the run goes on elsewhere"
                    self.get_flow_run_logger(run).warning(message)
                    await self._patiently(
                        lambda: propose_state(
                            self.client, AwaitingRetry(message=message), flow_run_id=run.id
                        )
                    )
                    return EC2WorkerResult(identifier=instance_id, status_code=0)
                case Verdict.CRASHED:
                    self.get_flow_run_logger(run).error(explanation(ending, instance_id))
                    return EC2WorkerResult(identifier=instance_id, status_code=1)
        finally:
            self._watched.discard(instance_id)

    async def _note(
        self,
        flow_run_id: UUID,
        instance: Mapping[str, Any],
        configuration: EC2JobConfiguration,
        ended_at: float | None = None,
    ) -> None:
        """Label the run with the machine's life: whoever bills reads it there."""
        use = MachineUse.of(instance, configuration.disk_gb)
        if use is None:  # EC2 has forgotten it, and what was noted at its start stands
            return
        label = replace(use, ended_at=ended_at).label
        await self._patiently(lambda: self.client.update_flow_run_labels(flow_run_id, label))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await patiently(call, self._logger)

    async def _refuse(
        self,
        flow_run: FlowRun,
        configuration: EC2JobConfiguration,
        refusal: NoCapacity | LaunchRefused,
    ) -> None:
        """Later there may be capacity; what a person has to correct fails at once."""
        waited = datetime.now(UTC) - (flow_run.expected_start_time or datetime.now(UTC))
        patience = timedelta(minutes=configuration.capacity_wait_minutes)
        if isinstance(refusal, NoCapacity) and waited < patience:
            await propose_state(
                self.client,
                AwaitingRetry(
                    message=refusal.message, scheduled_time=datetime.now(UTC) + _CAPACITY_PAUSE
                ),
                flow_run_id=flow_run.id,
            )
            return
        await propose_state(
            self.client,
            Failed(message=with_fix(refusal.message, refusal.fix)),
            flow_run_id=flow_run.id,
        )

    async def _fleet(self, configuration: EC2JobConfiguration) -> Fleet:
        if self._fleet_of_pool is None:
            client = await run_sync_in_worker_thread(
                configuration.aws_credentials.get_client, "ec2"
            )
            self._fleet_of_pool = Fleet(client, self._work_pool_name)
        return self._fleet_of_pool

    @property
    def _runs(self) -> PoolRuns:
        return PoolRuns(self.client, self._work_pool_name)

    async def _plain_configuration(self) -> EC2JobConfiguration:
        """The pool's settings as they are for any run."""
        return await self.job_configuration.from_template_and_values(
            base_job_template=self.work_pool.base_job_template, values={}, client=self.client
        )

    def _is_submitting(self, flow_run_id: str) -> bool:
        return any(str(run_id) == flow_run_id for run_id in self._submitting_flow_run_ids)

    def _attempt(self, flow_run: FlowRun) -> Attempt:
        asked_at = flow_run.state.timestamp if flow_run.state else datetime.now(UTC)
        return Attempt(
            flow_run_id=str(flow_run.id),
            number=flow_run.run_count,
            asked_at=int(asked_at.timestamp()),
            pool=self._work_pool_name,
            parameters=flow_run.parameters,
            spent_dollars=total_dollars(from_labels(flow_run.labels), time.time()) or 0.0,
        )
