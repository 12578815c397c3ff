"""Fetching a caller's address without becoming the caller's way into this network."""

import http.client
import ipaddress
import socket
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from contracts.errors import InvalidRequest, LimitExceeded

TIMEOUT_SECONDS: Final = 5.0
_CHUNK_BYTES: Final = 65_536
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # all IPv6 addresses that are given out
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
    except (OSError, UnicodeError) as error:  # a label of more than 63 characters is the latter
        raise InvalidRequest(f"{host} is unknown", fix=_FIX) from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise InvalidRequest(f"{host} is no public server", fix=_FIX)
    return addresses[0]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _UNICAST or address.sixtofour or address.teredo
    ):
        return False  # other ranges can be IPv4 addresses in disguise (NAT64 among them)
    return address.is_global and not address.is_multicast


def _get(host: str, port: int, path: str, address: str, max_bytes: int) -> bytes:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS)
    connection.sock = socket.create_connection((address, port), TIMEOUT_SECONDS)
    try:
        tls = ssl.create_default_context()
        connection.sock = tls.wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", path, headers={"Host": host, "Accept": "image/*"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise InvalidRequest(f"{host} answered {answer.status}", fix=_FIX)
        return _read(answer, max_bytes, deadline)
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, max_bytes: int, deadline: float) -> bytes:
    """Read it all; the socket's timeout alone would let a server drip for hours."""
    data = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        data += chunk
        if len(data) > max_bytes:
            raise LimitExceeded(f"the server sends more than {max_bytes:,} bytes", fix=_FIX)
        if time.monotonic() > deadline:
            raise InvalidRequest(f"the server took over {TIMEOUT_SECONDS:.0f} s", fix=_FIX)
    return bytes(data)
