"""The commands: what goes to standard output, and each error in one line."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread

import pytest
from click.testing import Result
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ai_gateway.domain.virtual_key import parse_key
from ai_gateway.services.password_rules import MIN_CHARACTERS
from ai_gateway.stores import redis_keys
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.tables import AuditRow, LedgerEntry, SpendLimit, User, VirtualKey, db
from tests.gateway_app import GatewayApp, credential, opened_app
from tests.money import admitted_call, finished_call
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for

PASSWORD = "a long enough password"
HINT = "Usage: flask"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def opened(server: RedisServer) -> Iterator[GatewayApp]:
    with opened_app(server) as made:
        yield made


@pytest.fixture
def gateway(opened: GatewayApp) -> GatewayApp:
    """Open again where another test emptied the server for an application of its own."""
    opened.open()
    return opened


def user(gateway: GatewayApp, name: str) -> User:
    with gateway.app.app_context(), Session(db.engine) as session:
        found = session.scalar(select(User).where(User.username == name))
    assert found is not None
    return found


def key_row(gateway: GatewayApp, key: str) -> VirtualKey:
    with gateway.app.app_context(), Session(db.engine) as session:
        found = session.scalar(select(VirtualKey).where(VirtualKey.key_id == key.split("_")[1]))
    assert found is not None
    return found


def limits_of(gateway: GatewayApp, scope: str, subject_id: int) -> dict[str, tuple[str, int]]:
    query = select(SpendLimit).where(SpendLimit.scope == scope, SpendLimit.subject_id == subject_id)
    with gateway.app.app_context(), Session(db.engine) as session:
        return {row.window: (row.kind, row.amount_nano_usd) for row in session.scalars(query)}


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result) -> str:
    """The one line that tells why."""
    assert result.exit_code != 0
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit), result.exception
    told = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(told) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return told[0].removeprefix("Error: ")


class TestUsers:
    """`flask user`."""

    @pytest.mark.parametrize(
        ("options", "role"),
        [
            ((), "none"),
            (("--staff",), "viewer"),
            (("--superuser",), "admin"),
            (("--staff", "--superuser"), "admin"),
            (("--role", "operator"), "operator"),
            (("--role", "viewer", "--superuser"), "viewer"),
        ],
        ids=str,
    )
    def test_a_user_is_made_with_a_role(
        self, gateway: GatewayApp, options: tuple[str, ...], role: str
    ) -> None:
        name = f"made-{'-'.join(options)}"
        made = gateway.flask("user", "create", name, "--email", f"{len(name)}{name}@b", *options)
        assert done(made) == ""
        assert made.stderr == f"User {name} made, role {role}.\n"
        assert user(gateway, name).role == role
        assert user(gateway, name).password_hash is None

    def test_a_password_comes_from_standard_input(self, gateway: GatewayApp) -> None:
        made = gateway.flask(
            "user", "create", "pia", "--email", "pia@b", "--password-stdin", text=f"{PASSWORD}\n"
        )
        done(made)
        stored = user(gateway, "pia").password_hash
        assert stored is not None
        assert verify_password(stored, PASSWORD)
        assert PASSWORD not in made.output

    def test_a_password_can_be_an_option(self, gateway: GatewayApp) -> None:
        name = gateway.make_user("--password", PASSWORD)
        stored = user(gateway, name).password_hash
        assert stored is not None
        assert verify_password(stored, PASSWORD)

    def test_a_password_can_be_replaced(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        new = f"{PASSWORD} too"
        done(gateway.flask("user", "password", name, "--password-stdin", text=f"{new}\n"))
        typed = gateway.flask("user", "password", name, text=f"{PASSWORD}\n{PASSWORD}\n")
        assert PASSWORD not in typed.output
        done(typed)
        stored = user(gateway, name).password_hash
        assert stored is not None
        assert verify_password(stored, PASSWORD)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("admin", "--email", "new@b"), "a user with this name exists already"),
            (
                ("new", "--email", "admin@localhost"),
                "a user with this mail address exists already",
            ),
            (("new", "--email", "nobody"), "'nobody' is no mail address"),
            (("", "--email", "a@b"), "a user name has 1 to 150 printable characters"),
            (("a\tb", "--email", "a@b"), "a user name has 1 to 150 printable characters"),
            (("n" * 151, "--email", "a@b"), "a user name has 1 to 150 printable characters"),
            (
                ("new", "--email", "a@b", "--password", "short"),
                f"a password needs at least {MIN_CHARACTERS} characters",
            ),
            (("new",), "Missing option '--email'."),
            (
                ("new", "--email", "a@b", "--role", "king"),
                "Invalid value for '--role': 'king' is not one of 'viewer', 'operator', 'admin'.",
            ),
        ],
        ids=str,
    )
    def test_a_user_that_cannot_be_made(
        self, gateway: GatewayApp, arguments: tuple[str, ...], reason: str
    ) -> None:
        assert refused(gateway.flask("user", "create", *arguments)) == reason

    def test_an_empty_standard_input_is_no_password(self, gateway: GatewayApp) -> None:
        made = gateway.flask("user", "create", "x", "--email", "x@b", "--password-stdin", text="")
        assert refused(made).startswith("a password needs at least")

    @pytest.mark.parametrize(
        ("options", "role"),
        [(("--staff",), "viewer"), (("--superuser",), "admin"), (("--role", "none"), "none")],
        ids=str,
    )
    def test_a_user_is_promoted(
        self, gateway: GatewayApp, options: tuple[str, ...], role: str
    ) -> None:
        name = gateway.make_user()
        done(gateway.flask("user", "promote", name, *options))
        assert user(gateway, name).role == role

    @pytest.mark.parametrize(
        "arguments",
        [
            ("promote", "nobody", "--staff"),
            ("password", "nobody", "--password-stdin"),
            ("limit", "nobody", "--daily", "1"),
        ],
        ids=str,
    )
    def test_a_user_that_is_not_there(
        self, gateway: GatewayApp, arguments: tuple[str, ...]
    ) -> None:
        told = refused(gateway.flask("user", *arguments, text=f"{PASSWORD}\n"))
        assert told == "there is no user named nobody; see: flask user list"

    def test_a_promotion_to_nothing(self, gateway: GatewayApp) -> None:
        told = refused(gateway.flask("user", "promote", "admin"))
        assert told == "name a role: --staff, --superuser or --role"

    def test_limits_are_set_changed_and_taken_back(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        number = user(gateway, name).id
        for daily, monthly, expected in (
            ("12.50", "none", {"day": ("amount", 12_500_000_000), "month": ("none", 0)}),
            ("0", "9000000", {"day": ("amount", 0), "month": ("amount", 9_000_000_000_000_000)}),
            ("inherit", "0.000000001", {"month": ("amount", 1)}),
        ):
            set_to = gateway.flask("user", "limit", name, "--daily", daily, "--monthly", monthly)
            done(set_to)
            assert limits_of(gateway, "user", number) == expected

    def test_every_command_leaves_its_line_in_the_audit(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        done(gateway.flask("user", "promote", name, "--staff"))
        done(gateway.flask("user", "password", name, "--password-stdin", text=f"{PASSWORD}\n"))
        done(gateway.flask("user", "limit", name, "--daily", "2", "--monthly", "none"))
        with gateway.app.app_context(), Session(db.engine) as session:
            rows = session.scalars(select(AuditRow).where(AuditRow.target_name == name)).all()
            lines = [(row.action, row.before, row.after) for row in rows]
            assert {row.actor_name for row in rows} == {"command line"}
        created, *others = lines
        assert created[0] == "user_create"
        assert others == [
            ("role_change", {"role": "none"}, {"role": "viewer"}),
            ("password_change", {}, {}),
            (
                "limit_change",
                {"limit_day": "inherit", "limit_month": "inherit"},
                {"limit_day": "2.00", "limit_month": "none"},
            ),
        ]

    def test_one_limit_leaves_the_other(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        number = user(gateway, name).id
        done(gateway.flask("user", "limit", name, "--daily", "1"))
        done(gateway.flask("user", "limit", name, "--monthly", "2"))
        assert limits_of(gateway, "user", number).keys() == {"day", "month"}

    @pytest.mark.parametrize(
        "amount",
        [
            "-1",
            "9000000.01",
            "1e300",
            "NaN",
            "Infinity",
            "1,5",
            "a lot",
            "",
            "0.0000000001",
            "1_0x",
        ],
    )
    def test_what_is_no_amount(self, gateway: GatewayApp, amount: str) -> None:
        told = refused(gateway.flask("user", "limit", "admin", "--daily", amount))
        assert told.startswith(f"Invalid value for '--daily': {amount!r} is no amount in USD")
        assert told.endswith("or none, or inherit")

    def test_no_limit_at_all(self, gateway: GatewayApp) -> None:
        told = refused(gateway.flask("user", "limit", "admin"))
        assert told == "name a limit: --daily or --monthly"

    def test_users_are_listed(self, gateway: GatewayApp) -> None:
        name = gateway.make_user("--staff")
        gateway.make_key(name)
        lines = done(gateway.flask("user", "list")).splitlines()
        assert f"{name}\t{name}@example.com\tviewer\t1 keys" in lines


class TestKeys:
    """`flask key`."""

    def test_a_key_stands_alone_on_standard_output(self, gateway: GatewayApp) -> None:
        made = gateway.flask("key", "create", gateway.make_user())
        assert re.fullmatch(r"agw_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}\n", done(made))
        assert made.stderr == ""
        assert parse_key(made.stdout.strip()) is not None

    def test_a_key_is_nowhere_but_in_what_was_printed(self, gateway: GatewayApp) -> None:
        key = gateway.make_key()
        row = key_row(gateway, key)
        secret = key.split("_")[2]
        assert secret not in " ".join(str(value) for value in vars(row).values())
        copy = gateway.store.client.hgetall(redis_keys.key_record(row.key_id))
        assert secret not in str(copy)
        assert secret not in gateway.flask("key", "list").output

    def test_a_key_has_what_was_asked_for(self, gateway: GatewayApp) -> None:
        key = gateway.make_key(
            None, "--label", "laptop", "--daily", "1.5", "--monthly", "20",
            "--model", "o3", "--model", "openai/gpt-4o", "--expires", "2027-01-31",
        )  # fmt: skip
        row = key_row(gateway, key)
        assert (row.label, row.last4) == ("laptop", key[-4:])
        assert row.allowed_models == ["o3", "openai/gpt-4o"]
        assert row.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
        assert limits_of(gateway, "key", row.id) == {
            "day": ("amount", 1_500_000_000),
            "month": ("amount", 20_000_000_000),
        }

    def test_a_key_works_at_once(self, gateway: GatewayApp) -> None:
        answer = gateway.client.get("/v1/models", headers=credential(gateway.make_key()))
        assert answer.status_code == 200

    def test_a_key_ends_with_the_day_of_the_reporting_zone(self, server: RedisServer) -> None:
        variables = {"AI_GATEWAY_TIMEZONE": "Asia/Kolkata"}
        with opened_app(server, variables=variables) as gateway:
            key = gateway.make_key("admin", "--expires", "2027-01-31")
            assert key_row(gateway, key).expires_at == datetime(2027, 1, 30, 18, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("nobody",), "there is no user named nobody; see: flask user list"),
            ((), "Missing argument 'NAME'."),
            (("admin", "--daily", "none"), "Invalid value for '--daily': 'none' is no amount"),
            (("admin", "--expires", "tomorrow"), "Invalid value for '--expires': 'tomorrow' does"),
            (("admin", "--label", "x" * 101), "Invalid value for '--label': at most 100"),
        ],
        ids=str,
    )
    def test_a_key_that_cannot_be_made(
        self, gateway: GatewayApp, options: tuple[str, ...], reason: str
    ) -> None:
        assert refused(gateway.flask("key", "create", *options)).startswith(reason)

    @pytest.mark.parametrize("form", ["{id}", "agw_{id}", "{key}"])
    def test_a_key_is_revoked_by_its_id_or_whole(self, gateway: GatewayApp, form: str) -> None:
        key = gateway.make_key()
        key_id = key.split("_")[1]
        gone = gateway.flask("key", "revoke", form.format(id=key_id, key=key))
        assert done(gone) == ""
        assert gone.stderr == f"Key {key_id} is revoked, from the next call on.\n"
        assert key_row(gateway, key).status == "revoked"
        assert gateway.client.get("/v1/models", headers=credential(key)).status_code == 401

    def test_a_key_that_is_not_there(self, gateway: GatewayApp) -> None:
        told = refused(gateway.flask("key", "revoke", "agw_nothere1"))
        assert told == "there is no key nothere1; see: flask key list"

    def test_keys_are_listed_with_their_state(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        gateway.make_key(name, "--label", "first")
        revoked = gateway.make_key(name, "--label", "second")
        rotated = gateway.make_key(name, "--label", "third")
        gateway.flask("key", "revoke", revoked)
        done(gateway.flask("key", "rotate", rotated, "--grace", "24h"))
        lines = done(gateway.flask("key", "list")).splitlines()
        own = [line.split("\t") for line in lines if f"\t{name}\t" in line]
        assert [columns[2:] for columns in own] == [
            ["first", "active", "never", "0.00 today", "0.00 this month"],
            ["second", "revoked", "never", "0.00 today", "0.00 this month"],
            ["third", "rotating", "never", "0.00 today", "0.00 this month"],
        ]
        assert re.fullmatch(r"agw_[0-9A-Za-z]{8}\.\.\.[0-9A-Za-z]{4}", own[0][0])
        chosen = gateway.flask("key", "list", "--owner", name, "--state", "revoked")
        assert done(chosen).splitlines() == ["\t".join(own[1])]

    def test_a_rotated_key_works_with_both_secrets_until_the_stated_moment(
        self, gateway: GatewayApp
    ) -> None:
        old = gateway.make_key()
        turned = gateway.flask("key", "rotate", old, "--grace", "1h")
        new = done(turned).strip()
        assert (new[:13], new == old) == (old[:13], False)
        assert turned.stderr.startswith("The secret before it works until 20")
        asked = [gateway.client.get("/v1/models", headers=credential(key)) for key in (old, new)]
        assert [answer.status_code for answer in asked] == [200, 200]
        newest = done(gateway.flask("key", "rotate", old, "--grace", "0")).strip()
        answers = [
            gateway.client.get("/v1/models", headers=credential(key)).status_code
            for key in (old, new, newest)
        ]
        assert answers == [401, 401, 200]

    def test_what_commands_do_to_keys_is_in_the_audit(self, gateway: GatewayApp) -> None:
        key = gateway.make_key()
        gateway.flask("key", "rotate", key, "--grace", "0")
        gateway.flask("key", "revoke", key)
        with gateway.app.app_context():
            query = select(AuditRow).where(AuditRow.target_id == key.split("_")[1])
            rows = list(db.session.scalars(query.order_by(AuditRow.id)))
        assert [(row.action, row.actor_name) for row in rows] == [
            ("key_create", "command line"),
            ("key_rotate", "command line"),
            ("key_revoke", "command line"),
        ]

    def test_an_expiry_that_is_over_makes_no_key(self, gateway: GatewayApp) -> None:
        told = refused(gateway.flask("key", "create", "admin", "--expires", "2020-01-01"))
        assert told == "Choose a moment that is still to come."


class TestLedger:
    """`flask ledger`."""

    def settle(self, gateway: GatewayApp, request_id: str, cost: int) -> None:
        key = gateway.make_key()
        loaded = gateway.store.copies.load(key.split("_")[1])
        assert loaded is not None
        call = admitted_call(request_id, record=loaded[0])
        gateway.store.reserve(call)
        gateway.store.meter.settle(call, finished_call(cost))

    def test_counters_and_ledger_agree_before_and_after_they_are_booked(
        self, server: RedisServer
    ) -> None:
        with opened_app(server) as gateway:
            self.settle(gateway, "req_1", 40)
            assert "agree to the last nano-dollar" in done(gateway.flask("ledger", "verify"))
            with gateway.app.app_context():
                assert gateway.bookkeeper().book(block_ms=None) == 1
            assert "agree to the last nano-dollar" in done(gateway.flask("ledger", "verify"))

    @pytest.mark.parametrize("is_booked", [True, False])
    def test_a_difference_of_a_nano_dollar_is_told(
        self, server: RedisServer, *, is_booked: bool
    ) -> None:
        with opened_app(server) as gateway:
            self.settle(gateway, "req_1", 40)
            if is_booked:
                with gateway.app.app_context():
                    gateway.bookkeeper().book(block_ms=None)
            [name] = gateway.store.names(f"{redis_keys._ACCOUNT}installation")
            gateway.store.client.hincrby(name, "spent", -1)
            result = gateway.flask("ledger", "verify")
        assert result.exit_code == 1
        assert result.stdout.endswith(
            ": counter 0.000000039 USD, ledger with outbox 0.00000004 USD; 0.000000001 USD below\n"
        )
        assert result.stderr.startswith("Error: 1 accounts differ. The counters lack what was book")
        assert "`ledger verify` fails" in result.stderr


class TestSetUp:
    """`flask setup`, at the first start and at every later one."""

    def test_the_password_and_the_key_are_shown_once(self, server: RedisServer) -> None:
        with opened_app(server, is_set_up=False) as gateway:
            first = done(gateway.flask("setup"))
            assert done(gateway.flask("setup")) == ""
            password = re.search(r"with the password (\S+) \(shown only this once\)", first)
            key = re.search(r"is (agw_\S+)", first)
            assert password is not None
            assert key is not None
            stored = user(gateway, "admin")
            assert stored.role == "admin"
            assert verify_password(str(stored.password_hash), password[1])
            gateway.open()
            answer = gateway.client.get("/v1/models", headers=credential(key[1]))
            assert answer.status_code == 200

    def test_another_time_zone_is_refused(self, server: RedisServer) -> None:
        with (
            opened_app(server) as gateway,
            opened_app(
                server,
                variables={
                    "AI_GATEWAY_DATA_DIR": str(gateway.data_dir),
                    "AI_GATEWAY_TIMEZONE": "Europe/Berlin",
                },
                is_set_up=False,
            ) as other,
        ):
            told = refused(other.flask("setup"))
        assert told.startswith(
            "AI_GATEWAY_TIMEZONE=Europe/Berlin differs from UTC, which was fixed"
        )

    def test_a_database_that_is_away_is_told(self, server: RedisServer) -> None:
        variables = {"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none"}
        with opened_app(server, variables=variables, is_set_up=False) as gateway:
            result = gateway.flask("setup")
        assert refused(result).startswith("the database or Redis does not answer")
        assert "secret" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "create", "new", "--email", "a@b"),
        ("user", "list"),
        ("key", "create", "admin"),
        ("key", "list"),
        ("ledger", "verify"),
    ],
    ids=" ".join,
)
def test_a_database_that_was_never_set_up_is_told(
    server: RedisServer, arguments: tuple[str, ...]
) -> None:
    with opened_app(server, is_set_up=False) as gateway:
        result = gateway.flask(*arguments)
    assert refused(result).startswith("the database or Redis does not answer")


def test_a_key_cannot_be_revoked_in_secret() -> None:
    """With Redis away it is revoked in SQL, but not in force: whoever revokes has to know."""
    with running_redis() as own_server, opened_app(own_server) as gateway:
        key = gateway.make_key()
        own_server.stop()
        told = refused(gateway.flask("key", "revoke", key))
        own_server.start()
    assert "is revoked in the database, but Redis does not answer" in told


def test_a_key_can_be_made_while_redis_is_away() -> None:
    with running_redis() as own_server, opened_app(own_server) as gateway:
        own_server.stop()
        key = gateway.make_key("admin")
        own_server.start()
        gateway.open()
        with gateway.app.app_context():
            gateway.services.key_admin.publish_all()
        assert gateway.client.get("/v1/models", headers=credential(key)).status_code == 200


def test_the_bookkeeper_works_until_it_is_told_to_stop(server: RedisServer) -> None:
    with opened_app(server) as gateway:
        TestLedger().settle(gateway, "req_1", 40)

        def booked() -> int:
            with gateway.app.app_context(), db.engine.connect() as connection:
                return int(connection.scalar(text("SELECT count(*) FROM ledger_entry")) or 0)

        def stop() -> None:
            wait_for(booked, "it is booked")
            os.kill(os.getpid(), signal.SIGTERM)

        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        stopper = Thread(target=stop)
        stopper.start()
        try:
            assert done(gateway.flask("bookkeeper")) == ""
        finally:
            stopper.join()
            signal.signal(signal.SIGTERM, before[0])
            signal.signal(signal.SIGINT, before[1])
        with gateway.app.app_context(), Session(db.engine) as session:
            assert session.scalar(select(LedgerEntry.request_id)) == "req_1"
