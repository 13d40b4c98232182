"""Admits a call or refuses it: key, model, pauses, price, and the hold in every budget.

Nothing has gone to a provider when this raises, so that every refusal is free.
"""

from collections import deque
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import AdmittedCall, AskedCall, Tally, never_sent
from ai_gateway.domain.exchange import IncomingCall
from ai_gateway.domain.idempotency import FirstCall, IdempotencyKey, idempotency_key, repeated
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Limit,
    Scope,
    accounts_of,
    forget_at,
    window_end,
)
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.pricing import HoldPlan, PriceRow, cost_of, plan_hold
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import BudgetExhausted, BudgetUnavailable, NeededHold, Refusal
from ai_gateway.providers.provider import Provider
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.key_ring import KeyRing, KnownKey
from ai_gateway.services.models import ModelDirectory, PriceBook, Target
from ai_gateway.stores.meter import Denied, Floor, Meter, ReserveRequest, Stale

LEAST_OUTPUT_TOKENS = 256
"""An uncapped call that does not fit is lowered to what is affordable, but not below this."""

STALE_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may go out, with what its settlement needs.

    `upstream_model` is the name that the provider has for the model that was asked for,
    `book` all that it may be priced by, `service_tier` the tier whose price was asked for. `near`
    have a budget near its limit.
    """

    call: AdmittedCall
    provider: Provider
    upstream_model: str
    price: PriceRow | None
    limits: tuple[Limit, ...]
    input_bytes: int
    book: PriceBook
    service_tier: str | None = None
    near: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """What the operator decides about admission."""

    zone: ZoneInfo
    uncapped_output_tokens: int
    is_enforced: bool


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
        idempotency = idempotency_key(incoming, key.record.key_id)
        if idempotency is not None:
            # The call that has it may be one that was answered 503 and never sent.
            self.withdraw_doubtful()
        for _ in range(STALE_REPEATS):
            admitted = self._try_admit(key, incoming, asked, idempotency)
            if admitted is not None:
                return admitted
            # The key, a limit or a pause changed since this worker last saw them.
            key = self._keys.identify(incoming.credential, fresh=True)
        raise BudgetUnavailable("stale")

    def _try_admit(
        self,
        key: KnownKey,
        incoming: IncomingCall,
        asked: AskedCall,
        idempotency: IdempotencyKey | None,
    ) -> Admitted | None:
        now = incoming.received_at
        target = self._models.resolve(asked.model, incoming.dialect, key.record)
        self._keys.check_pauses(key, target.provider.name)
        rules, book = self._keys.rules, self._models.book
        price = book.price(target, asked.service_tier, now, asked.operation)
        limits = (NO_LIMIT,) * len(BUDGETS)
        if self._rules.is_enforced:
            limits = rules.in_force(key.record.limits)
        has_budget = any(limit.is_ceiling for limit in limits)
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
            price_book=book.book_id,
            accounts=accounts_of(key.record.subjects, now, self._rules.zone),
            held=worst.plan.amount() if worst.plan else ZERO,
            output_cap=worst.cap,
            admitted_at=now,
            floor_rates=self._floor_rates(target, price, asked.input_bytes),
        )
        admitted = Admitted(
            call,
            target.provider,
            target.model,
            price,
            limits,
            input_bytes=asked.input_bytes,
            book=book,
            service_tier=asked.service_tier,
        )
        versions = _Versions(key.version, rules.version)
        return self._reserve(admitted, worst, versions, idempotency)

    def _reserve(
        self,
        admitted: Admitted,
        worst: "WorstCase",
        versions: "_Versions",
        idempotency: IdempotencyKey | None,
    ) -> Admitted | None:
        call = admitted.call
        request = ReserveRequest(
            call=call,
            least=worst.least,
            limits=admitted.limits,
            forget_at=forget_at(call.admitted_at, self._rules.zone),
            key_version=versions.key,
            rules_version=versions.rules,
            floor=self.floor(admitted, text_bytes=0),
            idempotency_key=idempotency,
        )
        try:
            answer = self._meter.reserve(request)
        except BudgetUnavailable:
            # It may have run, or run later: a hold for a call that is never sent must not stay.
            self._doubtful.append(call)
            raise
        if isinstance(answer, Stale):
            return None
        if isinstance(answer, FirstCall):
            raise repeated(answer)
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
            # Taken first: two threads may be here.
            call = self._doubtful.popleft()
            try:
                if not self._meter.withdraw(call):
                    self._meter.settle(call, never_sent(call, call.admitted_at))
            except BudgetUnavailable:
                self._doubtful.appendleft(call)
                raise

    def floor(self, admitted: Admitted, *, text_bytes: int) -> Floor:
        """What to book if this worker vanished now: the input, and the output so far."""
        usage = self._counter.count(
            admitted.call.model, input_bytes=admitted.input_bytes, text_bytes=text_bytes
        )
        cost = cost_of(admitted.price, usage).total if admitted.price else ZERO
        return Floor(min(cost, admitted.call.held), _lost_tally(usage, admitted.price))

    def _floor_rates(
        self, target: Target, price: PriceRow | None, input_bytes: int
    ) -> tuple[int, int] | None:
        if price is None:
            return None
        counted = self._counter.count(target.model, input_bytes=input_bytes, text_bytes=0)
        rates = price.rates_for(counted.input_tokens)
        return rates.input, rates.output

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
        is_lowered = asked.output_cap is None and output > LEAST_OUTPUT_TOKENS
        least = LEAST_OUTPUT_TOKENS * asked.choices if is_lowered else plan.output_tokens
        return WorstCase(plan, plan.amount(least), cap, asked.choices, least)


@dataclass(frozen=True, slots=True)
class _Versions:
    """What the limits and the right to call were read from."""

    key: str
    rules: str


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What is to be held, the least that will do, and the cap that makes it true."""

    plan: HoldPlan | None
    least: Money
    cap: int | None
    choices: int
    least_tokens: int = 0

    def needed(self, room: Money) -> NeededHold | None:
        """How the least came about, where there is only so much room."""
        if self.plan is None:
            return None
        return NeededHold(
            input_pico_usd=self.plan.input_pico,
            output_pico_usd=self.plan.output_pico_per_token,
            output_tokens=self.least_tokens,
            asked_tokens=self.plan.output_tokens,
            affordable_tokens=self.plan.affordable_output_tokens(room),
        )


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
        hold=worst.needed(Money(denied.limit - denied.spent - denied.held)),
    )


def _lost_tally(usage: Usage, price: PriceRow | None) -> Tally:
    return Tally(
        failures=1,
        unpriced=int(price is None),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
