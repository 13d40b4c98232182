"""Rows for tests of the staff pages, written straight into the tables."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher
from sqlalchemy import insert, inspect, select, update

from ai_gateway.domain.limits import Limit, LimitKind, Scope, Window, window_id, window_start
from ai_gateway.domain.money import NANO_PER_USD, Money
from ai_gateway.domain.tasks import TASKS, FinishedRun, RunOutcome
from ai_gateway.stores import rollups
from ai_gateway.stores.outbox import FIRST_POSITION
from ai_gateway.stores.outbox_tables import OutboxPosition
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.rollup_tables import (
    LatencyBucket,
    LatencyDay,
    ModelDay,
    ModelHour,
    OutcomeHour,
    UsageHour,
)
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.tables import (
    AccountTotal,
    Base,
    LedgerEntry,
    SpendLimit,
    User,
    VirtualKey,
    db,
)
from ai_gateway.stores.tasks import Claim, TaskTable

NOW = datetime(2026, 11, 23, 7, 10, 5, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
PASSWORD = "correct horse battery staple"
_SUMS = {
    UsageHour: rollups.HOUR_SUMS,
    ModelHour: rollups.HOUR_SUMS,
    ModelDay: rollups.HOUR_SUMS,
    AccountTotal: ("cost_nano_usd", "requests"),
}
"""The sums of each table that a call is added to."""

DEFAULTS = {
    (Scope.INSTALLATION, Window.MONTH): Limit(LimitKind.AMOUNT, Money(5000 * NANO_PER_USD)),
    (Scope.USER, Window.DAY): Limit(LimitKind.AMOUNT, Money(25 * NANO_PER_USD)),
    (Scope.USER, Window.MONTH): Limit(LimitKind.AMOUNT, Money(500 * NANO_PER_USD)),
}


def usd(text: str) -> Money:
    whole, _, decimals = text.partition(".")
    return Money(int(whole) * NANO_PER_USD + int(decimals.ljust(9, "0")))


@cache
def password_hash() -> str:
    """A hash tells its own cost, so that this one makes log-ins quick that are slow on purpose."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def add_user(username: str, **columns: Any) -> int:
    """A user who can log in with `PASSWORD`; returns the id."""
    values = {
        "email": f"{username}@example.com",
        "password_hash": password_hash(),
        "role": "none",
        "created_at": NOW - timedelta(days=90),
    }
    user = User(username=username, **values | columns)
    db.session.add(user)
    db.session.flush()
    user_id = user.id
    # Nothing may be read after it: a reader's snapshot would not show what others write.
    db.session.commit()
    return user_id


def add_usage(
    hour: datetime,
    user_id: int,
    provider: str = "openai",
    *,
    zone: ZoneInfo = UTC_ZONE,
    model: str = "gpt-4o-mini",
    **sums: int,
) -> None:
    """What one user did with one model in one hour, in each roll-up."""
    add_made([MadeHour(hour, user_id, provider, model, {"requests": 1} | sums)], zone)


def add_made(made: Sequence["MadeHour"], zone: ZoneInfo) -> None:
    """Add hours to the roll-ups of users, and to the hours and days of models."""
    totals: dict[tuple[type[Base], tuple[Any, ...]], Counter[str]] = defaultdict(Counter)
    active: dict[tuple[Any, ...], datetime] = {}
    for row in made:
        day = window_start(Window.DAY, row.hour, zone)
        of_user = (row.hour, row.user_id, row.provider, row.model)
        totals[UsageHour, of_user].update(row.sums)
        totals[ModelHour, (row.hour, row.provider, row.model)].update(row.sums)
        totals[ModelDay, (day, row.provider, row.model)].update(row.sums)
        for window in Window:
            account = (Scope.USER.value, row.user_id, window_id(window, row.hour, zone))
            cost = {name: row.sums.get(name, 0) for name in ("cost_nano_usd", "requests")}
            totals[AccountTotal, account].update(cost)
            active[account] = max(active.get(account, row.hour), row.hour)
    for table in (UsageHour, ModelHour, ModelDay, AccountTotal):
        of_table = {key: sums for (of, key), sums in totals.items() if of is table}
        _add_sums(table, of_table)
    names = ("scope", "subject_id", "window_id", "last_request_at")
    moments = [dict(zip(names, (*key, at), strict=True)) for key, at in active.items()]
    db.session.execute(update(AccountTotal), moments)
    _count_as_late()
    db.session.commit()


def _count_as_late() -> None:
    """Tell those who keep sums of closed days, as the ledger does."""
    position = db.session.get(OutboxPosition, 1)
    if position is None:
        position = OutboxPosition(id=1, stream_id=FIRST_POSITION, late_bookings=0)
        db.session.add(position)
    position.late_bookings += 1


def _add_sums(table: type[Base], sums: Mapping[tuple[Any, ...], Mapping[str, int]]) -> None:
    names = [column.name for column in table.__table__.primary_key]
    known = {inspect(row).identity: row for row in db.session.scalars(select(table))}
    new: list[dict[str, Any]] = [
        dict.fromkeys(_SUMS[table], 0) | dict(zip(names, key, strict=True)) | dict(more)
        for key, more in sums.items()
        if key not in known
    ]
    if new:
        # In bulk: a story has many thousands.
        db.session.execute(insert(table), new)
    for key, more in sums.items():
        if (present := known.get(key)) is not None:
            for name, count in more.items():
                setattr(present, name, getattr(present, name) + count)
    db.session.flush()


def add_account(
    window: str, spent: int, *, user_id: int | None = None, is_refused: bool = False
) -> None:
    """What a user's window, or without a user the installation's, has spent of its limit."""
    scope = Scope.INSTALLATION if user_id is None else Scope.USER
    account = db.session.get(AccountTotal, (scope.value, user_id or 0, window))
    if account is None:
        account = AccountTotal(scope=scope, subject_id=user_id or 0, window_id=window)
        db.session.add(account)
    account.spent_nano_usd, account.is_refused = spent, is_refused
    db.session.commit()


def add_limit(window: Window, limit: Limit, *, user_id: int | None = None) -> None:
    db.session.add(
        SpendLimit(
            scope=Scope.INSTALLATION if user_id is None else Scope.USER,
            subject_id=user_id or 0,
            window=window,
            kind=limit.kind,
            amount_nano_usd=limit.amount,
        )
    )
    db.session.commit()


def amount(nano_usd: int) -> Limit:
    return Limit(LimitKind.AMOUNT, Money(nano_usd))


def add_key(user_id: int) -> None:
    db.session.add(
        VirtualKey(
            key_id="k0000001",
            digest="0" * 64,
            last4="abcd",
            user_id=user_id,
            created_at=NOW,
        )
    )
    db.session.commit()


def seed_keys(admin: int) -> None:
    """A few keys in every state, the first of them with spend near a limit of its own."""
    day, month = (window_id(window, NOW, UTC_ZONE) for window in Window)
    states: list[dict[str, Any]] = [
        {"label": "support bot", "allowed_models": ["gpt-4o-mini", "openai/o3"]},
        {"label": "nightly evaluation", "previous_until": NOW + timedelta(hours=20)},
        {"label": "conference demo", "expires_at": NOW + timedelta(days=9)},
        {"label": "intern laptop", "expires_at": NOW - timedelta(days=2)},
        {"label": "leaked in a ticket", "status": "revoked"},
        {"label": ""},
    ]
    for number, columns in enumerate(states):
        key = VirtualKey(
            key_id=f"Kd7w{number:04}",
            digest="0" * 64,
            last4=f"x{number}Qf",
            user_id=admin,
            created_at=NOW - timedelta(days=40 - 5 * number),
            created_by="admin",
            **{"previous_digest": "1" * 64} | columns,
        )
        db.session.add(key)
        db.session.flush()
        if number < 3:
            for window, amount in ((day, usd("4.31")), (month, usd("61.20"))):
                account = AccountTotal(
                    scope=Scope.KEY.value,
                    subject_id=key.id,
                    window_id=window,
                    spent_nano_usd=amount,
                    last_request_at=NOW - timedelta(hours=number),
                )
                db.session.add(account)
        if not number:
            limit = {"kind": "amount", "amount_nano_usd": usd("5")}
            db.session.add(SpendLimit(scope="key", subject_id=key.id, window="day", **limit))
    db.session.commit()


def seed_tasks(now: datetime = NOW) -> None:
    """Tasks in every state, done ones first."""
    table, soon = TaskTable(db.engine), now + timedelta(minutes=49)
    names = [task.name for task in TASKS]
    table.schedule({name: now - timedelta(hours=7) for name in names})
    said = {
        RunOutcome.OK: "Sessions removed: 3",
        RunOutcome.FAILED: "/srv/archive/ledger-2026-01-03-a09218850fb9.jsonl.gz: No such file",
        RunOutcome.STOPPED: "Orders removed: 400",
    }
    for number, (name, (outcome, detail)) in enumerate(zip(names, said.items(), strict=False)):
        began = now - timedelta(minutes=11 + 50 * number)
        table.claim(name, Claim("one", began, now), due_by=now)
        took = timedelta(milliseconds=17 + 2400 * number)
        table.finish(name, "one", FinishedRun(outcome, took, detail, soon))
    table.claim(names[3], Claim("one", now - timedelta(seconds=80), now), due_by=now)


def add_entry(request_id: str, entry_no: int = 1, **columns: Any) -> None:
    """One ledger entry; the first of a call counts a request."""
    values: dict[str, Any] = {
        "kind": "call",
        "seq": 1,
        "stream_id": "1-0",
        "user_id": 1,
        "key_id": "k0000001",
        "provider": "openai",
        "model_requested": "gpt-4o-mini",
        "model": "gpt-4o-mini",
        "served_model": "gpt-4o-mini",
        "operation": "chat",
        "stream": False,
        "outcome": "success",
        "usage_status": "exact",
        "confidence": "reported",
        "price_status": "priced",
        "cost_nano_usd": 0,
        "total_after_nano_usd": 0,
        "price_row": "openai/gpt-4o-mini",
        "price_book": "test",
        "admitted_at": NOW,
        "settled_at": NOW,
        "requests": int(entry_no == 1),
    }
    db.session.add(LedgerEntry(request_id=request_id, entry_no=entry_no, **values | columns))
    db.session.commit()


PEOPLE = (
    "amelia.stone",
    "ben.okafor",
    "chloe.martin",
    "daniel.kim",
    "elena.rossi",
    "farid.haddad",
    "grace.liu",
    "hugo.silva",
    "ines.garcia",
    "jonas.weber",
    "kavya.nair",
    "liam.murphy",
    "maya.cohen",
    "noah.jensen",
    "olivia.brown",
    "pavel.novak",
    "quinn.taylor",
    "rosa.lopez",
    "samir.khan",
    "tara.singh",
    "uma.patel",
    "victor.ivanov",
    "wendy.chan",
    "yuki.tanaka",
    "batch-indexer",
    "support-bot",
)
MODELS = (
    ("anthropic", "claude-sonnet-4-5", 3, 15),
    ("openai", "gpt-4o-mini", 0.15, 0.6),
    ("openai", "gpt-4.1", 2, 8),
    ("lab", "our-model", 0.1, 0.4),
)
"""Provider, model, and about what a million tokens of input and of output cost in USD."""


@dataclass(frozen=True, slots=True)
class MadeHour:
    """What one user, or the one in that place, did with one model in one hour of the story."""

    hour: datetime
    user_id: int
    provider: str
    model: str
    sums: dict[str, int]


def seed_story(now: datetime = NOW, zone: ZoneInfo = UTC_ZONE) -> None:
    """Thirty-five days of a small company, the same at every run: what pictures show."""
    story = _story(now, zone)
    ids = [add_user(name) for name in PEOPLE]
    add_made([replace(row, user_id=ids[row.user_id]) for row in story.hours], zone)
    spent: dict[tuple[Scope, int, str], int] = defaultdict(int)
    db.session.execute(update(AccountTotal).values(spent_nano_usd=AccountTotal.cost_nano_usd))
    for account in db.session.scalars(select(AccountTotal)):
        spent[Scope.USER, account.subject_id, account.window_id] = account.cost_nano_usd
        spent[Scope.INSTALLATION, 0, account.window_id] += account.cost_nano_usd
    db.session.commit()
    for (scope, _, window), total in list(spent.items()):
        if scope is Scope.INSTALLATION and len(window) == len("2026-11"):
            add_account(window, total)
    _seed_limits(ids, spent, now, zone)
    for table, rows in story.system.items():
        # By the table, which costs half of what its class does.
        of_table = insert(Base.metadata.tables[table.__tablename__])
        db.session.connection().execute(of_table, rows)
    db.session.add_all(_refusals(ids, now))
    db.session.commit()
    chance = random.Random()  # goes on where the hours of the story ended
    chance.setstate(story.chance)
    for number in range(24):
        _seed_call(number, ids, now, chance)


@dataclass(frozen=True, slots=True)
class Story:
    """All that takes long to make up and is the same in every database."""

    hours: list[MadeHour]
    system: dict[type[Base], list[dict[str, Any]]]
    chance: tuple[Any, ...]


@cache
def _story(now: datetime, zone: ZoneInfo) -> Story:
    chance = random.Random(20261123)  # the same numbers every time, not secret ones
    hours = list(_made_hours(range(len(PEOPLE)), now, zone, chance))
    return Story(hours, _system_of(hours, zone), chance.getstate())


def _system_of(made: list[MadeHour], zone: ZoneInfo) -> dict[type[Base], list[dict[str, Any]]]:
    """How the calls of the story ended and how long they took, and what was refused."""
    # Numbers of its own, so that those of the story stay what they were.
    chance = random.Random(20261124)  # as above
    outcomes: Counter[tuple[datetime, str, str]] = Counter()
    times: Counter[tuple[datetime, str, str, int]] = Counter()
    for row in made:
        sums = row.sums
        good = sums["requests"] - sums["failures"] - sums["cancellations"]
        for outcome, count in (
            ("success", good),
            ("upstream_error", sums["failures"]),
            ("cancelled", sums["cancellations"]),
        ):
            outcomes[row.hour, row.provider, outcome] += count
        for kind, middle in (("duration", 2400), ("first_token", 520), ("overhead", 1300)):
            for _ in range(3):
                bucket = rollups.bucket_of(round(middle * chance.lognormvariate(0, 0.5)))
                times[row.hour, row.provider, kind, bucket] += sums["requests"] // 3
    days: Counter[tuple[datetime, str, str, int]] = Counter()
    for (hour, provider, kind, bucket), count in times.items():
        days[window_start(Window.DAY, hour, zone), provider, kind, bucket] += count
    hours = sorted({row.hour for row in made})[-160:]
    reasons = (("user_day", "budget_blocked"), ("invalid", "auth_error"))
    numbers: list[tuple[type[Base], tuple[str, ...], Mapping[tuple[Any, ...], int]]] = [
        (OutcomeHour, ("hour", "provider", "outcome"), outcomes),
        (LatencyDay, ("day", "provider", "kind", "bucket"), days),
        (LatencyBucket, ("hour", "provider", "kind", "bucket"), times),
        (
            RefusalHour,
            ("hour", "reason", "outcome"),
            {(hour, *words): chance.randint(0, 9) for hour in hours for words in reasons},
        ),
    ]
    rows: dict[type[Base], list[dict[str, Any]]] = {}
    for table, names, counts in numbers:
        model = {"model": "m"} if table is LatencyBucket else {}
        rows[table] = [
            dict(zip(names, key, strict=True)) | model | {"count": n} for key, n in counts.items()
        ]
    return rows


def _refusals(ids: list[int], now: datetime) -> Iterator[RefusalRow]:
    """Two of a user whose day has no room for them any more."""
    for minutes in (3, 16):
        yield RefusalRow(
            at=now - timedelta(minutes=minutes),
            outcome="budget_blocked",
            reason="user_day",
            operation="chat",
            request_id=f"req_refused_{minutes}",
            user_id=ids[1],
            key_id="k0000001",
            model="gpt-4.1",
            scope="user",
            window="day",
            limit_nano_usd=usd("25"),
            spent_nano_usd=usd("24.02"),
            held_nano_usd=usd("0.91"),
            needed_nano_usd=usd("0.084048"),
            resets_at=datetime(2026, 11, 24, tzinfo=UTC),
            input_pico_usd=82_000_000_000,
            output_pico_usd=8_000_000,
            output_tokens=256,
            asked_tokens=32_768,
            affordable_tokens=0,
        )


def _made_hours(
    ids: Sequence[int], now: datetime, zone: ZoneInfo, chance: random.Random
) -> Iterator[MadeHour]:
    first = window_start(Window.DAY, now - timedelta(days=35), zone)
    hour = local_hour(now, zone)
    while hour >= first:
        for place, user_id in enumerate(ids):
            keenness = 0.9 / (1 + place * 0.35)
            is_day = 6 <= hour.hour <= 18
            for provider, model, price_in, price_out in MODELS:
                if chance.random() < keenness * (0.55 if is_day else 0.12):
                    sums = _made_sums(chance, price_in, price_out)
                    yield MadeHour(hour, user_id, provider, model, sums)
        hour -= timedelta(hours=1)


def _made_sums(chance: random.Random, price_in: float, price_out: float) -> dict[str, int]:
    requests = chance.randint(8, 240)
    tokens_in = requests * chance.randint(300, 5200)
    tokens_out = requests * chance.randint(80, 900)
    return {
        "requests": requests,
        "failures": sum(chance.random() < 0.012 for _ in range(requests)),
        "cancellations": sum(chance.random() < 0.008 for _ in range(requests)),
        "input_tokens": tokens_in,
        "cached_input_tokens": tokens_in * chance.randint(0, 60) // 100,
        "output_tokens": tokens_out,
        "latency_ms": requests * chance.randint(600, 5000),
        "cost_nano_usd": round((tokens_in * price_in + tokens_out * price_out) * 1000),
    }


def _seed_limits(
    ids: list[int], spent: dict[tuple[Scope, int, str], int], now: datetime, zone: ZoneInfo
) -> None:
    """Limits of their own for some, so that the page shows every state."""
    day, month = window_id(Window.DAY, now, zone), window_id(Window.MONTH, now, zone)
    today = {user_id: spent[Scope.USER, user_id, day] for user_id in ids}
    add_limit(Window.DAY, amount(today[ids[0]] * 100 // 123), user_id=ids[0])
    add_limit(Window.DAY, amount(today[ids[1]] * 100 // 96), user_id=ids[1])
    add_limit(Window.DAY, amount(today[ids[2]] * 100 // 84), user_id=ids[2])
    add_limit(Window.MONTH, Limit(LimitKind.NONE), user_id=ids[3])
    add_limit(Window.DAY, Limit(LimitKind.NONE), user_id=ids[3])
    add_limit(Window.MONTH, amount(0), user_id=ids[-1])
    _refuse(ids[1], day)
    total = spent[Scope.INSTALLATION, 0, month]
    add_limit(Window.MONTH, amount(round(total / 0.71 / NANO_PER_USD) * NANO_PER_USD))


def _refuse(user_id: int, window: str) -> None:
    account = db.session.get_one(AccountTotal, (Scope.USER, user_id, window))
    account.is_refused = True
    db.session.commit()


def _seed_call(number: int, ids: list[int], now: datetime, chance: random.Random) -> None:
    provider, model, price_in, price_out = chance.choice(MODELS)
    tokens_in, tokens_out = chance.randint(120, 6000), chance.randint(30, 1200)
    outcome = {4: "upstream_error", 9: "cancelled", 15: "upstream_timeout"}.get(number, "success")
    is_unpriced = number == 6
    cost = round((tokens_in * price_in + tokens_out * price_out) * 1000)
    lines = {"input": (tokens_in, price_in), "output": (tokens_out, price_out)}
    add_entry(
        f"req_{number:04}",
        user_id=chance.choice(ids[:12]),
        provider=provider,
        model=model,
        outcome=outcome,
        confidence="counted" if outcome == "cancelled" else "reported",
        price_status="unpriced" if is_unpriced else "priced",
        cost_nano_usd=0 if is_unpriced else cost,
        total_after_nano_usd=0 if is_unpriced else cost,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        held_nano_usd=2 * cost,
        raw_usage=f'{{"prompt_tokens":{tokens_in},"completion_tokens":{tokens_out}}}',
        working=_working(f"{provider}/{model}", {} if is_unpriced else lines, 2 * cost),
        price_row="" if is_unpriced else f"{provider}/{model}",
        latency_ms=chance.randint(400, 9000),
        admitted_at=now - timedelta(seconds=41 * number * number + 12),
        settled_at=now,
    )


def _working(row: str, lines: Mapping[str, tuple[int, float]], wanted: int) -> str:
    """How the ledger keeps the arithmetic of a charge; prices are USD for a million tokens."""
    return json.dumps(
        {
            "basis": "prices",
            "lines": [
                [kind, count, round(price * 1_000_000), row]
                for kind, (count, price) in lines.items()
            ],
            "wanted": wanted,
            "sent_ms": 3,
            "answered_ms": 380,
            "upstream": "ok",
        }
    )
