import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.errors import InvalidRequest, NotFound, Unauthorized
from deployments.connection import KeyRing, find_connection, state_home
from lambdas.accounts import new_token

LOCAL = {
    "url": "http://127.0.0.1:4566/api/",
    "token": "local-token",
    "prefect_ui": "http://127.0.0.1:4200/",
    "mlflow_ui": "http://127.0.0.1:5000",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("EXEMPLAR_URL", "EXEMPLAR_TOKEN", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXEMPLAR_HOME", str(tmp_path))
    return tmp_path


def test_without_anything_the_error_says_what_to_run() -> None:
    with pytest.raises(NotFound) as caught:
        find_connection()
    assert caught.value.fix == "run `exemplar up`, or set EXEMPLAR_URL and EXEMPLAR_TOKEN"


def test_the_local_stack_is_the_default(home: Path) -> None:
    (home / "connection.json").write_text(json.dumps(LOCAL))
    found = find_connection()
    assert (found.url, found.token) == ("http://127.0.0.1:4566/api", "local-token")
    assert found.prefect_api == "http://127.0.0.1:4200/api"


def test_the_environment_wins_and_does_not_lend_the_local_token(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "connection.json").write_text(json.dumps(LOCAL))
    monkeypatch.setenv("EXEMPLAR_URL", "https://api.example.com/")
    with pytest.raises(Unauthorized, match=r"no token for https://api\.example\.com"):
        find_connection()
    monkeypatch.setenv("EXEMPLAR_TOKEN", "far-token")
    found = find_connection()
    assert (found.url, found.token, found.prefect_api) == (
        "https://api.example.com",
        "far-token",
        "",
    )


def test_a_users_next_token_finds_the_same_keys(home: Path) -> None:
    def jwt(**claims: str) -> str:
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"eyJ.{payload}.signature"

    def account(token: str) -> str:
        return find_connection("http://localhost:1", token).account

    assert account(new_token("ann")) == account(new_token("ann"))
    assert account(new_token("ann")) != account(new_token("bob"))
    first, next_one = (jwt(iss="i", sub="ann", jti=name) for name in "ab")
    assert account(first) == account(next_one)
    assert account(first) != account(jwt(iss="other", sub="ann"))
    for odd in ("a.b.c", "..", "xt_Ann_" + "x" * 43, jwt(iss="i"), "a.W10.c"):
        assert account(odd) != account(odd + "x")


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_URL", "https://api.example.com")
    monkeypatch.setenv("EXEMPLAR_TOKEN", "a")
    found = find_connection("http://localhost:1", "b")
    assert (found.url, found.token) == ("http://localhost:1", "b")


@pytest.mark.parametrize("url", ["api.example.com", "ftp://api.example.com", "https://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="must begin with http"):
        find_connection(url, "t")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1, "token": "t"}', '{"token": "t"}'])
def test_a_broken_connection_file_is_named(home: Path, text: str) -> None:
    (home / "connection.json").write_text(text)
    with pytest.raises(InvalidRequest, match=r"connection\.json"):
        find_connection()


def test_the_state_folder_is_here_if_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXEMPLAR_HOME")
    monkeypatch.chdir(tmp_path)
    assert state_home() == Path.home() / ".exemplar"
    (tmp_path / ".exemplar").mkdir()
    assert state_home() == tmp_path / ".exemplar"


def test_keys_are_kept_per_address_and_project_for_the_owner_alone(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "new" / "home")
    assert ring.find("http://a", "cats") is None
    ring.save("http://a", "cats", "k1")
    ring.save("http://a", "dogs", "k2")
    ring.save("http://b", "cats", "k3")
    ring.save("http://a", "cats", "k4")
    found = [ring.find(*of) for of in (("http://a", "cats"), ("http://a", "dogs"))]
    assert [*found, ring.find("http://b", "cats")] == ["k4", "k2", "k3"]
    path = tmp_path / "new" / "home" / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {entry.name for entry in path.parent.iterdir()} == {"keys.json", "keys.lock"}


def test_keys_saved_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    users = [f"user {number}" for number in range(20)]
    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(lambda user: KeyRing(tmp_path).save(user, "cats", f"key of {user}"), users))
    assert [KeyRing(tmp_path).find(user, "cats") for user in users] == [
        f"key of {user}" for user in users
    ]
