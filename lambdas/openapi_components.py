"""Schemas with a title become named components, written once and referred to from then on."""

from typing import Any, Final

from contracts.schema import Schema

_PREFIX: Final = "#/components/schemas/"
_NO_SCHEMAS: Final = frozenset({"examples", "enum", "const", "required"})


class Components:
    """The named schemas that a document has used so far."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def refer(self, found: Schema) -> Schema:
        """Return a reference to a titled schema, or an untitled one with references inside.

        Raises `ValueError` when two different schemas have the same title.
        """
        whole = {name: self._inside(name, value) for name, value in found.items()}
        title = whole.get("title")
        if not isinstance(title, str):  # a property may be named so
            return whole
        if not title:
            return {name: value for name, value in whole.items() if name != "title"}
        if self.schemas.setdefault(title, whole) != whole:
            raise ValueError(f"two different schemas are titled {title!r}; rename one of them")
        return {"$ref": _PREFIX + title}

    def _inside(self, name: str, value: Any) -> Any:
        if name in _NO_SCHEMAS:
            return value
        if isinstance(value, dict):
            return self.refer(value)
        if isinstance(value, list):
            return [self._inside("", item) for item in value]
        return value
