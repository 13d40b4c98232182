"""What is admitted and what is refused, in which order, and what is held."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
import redis

from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, BudgetState, Scope, Window, state_of
from ai_gateway.domain.money import PICO_PER_NANO
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import (
    BudgetExhausted,
    BudgetUnavailable,
    InvalidKey,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
)
from ai_gateway.services.admission import (
    LEAST_OUTPUT_TOKENS,
    STALE_REPEATS,
    Admission,
    AdmissionRules,
)
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.stores.outbox import Outbox
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.services.workbench import (
    FAR,
    NO_LIMITS,
    NOW,
    PEPPER,
    RICH,
    UNCAPPED,
    ZONE,
    Options,
    Workbench,
    nano,
    user_day,
)

OTHER_KEY = "agw_" + "A" * 8 + "_" + "A" * 49
INPUT_BYTES = len('{"model": "plain", "messages": [{"role": "user", "content": "hi"}]}')
"""Of the plain question; the model `plain` takes one nano-USD for each."""

OUTPUT_NANO = 10
LEAST = INPUT_BYTES + LEAST_OUTPUT_TOKENS * OUTPUT_NANO
WORST = INPUT_BYTES + UNCAPPED * OUTPUT_NANO


def refused_reason(bench: Workbench, credential: str | None) -> str:
    with pytest.raises(InvalidKey) as caught:
        bench.keys.identify(credential)
    return caught.value.reason


def everything_held(bench: Workbench) -> int:
    names = bench.client.keys("{agw}:account:*")
    return sum(int(str(bench.client.hget(name, "held") or 0)) for name in names)


# Whose key it is


@pytest.mark.parametrize("credential", [None, ""])
def test_no_credential_is_missing(bench: Workbench, credential: str | None) -> None:
    assert refused_reason(bench, credential) == "missing"


@pytest.mark.parametrize("credential", ["sk-abc", OTHER_KEY, "x" * 10_000, "\N{SNOWMAN}"])
def test_what_is_no_key_of_ours_is_invalid(bench: Workbench, credential: str) -> None:
    assert refused_reason(bench, credential) == "invalid"


def test_right_form_of_a_key_that_nobody_issued_is_invalid(
    bench: Workbench, redis_client: redis.Redis
) -> None:
    key = bench.make_key()
    redis_client.delete(*redis_client.keys("{agw}:key:*"))
    assert refused_reason(bench, key) == "invalid"


def test_key_with_another_secret_is_invalid(bench: Workbench) -> None:
    key = bench.make_key(digest="0" * 64)
    assert refused_reason(bench, key) == "invalid"


def test_key_is_known_by_its_record(bench: Workbench) -> None:
    known = bench.keys.identify(bench.make_key(user_id=7))
    assert known.record.user_id == 7


def test_revoked_key_is_refused(bench: Workbench) -> None:
    assert refused_reason(bench, bench.make_key(status=KeyStatus.REVOKED)) == "revoked"


def test_expired_key_is_refused_at_its_moment(bench: Workbench) -> None:
    key = bench.make_key(expires_at=NOW + timedelta(seconds=1))
    bench.keys.identify(key)
    bench.clock.now += timedelta(seconds=1)
    assert refused_reason(bench, key) == "expired"


def test_key_that_is_known_is_not_loaded_again(bench: Workbench) -> None:
    key = bench.make_key()
    before = bench.keys.identify(key)
    bench.change_key(key, user_id=8)
    assert bench.keys.identify(key) is before
    assert bench.keys.identify(key, fresh=True).record.user_id == 8


def test_refusal_is_never_given_by_an_old_copy(bench: Workbench) -> None:
    key = bench.make_key(expires_at=NOW + timedelta(days=1))
    bench.keys.identify(key)
    bench.clock.now += timedelta(days=2)
    bench.change_key(key, expires_at=None)
    assert bench.keys.identify(key).record.expires_at is None


def test_good_key_is_not_called_bad_before_all_is_published(redis_client: redis.Redis) -> None:
    bench = Workbench(redis_client)
    key = bench.make_key()
    redis_client.flushall()
    with pytest.raises(BudgetUnavailable):
        bench.keys.identify(key)


def test_junk_is_refused_even_while_redis_is_cold(redis_client: redis.Redis) -> None:
    assert refused_reason(Workbench(redis_client), "junk") == "invalid"


# The order of refusals


def test_model_comes_before_price_and_price_before_budget(bench: Workbench) -> None:
    poor = bench.make_key(user_day(0), allowed_models=("plain", "lab/unpriced"))
    with pytest.raises(ModelNotFound):
        bench.admit(poor, model="nobody-has-it")
    with pytest.raises(ModelNotAllowed):
        bench.admit(poor, model="dear")
    with pytest.raises(ModelUnpriced):
        bench.admit(poor, model="lab/unpriced")
    with pytest.raises(BudgetExhausted):
        bench.admit(poor, model="plain")


def test_refusal_holds_nothing(bench: Workbench) -> None:
    poor = bench.make_key(user_day(10))
    for model in ("plain", "dear", "lab/unpriced"):
        with pytest.raises((BudgetExhausted, ModelUnpriced)):
            bench.admit(poor, model=model)
    assert everything_held(bench) == 0
    assert bench.entries() == []


@pytest.mark.parametrize(
    "index", range(len(BUDGETS)), ids=[f"{b.scope}-{b.window}" for b in BUDGETS]
)
def test_every_budget_refuses_and_is_named(bench: Workbench, index: int) -> None:
    limits = [NO_LIMIT] * len(BUDGETS)
    limits[index] = nano(5)
    key = bench.make_key(tuple(limits))
    with pytest.raises(BudgetExhausted) as caught:
        bench.admit(key, max_tokens=100)
    refusal = caught.value.refusal
    assert (refusal.scope, refusal.window) == (BUDGETS[index].scope, BUDGETS[index].window)
    assert (refusal.limit, refusal.spent, refusal.held) == (5, 0, 0)
    size = INPUT_BYTES + len(', "max_tokens": 100')
    assert refusal.needed == size + 100 * OUTPUT_NANO
    is_day = BUDGETS[index].window is Window.DAY
    assert refusal.resets_at.isoformat()[:10] == ("2050-01-16" if is_day else "2050-02-01")


def test_refusal_tells_what_is_spent_and_held(bench: Workbench) -> None:
    key = bench.make_key(user_day(10_000))
    bench.admit(key, max_tokens=300)
    held = bench.held(key)
    with pytest.raises(BudgetExhausted) as caught:
        bench.admit(key, max_tokens=900)
    refusal = caught.value.refusal
    assert (refusal.held, refusal.spent) == (held, 0)
    hold = refusal.hold
    assert hold is not None
    assert (hold.output_tokens, hold.asked_tokens) == (900, 900)
    room = 10_000 - held
    affordable = (room * PICO_PER_NANO - hold.input_pico_usd) // hold.output_pico_usd
    assert hold.affordable_tokens == affordable > 0
    needed = hold.input_pico_usd + 900 * hold.output_pico_usd
    assert refusal.needed == -(-needed // PICO_PER_NANO)


def test_a_refused_call_without_a_cap_tells_the_least_that_would_have_done(
    bench: Workbench,
) -> None:
    with pytest.raises(BudgetExhausted) as caught:
        bench.admit(bench.make_key(user_day(1_000)))
    hold = caught.value.refusal.hold
    assert hold is not None
    assert (hold.output_tokens, hold.asked_tokens) == (LEAST_OUTPUT_TOKENS, UNCAPPED)


def test_refusal_marks_the_budget_and_success_takes_the_mark_away(bench: Workbench) -> None:
    key = bench.make_key(user_day(5_000))
    with pytest.raises(BudgetExhausted):
        bench.admit(key, max_tokens=900)
    account = bench.admit(key, max_tokens=1).call.accounts[1]
    counters = bench.meter.counters([account])[0]
    assert not counters.is_refused
    assert state_of(counters.spent, nano(5_000), is_refused=False) is BudgetState.OK


# What is held


def test_hold_stands_in_every_account(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), max_tokens=100)
    size = INPUT_BYTES + len(', "max_tokens": 100')
    assert admitted.call.held == size + 100 * OUTPUT_NANO
    assert [c.held for c in bench.counters(admitted)] == [admitted.call.held] * len(BUDGETS)


@pytest.mark.parametrize(
    ("body", "output_tokens", "sent_cap"),
    [
        pytest.param({"model": "plain"}, UNCAPPED, UNCAPPED, id="uncapped"),
        pytest.param({"model": "plain", "max_tokens": 50}, 50, None, id="capped"),
        pytest.param({"model": "plain", "n": 3}, 3 * UNCAPPED, UNCAPPED, id="three choices"),
        pytest.param({"model": "plain", "max_tokens": 50, "n": 3}, 150, None, id="three capped"),
        pytest.param({"model": "bounded"}, 500, None, id="the model's own bound"),
        pytest.param({"model": "bounded", "max_tokens": 900}, 900, None, id="cap above it"),
    ],
)
def test_output_is_held_for_and_a_cap_sent_only_where_it_is_needed(
    bench: Workbench, body: dict[str, Any], output_tokens: int, sent_cap: int | None
) -> None:
    admitted = bench.admit(bench.make_key(), **body)
    assert admitted.call.held == admitted.input_bytes + output_tokens * OUTPUT_NANO
    assert admitted.call.output_cap == sent_cap


def test_cap_is_not_sent_for_a_key_without_a_budget(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(NO_LIMITS))
    assert admitted.call.output_cap is None
    assert admitted.call.held == WORST


@pytest.mark.parametrize(
    ("model", "media_tokens"), [("plain", 900), ("dear", 10_000)], ids=["own", "usual"]
)
def test_medium_is_held_for_by_what_its_model_says(
    bench: Workbench, model: str, media_tokens: int
) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_999}}
    messages = [{"role": "user", "content": [image, image]}]
    admitted = bench.admit(bench.make_key(), model=model, messages=messages, max_tokens=1)
    dearness = 5 if model == "dear" else 1
    expected = (admitted.input_bytes + 2 * media_tokens) * dearness + 10 * dearness
    assert admitted.call.held == expected


def test_what_the_provider_adds_is_held_for_by_the_context_window(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), web_search_options={}, max_tokens=1)
    assert admitted.call.held == 3_000 + OUTPUT_NANO


def test_surcharge_for_the_place_that_is_asked_for_is_held_for(bench: Workbench) -> None:
    plain, us = (
        bench.admit(bench.make_key(), to=FAR, max_tokens=1, inference_geo=place)
        for place in ("xx", "us")
    )
    assert us.call.held == -(-plain.call.held * 11 // 10)


def test_long_input_is_not_bounded_by_the_context_window(bench: Workbench) -> None:
    long = [{"role": "user", "content": "x" * 5_000}]
    admitted = bench.admit(bench.make_key(), messages=long, web_search_options={}, max_tokens=1)
    assert admitted.call.held == admitted.input_bytes + OUTPUT_NANO


# Lowered to what is affordable


@pytest.mark.parametrize(
    ("limit", "cap"),
    [
        pytest.param(WORST, UNCAPPED, id="all fits"),
        pytest.param(WORST - 1, UNCAPPED - 1, id="one nano-dollar short"),
        pytest.param(LEAST + 10, LEAST_OUTPUT_TOKENS + 1, id="a token above the least"),
        pytest.param(LEAST, LEAST_OUTPUT_TOKENS, id="the least"),
    ],
)
def test_uncapped_call_is_lowered_to_what_is_affordable(
    bench: Workbench, limit: int, cap: int
) -> None:
    admitted = bench.admit(bench.make_key(user_day(limit)))
    assert admitted.call.output_cap == cap
    assert INPUT_BYTES + cap * OUTPUT_NANO <= admitted.call.held <= limit
    assert {c.held for c in bench.counters(admitted)} == {admitted.call.held}


def test_uncapped_call_is_refused_below_the_least(bench: Workbench) -> None:
    with pytest.raises(BudgetExhausted) as caught:
        bench.admit(bench.make_key(user_day(LEAST - 1)))
    assert caught.value.refusal.needed == LEAST


def test_capped_call_is_never_lowered(bench: Workbench) -> None:
    size = INPUT_BYTES + len(', "max_tokens": 900')
    key = bench.make_key(user_day(size + 900 * OUTPUT_NANO - 1))
    with pytest.raises(BudgetExhausted):
        bench.admit(key, max_tokens=900)


def test_each_choice_gets_its_share_of_what_is_affordable(bench: Workbench) -> None:
    size = INPUT_BYTES + len(', "n": 2')
    key = bench.make_key(user_day(size + 2 * 300 * OUTPUT_NANO + OUTPUT_NANO))
    admitted = bench.admit(key, n=2)
    assert admitted.call.output_cap == 300


def test_each_choice_needs_the_least(bench: Workbench) -> None:
    size = INPUT_BYTES + len(', "n": 2')
    with pytest.raises(BudgetExhausted):
        bench.admit(bench.make_key(user_day(size + 511 * OUTPUT_NANO)), n=2)


def test_model_with_a_bound_of_its_own_is_lowered_too(bench: Workbench) -> None:
    size = INPUT_BYTES + len("bounded") - len("plain")
    admitted = bench.admit(bench.make_key(user_day(size + 300 * OUTPUT_NANO)), model="bounded")
    assert admitted.call.output_cap == 300


def test_second_call_gets_what_the_first_left(bench: Workbench) -> None:
    key = bench.make_key(user_day(WORST + LEAST))
    caps = [bench.admit(key).call.output_cap for _ in range(2)]
    assert caps == [UNCAPPED, LEAST_OUTPUT_TOKENS]
    with pytest.raises(BudgetExhausted):
        bench.admit(key)


# Changes while a worker remembers


def test_new_limit_acts_on_the_very_next_call(bench: Workbench) -> None:
    key = bench.make_key()
    bench.admit(key, max_tokens=100)
    bench.change_key(key, limits=user_day(5))
    with pytest.raises(BudgetExhausted) as caught:
        bench.admit(key, max_tokens=100)
    assert caught.value.refusal.limit == 5


def test_limit_that_was_raised_acts_on_the_very_next_call(bench: Workbench) -> None:
    key = bench.make_key(user_day(5))
    with pytest.raises(BudgetExhausted):
        bench.admit(key, max_tokens=100)
    bench.change_key(key, limits=RICH)
    assert bench.admit(key, max_tokens=100).limits == RICH


def test_key_that_was_revoked_is_refused_on_the_very_next_call(bench: Workbench) -> None:
    key = bench.make_key()
    bench.admit(key)
    held = everything_held(bench)
    bench.change_key(key, status=KeyStatus.REVOKED)
    with pytest.raises(InvalidKey) as caught:
        bench.admit(key)
    assert caught.value.reason == "revoked"
    assert everything_held(bench) == held


def test_model_that_is_no_longer_allowed_is_refused_on_the_very_next_call(
    bench: Workbench,
) -> None:
    key = bench.make_key()
    bench.admit(key)
    bench.change_key(key, allowed_models=("dear",))
    with pytest.raises(ModelNotAllowed):
        bench.admit(key)


class OldCopies:
    """Copies that lag behind what reserve compares, for ever."""

    def __init__(self, record: KeyRecord) -> None:
        self._record = record
        self.loads = 0

    def load_with_rules(self, _key_id: str) -> tuple[tuple[KeyRecord, str], None]:
        self.loads += 1
        return (self._record, "1.00000000"), None


def test_key_that_changes_for_ever_ends_as_unavailable(bench: Workbench) -> None:
    key = bench.make_key()
    copies = OldCopies(bench.keys.identify(key).record)
    ring = KeyRing(cast(KeyCopies, copies), bench.meter, PEPPER, bench.clock)
    admission = Admission(
        ring,
        bench.models,
        meter=bench.meter,
        counter=bench.counter,
        rules=AdmissionRules(ZONE, UNCAPPED, is_enforced=True),
    )
    incoming = bench.incoming(key)
    asked = bench.dispatch.dialect("openai").read_request(incoming.operation, incoming.body)
    with pytest.raises(BudgetUnavailable):
        admission.admit(ring.identify(key), incoming, asked)
    assert copies.loads == 1 + STALE_REPEATS
    assert everything_held(bench) == 0


def test_cold_redis_admits_nobody(bench: Workbench, redis_client: redis.Redis) -> None:
    key = bench.make_key()
    bench.keys.identify(key)
    redis_client.delete("{agw}:meta")
    with pytest.raises(BudgetUnavailable):
        bench.admit(key)


# Prices


def test_unpriced_model_is_refused_for_a_key_with_a_budget(bench: Workbench) -> None:
    with pytest.raises(ModelUnpriced) as caught:
        bench.admit(bench.make_key(), model="lab/unpriced")
    assert (caught.value.provider, caught.value.model) == ("lab", "unpriced")


def test_unpriced_model_is_admitted_for_a_key_without_a_budget(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(NO_LIMITS), model="lab/unpriced")
    assert admitted.price is None
    assert (admitted.call.held, admitted.call.price_row) == (0, "")
    assert admitted.call.model == "unpriced"


def test_free_model_holds_nothing_and_goes_even_at_the_limit(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(user_day(0)), model="gratis")
    assert admitted.call.held == 0
    assert admitted.price is not None


def test_dated_name_is_priced_and_labelled_as_the_row_that_it_matches(bench: Workbench) -> None:
    call = bench.admit(bench.make_key(), model="plain-2026-11-25").call
    assert (call.model_requested, call.model) == ("plain-2026-11-25", "plain")
    assert call.price_row == "test/lab/plain"


def test_call_of_the_other_dialect_is_admitted(bench: Workbench) -> None:
    call = bench.admit(bench.make_key(), to=FAR).call
    assert (call.provider, call.model, call.output_cap) == ("far", "claude", None)


# Cost tracking off


def test_nothing_is_refused_while_cost_tracking_is_off(
    make_bench: Callable[..., Workbench],
) -> None:
    bench = make_bench(Options(is_enforced=False))
    key = bench.make_key(user_day(0))
    admitted = bench.admit(key)
    assert admitted.call.output_cap is None
    assert admitted.limits == NO_LIMITS
    assert bench.admit(key, model="lab/unpriced").price is None


def test_bad_key_is_refused_while_cost_tracking_is_off(
    make_bench: Callable[..., Workbench],
) -> None:
    bench = make_bench(Options(is_enforced=False))
    with pytest.raises(InvalidKey):
        bench.admit(bench.make_key(status=KeyStatus.REVOKED))


# The rest


def test_floor_is_the_input_and_the_output_so_far_within_the_hold(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), max_tokens=100)
    nothing = bench.admission.floor(admitted, text_bytes=0)
    assert nothing.cost == -(-admitted.input_bytes // 4)
    some = bench.admission.floor(admitted, text_bytes=40)
    assert some.cost == nothing.cost + 10 * OUTPUT_NANO
    assert (some.tally.output_tokens, some.tally.failures) == (10, 1)
    assert bench.admission.floor(admitted, text_bytes=10**6).cost == admitted.call.held


def test_floor_of_an_unpriced_call_costs_nothing(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(NO_LIMITS), model="lab/unpriced")
    floor = bench.admission.floor(admitted, text_bytes=400)
    assert (floor.cost, floor.tally.unpriced) == (0, 1)


def test_accounts_are_those_of_the_moment_of_admission(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(user_id=7))
    assert admitted.call.accounts[1].name == "user:7:2050-01-15"
    assert admitted.call.accounts[0].scope is Scope.INSTALLATION


def test_key_that_is_gone_is_forgotten(bench: Workbench, redis_client: redis.Redis) -> None:
    key = bench.make_key()
    known = bench.keys.identify(key)
    redis_client.delete(f"{{agw}}:key:{known.record.key_id}")
    assert bench.keys.reload(known.record.key_id) is None
    assert refused_reason(bench, key) == "invalid"


def test_hold_in_doubt_is_taken_back_even_after_it_lapsed(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key())
    bench.admission._doubtful.append(admitted.call)
    bench.client.zadd("{agw}:leases", {admitted.call.request_id: 1})
    assert Outbox(bench.client).expire(admitted.call.request_id, NOW)
    bench.admission.withdraw_doubtful()
    assert [(c.spent, c.held) for c in bench.meter.counters(admitted.call.accounts)] == [(0, 0)] * 5
