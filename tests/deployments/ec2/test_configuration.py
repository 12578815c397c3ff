"""The pool's form and its entry point, as Prefect sees them."""

import importlib
import tomllib
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.base import BaseWorker
from pydantic import ValidationError

from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.worker import EC2Worker

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOT = Path(__file__).resolve().parents[3]


def test_the_entry_point_names_the_worker() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["prefect.collections"].values()
    assert importlib.import_module(module).EC2Worker.type == "ec2"
    assert BaseWorker.get_worker_class_from_type("ec2") is not None


def test_every_field_of_the_form_explains_itself() -> None:
    template = EC2Worker.get_default_base_job_template()
    form = template["variables"]["properties"]
    own = set(EC2JobConfiguration.model_fields) - {"name", "labels", "env", "command"}
    assert own <= set(form)
    assert all(form[name].get("title") for name in own)
    assert not template["variables"].get("required")


@pytest.mark.parametrize(
    "values",
    [
        {"image_id": "ubuntu"},
        {"instance_types": []},
        {"max_lifetime_minutes": 0},
        {"market": "cheap"},
    ],
)
def test_wrong_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EC2JobConfiguration.model_validate({"image_id": "ami-12345678"} | values)


def test_a_server_takes_the_pool(prefect_server: None) -> None:
    template = EC2Worker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        client.create_work_pool(
            WorkPoolCreate(name="formed", type="ec2", base_job_template=template)
        )
        assert client.read_work_pool("formed").base_job_template == template
