"""The services put together as the factory does, on a real Redis and a scripted transport."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import redis
from sqlalchemy import create_engine

from ai_gateway.domain.call import Operation
from ai_gateway.domain.exchange import Answer, ByteStream, IncomingCall
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Account,
    Limit,
    LimitKind,
    Scope,
    Window,
    window_id,
)
from ai_gateway.domain.money import NANO_PER_USD, Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.domain.virtual_key import RANDOM_BYTES, KeyStatus, digest_key, make_key
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.admission import Admission, AdmissionRules, Admitted
from ai_gateway.services.callers import Callers
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.dispatch import Dispatch
from ai_gateway.services.free_calls import FreeCalls
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.open_calls import OpenCalls
from ai_gateway.services.proxy import Proxy
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.relay import PING_SECONDS, CallEnding, Drains
from ai_gateway.services.settlement import Settlement
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.stores import redis_keys
from ai_gateway.stores.catalog import Catalog, KnownLimits
from ai_gateway.stores.lost_records import LostRecords
from ai_gateway.stores.meter import Counters, Meter
from ai_gateway.stores.outbox import FIRST_POSITION, Outbox
from ai_gateway.stores.response_owners import ResponseOwners
from ai_gateway.stores.virtual_keys import KeyCopies
from ai_gateway.telemetry.observer import LocalCall, Observer, Observers, SettledCall
from tests.domain.facts import flat_rates
from tests.providers.scripted import ScriptedResponse, ScriptedTransport
from tests.trusting import trust

NOW = datetime(2050, 1, 15, 12, tzinfo=UTC)
"""Ahead of every real clock: Redis forgets an account whose window is over."""

ZONE = ZoneInfo("UTC")
PEPPER = b"pepper-of-tests"
UNCAPPED = 1_000
NO_LIMITS = (NO_LIMIT,) * len(BUDGETS)
LAB = Provider("lab", "openai", "http://lab.test/v1", "sk-lab-secret")
FAR = Provider("far", "anthropic", "http://far.test", "sk-far-secret")


def priced(provider: str, model: str, input_rate: int, output_rate: int, **more: int) -> PriceRow:
    rates = flat_rates(input_rate, output_rate, **more)
    return PriceRow(f"test/{provider}/{model}", provider, model, (Tier(-1, rates),))


PRICES = (
    priced("lab", "plain", 1_000, 10_000),
    priced("lab", "dear", 5_000, 50_000),
    priced("lab", "gratis", 0, 0),
    priced("lab", "bounded", 1_000, 10_000),
    priced("far", "claude", 2_000, 20_000),
)
"""In pico-USD for a token, so that `plain` takes 1 nano-USD for one of input and 10 for output."""

LIMITS = {
    ("lab", "bounded"): KnownLimits(500, 2_000, 700),
    ("lab", "plain"): KnownLimits(context_tokens=3_000, media_hold_tokens=900),
}


def nano(nano_usd: int) -> Limit:
    return Limit(LimitKind.AMOUNT, Money(nano_usd))


def user_day(nano_usd: int) -> tuple[Limit, ...]:
    """A limit of the user for a day, and none but that."""
    return (NO_LIMIT, nano(nano_usd), NO_LIMIT, NO_LIMIT, NO_LIMIT)


RICH = user_day(1_000 * NANO_PER_USD)


class Watcher:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.local: list[LocalCall] = []
        self.settled_calls: list[SettledCall] = []

    def answered_locally(self, fact: LocalCall) -> None:
        self.local.append(fact)

    def settled(self, fact: SettledCall) -> None:
        self.settled_calls.append(fact)


@dataclass(slots=True)
class SetClock:
    """A clock that stands still until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Options:
    """What a test may want to be otherwise."""

    is_enforced: bool = True
    drains: Drains = field(default_factory=lambda: Drains(is_on=True))
    aliases: Mapping[str, str] = field(default_factory=dict)
    prices: tuple[PriceRow, ...] = ()
    observers: tuple[Observer, ...] = ()
    ping_seconds: float = PING_SECONDS


class Workbench:
    """Everything that a call goes through."""

    def __init__(self, client: redis.Redis, options: Options | None = None) -> None:
        options = options or Options()
        self.client = client
        self.clock = SetClock()
        self.watcher = Watcher()
        self.transport = ScriptedTransport()
        self.meter = Meter(client)
        self.copies = KeyCopies(client)
        self.counter = TokenCounter()
        observers = Observers((*options.observers, self.watcher))
        catalog = Catalog({}, (*PRICES, *options.prices), LIMITS)
        self.registry = Registry([LAB, FAR])
        self.models = ModelDirectory(self.registry, catalog, options.aliases)
        self.keys = KeyRing(self.copies, self.meter, PEPPER, self.clock)
        self.admission = Admission(
            self.keys,
            self.models,
            meter=self.meter,
            counter=self.counter,
            rules=AdmissionRules(ZONE, UNCAPPED, options.is_enforced),
        )
        self.settlement = Settlement(
            self.meter, counter=self.counter, observers=observers, clock=self.clock
        )
        # No test here takes Redis its memory, so that the ledger is never asked.
        records = LostRecords(client, create_engine("sqlite://"))
        recovery = Recovery(self.meter, records, self.settlement.memory, ZONE)
        self.open_calls = OpenCalls(self.meter, self.admission, self.settlement, recovery)
        owners = ResponseOwners(client)
        self.stored = StoredResponses(owners, self.registry, self.models)
        self.ending = CallEnding(
            self.settlement, self.open_calls, options.drains, self.stored, options.ping_seconds
        )
        self.dispatch = Dispatch(
            self.transport.as_transport(),
            {"openai": OpenAIDialect(), "anthropic": AnthropicDialect()},
        )
        callers = Callers(self.keys, self.models)
        self.free_calls = FreeCalls(callers, self.dispatch, stored=self.stored, observers=observers)
        self.proxy = Proxy(
            callers,
            self.admission,
            self.dispatch,
            ending=self.ending,
            observers=observers,
        )
        self._numbers = count(1)
        self._keys_made = count(1)

    def open(self) -> None:
        """Let the counters be trusted, as the bookkeeper does once all is published."""
        trust(self.client)

    # Keys

    def make_key(self, limits: tuple[Limit, ...] = RICH, **facts: Any) -> str:
        """Publish a key of a user of its own; returns its text."""
        number = next(self._keys_made)
        key = make_key(number.to_bytes(RANDOM_BYTES, "big"))
        record = KeyRecord(
            key_id=key.key_id,
            subject_id=number,
            digest=digest_key(key, PEPPER),
            user_id=100 + number,
            status=KeyStatus.ACTIVE,
            expires_at=None,
            allowed_models=(),
            limits=limits,
            version=1,
        )
        self.copies.publish([replace(record, **facts)])
        return key.text

    def change_key(self, text: str, **facts: Any) -> None:
        """Publish a newer version of a key."""
        loaded = self.copies.load(text.split("_")[1])
        assert loaded is not None
        record = loaded[0]
        self.copies.publish([replace(record, version=record.version + 1, **facts)])

    # Calls

    def incoming(self, key: str | None, *, to: Provider = LAB, **body: Any) -> IncomingCall:
        """A call as HTTP hands it over; `body` is what differs from a plain question."""
        messages = [{"role": "user", "content": "hi"}]
        plain: dict[str, Any] = {"model": "plain", "messages": messages}
        if to is FAR:
            plain |= {"model": "claude", "max_tokens": 100}
        raw = {name: value for name, value in (plain | body).items() if value is not ...}
        is_far = to is FAR
        return IncomingCall(
            request_id=f"req_{next(self._numbers)}",
            received_at=self.clock(),
            dialect="anthropic" if is_far else "openai",
            operation=Operation.MESSAGES if is_far else Operation.CHAT,
            credential=key,
            body=json.dumps(raw).encode(),
            headers={},
        )

    def admit(self, key: str, **body: Any) -> Admitted:
        """Admit a call without sending it."""
        incoming = self.incoming(key, **body)
        known = self.keys.identify(incoming.credential)
        asked = self.dispatch.dialect(incoming.dialect).read_request(
            incoming.operation, incoming.body
        )
        return self.admission.admit(known, incoming, asked)

    def call(self, key: str | None, *answers: ScriptedResponse | Exception, **body: Any) -> Answer:
        """Make a whole call, with what the provider will answer."""
        self.transport.answers += answers
        return self.proxy.call(self.incoming(key, **body))

    def stream(self, key: str, response: ScriptedResponse, **body: Any) -> ByteStream:
        """Make a streamed call; returns what the server iterates over."""
        answer = self.call(key, response, stream=True, **body)
        assert not isinstance(answer.body, bytes)
        return answer.body

    # What became of them

    def entries(self) -> list[OutboxEntry]:
        """Everything that was booked, as the ledger would get it."""
        entries = Outbox(self.client).read(FIRST_POSITION, count=1_000)
        readable = [entry for entry in entries if isinstance(entry, OutboxEntry)]
        assert len(readable) == len(entries)
        return readable

    def entry(self) -> OutboxEntry:
        """The one thing that was booked."""
        (entry,) = self.entries()
        return entry

    def counters(self, admitted: Admitted) -> list[Counters]:
        return self.meter.counters(admitted.call.accounts)

    def held(self, key: str) -> int:
        """What is held in the user's day of a key."""
        return self._user_day(key).held

    def spent(self, key: str) -> int:
        return self._user_day(key).spent

    def lapse(self, request_id: str) -> None:
        """Let the lease of a call be over, and the reaper come by."""
        self.client.zadd(redis_keys.LEASES, {request_id: 1})
        assert Outbox(self.client).expire(request_id, self.clock())

    def _user_day(self, key: str) -> Counters:
        loaded = self.copies.load(key.split("_")[1])
        assert loaded is not None
        day = window_id(Window.DAY, self.clock(), ZONE)
        account = Account(Scope.USER, loaded[0].user_id, Window.DAY, day)
        return self.meter.counters([account])[0]


def chat_answer(prompt: int = 10, completion: int = 5, **fields: Any) -> ScriptedResponse:
    """A whole answer in OpenAI's format."""
    return ScriptedResponse(
        json.dumps(chat_body(prompt, completion, **fields)).encode(),
        headers={"content-type": "application/json"},
    )


def chat_body(prompt: int = 10, completion: int = 5, **fields: Any) -> dict[str, Any]:
    return {
        "model": "plain",
        "choices": [{"message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    } | fields


def chat_event(content: str | None = None, **fields: Any) -> bytes:
    """One event of a stream in OpenAI's format; without content its choices are empty."""
    choices = [] if content is None else [{"index": 0, "delta": {"content": content}}]
    return b"data: " + json.dumps({"choices": choices} | fields).encode() + b"\n\n"


def usage_event(prompt: int = 10, completion: int = 5) -> bytes:
    return chat_event(usage={"prompt_tokens": prompt, "completion_tokens": completion})


DONE = b"data: [DONE]\n\n"
