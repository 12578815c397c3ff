"""`exemplar users` on this machine's stack and on one of an account."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployments import cli
from deployments.local.embedded import Links
from lambdas.state import State
from tests.deployments.command_line import Outcome, Run

STACK = "users"
TEMPLATE = {
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "users-state",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        }
    },
    "Outputs": {
        "TableName": {"Value": {"Ref": "Table"}},
        "ApiUrl": {"Value": "https://api.example.org"},
    },
}


@pytest.fixture(scope="module")
def stack(emulator: Any) -> str:
    emulator.client("cloudformation").create_stack(
        StackName=STACK, TemplateBody=json.dumps(TEMPLATE)
    )
    return STACK


@pytest.fixture
def run(
    emulator: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """An administrator's shell: a home of its own, and credentials of the account."""
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "EXEMPLAR_HOME": str(tmp_path),
        "COLUMNS": "100",
    }.items():
        monkeypatch.setenv(name, value)

    def call(*words: object) -> Outcome:
        code = cli.main(["users", *(str(word) for word in words)])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def state(emulator: Any, stack: str) -> State:
    return State(emulator.client("dynamodb"), "users-state")


def test_a_user_comes_is_limited_gets_a_new_token_and_goes(
    run: Run, state: State, stack: str
) -> None:
    on = ("--stack", stack)
    added = run("add", "ann", "--projects", 2, "--gib", 5, "--expires", 30, *on)
    assert added.code == 0, added.err
    token = added.out.partition("EXEMPLAR_TOKEN=")[2].split()[0]
    assert state.user_of_token(token) == "ann"
    assert "https://api.example.org" in added.out
    assert "good for 30 days" in added.out
    assert f"https://api.example.org/#token={token}" in added.out.split()

    again = run("add", "ann", *on, "--json")
    assert (again.code, again.document["error"]["code"]) == (1, "conflict")
    assert "exemplar users rotate ann" in again.document["error"]["fix"]

    shown = run("limits", "ann", "--trainings-per-day", 7, *on, "--json").document
    assert shown["quotas"] == {"projects": 2, "stored_gib": 5, "trainings_per_day": 7}
    assert state.accounts.quotas("ann").trainings_per_day == 7
    listed = run("list", *on)
    assert "ann" in listed.out
    assert "stored gib 5" in listed.out
    assert token not in listed.out

    rotated = run("rotate", "ann", *on)
    assert "end within 60 seconds" in rotated.out
    assert state.user_of_token(token) is None
    new = rotated.out.partition("EXEMPLAR_TOKEN=")[2].split()[0]
    assert state.user_of_token(new) == "ann"

    removed = run("remove", "ann", *on)
    assert "the tokens end within 60 seconds" in removed.out
    assert state.user_of_token(new) is None
    assert run("remove", "ann", *on).code == 1
    assert run("list", *on, "--json").document == {"users": []}


def test_projects_are_deleted_only_when_somebody_confirms_it(
    run: Run, state: State, stack: str
) -> None:
    run("add", "cas", "--stack", stack)
    state.table.put(("USER#cas", "PROJECT#cats"), {"kind": "image", "classes": ["a", "b"]})
    asked = run("remove", "cas", "--delete-projects", "--stack", stack)
    assert asked.code == 1
    assert "This deletes cats" in asked.out
    assert "add --yes" in asked.err
    assert len(state.accounts.account("cas").valid_tokens()) == 1
    state.table.delete(("USER#cas", "PROJECT#cats"))
    gone = run("remove", "cas", "--delete-projects", "--stack", stack, "--json")
    assert (gone.document["deleted"], gone.document["projects"]) == ([], [])


def test_who_gets_a_name_again_is_told_what_comes_with_it(
    run: Run, state: State, stack: str
) -> None:
    run("add", "bob", "--stack", stack)
    state.table.put(("USER#bob", "PROJECT#cats"), {"kind": "image", "classes": ["a", "b"]})
    assert run("remove", "bob", "--stack", stack, "--json").document["projects"] == ["cats"]
    assert "are there already: cats" in run("add", "bob", "--stack", stack).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Ann"), "may hold only a-z"),
        (("add", "ann", "--expires", 0), "from 1 to 3650"),
        (("add", "ann", "--jobs", -1), "jobs is '-1'"),
        (("rotate", "nobody"), "no user 'nobody'"),
        (("list", "--stack", "none"), "no stack 'none'"),
    ],
)
def test_refusals_have_a_fix(run: Run, stack: str, words: tuple[object, ...], said: str) -> None:
    where = () if "--stack" in words else ("--stack", stack)
    refused = run(*words, *where)
    assert refused.code == 1
    assert said in refused.err
    assert "fix: " in refused.err


def test_this_machines_own_token_is_kept_when_it_is_rotated(
    run: Run, emulator: Any, tmp_path: Path
) -> None:
    assert "exemplar up" in run("list").err
    properties = TEMPLATE["Resources"]["Table"]["Properties"]  # type: ignore[index]
    emulator.client("dynamodb").create_table(**properties | {"TableName": "exemplar-state"})
    state = State(emulator.client("dynamodb"), "exemplar-state")
    state.put_token("first", "me", 2**33)
    url, page = f"{emulator.endpoint}/_aws/execute-api/x/$default", "http://127.0.0.1:1/app/#token="
    Links(url, "first", "me", "", "", f"{page}first").write(tmp_path)
    rotated = run("rotate", "me", "--json").document
    token = rotated["token"]
    kept = Links.read(tmp_path)
    assert kept is not None
    assert (kept.token, kept.page) == (token, f"{page}{token}")
    assert rotated["page"] == kept.page
    assert state.user_of_token("first") is None
    assert page in run("add", "ann").out
    run("rotate", "ann")
    assert Links.read(tmp_path) == kept


def test_where_users_log_in_elsewhere_there_are_quotas_and_no_tokens(
    run: Run, emulator: Any, state: State
) -> None:
    outputs = TEMPLATE["Outputs"] | {"JwtIssuer": {"Value": "https://issuer.example"}}
    outputs |= {"TableName": {"Value": "users-state"}}
    topic = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "any"}}}
    emulator.client("cloudformation").create_stack(
        StackName="jwt", TemplateBody=json.dumps({"Resources": topic, "Outputs": outputs})
    )
    for verb in ("add", "rotate"):
        refused = run(verb, "ann", "--stack", "jwt")
        assert refused.code == 1
        assert "log in at https://issuer.example" in refused.err
    assert run("limits", "ann", "--jobs", 3, "--stack", "jwt").code == 0
    assert state.accounts.quotas("ann").jobs == 3
    state.accounts.remove("ann")


def test_a_stack_that_does_not_run_is_told(run: Run, tmp_path: Path) -> None:
    Links("http://127.0.0.1:9/_aws/x", "t", "me", "", "").write(tmp_path)
    refused = run("list", "--json")
    assert refused.document["error"]["code"] == "unavailable"
    assert "exemplar up" in refused.document["error"]["fix"]
