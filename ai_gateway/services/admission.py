"""Admits a call or refuses it: key, model, price, and the hold in every budget, in that order.

Nothing has gone to a provider when this raises, so that every refusal is free.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hmac import compare_digest
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import AdmittedCall, AskedCall, Tally, never_sent
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.exchange import IncomingCall
from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, Scope, accounts_of, window_end
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.pricing import HoldPlan, PriceRow, cost_of, plan_hold
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.virtual_key import KeyStatus, digest_key, is_expired, parse_key
from ai_gateway.errors import BudgetExhausted, BudgetUnavailable, InvalidKey, Refusal
from ai_gateway.providers.provider import Provider
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.models import ModelDirectory, Target
from ai_gateway.stores.meter import Denied, Floor, Meter, ReserveRequest, Stale
from ai_gateway.stores.virtual_keys import KeyCopies

LEAST_OUTPUT_TOKENS = 256
"""An uncapped call that does not fit is lowered to what is affordable, but not below this."""

CACHED_KEYS = 10_000
STALE_REPEATS = 3


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that was presented rightly, as this worker knows it."""

    record: KeyRecord
    version: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may go out, with what its settlement needs.

    `upstream_model` is the name that the provider has for the model that was asked for,
    `service_tier` the tier whose price was asked for. `near` have a budget near its limit.
    """

    call: AdmittedCall
    provider: Provider
    upstream_model: str
    price: PriceRow | None
    limits: tuple[Limit, ...]
    input_bytes: int
    service_tier: str | None = None
    near: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """What the operator decides about admission."""

    zone: ZoneInfo
    uncapped_output_tokens: int
    is_enforced: bool


class KeyRing:
    """Finds out whose credential it is; keeps the records of keys that this worker has seen."""

    def __init__(self, copies: KeyCopies, meter: Meter, pepper: bytes, clock: Clock) -> None:
        self._copies = copies
        self._meter = meter
        self._pepper = pepper
        self._clock = clock
        self._known: dict[str, KnownKey] = {}

    def identify(self, credential: str | None, *, fresh: bool = False) -> KnownKey:
        """The key of a credential; raises `InvalidKey`, the same for every cause.

        `fresh` asks Redis even for a known key: for calls that make no reserve to find out.
        """
        presented = parse_key(credential) if credential else None
        if presented is None:
            raise InvalidKey("invalid" if credential else "missing")
        digest = digest_key(presented, self._pepper)
        known = None if fresh else self._known.get(presented.key_id)
        if known is None or self._fault(known, digest) is not None:
            # What this worker remembers may be old: a refusal is only given by a fresh copy.
            known = self.reload(presented.key_id)
        fault = self._fault(known, digest)
        if known is None or fault is not None:
            raise InvalidKey(fault or "invalid")
        return known

    def _fault(self, known: KnownKey | None, digest: str) -> str | None:
        # Compared also on a miss, so that the time tells nothing.
        is_right = compare_digest(digest, known.record.digest if known else digest[::-1])
        if known is None or not is_right:
            return "invalid"
        if known.record.status is not KeyStatus.ACTIVE:
            return "revoked"
        if is_expired(known.record.expires_at, self._clock()):
            return "expired"
        return None

    def reload(self, key_id: str) -> KnownKey | None:
        loaded = self._copies.load(key_id)
        if loaded is None:
            self._known.pop(key_id, None)
            if not self._meter.is_ready():
                # Nothing is published yet: never tell the owner of a good key that it is bad.
                raise BudgetUnavailable("cold")
            return None
        if len(self._known) >= CACHED_KEYS:
            self._known.clear()
        known = self._known[key_id] = KnownKey(*loaded)
        return known


class Admission:
    """Turns an asked call into an admitted one."""

    def __init__(
        self,
        keys: KeyRing,
        models: ModelDirectory,
        *,
        meter: Meter,
        counter: TokenCounter,
        rules: AdmissionRules,
    ) -> None:
        self._keys = keys
        self._models = models
        self._meter = meter
        self._counter = counter
        self._rules = rules
        self._doubtful: deque[AdmittedCall] = deque()

    def admit(self, key: KnownKey, incoming: IncomingCall, asked: AskedCall) -> Admitted:
        """Hold the worst case of the call; raises a `CallerError` or `BudgetUnavailable`."""
        for _ in range(STALE_REPEATS):
            admitted = self._try_admit(key, incoming, asked)
            if admitted is not None:
                return admitted
            # The key or one of its limits changed since this worker last saw it.
            key = self._keys.identify(incoming.credential, fresh=True)
        raise BudgetUnavailable("stale")

    def _try_admit(
        self, key: KnownKey, incoming: IncomingCall, asked: AskedCall
    ) -> Admitted | None:
        now = incoming.received_at
        target = self._models.resolve(asked.model, incoming.dialect, key.record)
        price = self._models.price(target, asked.service_tier, now, asked.operation)
        limits = key.record.limits if self._rules.is_enforced else (NO_LIMIT,) * len(BUDGETS)
        has_budget = any(limit.is_amount for limit in limits)
        if price is None and has_budget:
            raise self._models.unpriced(target)
        worst = self._worst_case(target, asked, price, has_budget=has_budget)
        call = AdmittedCall(
            request_id=incoming.request_id,
            user_id=key.record.user_id,
            key_id=key.record.key_id,
            provider=target.provider.name,
            model_requested=asked.model,
            model=price.model if price else target.model,
            operation=asked.operation,
            stream=asked.stream,
            price_row=price.row_id if price else "",
            price_book=self._models.price_book,
            accounts=accounts_of(key.record.subjects, now, self._rules.zone),
            held=worst.plan.amount() if worst.plan else ZERO,
            output_cap=worst.cap,
            admitted_at=now,
        )
        admitted = Admitted(
            call,
            target.provider,
            target.model,
            price,
            limits,
            input_bytes=asked.input_bytes,
            service_tier=asked.service_tier,
        )
        return self._reserve(admitted, worst, key.version)

    def _reserve(self, admitted: Admitted, worst: "WorstCase", version: str) -> Admitted | None:
        call = admitted.call
        request = ReserveRequest(
            call=call,
            least=worst.least,
            limits=admitted.limits,
            forget_at=forget_at(call.admitted_at, self._rules.zone),
            key_version=version,
            floor=self.floor(admitted, text_bytes=0),
        )
        try:
            answer = self._meter.reserve(request)
        except BudgetUnavailable:
            # It may have run, or run later: a hold for a call that is never sent must not stay.
            self._doubtful.append(call)
            raise
        if isinstance(answer, Stale):
            return None
        if isinstance(answer, Denied):
            raise BudgetExhausted(_refusal(call, answer, worst, self._rules.zone))
        admitted = replace(admitted, near=answer.near) if answer.near else admitted
        if answer.amount < call.held and worst.plan is not None:
            affordable = worst.plan.affordable_output_tokens(answer.amount)
            cap = affordable // worst.choices
            return replace(admitted, call=replace(call, held=answer.amount, output_cap=cap))
        return admitted

    def withdraw_doubtful(self) -> None:
        """Take back the reserves whose replies never came; raises `BudgetUnavailable` again."""
        while self._doubtful:
            call = self._doubtful[0]
            if not self._meter.withdraw(call):
                self._meter.settle(call, never_sent(call, call.admitted_at))
            self._doubtful.popleft()

    def floor(self, admitted: Admitted, *, text_bytes: int) -> Floor:
        """What to book if this worker vanished now: the input, and the output so far."""
        usage = self._counter.count(
            admitted.call.model, input_bytes=admitted.input_bytes, text_bytes=text_bytes
        )
        cost = cost_of(admitted.price, usage).total if admitted.price else ZERO
        return Floor(min(cost, admitted.call.held), _lost_tally(usage, admitted.price))

    def _worst_case(
        self, target: Target, asked: AskedCall, price: PriceRow | None, *, has_budget: bool
    ) -> "WorstCase":
        limits = self._models.limits(target)
        unasked = min(
            limits.max_output_tokens or self._rules.uncapped_output_tokens,
            self._rules.uncapped_output_tokens,
        )
        # A cap goes upstream only where the model could say more than what is held for.
        is_cap_needed = has_budget and limits.max_output_tokens != unasked
        output = asked.output_cap if asked.output_cap is not None else unasked
        cap = unasked if asked.output_cap is None and is_cap_needed else None
        if price is None:
            return WorstCase(None, ZERO, cap, asked.choices)
        input_tokens = asked.input_bytes + asked.media_parts * limits.media_hold_tokens
        if not asked.is_self_contained:
            input_tokens = max(input_tokens, limits.context_tokens)
        dearest = price.raised(asked.surcharge_percent)
        plan = plan_hold(dearest, input_tokens=input_tokens, output_tokens=output * asked.choices)
        least = plan.amount()
        if asked.output_cap is None and output > LEAST_OUTPUT_TOKENS:
            least = plan.amount(LEAST_OUTPUT_TOKENS * asked.choices)
        return WorstCase(plan, least, cap, asked.choices)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What is to be held, the least that will do, and the cap that makes it true."""

    plan: HoldPlan | None
    least: Money
    cap: int | None
    choices: int


def forget_at(moment: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When each account may go: two windows' ends later, so that late settles still find it."""
    # No window ends inside a quarter of an hour, in any zone.
    quarter = moment.minute - moment.minute % 15
    return _forget_at(moment.replace(minute=quarter, second=0, microsecond=0), zone)


@lru_cache(maxsize=64)
def _forget_at(moment: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    return tuple(window_end(b.window, window_end(b.window, moment, zone), zone) for b in BUDGETS)


def _refusal(call: AdmittedCall, denied: Denied, worst: WorstCase, zone: ZoneInfo) -> Refusal:
    budget = BUDGETS[denied.index]
    return Refusal(
        scope=budget.scope,
        window=budget.window,
        limit=denied.limit,
        spent=denied.spent,
        held=denied.held,
        needed=worst.least,
        resets_at=window_end(budget.window, call.admitted_at, zone),
    )


def _lost_tally(usage: Usage, price: PriceRow | None) -> Tally:
    return Tally(
        failures=1,
        unpriced=int(price is None),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
