"""A stack's users as its administrator sees them, who acts on the state table directly."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contracts.errors import InvalidRequest, NotFound, Unavailable
from contracts.identity import Project
from deployments.awaited_deletion import OnUpdate
from deployments.connection import page_link, state_home
from lambdas.accounts import Account, already_there, new_token
from lambdas.state import State

_IMPATIENT = Config(retries={"total_max_attempts": 2})  # a person waits, and it is near

CACHED_SECONDS = 60  # the gateway believes the authorizer for so long, see template.yaml


def _keep_nothing(_user: str, _token: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class UserDirectory:
    """Of one stack."""

    state: State = field(repr=False)
    url: str
    issuer: str = ""  # where users log in instead, whose tokens are not ours
    keep: Callable[[str, str], None] = field(default=_keep_nothing, repr=False)
    page: str = ""  # where the page is, if not at the API's own address

    @classmethod
    def of(cls, stack: str, region: str) -> "UserDirectory":
        """The named stack's on AWS, by the environment's credentials; else this machine's."""
        return _on_aws(stack, region) if stack or region else _here()

    def page_link(self, token: str) -> str:
        """Opens the page as a token's user."""
        return page_link(self.page or self.url, token)

    def add(self, user: str, quotas: dict[str, int], days: int) -> str:
        """Return the new user's token. Raises `Conflict` and `InvalidName`."""
        self._refuse_tokens()
        expiry = _expiry(days)
        if not self.state.accounts.add(user, quotas):
            raise already_there(user)
        token = new_token(user)
        self.state.accounts.issue(user, token, expiry)
        return token

    def rotate(self, user: str, days: int) -> str:
        """Return the user's only token from now on. Raises `NotFound`."""
        self._refuse_tokens()
        token = new_token(user)
        self.state.accounts.rotate(user, token, _expiry(days))
        self.keep(user, token)
        return token

    def _refuse_tokens(self) -> None:
        if self.issuer:
            raise InvalidRequest(
                f"the users of this stack log in at {self.issuer}",
                fix="add them there; `exemplar users limits NAME` gives quotas here",
            )

    def remove(self, user: str) -> list[str]:
        """End a user's tokens; return the names of his projects, which stay. Raises `NotFound`."""
        self.state.accounts.remove(user)
        return self.projects(user)

    def delete_projects(self, user: str, on_update: OnUpdate) -> list[str]:
        """Delete everything of a user, whose tokens end first; return the projects' names.

        Interrupted, calling it again goes on. Raises `NotFound` and `DeletionStuck`.
        """
        from deployments.client import Exemplar

        token, gone = self.rotate(user, days=1), []
        with Exemplar(self.url, token) as client:
            # The gateway may believe an old token for a moment, with which more is made.
            while names := self.projects(user):
                for name in names:
                    client.delete(name, on_update)
                    gone.append(name)
        return gone

    def projects(self, user: str) -> list[str]:
        """Names of a user's projects, whether or not there is an account."""
        return [record.project.name for record in self.state.projects(user)]

    def give_quotas(self, user: str, quotas: dict[str, int]) -> Account:
        """Change these quotas of a user, also of one who logs in elsewhere."""
        accounts = self.state.accounts
        user = Project(user, "any").user
        found = accounts.find(user)
        if quotas:
            accounts.give_quotas(user, (found.quotas if found else {}) | quotas)
        return accounts.account(user)


def _here() -> UserDirectory:
    from deployments.local.embedded import Links, LoopbackSession

    links = Links.read(state_home())
    if links is None:
        raise NotFound(
            "no Exemplar is running here and no stack is named",
            fix="run `exemplar up`, or name a stack on AWS with --stack",
        )
    endpoint = links.url.partition("/_aws/")[0]

    def keep(user: str, token: str) -> None:
        if user == links.user:  # this machine's own commands go on
            links.with_token(token).write(state_home())

    client = LoopbackSession(endpoint).client("dynamodb", config=_IMPATIENT)
    state, page = _answering(State(client, "exemplar-state")), links.page.partition("#")[0]
    return UserDirectory(state, links.url, keep=keep, page=page)


def _on_aws(stack: str, region: str) -> UserDirectory:
    from deployments.aws.account import Account as AwsAccount
    from deployments.stack import Stack

    account = AwsAccount.at_hand(region)
    found = Stack(account.client("cloudformation"), stack or "exemplar")
    if found.status() is None:
        raise NotFound(
            f"there is no stack {found.name!r} in {account.region}",
            fix="name it with --stack and --region, or make it with `exemplar deploy`",
        )
    outputs = found.outputs()
    state = State(account.client("dynamodb"), outputs["TableName"])
    return UserDirectory(_answering(state), outputs["ApiUrl"], outputs.get("JwtIssuer", ""))


def _answering(state: State) -> State:
    """Ask once, so that what is down or forbidden is told in words. Raises `Unavailable`."""
    try:
        state.accounts.find("me")
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(
            f"the state table cannot be read: {error}",
            fix="run `exemplar up`; on AWS, log in as somebody who may read and write the table",
        ) from error
    return state


def _expiry(days: int) -> float:
    if not 1 <= days <= 3_650:
        raise InvalidRequest(
            f"a token cannot last {days} days, but from 1 to 3650", fix="use --expires 90"
        )
    return time.time() + days * 86_400


def user_row(account: Account) -> dict[str, Any]:
    """What is shown of a user."""
    return {
        "user": account.user,
        "created_at": account.created_at,
        "tokens_expire_at": account.valid_tokens(),
        "quotas": account.quotas,
    }
