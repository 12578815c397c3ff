"""`exemplar deploy` and `destroy` on the emulator, with a real Prefect server."""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from contracts import machine_tags
from contracts.identity import Project
from lambdas.state import State
from tests.deployments.aws.conftest import FreshAccount
from tests.deployments.command_line import Run
from tests.emulator_process import call

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
STACK = "shop"


def pool() -> Any:
    with get_client(sync_client=True) as client:
        return client.read_work_pool("training")


def defaults(template: dict[str, Any]) -> dict[str, Any]:
    return {
        name: field.get("default") for name, field in template["variables"]["properties"].items()
    }


def leave_traces(account: FreshAccount, layer: str) -> dict[str, Any]:
    """What a system at work has made beside its stack."""
    project = Project("ann", "cats")
    function = project.function_name(STACK)
    roles = {
        project.inference_role_name(STACK): f"/{STACK}/inference/",
        project.trainer_role_name(STACK): f"/{STACK}/trainers/",
        "of-another": f"/{STACK}-2/trainers/",
    }
    for role, path in roles.items():
        account.client("iam").create_role(RoleName=role, Path=path, AssumeRolePolicyDocument="{}")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("main.py", "def handler(event, context): return 1")
    functions = account.client("lambda")
    for name in (function, "other-infer_ann_cats"):
        functions.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/inference",
            Handler="main.handler",
            Code={"ZipFile": archive.getvalue()},
            Layers=[layer],
        )
    account.client("logs").create_log_group(logGroupName=f"/aws/lambda/{function}")
    answer = account.client("ec2").run_instances(
        ImageId="ami-12345678",
        InstanceType="g4dn.xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": machine_tags.as_list({machine_tags.STACK: STACK}),
            }
        ],
    )
    machine = answer["Instances"][0]["InstanceId"]
    return {"roles": list(roles)[:2], "function": function, "machine": machine}


def test_a_system_comes_goes_and_comes_back_to_its_data(
    account: FreshAccount, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "m1")
    (tmp_path / "exemplar.toml").write_text(
        f'[deploy]\nstack = "{STACK}"\nvpc = "default"\ninstance_types = ["g5.xlarge"]\n'
    )
    alerts = ["--alert-email", "ann@example.org", "--monthly-budget", 0]
    first = run("deploy", "--yes", "--json", "--trainings", 3, "--token-for", "ann", *alerts)
    assert first.code == 0, first.err
    done = first.document
    for resource in ("TrainerTemplate", "ReaperSchedule", "OverdueAlarm"):
        assert f"CREATE_COMPLETE  {resource}" in first.err
    assert done["release"].startswith(f"s3://{done['outputs']['code_bucket']}/trainer/")

    # Its API knows the token, its workers the stack, its machines where to look for secrets.
    state = State(account.client("dynamodb"), done["outputs"]["table"])
    assert state.user_of_token(done["token"]) == "ann"
    assert done["page"] == f"{done['url']}/#token={done['token']}"
    url = f"{account.endpoint}/_aws/execute-api/{done['outputs']['api_id']}/$default/v1/projects"
    assert call(url, Authorization=f"Bearer {done['token']}")[0] == 200
    lines = dict(
        line.split("=", 1) for line in (tmp_path / f"{STACK}.env").read_text().splitlines()
    )
    assert lines["EXEMPLAR_PLACE"] == "aws"
    assert lines["EXEMPLAR_TRAINER_BOUNDARY_ARN"] == done["outputs"]["trainer_boundary_arn"]
    assert lines["EXEMPLAR_INFERENCE_BOUNDARY_ARN"] == done["outputs"]["inference_boundary_arn"]
    assert lines["EXEMPLAR_LOG_RETENTION_DAYS"] == "30"
    assert "m1" not in lines.values()
    secret = account.client("secretsmanager").get_secret_value(
        SecretId=done["outputs"]["trainer_secret_arn"]
    )
    assert json.loads(secret["SecretString"]) == {"MLFLOW_TRACKING_PASSWORD": "m1"}
    found = pool()
    form = defaults(found.base_job_template)
    assert (found.type, found.concurrency_limit) == ("ec2", 3)
    assert form["launch_template_id"] == done["outputs"]["trainer_template_id"]
    assert form["instance_types"] == ["g5.xlarge"]
    assert form["secret_env"] == {
        "MLFLOW_TRACKING_PASSWORD": f"{secret['ARN']}:MLFLOW_TRACKING_PASSWORD::"
    }
    assert done["release"] in form["setup_script"]
    assert form["env"]["EXEMPLAR_SOURCE"] == "/opt/exemplar/source"
    with get_client(sync_client=True) as client:
        train = client.read_deployment_by_name("train/train")
        reap = client.read_deployment_by_name("reap/reap")
    assert train.work_pool_name == "training"
    assert "{{ $EXEMPLAR_SOURCE }}" in json.dumps(train.pull_steps)
    assert [schedule.active for schedule in reap.schedules] == [True]

    # What costs money goes, other stacks' things and the data stay.
    account.client("s3").put_object(
        Bucket=done["outputs"]["bucket"], Key="users/ann/cats/objects/one", Body=b"picture"
    )
    traces = leave_traces(account, done["outputs"]["inference_layer_arn"])
    monkeypatch.setattr("deployments.aws.removal._MACHINE_POLL_SECONDS", 0.2)
    gone = run("destroy", "--stack", STACK, "--yes", "--json")
    assert gone.code == 0, gone.err
    removed, left = gone.document["removed"], gone.document["left"]
    assert removed["machines"] == [traces["machine"]]
    assert removed["functions"] == [traces["function"]]
    assert sorted(removed["roles"]) == sorted(traces["roles"])
    assert removed["log_groups"] == [f"/aws/lambda/{traces['function']}"]
    assert left["has_stack"] is False
    assert not left["machines"] + left["functions"] + left["roles"] + left["log_groups"]
    assert left["buckets"] == [done["outputs"]["bucket"], done["outputs"]["code_bucket"]]
    assert left["tables"] == [done["outputs"]["table"]]
    assert account.client("lambda").get_function(FunctionName="other-infer_ann_cats")

    # The next system of that name finds its data; this one trains beside the worker.
    (tmp_path / "exemplar.toml").unlink()
    back = run("deploy", "--yes", "--json", "--stack", STACK)
    assert back.code == 0, back.err
    assert back.document["release"] == ""
    assert pool().type == "process"
    with get_client(sync_client=True) as client:
        assert client.read_deployment_by_name("train/train").work_pool_name == "training"
    assert State(account.client("dynamodb"), back.document["outputs"]["table"]).user_of_token(
        done["token"]
    )
    told = run("destroy", "--stack", STACK, "--yes", "--everything")
    assert told.code == 0, told.err
    assert "nothing is left on the account" in told.out
    nothing = run("destroy", "--stack", STACK, "--yes", "--everything", "--json")
    assert nothing.code == 0
    assert not any(nothing.document["removed"].values())


@pytest.mark.parametrize(
    ("variable", "value", "words", "message"),
    [
        ("PREFECT_API_URL", "", [], "--prefect-api-url is missing"),
        ("MLFLOW_TRACKING_URI", "", [], "--mlflow-tracking-uri is missing"),
        ("PREFECT_API_URL", "http://127.0.0.1:9/api", [], "Prefect does not answer"),
        ("A", "b", ["--stack", "Not_A_Name"], "stack name"),
        ("A", "b", ["--vpc", "vpc-none"], "has no subnets"),
        ("A", "b", ["--vpc", "default", "--subnets", "subnet-none"], "is no subnet of"),
        ("AWS_DEFAULT_REGION", "", [], "no AWS region is named"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(
    account: FreshAccount,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: list[str],
    message: str,
) -> None:
    before = account.client("cloudformation").list_stacks()["StackSummaries"]
    monkeypatch.setenv(variable, value)
    refused = run("deploy", "--yes", "--json", *words)
    assert refused.code == 1
    assert message in refused.document["error"]["message"]
    assert refused.document["error"]["fix"]
    assert account.client("cloudformation").list_stacks()["StackSummaries"] == before


def test_nobody_there_to_confirm_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for command in ("deploy", "destroy"):
        refused = run(command, "--stack", "unwanted", "--json")
        assert refused.code == 1
        assert refused.document["error"]["fix"] == "add --yes"
