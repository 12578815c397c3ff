"""Every role and policy of a deployed stack, tried with real requests that IAM decides on."""

import json
import re

import pytest

from deployments import permissions
from deployments.packaging import ROOT
from deployments.template import Template
from tests.deployments.permissions.account import Account
from tests.deployments.permissions.requests import BOUNDARIES, is_let_through
from tests.deployments.permissions.table import everybody, lines

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest.mark.parametrize("who", sorted(everybody()))
def test_the_table_holds(account: Account, who: str) -> None:
    wrong = [
        str(line)
        for line in lines()
        if line.who == who and is_let_through(account, line) is not line.may
    ]
    assert not wrong


def test_no_role_or_policy_is_left_out() -> None:
    kinds = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
    defined = {
        name
        for name, definition in Template.load().resources.items()
        if definition["Type"] in kinds
    }
    assert defined - BOUNDARIES <= everybody()


def test_every_partition_of_the_table_is_somebodys() -> None:
    """The modules that own partitions say so in a table; a role that needs one names it."""
    named = set(
        re.findall(r'"dynamodb:LeadingKeys": (\[.*?\])', json.dumps(Template.load().document))
    )
    granted = {key.partition("#")[0] for keys in named for key in json.loads(keys)}
    owned: set[str] = set()
    for module in (ROOT / "lambdas").glob("*.py"):
        if table := module.read_text(encoding="utf-8").partition("| pk ")[2]:
            owned |= set(re.findall(r"^\| ([A-Z]+)", table, re.MULTILINE))
    assert owned <= granted
    assert len(owned) > 5


def test_the_page_says_what_the_template_and_the_policies_say() -> None:
    told = permissions.PAGE.read_text(encoding="utf-8")
    assert told == permissions.page(), "run `python -m deployments.permissions`"
