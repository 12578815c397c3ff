"""JSON Schema as plain dicts: a few builders, and what a dataclass's fields say."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def text(description: str = "", **rules: Any) -> Schema:
    """A string; `rules` are JSON Schema's own, such as `pattern` or `maxLength`."""
    return _described({"type": "string"} | rules, description)


def whole(low: int, high: int, description: str = "") -> Schema:
    """A whole number, both bounds allowed."""
    return _described({"type": "integer", "minimum": low, "maximum": high}, description)


def number(description: str = "", **rules: Any) -> Schema:
    """Any number."""
    return _described({"type": "number"} | rules, description)


def truth(description: str = "") -> Schema:
    """True or false."""
    return _described({"type": "boolean"}, description)


def one_of(values: Iterable[str], description: str = "") -> Schema:
    """One of these strings."""
    return _described({"type": "string", "enum": [str(value) for value in values]}, description)


def listed(items: Schema, description: str = "", **rules: Any) -> Schema:
    """A list."""
    return _described({"type": "array", "items": items} | rules, description)


def by_name(values: Schema, description: str = "", **rules: Any) -> Schema:
    """An object whose names are free."""
    rules = {"type": "object", "additionalProperties": values} | rules
    return _described(rules, description)


def free(description: str) -> Schema:
    """An object of which nothing is promised."""
    return _described({"type": "object", "additionalProperties": True}, description)


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def record(
    title: str,
    properties: Mapping[str, Schema],
    optional: Iterable[str] = (),
    description: str = "",
) -> Schema:
    """An object with these fields, all required but the optional ones; a title names it."""
    required = [name for name in properties if name not in set(optional)]
    body = {"title": title, "type": "object", "properties": dict(properties), "required": required}
    return _described(body, description)


def of(kind: type, title: str = "", **changed: Schema) -> Schema:
    """What a dataclass looks like as JSON; `changed` replaces the schema of single fields.

    A field's type says the rest: plain values, enums, tuples, dicts, and dataclasses among them.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    properties = {name: changed.get(name) or _typed(hints[name]) for name in names}
    return record(title or kind.__name__, properties)


def picked(schema: Schema, title: str, names: Iterable[str]) -> Schema:
    """A record of some of another one's fields."""
    return record(title, {name: schema["properties"][name] for name in names})


def joined(title: str, *schemas: Schema) -> Schema:
    """A record with the fields of several; each keeps what it requires."""
    properties = {n: rule for schema in schemas for n, rule in schema["properties"].items()}
    required = {name for schema in schemas for name in schema["required"]}
    return record(title, properties, set(properties) - required)


def _typed(hint: Any) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (kind,) = [argument for argument in arguments if argument is not type(None)]
        return maybe(_typed(kind))
    if origin in (tuple, list):
        return listed(_typed(arguments[0]))
    if origin is dict:
        return by_name({} if arguments[1] is Any else _typed(arguments[1]))
    if is_dataclass(hint) and isinstance(hint, type):
        return of(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return one_of(hint)
    return {"type": _PLAIN[hint]}


def _described(schema: Schema, description: str) -> Schema:
    return schema | {"description": description} if description else schema
