"""Machines that work for a project, and the roles that let them and its functions."""

from collections.abc import Iterator, Sequence

from contracts import machine_tags
from tasks import clients
from tasks.deletion.tally import Batch, Deletion, in_batches
from tasks.inference_identity import delete_inference_identity, role_names
from tasks.settings import settings
from tasks.training_identity import remove_identity


def find_machines(deletion: Deletion) -> Iterator[Batch]:
    """Training machines that cancelling their runs has not ended."""
    if not settings().trainer_boundary_arn:
        return iter(())
    project, tags = deletion.project, machine_tags.FROM_PARAMETERS
    wanted = {tags["user"]: project.user, tags["project"]: project.name}.items()
    found = machine_tags.machines(clients.ec2(), settings().stack)
    return in_batches(
        (machine["InstanceId"], {"machines": 1})
        for machine in found
        if wanted <= machine_tags.of(machine).items()
    )


def remove_machines(_deletion: Deletion, ids: Sequence[str]) -> None:
    """EC2 takes it calmly when they have ended."""
    machine_tags.end(clients.ec2(), list(ids))


def find_roles(deletion: Deletion) -> Iterator[Batch]:
    """The training machines' role; one that is still running can do nothing without it."""
    if not settings().trainer_boundary_arn:
        return
    iam, name = (
        clients.session().client("iam"),
        deletion.project.trainer_role_name(settings().stack),
    )
    for ask, arguments in (
        (iam.get_role, {"RoleName": name}),
        (iam.get_instance_profile, {"InstanceProfileName": name}),
    ):
        try:
            ask(**arguments)
        except iam.exceptions.NoSuchEntityException:
            continue
        yield Batch((name,), {"roles": 1})
        return


def remove_roles(_deletion: Deletion, ids: Sequence[str]) -> None:
    """With policies and instance profiles."""
    for name in ids:
        remove_identity(clients.session().client("iam"), name)


def find_endpoint_roles(deletion: Deletion) -> Iterator[Batch]:
    """Those of the project's functions, where it has its own."""
    if not settings().inference_boundary_arn:
        return
    iam = clients.session().client("iam")
    for name in role_names(deletion.project):
        try:
            iam.get_role(RoleName=name)
        except iam.exceptions.NoSuchEntityException:
            continue
        yield Batch((name,), {"roles": 1})


def remove_endpoint_roles(deletion: Deletion, _ids: Sequence[str]) -> None:
    """When their functions are gone."""
    delete_inference_identity(deletion.project)
