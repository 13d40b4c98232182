"""One number everywhere: page, API, CSV and ledger agree for each window, in every zone."""

import csv
import io
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import accounts_of
from ai_gateway.services.periods import AskedRange, RangeName, period_of
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.ledger_export import LedgerExport
from ai_gateway.stores.tables import db
from tests.money import key_record, outbox_entry
from tests.redis_servers import RedisServer
from tests.seeding import NOW
from tests.web.api_app import Api, opened_api

ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles")
CUSTOM = AskedRange(RangeName.CUSTOM, date(2026, 10, 30), date(2026, 11, 3))
"""The clocks of California go back within it."""

RANGES = (*(AskedRange(name) for name in RangeName if name is not RangeName.CUSTOM), CUSTOM)


@dataclass
class Booked:
    """An application whose ledger has known calls, and who reads it."""

    api: Api
    zone: ZoneInfo
    key: str


@pytest.fixture(scope="module", params=ZONES)
def booked(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[Booked]:
    zone = ZoneInfo(request.param)
    with opened_api(server, zone=zone, has_story=False) as api:
        key = api.key("viewer")
        with api.gateway.app.app_context():
            _book(zone, api.id_of(key))
        yield Booked(api, zone, key)


def _book(zone: ZoneInfo, user_id: int) -> None:
    """Four hundred calls over forty days, many of them near midnight of some zone."""
    chance = random.Random(7)
    record = key_record(user_id=user_id, subject_id=user_id)
    entries = []
    for number in range(1, 401):
        hours = chance.choice((0, 5.5, 8, chance.random() * 24))
        moment = NOW.replace(minute=0, second=0) - timedelta(days=chance.randrange(40), hours=hours)
        moment = min(moment + timedelta(seconds=chance.randint(-2, 2)), NOW)
        entries.append(
            outbox_entry(
                number,
                cost=chance.randrange(1, 10**9),
                user_id=user_id,
                provider=chance.choice(("openai", "anthropic", "lab")),
                model=chance.choice(("small", "large")),
                admitted_at=moment,
                accounts=accounts_of(record.subjects, moment, zone),
            )
        )
    ledger = Ledger(db.engine, zone)
    ledger.book(entries, after=ledger.position(), now=NOW)


def _parameters(asked: AskedRange) -> dict[str, str]:
    if asked.first is None or asked.last is None:
        return {"range": asked.name.value}
    return {"range": "custom", "from": asked.first.isoformat(), "to": asked.last.isoformat()}


def _of_ledger(booked: Booked, since: datetime, until: datetime) -> int:
    with booked.api.gateway.app.app_context():
        calls = list(LedgerExport(db.engine).calls(since, until))
    return sum(int(call["cost_nano_usd"]) for call in calls)


def _amounts(page: str, begin: str, end: str) -> list[int]:
    part = page[page.index(begin) :].partition(end)[0]
    return [int(nano) for nano in re.findall(r'data-nano-usd="(\d+)"', part)]


@pytest.mark.parametrize("asked", RANGES, ids=lambda asked: asked.name.value)
def test_page_api_and_ledger_have_one_sum(booked: Booked, asked: AskedRange) -> None:
    period = period_of(asked, NOW, booked.zone)
    expected = _of_ledger(booked, period.since, period.until + timedelta(microseconds=1))
    assert expected > 0
    page = (
        booked.api.session("viewer")
        .get("/admin/ai-analytics/", query_string=_parameters(asked))
        .text
    )
    assert _amounts(page, 'data-tile="cost"', "tile__change")[0] == expected
    providers = re.findall(
        r'<tbody data-provider="\w+">.*?data-label="Cost">.*?data-nano-usd="(\d+)"',
        page,
        re.DOTALL,
    )
    assert sum(map(int, providers)) == expected
    names = {name.replace("from", "from_"): text for name, text in _parameters(asked).items()}
    series = booked.api.told("/series/", booked.key, by="model", **names)
    assert series["total"]["cost_nano_usd"] == expected
    models = booked.api.told("/models/", booked.key, **names)
    assert models["total"]["cost_nano_usd"] == expected


def test_csv_page_and_ledger_agree_on_today_and_this_month(booked: Booked) -> None:
    text = booked.api.session("viewer").get("/admin/ai-analytics/users/export.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    local = NOW.astimezone(booked.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for column, since in (("Cost Today", local), ("Cost This Month", local.replace(day=1))):
        total = sum(Decimal(row[column]) for row in rows)
        assert int(total * 10**9) == _of_ledger(booked, since, NOW + timedelta(seconds=1))
