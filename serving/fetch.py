"""Fetching a caller's address without becoming the caller's way into this network."""

import http.client
import ipaddress
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from contracts.errors import InvalidRequest, LimitExceeded

TIMEOUT_SECONDS: Final = 5.0
_FIX: Final = "give an https address of a public server, or send the picture itself"


def fetch(url: object, max_bytes: int) -> bytes:
    """Return what an https address of a public host holds. Redirects are not followed.

    The name is resolved once and the connection made to that very address, so that a second
    answer of the name server cannot lead elsewhere. Raises `InvalidRequest` or `LimitExceeded`.
    """
    host, port, path = _parts(url)
    address = _public_address(host, port)
    try:
        return _get(host, port, path, address, max_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise InvalidRequest(f"{host} could not be read: {error}", fix=_FIX) from error


def _parts(url: object) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        port = parts.port or 443
    except ValueError:
        raise InvalidRequest("this is no address", fix=_FIX) from None
    if parts.scheme != "https" or not parts.hostname or parts.username or port != 443:
        raise InvalidRequest("only plain https addresses are fetched", fix=_FIX)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(ord(c) <= 32 or ord(c) > 126 for c in path):
        raise InvalidRequest("the address holds characters that must be escaped", fix=_FIX)
    return parts.hostname, port, path


def _public_address(host: str, port: int) -> str:
    """The name's first address; every one of them must be public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidRequest(f"{host} is unknown", fix=_FIX) from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise InvalidRequest(f"{host} is no public server", fix=_FIX)
    return addresses[0]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _get(host: str, port: int, path: str, address: str, max_bytes: int) -> bytes:
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS)
    raw = socket.create_connection((address, port), TIMEOUT_SECONDS)
    connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    try:
        connection.request("GET", path, headers={"Host": host, "Accept": "image/*"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise InvalidRequest(f"{host} answered {answer.status}", fix=_FIX)
        data = answer.read(max_bytes + 1)
    finally:
        connection.close()
    if len(data) > max_bytes:
        raise LimitExceeded(f"{host} sends more than {max_bytes:,} bytes", fix=_FIX)
    return data
