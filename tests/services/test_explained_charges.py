"""Each charge can be worked out again from what its detail says, without any price book."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import func, select

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import RATE_NAMES, PriceRow, Rates, Tier
from ai_gateway.domain.usage import HelperUsage, Reading, Usage, UsageStatus
from ai_gateway.services.admission import Admitted
from ai_gateway.services.explanation import Explanations
from ai_gateway.services.explanation_facts import charge_facts
from ai_gateway.services.settlement import Timing
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import FIRST_POSITION, Outbox
from ai_gateway.stores.tables import LedgerEntry, db
from ai_gateway.web.api.fields import encoded, read_facts
from ai_gateway.web.api.request_shapes import RequestAnswer
from tests.domain.facts import COUNT_NAMES
from tests.services.workbench import NO_LIMITS, RICH, ZONE, Options, Workbench, user_day
from tests.sql_database import opened, sqlite_url

CHARGES = 1_000
ROWS_AT_ONCE = 500


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with opened(sqlite_url(tmp_path)):
        yield Ledger(db.engine, ZONE)


def book(bench: Workbench, ledger: Ledger) -> None:
    """Let everything that was settled be in the ledger."""
    waiting = Outbox(bench.client).read(FIRST_POSITION, count=3 * CHARGES)
    position = ledger.position()
    for start in range(0, len(waiting), ROWS_AT_ONCE):
        batch = waiting[start : start + ROWS_AT_ONCE]
        assert ledger.book(batch, after=position, now=bench.clock()) == 0
        position = batch[-1].stream_id


class Chance:
    """Calls of every kind, the same at every run."""

    def __init__(self, bench: Workbench) -> None:
        self._chance = random.Random(20261123)  # the same numbers every time, not secret ones
        self._bench = bench
        self._keys = {"rich": bench.make_key(RICH), "free": bench.make_key(NO_LIMITS)}

    def call(self) -> str:
        """Admit and settle one call; returns its request id."""
        pick, chance = self._chance.random(), self._chance
        model = chance.choice(MODELS)
        if pick < 0.05:
            admitted = self._bench.admit(self._keys["free"], model="lab/never-priced")
        elif pick < 0.1:
            # There is room for a part of the longest answer only.
            key = self._bench.make_key(user_day(chance.randint(3_000, 9_000)))
            admitted = self._bench.admit(key, model="plain")
        else:
            admitted = self._bench.admit(self._keys["rich"], model=model)
        if pick > 0.97:
            self._bench.lapse(admitted.call.request_id)
        if pick < 0.985:
            self._settle(admitted)
        return admitted.call.request_id

    def _settle(self, admitted: Admitted) -> None:
        chance = self._chance
        status = chance.choice([*UsageStatus, UsageStatus.EXACT, UsageStatus.EXACT])
        helpers = (
            (HelperUsage(chance.choice(MODELS), self._usage()),) if chance.random() < 0.1 else ()
        )
        is_stated = status is UsageStatus.PROVIDER_COST
        reading = Reading(
            status,
            Usage() if status is UsageStatus.MISSING else self._usage(),
            text_bytes=chance.randint(0, 9_000),
            served_model=chance.choice([None, *MODELS]),
            raw='{"prompt_tokens":1}',
            stated_cost=Money(chance.randint(0, 10**7)) if is_stated else None,
            helpers=helpers,
            surcharge_percent=chance.choice([0, 0, 0, 10]),
        )
        self._bench.settlement.settle(
            admitted, reading, outcome=Outcome.SUCCESS, timing=Timing(perf_counter())
        )

    def _usage(self) -> Usage:
        chance = self._chance
        counts = {name: chance.randint(0, 400) * (chance.random() < 0.4) for name in COUNT_NAMES}
        counts["web_searches"] = int(chance.random() < 0.05)
        return Usage(**counts).clamped()


MODELS = ("odd", "tiered", "cached")


def odd_prices() -> Iterator[PriceRow]:
    """Rates of every size, so that sums seldom end at a whole nano-dollar."""
    chance = random.Random(7)  # as above
    for model in MODELS:
        tiers = [
            Tier(over, Rates(*(chance.randrange(0, 90_000, 50) for _ in RATE_NAMES)))
            for over in ((-1, 150, 600) if model == "tiered" else (-1,))
        ]
        yield PriceRow(f"test/lab/{model}", "lab", model, tuple(tiers), web_search=10**7 + 500)


def cost_by(detail: dict[str, Any]) -> Decimal:
    """The cost by nothing but the detail, in another arithmetic than the gateway's."""
    if detail["basis"] == "provider":
        return Decimal(detail["stated_nano_usd"])
    pico = Decimal(sum(line["count"] * line["pico_usd_each"] for line in detail["lines"]))
    nano = (pico / 1000).to_integral_value(ROUND_HALF_EVEN)
    return (
        min(nano, Decimal(detail["hold"]["held_nano_usd"])) if detail["basis"] == "hold" else nano
    )


def test_a_thousand_charges_are_worked_out_from_their_detail_alone(
    make_bench: Any, ledger: Ledger
) -> None:
    bench = make_bench(Options(prices=tuple(odd_prices())))
    chance = Chance(bench)
    request_ids = [chance.call() for _ in range(CHARGES)]
    book(bench, ledger)
    booked = dict(
        db.session.execute(
            select(LedgerEntry.request_id, func.sum(LedgerEntry.cost_nano_usd)).group_by(
                LedgerEntry.request_id
            )
        ).all()
    )
    explanations = Explanations(lambda: "another book", bench.clock, ZONE)
    seen: Counter[Any] = Counter()
    for request_id in request_ids:
        charge = explanations.charge(request_id)
        detail = json.loads(encoded(read_facts(RequestAnswer, charge_facts(charge))))
        assert cost_by(detail) == booked[request_id] == detail["cost_nano_usd"], detail
        assert detail["is_worked_out"]
        seen.update(kinds_of(detail))
    assert not EVERY_KIND - seen.keys()


EVERY_KIND = {
    *("prices", "hold", "provider"),
    *("reported", "counted", "estimated"),
    *("priced", "provider_stated", "unpriced"),
    *("rounded", "lowered", "bounded", "corrected", "overrun", "several rows"),
}


def kinds_of(detail: dict[str, Any]) -> set[Any]:
    """What is seldom about a call: the thousand have to have all of it."""
    hold = detail["hold"]
    is_bounded = detail["basis"] == "hold" and detail["rounded_nano_usd"] > hold["held_nano_usd"]
    seldom = {
        "rounded": detail["sum_pico_usd"] % 1000 != 0,
        "lowered": hold["wanted_nano_usd"] > hold["held_nano_usd"],
        "bounded": is_bounded,
        "corrected": len(detail["entries"]) > 1,
        "overrun": hold["overrun_nano_usd"] > 0,
        "several rows": len({line["price_row"] for line in detail["lines"]}) > 1,
    }
    words = {detail["basis"], detail["confidence"], detail["price_status"]}
    return words | {name for name, is_so in seldom.items() if is_so}


def test_the_timeline_has_what_was_recorded_and_says_what_was_not(
    bench: Workbench, ledger: Ledger
) -> None:
    admitted = bench.admit(bench.make_key())
    started = perf_counter()
    timing = Timing(started, first_content=started + 0.2, sent=started + 0.01)
    reading = Reading(UsageStatus.EXACT, Usage(10, output_tokens=5), provider_id="chatcmpl-7")
    bench.settlement.settle(admitted, reading, outcome=Outcome.SUCCESS, timing=timing)
    book(bench, ledger)
    explanations = Explanations(lambda: admitted.call.price_book, bench.clock, ZONE)
    charge = explanations.charge(explanations.named("chatcmpl-7"))
    steps = {step.name: step.at for step in charge.timeline}
    began = admitted.call.admitted_at
    assert steps["Sent to the provider"] == began + timedelta(milliseconds=10)
    assert steps["First token"] == began + timedelta(milliseconds=200)
    assert steps["First byte"] is None
    assert charge.is_book_in_force
    assert charge.released == admitted.call.held - charge.call.cost


def test_what_an_earlier_version_booked_is_told_without_a_guess(
    bench: Workbench, ledger: Ledger
) -> None:
    admitted = bench.admit(bench.make_key())
    reading = Reading(UsageStatus.EXACT, Usage(10, output_tokens=5))
    bench.settlement.settle(
        admitted, reading, outcome=Outcome.SUCCESS, timing=Timing(perf_counter())
    )
    book(bench, ledger)
    [entry] = db.session.scalars(select(LedgerEntry))
    entry.working = None
    db.session.commit()
    charge = Explanations(lambda: "", bench.clock, ZONE).charge(admitted.call.request_id)
    assert (charge.lines, charge.result, charge.is_worked_out) == ((), None, False)
    assert charge.call.cost == 10 + 5 * 10
