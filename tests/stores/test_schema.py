"""Whether a database has the tables of this version, at each of its ages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.factory.set_up import MIGRATIONS
from ai_gateway.stores.schema import SchemaVersion

HEAD, BEFORE, *_ = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path}/new.db")
    yield made
    made.dispose()


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:one)"), {"one": revision})


def test_an_empty_database_is_not_current(engine: Engine) -> None:
    assert not SchemaVersion(engine, MIGRATIONS).is_current()


@pytest.mark.parametrize(("revision", "is_current"), [(HEAD, True), (BEFORE, False)])
def test_it_is_current_at_the_last_migration_only(
    engine: Engine, revision: str, *, is_current: bool
) -> None:
    set_revision(engine, revision)
    assert SchemaVersion(engine, MIGRATIONS).is_current() is is_current


def test_a_database_that_does_not_answer_is_told_from_an_empty_one(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/new.db")
    with pytest.raises(GatewayUnavailable):
        SchemaVersion(engine, MIGRATIONS).is_current()
    engine.dispose()
