"""Who there is and what they did: rows that are the same at every run, without any database.

A few users cause most of the calls, as everywhere; most calls come on working days by day.
"""

import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from typing import Any

from ai_gateway.domain.call import TALLY_FIELDS, Outcome

NOW = datetime(2026, 11, 23, 15, 10, 5, tzinfo=UTC)
FIRST_DAY = datetime(2026, 10, 24, tzinfo=UTC)
"""31 local days with today, in the zone UTC."""

ONE_HOUR = timedelta(hours=1)
SHAPES = 4096
FIRST_USER = 2
"""The first is the member of staff who looks at it all."""

CORRECTED_EVERY = 250
"""So many calls have a second entry, as a late answer of a provider makes it."""

MODELS = (
    ("openai", "gpt-4o-mini", 150, 600, 9),
    ("openai", "gpt-4.1", 2_000, 8_000, 4),
    ("openai", "text-embedding-3-small", 20, 0, 3),
    ("anthropic", "claude-sonnet-4-5", 3_000, 15_000, 5),
    ("anthropic", "claude-haiku-4-5", 1_000, 5_000, 4),
    ("azure", "gpt-4o", 2_500, 10_000, 2),
    ("groq", "llama-3.3-70b-versatile", 590, 790, 2),
    ("lab", "our-model", 0, 0, 1),
)
"""Provider, model, nano-USD for a token of input and of output, and how often it is chosen."""

UNPRICED = "our-model"
OUTCOMES = (Outcome.SUCCESS,) * 97 + (
    Outcome.CANCELLED,
    Outcome.UPSTREAM_ERROR,
    Outcome.UPSTREAM_TIMEOUT,
)

Row = tuple[Any, ...]
USER_COLUMNS = ("id", "username", "email", "role", "is_enabled", "created_at")
KEY_COLUMNS = (
    *("id", "key_id", "digest", "last4", "label", "user_id"),
    *("status", "allowed_models", "created_at", "version"),
)
LIMIT_COLUMNS = ("scope", "subject_id", "window", "kind", "amount_nano_usd")
AUDIT_COLUMNS = (
    *("at", "actor_user_id", "actor_name", "actor_role", "address", "action"),
    *("target_kind", "target_id", "before", "after", "reason", "result"),
)
REFUSAL_COLUMNS = (
    *("at", "outcome", "reason", "operation", "request_id", "user_id", "key_id", "model"),
    *("scope", "window", "limit_nano_usd", "spent_nano_usd", "held_nano_usd", "needed_nano_usd"),
)
ENTRY_COLUMNS = (
    *("request_id", "entry_no", "kind", "seq", "stream_id", "user_id", "key_id"),
    *("admitted_at", "settled_at", "total_after_nano_usd"),
    *("provider", "model_requested", "model", "served_model", "operation", "stream"),
    *("outcome", "usage_status", "confidence", "price_status", "held_nano_usd"),
    *("price_row", "price_book", "ttft_ms", "cost_nano_usd"),
    *TALLY_FIELDS,
)


@dataclass(frozen=True, slots=True)
class Population:
    """How many users there are, and how many rows their calls make in the ledger."""

    users: int
    rows: int

    @property
    def heaviest(self) -> int:
        """The user with the most calls."""
        return _shuffled(self.users)[0]

    def user_rows(self) -> Iterator[Row]:
        made = _text(FIRST_DAY - timedelta(days=60))
        for user_id in self._numbers():
            # So that neither names nor addresses are in the order of the numbers.
            name = (
                f"{_FIRST[user_id % 26]}.{_LAST[user_id // 26 % 25]}.{user_id * 7919 % 1_000_003}"
            )
            yield user_id, name, f"{name[::-1]}@example.com", "none", user_id % 50 != 0, made

    def key_rows(self) -> Iterator[Row]:
        """Two keys for every third user, one for the others."""
        made = _text(FIRST_DAY)
        for user_id in self._numbers():
            first = _first_key(user_id)
            for number in range(first, _first_key(user_id + 1)):
                yield (
                    *(number, f"{number:08x}", f"{number:064x}", "abcd", f"key {number}", user_id),
                    *("active", "[]", made, 1),
                )

    def limit_rows(self) -> Iterator[Row]:
        """Limits of their own for every fourth user, some of them none at all."""
        for user_id in self._numbers()[::4]:
            kind = "none" if user_id % 5 == 0 else "amount"
            for window, usd in (("day", 1 + user_id % 9), ("month", 10 + user_id % 90)):
                yield "user", user_id, window, kind, 0 if kind == "none" else usd * 10**9

    def refusal_rows(self) -> Iterator[Row]:
        """Two refused requests of every user."""
        for number, moment in enumerate(_spread(2 * self.users)):
            user_id = FIRST_USER + number // 2
            yield (
                *(moment, "budget_blocked", "budget", "chat", f"ref_{number}", user_id),
                *(f"{_first_key(user_id):08x}", "gpt-4.1", "user", "day"),
                *(5 * 10**9, 5 * 10**9, 0, 10**7),
            )

    def audit_rows(self) -> Iterator[Row]:
        """Two changes of every user."""
        for number, moment in enumerate(_spread(2 * self.users)):
            target = str(FIRST_USER + number // 2)
            yield (
                *(moment, 1, "somebody", "admin", "127.0.0.1", "limit_change"),
                *("user", target, '{"daily": "5"}', '{"daily": "6"}', "a larger job", "ok"),
            )

    def hours(self) -> list[tuple[datetime, int]]:
        """Each hour until now with its number of rows, which add up to those of the ledger."""
        starts = [FIRST_DAY]
        while starts[-1] + ONE_HOUR <= NOW:
            starts.append(starts[-1] + ONE_HOUR)
        shares = list(accumulate(_weight(start) for start in starts))
        ends = [0, *(round(self.rows * share / shares[-1]) for share in shares)]
        return [
            (start, end - begin) for start, begin, end in zip(starts, ends, ends[1:], strict=False)
        ]

    def entries(self, hour: datetime, count: int, first_seq: int) -> Iterator[Row]:
        """The ledger rows of one hour in the order in which they were booked."""
        chance = _chance(f"{hour} {self.rows}")
        ids, weights = _shuffled(self.users), _cumulated(self.users)
        seconds = min(ONE_HOUR, NOW - hour).total_seconds()
        moments = sorted(chance.random() * seconds for _ in range(count))
        shapes, prefix = _shapes(), f"{hour:%Y-%m-%d %H}"
        call: Row = ()
        for seq, second in enumerate(moments, first_seq):
            if call and seq % CORRECTED_EVERY == 0:
                yield _correction(call, seq)
                call = ()
                continue
            user_id = ids[bisect(weights, chance.random() * weights[-1])]
            moment = f"{prefix}:{int(second) // 60:02}:{second % 60:09.6f}"
            shape = shapes[chance.getrandbits(12)]
            call = (
                *(f"req_{chance.getrandbits(96):024x}", 1, "call", seq, f"{seq}-0"),
                *(user_id, f"{_first_key(user_id):08x}", moment, moment, shape[_COST]),
                *shape,
            )
            yield call

    def _numbers(self) -> range:
        return range(FIRST_USER, FIRST_USER + self.users)


def _spread(count: int) -> Iterator[str]:
    """So many moments, evenly over the time of the seeds."""
    return (_text(FIRST_DAY + (NOW - FIRST_DAY) * number / count) for number in range(count))


def _first_key(user_id: int) -> int:
    # Every third user has two.
    place = user_id - FIRST_USER
    return 1 + place + place // 3


def _chance(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311  # the same numbers every time, not secret ones


@cache
def _shuffled(users: int) -> list[int]:
    ids = list(range(FIRST_USER, FIRST_USER + users))
    _chance("users").shuffle(ids)
    return ids


@cache
def _cumulated(users: int) -> list[float]:
    return list(accumulate((place + 10) ** -0.9 for place in range(users)))


def _weight(start: datetime) -> float:
    is_day, is_weekend = 7 <= start.hour <= 18, start.weekday() >= 5
    return (1.0 if is_day else 0.15) * (0.25 if is_weekend else 1.0)


@cache
def _shapes() -> list[Row]:
    """What calls look like but for whose they are and when; any of them is as likely."""
    chance = _chance("calls")
    weights = [model[-1] for model in MODELS]
    return [
        _shape(chance, *chance.choices(MODELS, weights)[0][:-1], chance.choice(OUTCOMES))
        for _ in range(SHAPES)
    ]


def _shape(chance: random.Random, provider: str, model: str, *facts: Any) -> Row:
    per_input, per_output, outcome = facts
    is_generated, is_priced = per_output > 0 or model == UNPRICED, model != UNPRICED
    tokens_in = int(chance.lognormvariate(7, 1))
    tokens_out = int(chance.lognormvariate(5.5, 1)) if is_generated else 0
    is_stream, latency = (
        is_generated and chance.random() < 0.6,
        int(chance.lognormvariate(7.3, 0.8)),
    )
    tally = dict.fromkeys(TALLY_FIELDS, 0) | {
        "requests": 1,
        "failures": int(outcome.is_failure),
        "cancellations": int(outcome is Outcome.CANCELLED),
        "unpriced": int(not is_priced),
        "input_tokens": tokens_in,
        "cached_input_tokens": tokens_in // 3,
        "output_tokens": tokens_out,
        "latency_ms": latency,
    }
    cost = tokens_in * per_input + tokens_out * per_output
    return (
        *(provider, model, model, model, "chat" if is_generated else "embeddings", is_stream),
        *(outcome.value, "exact", "reported", "priced" if is_priced else "unpriced", 2 * cost),
        *(f"{provider}/{model}", "bench", latency // 4 if is_stream else None, cost),
        *tally.values(),
    )


_COST = ENTRY_COLUMNS.index("cost_nano_usd") - ENTRY_COLUMNS.index("provider")


def _correction(call: Row, seq: int) -> Row:
    """A second entry: ten tokens more, for which no further request is counted."""
    row = dict(zip(ENTRY_COLUMNS, call, strict=True)) | dict.fromkeys(TALLY_FIELDS, 0)
    total = row["cost_nano_usd"] + 1_000
    changed = row | {
        "entry_no": 2,
        "seq": seq,
        "stream_id": f"{seq}-0",
        "output_tokens": 10,
        "cost_nano_usd": 1_000,
        "total_after_nano_usd": total,
    }
    return tuple(changed.values())


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


_FIRST = (
    *("amelia", "ben", "chloe", "daniel", "elena", "farid", "grace", "hugo", "ines", "jonas"),
    *("kavya", "liam", "maya", "noah", "olivia", "pavel", "quinn", "rosa", "samir", "tara"),
    *("uma", "victor", "wendy", "xenia", "yuki", "zoe"),
)
_LAST = (
    *("stone", "okafor", "martin", "kim", "rossi", "haddad", "liu", "silva", "garcia", "weber"),
    *("nair", "murphy", "cohen", "jensen", "brown", "novak", "taylor", "lopez", "khan", "singh"),
    *("patel", "ivanov", "chan", "tanaka", "berg"),
)
