"""One short call that staff send to see that all is well, by the way that every call goes.

It has a virtual key of its own, made for whoever sends it and revoked as soon as it is over: so it
is admitted, held for, sent, settled and booked on that user like any other call.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import groupby
from threading import Thread
from time import perf_counter
from types import MappingProxyType

import orjson

from ai_gateway.domain.audit import Action, Actor, Change, user_target
from ai_gateway.domain.call import PLAIN_ADDRESS, Address, DialectName, Operation
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.money import Money, from_usd
from ai_gateway.domain.pricing import PriceRow, plan_hold
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import GatewayError, GatewayUnavailable, ModelNotFound, NotPermitted
from ai_gateway.providers.dialect import Dialect
from ai_gateway.services.audit import Audit
from ai_gateway.services.key_admin import KeyAdmin, KeyRequest
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.services.models import ModelDirectory, Target
from ai_gateway.services.proxy import COST_HEADER
from ai_gateway.stores.once import Once

logger = logging.getLogger(__name__)

PROMPT = "Answer with the one word: ready"
MOST_OUTPUT_TOKENS = 16
WAIT_SECONDS = 25.0
"""Whoever asked waits no longer; the call itself may take as long as any other."""

KEY_LIFE = timedelta(minutes=15)
"""So long the key lives if it cannot be revoked; no call that is not streamed takes longer."""

SMALL_MODELS = (
    "gpt-4o-mini",
    "claude-haiku-4-5",
    "mistral-small-latest",
    "deepseek-chat",
    "grok-3-mini",
    "gemini-2.5-flash-lite",
    "sonar",
    "llama-3.1-8b-instant",
)
"""Cheap models that answer in a few words; of a provider that offers none, the cheapest."""

OPERATIONS: Mapping[DialectName, Operation] = MappingProxyType(
    {"openai": Operation.CHAT, "anthropic": Operation.MESSAGES, "azure": Operation.CHAT}
)
AZURE_VERSION = ("api-version", "2024-10-21")


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What would be asked of whom, and what it could cost at most."""

    target: Target
    highest_cost: Money

    @property
    def model(self) -> str:
        """The name that always leads there."""
        return f"{self.target.provider.name}/{self.target.model}"


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What an answer tells of a call; its text is of no interest."""

    usage: Usage
    cost: Money
    duration: timedelta


@dataclass(frozen=True, slots=True)
class TrialCall:
    """A call that was sent, in the ledger under its id. `answer` is None where it came too late, or
    where the form was sent before.
    """

    request_id: str
    answer: TrialAnswer | None


class TrialCalls:
    """Plans test calls and sends them; `call` is the way of every other call."""

    def __init__(
        self,
        call: Callable[[IncomingCall], Answer],
        models: ModelDirectory,
        keys: KeyAdmin,
        *,
        dialects: Mapping[DialectName, Dialect],
        marks: "TrialMarks",
    ) -> None:
        self._call = call
        self._models = models
        self._keys = keys
        self._dialects = dialects
        self._marks = marks

    def plans(self) -> tuple[TrialPlan, ...]:
        """A cheap model of each provider whose prices are known, the cheapest first."""
        priced = self._models.priced(self._marks.clock())
        by_provider = groupby(priced, key=lambda pair: pair[0].provider.name)
        plans = (_cheap([self._plan(*pair) for pair in pairs]) for _, pairs in by_provider)
        return tuple(sorted(plans, key=lambda plan: plan.highest_cost))

    def send(self, model: str, actor: Actor, *, token: str) -> TrialCall:
        """Make one of the planned calls as `actor`.

        Raises `ModelNotFound`, or any `GatewayError` that a client would be told. The same `token`
        sends once.
        """
        plan = next((plan for plan in self.plans() if plan.model == model), None)
        if plan is None:
            raise ModelNotFound(model)
        if actor.user_id is None or not token:
            raise NotPermitted("A test call is booked on whoever sends it, once for each form.")
        request_id = f"req_{sha256(f'{actor.user_id}:{token}'.encode()).hexdigest()[:32]}"
        if not self._marks.once.first(request_id):
            return TrialCall(request_id, None)
        return TrialCall(request_id, self._sent(_Order(plan, actor, actor.user_id, request_id)))

    def _sent(self, order: "_Order") -> TrialAnswer | None:
        """What came within the time; the call goes on in its thread without whoever asked."""
        future: Future[TrialAnswer] = Future()

        def run() -> None:
            try:
                future.set_result(self._make(order))
            except GatewayError as error:
                future.set_exception(error)
            except Exception as error:
                # The outermost handler of this thread.
                logger.exception("trial_call_failed", extra={"request_id": order.request_id})
                future.set_exception(error)

        Thread(target=run, name="trial-call", daemon=True).start()
        try:
            return future.result(timeout=self._marks.wait_seconds)
        except TimeoutError:
            return None

    def _make(self, order: "_Order") -> TrialAnswer:
        began = perf_counter()
        with self._key(order) as key:
            answer = self._call(self._incoming(order, key))
        provider = order.plan.target.provider
        body = answer.body if isinstance(answer.body, bytes) else b""
        dialect = self._dialects[provider.dialect]
        reading = dialect.read_answer(body, OPERATIONS[provider.dialect], provider.quirks)
        duration = timedelta(seconds=perf_counter() - began)
        return TrialAnswer(reading.usage, _cost(answer), duration)

    @contextmanager
    def _key(self, order: "_Order") -> Iterator[str]:
        """A key for one call, with the line of the audit for both."""
        expires_at = self._marks.clock() + KEY_LIFE
        options = KeyOptions(label="test call", expires_at=expires_at)
        asked = KeyRequest(order.actor, owner_id=order.user_id)
        issued = self._keys.create(order.user_id, options, asked)
        key_id = issued.key.key_id
        try:
            self._marks.record(order, key_id)
            yield issued.text or ""
        finally:
            try:
                self._keys.revoke(key_id, asked)
            except GatewayUnavailable:
                # It was never told to anybody, and it expires.
                logger.warning("trial_key_not_revoked", extra={"key_id": key_id})

    def _plan(self, target: Target, price: PriceRow) -> TrialPlan:
        dialect = target.provider.dialect
        body, address = _body(target), _address(target)
        asked = self._dialects[dialect].read_request(OPERATIONS[dialect], body, address)
        held = plan_hold(price, input_tokens=asked.input_bytes, output_tokens=MOST_OUTPUT_TOKENS)
        return TrialPlan(target, held.amount())

    def _incoming(self, order: "_Order", key: str) -> IncomingCall:
        target = order.plan.target
        return IncomingCall(
            request_id=order.request_id,
            received_at=self._marks.clock(),
            dialect=target.provider.dialect,
            operation=OPERATIONS[target.provider.dialect],
            credential=key,
            body=_body(target),
            headers={},
            address=_address(target),
        )


class TrialMarks:
    """What is kept of test calls: that each was sent once, and by whom."""

    def __init__(
        self, once: Once, audit: Audit, clock: Clock, *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self.once = once
        self.clock = clock
        self.wait_seconds = wait_seconds
        self._audit = audit

    def record(self, order: "_Order", key_id: str) -> None:
        facts = {"model": order.plan.model, "request_id": order.request_id, "key_id": key_id}
        target = user_target(order.user_id, order.actor.name)
        self._audit.record(Action.TEST_CALL, order.actor, target, Change(after=facts))


@dataclass(frozen=True, slots=True)
class _Order:
    """One test call that is to be made."""

    plan: TrialPlan
    actor: Actor
    user_id: int
    request_id: str


def _cheap(plans: Iterable[TrialPlan]) -> TrialPlan:
    by_name = {plan.target.model: plan for plan in plans}
    known = next((by_name[small] for small in SMALL_MODELS if small in by_name), None)
    return known or min(by_name.values(), key=lambda plan: plan.highest_cost)


def _body(target: Target) -> bytes:
    dialect, quirks = target.provider.dialect, target.provider.quirks
    cap = "max_tokens" if dialect == "anthropic" else quirks.chat_caps[0]
    is_named_in_path = dialect == "azure"
    model = target.model if is_named_in_path else f"{target.provider.name}/{target.model}"
    messages = [{"role": "user", "content": PROMPT}]
    return orjson.dumps({"model": model, "messages": messages, cap: MOST_OUTPUT_TOKENS})


def _address(target: Target) -> Address:
    if target.provider.dialect != "azure":
        return PLAIN_ADDRESS
    return Address(deployment=target.model, query=(AZURE_VERSION,))


def _cost(answer: Answer) -> Money:
    return from_usd(Decimal(answer.headers[COST_HEADER]))
