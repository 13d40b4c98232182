"""Counters, holds and the outbox in Redis: the money path's only store while a call runs.

Each method runs one script (money.md 1.5) and may be repeated without effect. It never waits
longer than the client's time limit and raises `BudgetUnavailable` when Redis is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import orjson
import redis
from redis.commands.core import Script

from ai_gateway.domain.call import AdmittedCall, FinishedCall, Tally
from ai_gateway.domain.idempotency import FirstCall, IdempotencyKey
from ai_gateway.domain.limits import Account, Limit, Scope
from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.call_texts import (
    MOST_EXACT,
    NO_TALLY,
    call_facts,
    result_facts,
    tally_text,
)
from ai_gateway.stores.group_commit import GroupCommit
from ai_gateway.stores.questions import Questions, Told, nobody
from ai_gateway.stores.redis_client import translated_errors

LEASE_MS = 45_000
OPEN_RECORD_SECONDS = 24 * 3600
CLOSED_RECORD_SECONDS = 15 * 60

_SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Floor:
    """What is booked for a call whose worker vanishes: its cost and counts so far."""

    cost: Money
    tally: Tally


@dataclass(frozen=True, slots=True)
class ReserveRequest:
    """A hold that is asked for. `call.held` is what is wanted, `least` what will do."""

    call: AdmittedCall
    least: Money
    limits: tuple[Limit, ...]
    forget_at: tuple[datetime, ...]
    key_version: str
    floor: Floor
    rules_version: str = ""
    idempotency_key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The hold stands, perhaps smaller than what was wanted.

    `near` are the scopes whose budgets were near their limit before it.
    """

    amount: Money
    near: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Denied:
    """The tightest account has no room; `index` counts in the order of the call's accounts."""

    index: int
    limit: Money
    spent: Money
    held: Money


class Stale:
    """The key, a limit or a pause changed: load them again and repeat."""


class Heartbeat(StrEnum):
    """What became of a running call's hold."""

    OK = "OK"
    REVOKED = "REVOKED"
    LAPSED = "LAPSED"
    CLOSED = "CLOSED"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class Counters:
    """One account as Redis has it: settled spend, open holds, and the mark of a refusal."""

    spent: Money
    held: Money
    is_refused: bool


class Meter:
    """Reserve, settle and keep alive, by scripts."""

    def __init__(
        self, client: redis.Redis, *, lease_ms: int = LEASE_MS, told: Told = nobody
    ) -> None:
        self._client = client
        self._questions = Questions(GroupCommit(client), told)
        self._lease_ms = lease_ms
        self._reserve = self._script("reserve")
        self._settle = self._script("settle")
        self._heartbeat = self._script("heartbeat")
        self._rehold = self._script("rehold")
        self._withdraw = self._script("withdraw")
        self._seen_seq = 0
        self.went_back = False
        """A sequence number fell: Redis lost what it had acknowledged."""

    def reserve(self, asked: ReserveRequest) -> Granted | Denied | Stale | FirstCall:
        """Hold the worst case in every account at once, or say which one has no room.

        A call whose idempotency key is taken holds nothing: `FirstCall` has taken it.
        """
        call = asked.call
        arguments: list[str | int] = [
            call.request_id,
            asked.key_version,
            call.held,
            asked.least,
            self._lease_ms,
            OPEN_RECORD_SECONDS,
            asked.floor.cost,
            tally_text(asked.floor.tally),
            orjson.dumps(call_facts(call)).decode(),
            asked.rules_version,
            *_idempotency_arguments(asked.idempotency_key),
        ]
        for limit, moment in zip(asked.limits, asked.forget_at, strict=True):
            arguments += [_limit_argument(limit), int(moment.timestamp())]
        keys = [
            redis_keys.META,
            redis_keys.key_record(call.key_id),
            redis_keys.call(call.request_id),
            redis_keys.LEASES,
            redis_keys.REFUSED,
            redis_keys.idempotency(call.key_id),
            redis_keys.idempotency_ages(call.key_id),
            *map(redis_keys.account, call.accounts),
        ]
        before = self._seen_seq
        word, *rest = self._questions.ask("reserve", self._reserve, keys, arguments)
        if word in {"OK", "DUP"}:
            amount, seq, *near = rest
            self._note(int(seq), before)
            return Granted(Money(int(amount)), _scopes(call, *near))
        if word == "DENY":
            index, limit_amount, spent, held = (int(part) for part in rest)
            return Denied(index - 1, Money(limit_amount), Money(spent), Money(held))
        if word == "STALE":
            return Stale()
        if word == "REPEAT":
            request_id, is_same, outcome = rest
            return FirstCall(request_id, is_same == "1", outcome)
        raise BudgetUnavailable("cold")

    def settle(self, call: AdmittedCall, finished: FinishedCall) -> bool:
        """Book the true cost; False when Redis has no record of the call any more."""
        keys = [
            redis_keys.META,
            redis_keys.call(call.request_id),
            redis_keys.LEASES,
            redis_keys.OUTBOX,
            redis_keys.idempotency(call.key_id),
            *map(redis_keys.account, call.accounts),
        ]
        arguments: list[str | int] = [
            call.request_id,
            min(finished.cost, MOST_EXACT),
            tally_text(finished.tally()),
            orjson.dumps(result_facts(finished)).decode(),
            CLOSED_RECORD_SECONDS,
            NO_TALLY,
            _told_to_repeats(finished),
        ]
        before = self._seen_seq
        word, *rest = self._questions.ask("settle", self._settle, keys, arguments)
        if word == "UNKNOWN":
            return False
        self._note(int(rest[1]), before)
        return True

    def begin_anew(self) -> None:
        """Forget the sequence, after the counters were restored."""
        self._seen_seq, self.went_back = 0, False

    def _note(self, seq: int, before: int) -> None:
        # Compared with what was known when the question went out: answers overtake one another.
        self.went_back = self.went_back or seq < before
        self._seen_seq = max(self._seen_seq, seq)

    def heartbeat(self, running: Sequence[tuple[AdmittedCall, Floor]]) -> list[Heartbeat]:
        """Renew all leases of a worker in one round trip; the answers are in the same order."""
        with translated_errors():
            # The pipeline sends plain EVALSHA, so that the script has to be there already.
            pipeline = self._client.pipeline(transaction=False)
            for call, floor in running:
                self._heartbeat(
                    [
                        redis_keys.call(call.request_id),
                        redis_keys.LEASES,
                        redis_keys.key_record(call.key_id),
                    ],
                    [
                        call.request_id,
                        self._lease_ms,
                        floor.cost,
                        tally_text(floor.tally),
                        OPEN_RECORD_SECONDS,
                    ],
                    client=pipeline,
                )
            return [Heartbeat(word) for word in pipeline.execute()]

    def rehold(self, call: AdmittedCall, limits: tuple[Limit, ...]) -> bool:
        """Hold again after a lapse; False when there is no room, and the call has to end."""
        keys = [
            redis_keys.call(call.request_id),
            redis_keys.LEASES,
            *map(redis_keys.account, call.accounts),
        ]
        arguments: list[str | int] = [call.request_id, self._lease_ms]
        arguments += map(_limit_argument, limits)
        return bool(self._questions.ask("rehold", self._rehold, keys, arguments) == "OK")

    def withdraw(self, call: AdmittedCall, *, in_ledger: FinishedCall | None = None) -> bool:
        """Take back a reserve whose reply never came, whether or not it ran; books nothing.

        `in_ledger` is how the call ended, where the ledger is known to have all of it. False where
        the hold lapsed and was booked meanwhile: then the call has to be settled.
        """
        keys = [
            redis_keys.call(call.request_id),
            redis_keys.LEASES,
            redis_keys.idempotency(call.key_id),
            *map(redis_keys.account, call.accounts),
        ]
        arguments: list[str | int] = [
            call.request_id,
            CLOSED_RECORD_SECONDS,
            int(in_ledger is not None),
            _told_to_repeats(in_ledger) if in_ledger else "",
        ]
        return bool(self._questions.ask("withdraw", self._withdraw, keys, arguments) != "BOOKED")

    def counters(self, accounts: Sequence[Account]) -> list[Counters]:
        """Read accounts in one round trip."""
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            for account in accounts:
                pipeline.hmget(redis_keys.account(account), "spent", "held", "refused")
            return [
                Counters(Money(int(spent or 0)), Money(int(held or 0)), refused == "1")
                for spent, held, refused in pipeline.execute()
            ]

    def is_ready(self) -> bool:
        """Whether the counters can be trusted: the bookkeeper has written the epoch."""
        with translated_errors():
            return bool(self._client.hexists(redis_keys.META, "epoch"))

    def _script(self, name: str) -> Script:
        return self._client.register_script((_SCRIPTS / f"{name}.lua").read_text())


def _scopes(call: AdmittedCall, numbers: str = "") -> frozenset[Scope]:
    return frozenset(call.accounts[int(part) - 1].scope for part in numbers.split(",") if part)


def _idempotency_arguments(key: IdempotencyKey | None) -> tuple[str, str]:
    return (key.name, key.fingerprint) if key else ("", "")


def _told_to_repeats(finished: FinishedCall) -> str:
    """The outcome; empty where the idempotency key may be used again."""
    return "" if finished.may_be_repeated else finished.outcome


def _limit_argument(limit: Limit) -> int:
    return limit.amount if limit.is_ceiling else -1
