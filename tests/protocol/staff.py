"""Staff who change limits, revoke keys and reset users while calls run; they repeat what failed."""

from contextlib import suppress
from random import Random

import redis
from sqlalchemy import Engine

from ai_gateway.domain.limits import (
    EVERYBODY,
    NO_LIMIT,
    Account,
    Budget,
    Limit,
    LimitKind,
    Scope,
    Window,
    window_id,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.errors import GatewayError
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.stores.resets import AccountReset, SpendResets
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests.keys import BY_COMMAND, issue
from tests.limits import LimitOffice
from tests.money import UTC_ZONE
from tests.protocol.history import History
from tests.protocol.plan import Fault
from tests.protocol.site import INSTALLATION_LIMIT, Site, clock, key_admin

USERS = ("ann", "ben")
KEYS_OF_ONE = 2


class Staff:
    """Uses our own services, in the process of the run."""

    def __init__(self, client: "redis.Redis", engine: Engine, site: Site, random: Random) -> None:
        self._admin: KeyAdmin = key_admin(client, engine)
        self._users = UserTable(engine)
        keys = KeyTable(engine, INSTALLATION_LIMIT)
        self._limit_office = LimitOffice(keys, engine, client, clock)
        self._resets = SpendResets(client)
        self._history = History(site.history, "staff")
        self._limits = site.plan.limits
        self._random = random
        self._user_ids: list[int] = []
        self._key_ids: list[str] = []
        self._owed: list[AccountReset] = []
        self._reset_count = 0

    def open_the_shop(self) -> tuple[str, ...]:
        """Make users with keys; returns the texts of the keys."""
        self._user_ids = [
            self._users.add(
                name, f"{name}@example.com", password_hash=None, role=Role.NONE, now=clock()
            )
            for name in USERS
        ]
        texts = tuple(
            issue(self._admin, user_id) for user_id in self._user_ids for _ in range(KEYS_OF_ONE)
        )
        self._key_ids = [text.split("_")[1] for text in texts]
        for user_id in self._user_ids:
            self._limit_user(user_id, Window.DAY)
        return texts

    def act(self, fault: Fault) -> None:
        """Do one thing; what a broken line kept from being confirmed is repeated later."""
        user_id, window = self._random.choice(self._user_ids), self._random.choice([*Window])
        match fault:
            case Fault.RESET:
                self._reset_count += 1
                now_in = window_id(window, clock(), UTC_ZONE)
                account = Account(Scope.USER, user_id, window, now_in)
                self._owed.append(AccountReset(f"reset_{self._reset_count}", account))
            case Fault.CHANGE_LIMIT:
                change = self._random.choice((self._limit_user, self._limit_key, self._limit_all))
                change(user_id, window)
            case Fault.REVOKE_KEY:
                with suppress(GatewayError):
                    self._admin.revoke(self._random.choice(self._key_ids), BY_COMMAND)
        self.settle_debts()

    def settle_debts(self) -> bool:
        """Repeat the resets that nobody confirmed; True where none is left."""
        while self._owed:
            try:
                (taken,) = self._resets.reset(self._owed[:1], clock())
            except GatewayError:
                return False
            self._history.note("reset", self._owed.pop(0).reset_id, taken)
        return True

    def _limit_user(self, user_id: int, window: Window) -> None:
        with suppress(GatewayError):
            changes = {Budget(Scope.USER, window): self._any_limit()}
            self._limit_office.set(Scope.USER, user_id, changes)

    def _limit_key(self, key_number: int, window: Window) -> None:
        with suppress(GatewayError):
            budget = Budget(Scope.KEY, window)
            self._limit_office.set(Scope.KEY, key_number, {budget: self._any_limit()})

    def _limit_all(self, _number: int, window: Window) -> None:
        """Of the users that have none of their own."""
        with suppress(GatewayError):
            changes = {Budget(Scope.USER, window): self._any_limit()}
            self._limit_office.set(Scope.USER, EVERYBODY, changes)

    def _any_limit(self) -> Limit:
        chosen = self._random.choice(self._limits)
        return NO_LIMIT if chosen is None else Limit(LimitKind.AMOUNT, Money(chosen))
