"""What the embedded stack's processes see of the person's environment: a short list."""

import os
from collections.abc import Mapping
from pathlib import Path

_NAMES = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"})
_CERTIFICATES = frozenset({"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"})
_PREFIXES = ("EXEMPLAR_", "LC_", "PIP_", "UV_")
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
_NO_PROXY = "127.0.0.1,localhost,.localhost"


def child_environment(
    folder: Path, extra: Mapping[str, str], host: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Allowed variables of `host` (default: this process'), no AWS account, then `extra`.

    `folder` receives the empty file that stands for the person's AWS configuration.
    """
    host = os.environ if host is None else host
    allowed = {
        name: value
        for name, value in host.items()
        if name in _NAMES | _CERTIFICATES or name.upper() in _PROXIES or name.startswith(_PREFIXES)
    }
    return allowed | {"NO_PROXY": _NO_PROXY} | without_account(folder) | dict(extra)


def without_account(folder: Path) -> dict[str, str]:
    """Variables that keep every AWS client from finding the person's credentials."""
    empty = folder / "no-aws-configuration"
    empty.parent.mkdir(parents=True, exist_ok=True)
    empty.touch()
    return {
        "AWS_CONFIG_FILE": str(empty),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
