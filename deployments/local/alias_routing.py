"""Weighted aliases: ministack stores `RoutingConfig` but sends every call to the main version."""

import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import lambda_svc

_is_call: ContextVar[bool] = ContextVar("_is_call", default=False)


def choose_version(function: dict[str, Any] | None, qualifier: str | None) -> str | None:
    """A version drawn by an alias' weights; any other qualifier is returned as it is."""
    alias = (function or {}).get("aliases", {}).get(qualifier, {})
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    if not weights:
        return qualifier
    versions: list[str] = [*weights, alias["FunctionVersion"]]
    shares = [*weights.values(), max(0.0, 1.0 - sum(weights.values()))]
    return random.choices(versions, shares)[0]  # noqa: S311 - traffic, not a secret


def install() -> None:
    """Draw a version wherever ministack resolves a function in order to call it.

    It reads the stored alias each time, so it does not matter who made the alias: the API, a
    CloudFormation stack or a restored state.
    """
    lambda_svc._invoke = _draw_for_invoke(lambda_svc._invoke)
    lambda_svc._get_func_record_for_ref = _as_call(lambda_svc._get_func_record_for_ref)
    lambda_svc._effective_func_record_for_qualifier = _draw_in_calls(
        lambda_svc._effective_func_record_for_qualifier
    )


def _draw_for_invoke(invoke: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def drawn(
        name: str,
        event: Any,
        headers: dict[str, str],
        path_qualifier: str | None = None,
        query_params: dict[str, list[str]] | None = None,
    ) -> Any:
        in_query = (query_params or {}).get("Qualifier", [None])
        asked = path_qualifier or (in_query[0] if isinstance(in_query, list) else in_query)
        qualifier = choose_version(lambda_svc._functions.get(name), asked)
        return await invoke(name, event, headers, qualifier, query_params)

    return drawn


def _as_call(resolve: Callable[[str], Any]) -> Callable[[str], Any]:
    """For function URLs, API Gateway and event sources: they resolve by reference."""

    def resolved(reference: str) -> Any:
        token = _is_call.set(True)
        try:
            return resolve(reference)
        finally:
            _is_call.reset(token)

    return resolved


def _draw_in_calls(record: Callable[..., Any]) -> Callable[..., Any]:
    """Only calls draw: reading an alias' configuration always shows its main version."""

    def drawn(function: dict[str, Any] | None, qualifier: str | None) -> Any:
        return record(
            function, choose_version(function, qualifier) if _is_call.get() else qualifier
        )

    return drawn
