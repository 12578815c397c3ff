"""Parts of the CloudFormation template: which resources refer to which, and valid subsets."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

TEMPLATE_FILE: Final = Path(__file__).with_name("template.yaml")

# Types that hold data, and the property by which CloudFormation imports each.
IDENTIFIERS: Final = {"AWS::S3::Bucket": "BucketName", "AWS::DynamoDB::Table": "TableName"}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack."""

    logical_id: str
    type: str
    physical_id: str


@dataclass(frozen=True, slots=True)
class Template:
    """The parsed template."""

    document: dict[str, Any]

    @classmethod
    def load(cls, path: Path = TEMPLATE_FILE) -> Self:
        """Read a template in YAML, with CloudFormation's short functions such as `!Sub`."""
        with path.open(encoding="utf-8") as file:
            return cls(yaml.load(file, _Loader))  # noqa: S506  # _Loader is a SafeLoader

    @property
    def resources(self) -> dict[str, Any]:
        """Definitions by logical id."""
        return dict(self.document["Resources"])

    def retained(self, variables: Mapping[str, str] | None = None) -> list[Resource]:
        """Resources that hold data and outlive the stack.

        `variables` are the pseudo parameters in their names, e.g. `AWS::Region`.
        """
        return [
            Resource(logical_id, definition["Type"], _named(definition, variables or {}))
            for logical_id, definition in self.resources.items()
            if definition["Type"] in IDENTIFIERS
        ]

    def dependents(self, logical_ids: Collection[str]) -> set[str]:
        """`logical_ids` and every resource that refers to one of them, at any distance."""
        found = set(logical_ids)
        while True:
            more = {
                name
                for name, definition in self.resources.items()
                if name not in found and found & set(_references(definition.get("Properties")))
            }
            if not more:
                return found
            found |= more

    def only(self, logical_ids: Collection[str], *, bare: bool = False) -> str:
        """JSON template of these resources; what refers to others must not be among them.

        `bare` leaves out what reaches beyond a resource itself: S3 notifications need their
        function to exist.
        """
        kept = {name: dict(self.resources[name]) for name in self.resources if name in logical_ids}
        for definition in kept.values():
            definition.pop("DependsOn", None)
            if bare:
                definition["Properties"] = {
                    name: value
                    for name, value in definition["Properties"].items()
                    if name != "NotificationConfiguration"
                }
        outputs = {
            name: output
            for name, output in self.document["Outputs"].items()
            if set(_references(output)) <= set(logical_ids)
        }
        smaller = self.document | {"Resources": kept, "Outputs": {} if bare else outputs}
        return json.dumps({name: part for name, part in smaller.items() if part})


def _named(definition: dict[str, Any], variables: Mapping[str, str]) -> str:
    name = str(definition["Properties"][IDENTIFIERS[definition["Type"]]]["Fn::Sub"])
    for variable, value in variables.items():
        name = name.replace(f"${{{variable}}}", value)
    return name


def _references(part: Any) -> Iterator[str]:
    """Logical ids (and parameters) that Ref, GetAtt and Sub name anywhere in `part`."""
    if isinstance(part, list):
        for item in part:
            yield from _references(item)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == "Ref":
            yield value
        elif name == "Fn::GetAtt":
            yield value[0]
        elif name == "Fn::Sub":
            yield from (piece.partition("}")[0].partition(".")[0] for piece in value.split("${"))
        else:
            yield from _references(value)


class _Loader(yaml.SafeLoader):
    """Turns `!Sub x` into `{"Fn::Sub": x}`, as CloudFormation does."""


def _short_function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {f"Fn::{suffix}": loader.construct_sequence(node, deep=True)}
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, f"!{suffix} takes a text or a list")
    value: Any = loader.construct_scalar(node)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    return {f"Fn::{suffix}": value.split(".", 1) if suffix == "GetAtt" else value}


_Loader.add_multi_constructor("!", _short_function)
