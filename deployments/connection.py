"""Where the API is and with which credentials: arguments, environment, or the local stack's."""

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from contracts.errors import InvalidRequest, NotFound, Unauthorized
from deployments.local.lock import exclusive

_START_FIX = "run `exemplar up`, or set EXEMPLAR_URL and EXEMPLAR_TOKEN"
_LOCK_WAIT_SECONDS = 10.0
_OWN_TOKEN = re.compile(r"xt_([a-z0-9-]+)_[A-Za-z0-9_-]{43}")
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """One API and the user's token for it; `prefect_api` is empty where it is not known."""

    url: str
    token: str
    prefect_api: str = ""
    mlflow_ui: str = ""
    page: str = ""  # where the page is, if not at the API's own address

    def page_link(self, project: str = "") -> str:
        """Opens the page as this user, at a project."""
        return page_link(self.page or self.url, self.token, project)

    @property
    def account(self) -> str:
        """Names this user of this API: two users of one machine may have projects of one name.

        A user's next token names the same account, where tokens tell whose they are.
        """
        return f"{self.url}#{_user(self.token) or _short_hash(self.token)}"


def page_link(address: str, token: str, project: str = "") -> str:
    """Opens the page as a token's user; what follows the '#' never leaves the browser."""
    named = {"token": token} | ({"project": project} if project else {})
    return f"{address.rstrip('/')}/#{urlencode(named)}"


def state_home() -> Path:
    """`$EXEMPLAR_HOME`, else `.exemplar` in the current folder if it exists, else `~/.exemplar`."""
    if home := os.environ.get("EXEMPLAR_HOME"):
        return Path(home).expanduser()
    here = Path(".exemplar")
    return here.resolve() if here.is_dir() else Path.home() / ".exemplar"


def find_connection(url: str | None = None, token: str | None = None) -> Connection:
    """Arguments win over the environment, and that over the local stack's `connection.json`.

    Raises `NotFound` when nothing names an API, and `Unauthorized` when only the token is missing.
    """
    url = url or os.environ.get("EXEMPLAR_URL")
    token = token or os.environ.get("EXEMPLAR_TOKEN")
    local = _local_connection()
    prefect_api = os.environ.get("PREFECT_API_URL", "")
    if url is None or (local and _plain_url(url) == local.url):
        if local is None:
            raise NotFound("no Exemplar is running here and none is named", fix=_START_FIX)
        return Connection(
            local.url,
            token or local.token,
            prefect_api or local.prefect_api,
            local.mlflow_ui,
            local.page,
        )
    if not token:
        raise Unauthorized(f"there is no token for {url}", fix="set EXEMPLAR_TOKEN")
    return Connection(_plain_url(url), token, prefect_api)


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine, where no proxy may come between."""
    return urlsplit(url).hostname in _LOOPBACK_HOSTS


def _plain_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequest(
            f"address {url!r} must begin with http:// or https:// and name a host",
            fix="use an address such as 'https://abc.execute-api.eu-central-1.amazonaws.com'",
        )
    return url.rstrip("/")


def _user(token: str) -> str:
    """What a token says of its user, believed only to find the user's keys on this machine."""
    if own := _OWN_TOKEN.fullmatch(token):
        return own[1]
    try:
        payload = token.split(".")[1]  # of a JWT
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return _short_hash(f"{claims['iss']} {claims['sub']}")
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _local_connection() -> Connection | None:
    path = state_home() / "connection.json"
    document = _read_json(path)
    if document is None:
        return None
    try:
        prefect_ui = str(document.get("prefect_ui") or "").rstrip("/")
        return Connection(
            url=_plain_url(document["url"]),
            token=str(document["token"]),
            prefect_api=f"{prefect_ui}/api" if prefect_ui else "",
            mlflow_ui=str(document.get("mlflow_ui") or ""),
            page=str(document.get("page") or "").partition("#")[0],
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise InvalidRequest(f"{path} is broken: {error!r}", fix=_START_FIX) from error


class KeyRing:
    """Endpoint keys of this machine's user, in `keys.json` under the state folder, mode 600."""

    def __init__(self, home: Path) -> None:
        self._path = home / "keys.json"

    def find(self, account: str, project: str) -> str | None:
        """The key last saved for a project, or None."""
        key = _keys_of(_read_json(self._path), account).get(project)
        return str(key) if key else None

    def save(self, account: str, project: str, key: str) -> None:
        """Keep a key; whoever reads the file meanwhile sees it whole, before or after.

        Another command that saves at the same time waits, so neither loses the other's key.
        """
        self._change(account, lambda keys: keys | {project: key})

    def forget(self, account: str, project: str) -> None:
        """Drop a key; none is no error."""
        if self.find(account, project) is not None:
            self._change(
                account, lambda keys: {name: keys[name] for name in keys if name != project}
            )

    def _change(self, account: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self._path.with_name("keys.lock"), "saving a key", _LOCK_WAIT_SECONDS):
            document = _read_json(self._path)
            document = document if isinstance(document, dict) else {}
            document[account] = change(_keys_of(document, account))
            self._replace(document)

    def _replace(self, document: dict[str, Any]) -> None:
        # mkstemp makes the file readable for its owner alone.
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".keys-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=1, sort_keys=True)
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _keys_of(document: Any, account: str) -> dict[str, Any]:
    keys = document.get(account) if isinstance(document, dict) else None
    return keys if isinstance(keys, dict) else {}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InvalidRequest(f"{path} is no JSON: {error}", fix=f"remove {path}") from error
