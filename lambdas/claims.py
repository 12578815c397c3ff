"""Users who log in elsewhere: what a JWT that the gateway has checked says of its owner."""

import re
from collections.abc import Mapping
from typing import Any, Final

from contracts.errors import InvalidName, Unauthorized
from contracts.identity import Project

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX: Final = re.compile(r"[0-9a-f]{32}")


def user_of(claims: Mapping[str, Any], claim: str) -> str:
    """The tenant by one of a token's claims. Raises `Unauthorized` for what can be no user.

    A UUID, as Cognito's `sub` is, loses its dashes: with them it is longer than a name may be.
    """
    value = claims.get(claim)
    if not isinstance(value, str) or not value:
        raise Unauthorized(
            f"your token has no claim {claim!r}, by which this system knows its users",
            fix="send another token of yours, such as the ID token instead of the access token",
        )
    # Otherwise who may choose a name could choose that of somebody with a UUID.
    if _HEX.fullmatch(value):
        raise _no_user(claim, value)
    try:
        return Project(value.replace("-", "") if _UUID.fullmatch(value) else value, "any").user
    except InvalidName as error:
        raise _no_user(claim, value) from error


def _no_user(claim: str, value: str) -> Unauthorized:
    return Unauthorized(
        f"the claim {claim!r} of your token is {value[:80]!r}, which can be no user here: names "
        "have a-z, 0-9 and '-', at most 32 characters, and are not 32 hexadecimal digits",
        fix="ask the administrator to choose another claim (JwtUserClaim), such as 'sub'",
    )
