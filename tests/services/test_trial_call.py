"""Test calls where the answer is slow or the form is odd; the rest is tested through the page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from os import urandom
from pathlib import Path
from threading import Event
from threading import enumerate as running_threads

import pytest
import redis
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import Action, Actor
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.roles import Role
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import ModelNotFound, NotPermitted, UpstreamUnavailable
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.audit import Audit
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.proxy import COST_HEADER
from ai_gateway.services.trial_call import TrialCalls, TrialMarks
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.once import Once
from ai_gateway.stores.tables import AuditRow, VirtualKey
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.services.workbench import priced
from tests.sql_database import sqlite_url

Call = Callable[[IncomingCall], Answer]

BODY = b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}'
PROVIDERS = [
    Provider(name, "openai", f"http://{name}.test/v1", "a secret") for name in ("dear", "lab")
]
ROWS = [
    priced("dear", "large", 900, 900),
    priced("lab", "huge", 800, 800),
    priced("lab", "little", 3, 5),
]


def now() -> datetime:
    return datetime.now(UTC)


def answered(_incoming: IncomingCall) -> Answer:
    return Answer(200, {COST_HEADER: "0.000001"}, BODY)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


@pytest.fixture
def sam(engine: Engine) -> Actor:
    user_id = UserTable(engine).add(
        "sam", "sam@example.com", password_hash=None, role=Role.OPERATOR, now=now()
    )
    return Actor(user_id, "sam", Role.OPERATOR)


@pytest.fixture
def make(engine: Engine, redis_client: redis.Redis) -> Callable[..., TrialCalls]:
    def trial_calls(call: Call = answered, wait_seconds: float = 20) -> TrialCalls:
        keys = KeyAdmin(
            KeyTable(engine, {}),
            KeyCopies(redis_client),
            pepper=b"pepper",
            clock=now,
            random_bytes=urandom,
        )
        audit = Audit(AuditTable(engine), now)
        return TrialCalls(
            call,
            ModelDirectory(Registry(PROVIDERS), Catalog({}, ROWS)),
            keys,
            dialects={"openai": OpenAIDialect()},
            marks=TrialMarks(Once(redis_client), audit, now, wait_seconds=wait_seconds),
        )

    return trial_calls


def key_states(engine: Engine) -> list[str]:
    with Session(engine) as session:
        return [str(key.status) for key in session.scalars(select(VirtualKey))]


@contextmanager
def held_back() -> Iterator[Call]:
    """A call that is answered when the block ends, and not before."""
    released = Event()

    def call(incoming: IncomingCall) -> Answer:
        assert released.wait(20)
        return answered(incoming)

    yield call
    released.set()
    for thread in running_threads():
        if thread.name == "trial-call":
            thread.join(20)


def test_of_each_provider_one_model_is_offered_the_cheapest_first(
    make: Callable[..., TrialCalls],
) -> None:
    plans = make().plans()
    assert [plan.model for plan in plans] == ["lab/little", "dear/large"]
    assert 0 < plans[0].highest_cost < plans[1].highest_cost


def test_what_the_answer_told_is_handed_back(make: Callable[..., TrialCalls], sam: Actor) -> None:
    sent = make().send("lab/little", sam, token="a")
    assert sent.answer is not None
    assert (sent.answer.usage.input_tokens, sent.answer.usage.output_tokens) == (9, 1)
    assert sent.answer.cost == 1_000
    assert sent.answer.duration.total_seconds() > 0


def test_nobody_waits_for_a_slow_answer_and_its_key_goes_when_it_is_there(
    make: Callable[..., TrialCalls], sam: Actor, engine: Engine
) -> None:
    with held_back() as call:
        sent = make(call, wait_seconds=0.05).send("lab/little", sam, token="a")
        assert sent.answer is None
        assert key_states(engine) == [KeyStatus.ACTIVE]
    assert key_states(engine) == [KeyStatus.REVOKED]


def test_a_form_that_is_sent_again_while_the_first_runs_waits_for_nothing(
    make: Callable[..., TrialCalls], sam: Actor, engine: Engine
) -> None:
    with held_back() as call:
        calls = make(call, wait_seconds=0.05)
        first = calls.send("lab/little", sam, token="a")
        again = calls.send("lab/little", sam, token="a")
    assert first == again
    assert len(key_states(engine)) == 1


def test_the_key_is_revoked_when_the_call_fails(
    make: Callable[..., TrialCalls], sam: Actor, engine: Engine
) -> None:
    def fail(_incoming: IncomingCall) -> Answer:
        raise UpstreamUnavailable("lab", was_sent=False)

    with pytest.raises(UpstreamUnavailable):
        make(fail).send("lab/little", sam, token="a")
    assert key_states(engine) == [KeyStatus.REVOKED]


def test_a_fault_of_ours_is_logged_and_raised(
    make: Callable[..., TrialCalls], sam: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_incoming: IncomingCall) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make(fail).send("lab/little", sam, token="a")
    assert [record.message for record in caplog.records] == ["trial_call_failed"]


def test_the_audit_names_the_key_but_not_its_secret(
    make: Callable[..., TrialCalls], sam: Actor, engine: Engine
) -> None:
    used = []

    def call(incoming: IncomingCall) -> Answer:
        used.append(incoming.credential)
        return answered(incoming)

    sent = make(call).send("lab/little", sam, token="a")
    with Session(engine) as session:
        made, row, revoked = session.scalars(select(AuditRow).order_by(AuditRow.id))
        key = session.scalars(select(VirtualKey)).one()
    assert (made.action, row.action, revoked.action) == (
        Action.KEY_CREATE, Action.TEST_CALL, Action.KEY_REVOKE,
    )  # fmt: skip
    assert row.after == {
        "model": "lab/little",
        "request_id": sent.request_id,
        "key_id": key.key_id,
    }
    (secret,) = used
    assert secret is not None
    assert secret.split("_")[1] == key.key_id
    assert secret.split("_")[2] not in str([made.after, row.after, revoked.after])


def test_what_is_refused_makes_no_key(
    make: Callable[..., TrialCalls], sam: Actor, engine: Engine
) -> None:
    with pytest.raises(ModelNotFound):
        make().send("lab/huge", sam, token="a")
    with pytest.raises(NotPermitted):
        make().send("lab/little", sam, token="")
    with pytest.raises(NotPermitted):
        make().send("lab/little", Actor(), token="a")
    assert key_states(engine) == []
