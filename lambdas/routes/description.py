"""What the OpenAPI document says of a route, written beneath its `@router` line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from contracts.limits import Limits
from contracts.schema import Schema

Answer = Schema | Callable[[], Schema]
Body = Schema | Callable[[Limits], Schema]
_Handler = TypeVar("_Handler", bound=Callable[..., object])

_ATTRIBUTE = "openapi"


@dataclass(frozen=True, slots=True)
class Description:
    """Schemas are made when the document is, so that describing a route costs no start-up time."""

    answers: Mapping[int, Answer]  # by status, of the calls that succeed
    body: Body | None = None
    refuses: tuple[int, ...] = ()  # statuses beyond those that every route of its kind may answer
    query: Mapping[str, Schema] = field(default_factory=dict)
    is_body_optional: bool = False
    is_public: bool = False  # answers without a token; the gateway must have a route for it


def described(
    answers: Mapping[int, Answer],
    body: Body | None = None,
    *,
    refuses: tuple[int, ...] = (),
    query: Mapping[str, Schema] | None = None,
    is_body_optional: bool = False,
    is_public: bool = False,
) -> Callable[[_Handler], _Handler]:
    """Describe a handler; its docstring says what it does."""
    found = Description(answers, body, refuses, query or {}, is_body_optional, is_public)

    def mark(handler: _Handler) -> _Handler:
        setattr(handler, _ATTRIBUTE, found)
        return handler

    return mark


def description_of(handler: Callable[..., object]) -> Description | None:
    """What was said of a handler, if anything."""
    found = getattr(handler, _ATTRIBUTE, None)
    return found if isinstance(found, Description) else None
