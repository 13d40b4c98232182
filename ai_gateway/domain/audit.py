"""What is kept of every change and every log-in: who, from where, what, to whom, and the result.

Secrets are masked when an entry is made, so that no caller can forget to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from ai_gateway.domain.roles import Role

MASK = "***"
MAX_TEXT_CHARACTERS = 500

Fact = str | int | bool | None
Facts = Mapping[str, Fact]

_SECRET_NAME = re.compile(r"password|secret|token|digest|hash|pepper|credential|(^|_)key$")
_SECRET_TEXT = re.compile(r"agw_\w{8}_\w+|\bsk-[\w-]{8,}|\$argon2\S+", re.ASCII)


class Action(StrEnum):
    """Everything that leaves an entry."""

    LOG_IN = "log_in"
    LOG_OUT = "log_out"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - the name of an action
    ROLE_CHANGE = "role_change"
    USER_CREATE = "user_create"
    USER_EDIT = "user_edit"
    USER_ENABLE = "user_enable"
    USER_DISABLE = "user_disable"
    USER_DELETE = "user_delete"
    KEY_CREATE = "key_create"
    KEY_ROTATE = "key_rotate"
    KEY_REVOKE = "key_revoke"
    LIMIT_CHANGE = "limit_change"
    PAUSE = "pause"
    PAUSE_LIFT = "pause_lift"
    SPEND_RESET = "spend_reset"
    PRICE_CHANGE = "price_change"
    EXPORT = "export"
    TEST_CALL = "test_call"
    ALERT_CHANGE = "alert_change"
    ALERT_TEST = "alert_test"
    LEDGER_ARCHIVE = "ledger_archive"
    HOUSEKEEPING = "housekeeping"


class Result(StrEnum):
    """How it ended: done, not done for a reason of its own, or not even tried."""

    OK = "ok"
    FAILED = "failed"
    LIMITED = "limited"


class TargetKind(StrEnum):
    """What an action is done to."""

    USER = "user"
    KEY = "key"
    INSTALLATION = "installation"
    PROVIDER = "provider"
    REPORT = "report"
    ALERT_RULE = "alert_rule"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as they were then, and from which address. Without `user_id`: no known user."""

    user_id: int | None = None
    name: str = ""
    role: Role = Role.NONE
    address: str = ""
    request_id: str | None = None


COMMAND_LINE = Actor(name="command line")
BOOKKEEPER = Actor(name="bookkeeper")


@dataclass(frozen=True, slots=True)
class Target:
    """What was acted on. The name is as it was then, since the thing itself may go."""

    kind: TargetKind
    id: str
    name: str = ""


def user_target(user_id: int, name: str) -> Target:
    return Target(TargetKind.USER, str(user_id), name)


NOTHING: Facts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Change:
    """The fields that changed, before and after, and the reason that was given."""

    before: Facts = field(default_factory=lambda: NOTHING)
    after: Facts = field(default_factory=lambda: NOTHING)
    reason: str = ""


NO_CHANGE = Change()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit, ready to be stored: cut to size, without secrets."""

    at: datetime
    action: Action
    actor: Actor
    target: Target | None
    change: Change
    result: Result


def masked(change: Change) -> Change:
    """The same change without secrets, whatever they were called or stood in."""
    return Change(_masked_facts(change.before), _masked_facts(change.after), _text(change.reason))


def _masked_facts(facts: Facts) -> Facts:
    return {
        name: MASK
        if value is not None and _SECRET_NAME.search(name)
        else _text(value)
        if isinstance(value, str)
        else value
        for name, value in facts.items()
    }


def _text(text: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return _SECRET_TEXT.sub(MASK, text.replace("\0", ""))[:MAX_TEXT_CHARACTERS]
