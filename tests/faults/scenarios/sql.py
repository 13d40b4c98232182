"""The database is away, locked, breaks a transaction off, or does not say whether it committed."""

from contextlib import suppress

import psycopg

from tests.faults.line import Faults
from tests.faults.scenario import Run, Scenario
from tests.running import wait_for

REACHED_SECONDS = 30


def sql_is_away(run: Run) -> str:
    """Calls go on; a key can be revoked, in Redis alone; the ledger catches up."""
    rig, client, revoked = run.rig, run.client(), run.client()
    assert revoked.ask("[[tokens=1]]")
    key_id = revoked.caller.key_id
    with run.postgresql.away():
        answers = [client.ask("[[tokens=5]]") for _ in range(40)]
        rig.gateway.flask("key", "revoke", key_id)
        answer = revoked.ask("[[tokens=1]]")
        rig.wait_for_outbox(40)
        # A scrape tells what the last one found, for a second.
        wait_for(lambda: rig.metric("dependency_up", dependency="sql") == 0, "SQL is told as down")
    assert {one.status if one else 0 for one in answers} == {200}
    assert answer is not None
    assert answer.status == 401
    client.caller.booked_once(40)
    return "40 calls served, a key revoked; 40 rows afterwards"


def ledger_is_locked(run: Run) -> str:
    rig, client = run.rig, run.client()
    with rig.sql.locked():
        answers = client.ask_many(40, "[[tokens=5]]")
        rig.wait_for_outbox(40)
    assert {one.status if one else 0 for one in answers} == {200}
    client.caller.booked_once(40)
    return "40 calls served; the ledger lagged, then had 40 rows"


def sqlite_is_busy(run: Run) -> str:
    """Longer than the bookkeeper waits for another who writes."""
    rig, client = run.rig, run.client()
    with run.sqlite.locked():
        answers = client.ask_many(40, "[[tokens=5]]")
        wait_for(lambda: "bookkeeper_waits" in rig.gateway.logged(), "the bookkeeper gave up once")
    assert {one.status if one else 0 for one in answers} == {200}
    client.caller.booked_once(40)
    return "40 calls served; the bookkeeper waited, tried again, and wrote 40 rows"


def transactions_deadlock(run: Run) -> str:
    """Another session waits for what the bookkeeper has, and has what the bookkeeper wants."""
    rig, client = run.rig, run.client()
    client.ask("[[tokens=5]]")
    client.caller.booked_once(1)
    with run.postgresql.connect(autocommit=False) as other:
        other.execute("SET deadlock_timeout = '60s'")
        other.execute("LOCK TABLE account_total IN ACCESS EXCLUSIVE MODE")
        client.ask_many(5, "[[tokens=5]]")
        wait_for(lambda: _waits(run), "the bookkeeper waits")
        # It has the position and the rows; whoever finds the circle first is broken off.
        try:
            other.execute("UPDATE outbox_position SET id = id")
            was_victim = "the other session"
        except psycopg.errors.DeadlockDetected:
            was_victim = "neither"
        other.rollback()
    client.caller.booked_once(6)
    assert was_victim == "the other session"
    rig.wait_for_metric("ledger_writes_total", 1, result="error")
    return "the bookkeeper was the victim, tried again, and wrote each call once"


def outcome_of_the_commit_is_unknown(run: Run) -> str:
    """It commits, and the connection is gone before it is told so."""
    client = run.client()
    faults = Faults(hold_at=b"COMMIT", side="reply", cuts=True, times=3)
    with run.postgresql.by_line(faults):
        for _ in range(10):
            client.ask("[[tokens=5]]")
        assert faults.reached.wait(REACHED_SECONDS)
        client.caller.entries(10)
    client.caller.booked_once(10)
    return "the replies to 3 commits were lost; 10 calls, 10 rows"


def disk_of_sql_is_full(run: Run) -> str:
    """The ledger lies on a file system of its own that has no room."""
    client = run.client()
    errors = run.rig.metric("ledger_writes_total", result="error")
    with run.postgresql.small_disk() as disk:
        client.ask_many(10, "[[tokens=5]]")
        client.caller.booked_once(10)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"0" * 4096):
                pass
        answers = client.ask_many(400, "[[tokens=5]]")
        run.rig.wait_for_metric("ledger_writes_total", errors + 1, result="error")
        ballast.unlink()
        client.caller.booked_once(410)
    assert {one.status if one else 0 for one in answers} == {200}
    return "400 calls served while the disk was full; 410 rows once there was room"


def _waits(run: Run) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(run.postgresql.rows(query, ()))


SCENARIOS = (
    Scenario("F25", sql_is_away, needs="postgresql"),
    Scenario("F26", ledger_is_locked),
    Scenario("F27", transactions_deadlock, needs="postgresql"),
    Scenario("F28", disk_of_sql_is_full, needs="postgresql", mounts=True),
    Scenario("F29", sqlite_is_busy, needs="sqlite"),
    Scenario("F30", outcome_of_the_commit_is_unknown, needs="postgresql"),
)
