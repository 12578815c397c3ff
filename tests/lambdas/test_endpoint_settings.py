"""What an owner sets reaches the endpoint that runs, and the one that comes later."""

import io
import zipfile
from typing import Any

import pytest

from contracts.identity import Project
from lambdas import environment
from lambdas.live_alias import LIVE
from serving.access import EndpointAccess


def released(project: Project) -> str:
    """A function with a URL, as a release makes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", "def handler(event, context): return {}")
    name, client = project.function_name("exemplar"), environment.functions()
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/inference",
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Publish=True,
    )
    client.create_alias(FunctionName=name, Name=LIVE, FunctionVersion="1")
    client.create_function_url_config(
        FunctionName=name, Qualifier=LIVE, AuthType="NONE", Cors={"AllowOrigins": ["*"]}
    )
    return name


def auth_type(name: str) -> str:
    found = environment.functions().get_function_url_config(FunctionName=name, Qualifier=LIVE)
    assert found["Cors"] == {"AllowOrigins": ["*"]}  # which no change may lose
    return str(found["AuthType"])


def access(project: Project) -> EndpointAccess:
    key = {"pk": {"S": f"PROJECT#{project.slug}"}, "sk": {"S": "KEYS"}}
    table = environment.state().table
    item = table._client.get_item(TableName=table._name, Key=key)["Item"]
    return EndpointAccess.from_item(item)


@pytest.fixture
def project(call: Any, request: pytest.FixtureRequest) -> Project:
    name = f"set-{len(request.node.name)}"
    body = {"name": name, "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body)[0] == 201
    return Project("ann", name)


def test_the_url_follows_at_once_and_keys_stay(call: Any, project: Project) -> None:
    name, path = released(project), f"/v1/projects/{project.name}"
    keys = access(project).hashes
    status, answer = call("PATCH", path, {"endpoint_auth": "iam", "requests_per_minute": 9})
    assert (status, answer["settings"]["endpoint_auth"]) == (200, "iam")
    assert auth_type(name) == "AWS_IAM"
    assert access(project) == EndpointAccess(keys, "iam", 9)
    assert call("PATCH", path, {"endpoint_auth": "key"})[0] == 200
    assert auth_type(name) == "NONE"
    assert access(project) == EndpointAccess(keys, "key", 9)
    assert call("PATCH", path, {"requests_per_minute": None})[0] == 200
    assert access(project) == EndpointAccess(keys)


def test_fetching_follows_and_other_settings_leave_it(call: Any, project: Project) -> None:
    path = f"/v1/projects/{project.name}"
    assert call("PATCH", path, {"fetch_urls": True})[0] == 200
    assert call("PATCH", path, {"requests_per_minute": 7})[1]["settings"]["fetch_urls"] is True
    key = {"pk": {"S": f"PROJECT#{project.slug}"}, "sk": {"S": "KEYS"}}
    table = environment.state().table
    item = table._client.get_item(TableName=table._name, Key=key)["Item"]
    assert item["fetch_urls"] == {"BOOL": True}


def test_a_new_key_leaves_the_settings(call: Any, project: Project) -> None:
    path = f"/v1/projects/{project.name}"
    call("PATCH", path, {"endpoint_auth": "iam", "requests_per_minute": 5})
    before = access(project)
    assert call("POST", f"{path}/key")[0] == 201
    after = access(project)
    assert (after.auth, after.requests_per_minute) == ("iam", 5)
    assert len(after.hashes) == 1
    assert after.hashes != before.hashes


def test_what_was_begun_by_an_interrupted_call_is_finished_by_the_next(
    call: Any, project: Project
) -> None:
    """The record has changed, and neither the keys' item nor the URL has."""
    name = released(project)
    environment.state().update_project(project, settings={"endpoint_auth": "iam"})
    assert auth_type(name) == "NONE"
    call("PATCH", f"/v1/projects/{project.name}", {"endpoint_auth": "iam"})
    assert (auth_type(name), access(project).auth) == ("AWS_IAM", "iam")


def test_another_users_endpoint_cannot_be_set(call: Any, project: Project) -> None:
    body = {"endpoint_auth": "iam"}
    assert call("PATCH", f"/v1/projects/{project.name}", body, user="bob")[0] == 404
    assert access(project).auth == "key"
