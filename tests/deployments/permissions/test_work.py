"""What workers really do, with the policies that `exemplar deploy` gives them and no others."""

from pathlib import Path

import pytest

from contracts.identity import Project
from lambdas.live_alias import LIVE
from tasks import bundles
from tasks.deletion.parts import PARTS
from tasks.deletion.tally import Deletion
from tasks.inference_identity import delete_inference_identity
from tests.deployments.permissions.account import STACK, Account
from tests.deployments.permissions.conftest import act_as
from tests.release_stage import Scene, light_zip

pytestmark = [
    pytest.mark.stack,
    pytest.mark.usefixtures("clean"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

# These have servers and disks of their own, the rest lies on the account.
ELSEWHERE = {"tracking", "studies", "runs", "copies"}


def test_releases_and_deletions_need_no_more_than_the_policies(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundles, "function_zip", light_zip)
    monkeypatch.setenv("EXEMPLAR_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("EXEMPLAR_FUNCTION_URL_BASE", f"{account.endpoint}/_aws/lambda-url")
    monkeypatch.setenv("EXEMPLAR_IMAGE_REPOSITORY", account.outputs.image_repository)
    monkeypatch.setenv("EXEMPLAR_LOG_RETENTION_DAYS", "7")
    act_as(account, "DeployerPolicy", monkeypatch)
    scene = Scene.made("isolated")
    first, second = scene.model(), scene.model()
    assert scene.promote(first).promote
    assert scene.promote(second).promote

    name = scene.project.function_name(STACK)
    found = account.client("lambda").get_function_configuration(FunctionName=name, Qualifier=LIVE)
    assert found["Role"].endswith(f":role/{STACK}/inference/{STACK}-infer_ann_isolated")
    (group,) = account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")[
        "logGroups"
    ]
    assert group["retentionInDays"] == 7

    act_as(account, "worker", monkeypatch)
    deletion = Deletion(scene.project, "r1")
    for part in PARTS:
        for batch in part.find(deletion) if part.name not in ELSEWHERE else ():
            part.remove(deletion, batch.ids)
    for part in PARTS:
        assert part.name in ELSEWHERE or not list(part.find(deletion)), part.name
    with pytest.raises(account.client("iam").exceptions.NoSuchEntityException):
        account.client("iam").get_role(RoleName=f"{STACK}-infer_ann_isolated")


def test_roles_that_are_not_there_are_no_error(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(account, "DeployerPolicy", monkeypatch)
    delete_inference_identity(Project("ann", "never-made"))
