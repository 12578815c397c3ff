import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from contracts.errors import InvalidRequest
from deployments.ec2.pool import base_job_template, machine_environment
from deployments.work_pools import TRAINING, create_pools, make_way, pool_names
from tasks.settings import settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_values_become_the_forms_defaults() -> None:
    template = base_job_template(
        {"image_id": "ami-0abc", "instance_types": ["g5.xlarge"]}, {"EXEMPLAR_BUCKET": "data"}
    )
    fields = template["variables"]["properties"]
    assert fields["image_id"]["default"] == "ami-0abc"
    assert fields["instance_types"]["default"] == ["g5.xlarge"]
    assert fields["env"]["default"] == {"EXEMPLAR_BUCKET": "data"}
    assert template["variables"]["required"] == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image_id": "ami-0abc", "instance_type": "g5.xlarge"}, "no setting 'instance_type'"),
        ({"image_id": "ubuntu"}, "'image_id' is wrong"),
        ({"image_id": "ami-0abc", "disk_gb": 1}, "'disk_gb' is wrong"),
    ],
)
def test_wrong_settings_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as refusal:
        base_job_template(values, {})
    assert refusal.value.fix


def test_a_machine_learns_of_its_system_and_no_secret(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    tasks_environment.setenv("EXEMPLAR_CACHE_DIR", "/home/worker/cache")
    settings.cache_clear()
    found = machine_environment(settings(), "https://mlflow.example.org")
    assert found["EXEMPLAR_BUCKET"] == settings().bucket
    assert found["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    assert not any("SECRET" in name or "KEY" in name or "CACHE" in name for name in found)


def test_only_the_training_pool_is_of_machines(
    tasks_environment: pytest.MonkeyPatch, prefect_server: None
) -> None:
    settings.cache_clear()
    with get_client(sync_client=True) as client:
        make_way(client, "ec2")
        for image in ("ami-0abc", "ami-0def"):  # the second time only the settings change
            create_pools(client, {"image_id": image})
        types = {name: client.read_work_pool(name).type for name in pool_names()}
        template = client.read_work_pool(TRAINING).base_job_template
    assert types.pop(TRAINING) == "ec2"
    assert set(types.values()) == {"process"}
    assert template["variables"]["properties"]["image_id"]["default"] == "ami-0def"


def test_the_command_says_how() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployments.orchestration", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert "--machines" in done.stdout
