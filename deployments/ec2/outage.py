"""Waiting out Prefect's or AWS's absence: a machine goes on meanwhile, so its watcher must, too."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
import httpx
from botocore.exceptions import BotoCoreError, ClientError

_PAUSE_SECONDS: Final = 5.0

T = TypeVar("T")


async def patiently(
    call: Callable[[], Awaitable[T]], log: "logging.Logger | logging.LoggerAdapter[logging.Logger]"
) -> T:
    """Repeat a call until it is answered; raises what says that asking again cannot help."""
    while True:
        try:
            return await call()
        except (httpx.TransportError, BotoCoreError, ClientError) as error:
            log.warning("no answer, trying again: %s", error)
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                raise
            log.warning("refused, trying again: %s", error)
        await anyio.sleep(_PAUSE_SECONDS)
