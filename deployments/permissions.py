"""docs/permissions.md: who may do what, written from the template and the projects' policies.

Run as `python -m deployments.permissions` after changing either.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from contracts.identity import Project
from deployments.packaging import ROOT
from deployments.template import Template
from tasks.inference_identity import forward_statements, inference_statements
from tasks.project_roles import Places
from tasks.training_identity import training_statements

PAGE: Final = ROOT / "docs" / "permissions.md"
_INTRODUCTION: Final = """\
# Who may do what

Written by `python -m deployments.permissions` from `deployments/template.yaml` and the policies
of `tasks/`; a test compares. `tests/deployments/permission_table.py` lists the calls that the tests
try with each role. STACK is the stack's name; resources without a region are of the stack's own.
Every statement allows; nothing else is allowed.
"""
_SHOWN: Final = Project("ann", "cats")
_STACK: Final = "${AWS::StackName}"
_PLACES: Final = Places(
    partition="${AWS::Partition}",
    region="${AWS::Region}",
    account="${AWS::AccountId}",
    bucket_name=f"{_STACK}-data-${{AWS::AccountId}}-${{AWS::Region}}",
    table_name=f"{_STACK}-state",
    code_bucket_name="${CodeBucket}",
    trainer_credentials="${TrainerSecret}",
)
_SHORTER: Final = (  # the longest first
    (_PLACES.bucket, "data bucket"),
    (_PLACES.table, "state table"),
    (_PLACES.code_bucket, "code bucket"),
    ("${AWS::Region}:${AWS::AccountId}:", ""),
    ("${AWS::Region}::", ""),
    (":${AWS::AccountId}:", ":"),
    ("arn:${AWS::Partition}:", ""),
    (_STACK, "STACK"),
)


def page() -> str:
    """The whole document."""
    parts = [_INTRODUCTION, "## Roles and policies of the stack\n"]
    for name, definition in Template.load().resources.items():
        properties = definition.get("Properties", {})
        if definition["Type"] == "AWS::IAM::Role":
            (policy,) = properties["Policies"]
            parts.append(_section(name, properties["Description"], policy["PolicyDocument"]))
        elif definition["Type"] == "AWS::IAM::ManagedPolicy":
            parts.append(_section(name, properties["Description"], properties["PolicyDocument"]))
    parts.append(f"## Roles of a project, here of {_SHOWN.user}'s `{_SHOWN.name}`\n")
    for name, boundary, statements in (
        ("function", "InferenceBoundary", inference_statements(_SHOWN, _STACK, _PLACES)),
        ("forwarder", "InferenceBoundary", forward_statements(_SHOWN, _STACK, _PLACES)),
        ("trainer", "TrainerBoundary", training_statements(_SHOWN, _PLACES)),
    ):
        parts.append(_section(name, f"Below {boundary}.", {"Statement": statements}))
    return "\n".join(parts)


def _section(name: str, description: str, document: Mapping[str, Any]) -> str:
    rows = (_row(statement) for statement in document["Statement"])
    return "\n".join(
        [f"### {name}\n", f"{description}\n", "| calls | on | if |", "|---|---|---|", *rows, ""]
    )


def _row(statement: Mapping[str, Any]) -> str:
    calls = "<br>".join(f"`{action}`" for action in _listed(statement["Action"]))
    places = "<br>".join(f"`{_text(resource)}`" for resource in _listed(statement["Resource"]))
    conditions = "<br>".join(_conditions(statement.get("Condition", {})))
    return f"| {calls} | {places} | {conditions} |"


def _conditions(condition: Mapping[str, Any]) -> Iterator[str]:
    for operator, pairs in condition.items():
        for key, values in pairs.items():
            if operator == "Null":
                continue  # only says that the key has to be there
            wanted = ", ".join(_text(value) for value in _listed(values))
            yield f"`{key}` is `{wanted}`"


def _text(value: Any) -> str:
    """A value of the template in words that a person can read."""
    if isinstance(value, Mapping):
        ((function, inner),) = value.items()
        text = inner[0] if function == "Fn::GetAtt" else str(inner)
        if function != "Fn::Sub":
            return text.replace("AWS::StackName", "STACK")
    else:
        text = str(value)
    for long, short in _SHORTER:
        text = text.replace(long, short)
    return text.replace("${", "").replace("}", "")


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
