"""the audit refuses to be changed, and is found by names, actions and results

Revision ID: 0014
Revises: 0013

A later migration that makes the table anew on SQLite has to make the triggers anew too.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE = "audit_entry"
INDEXES = {
    "ix_audit_entry_actor_name": ["actor_name", "at", "id"],
    "ix_audit_entry_target_name": ["target_name", "at", "id"],
    "ix_audit_entry_action": ["action", "at", "id"],
    "ix_audit_entry_result": ["result", "at", "id"],
}
SQLITE = [
    f"CREATE TRIGGER audit_entry_no_{act.lower()} BEFORE {act} ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    for act in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    "CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$",
    f"CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()",
]
SQLITE_BACK = [f"DROP TRIGGER audit_entry_no_{act}" for act in ("update", "delete")]
POSTGRESQL_BACK = [
    f"DROP TRIGGER audit_entry_no_change ON {TABLE}",
    "DROP FUNCTION audit_entry_refuse()",
]


def upgrade():
    for name, columns in INDEXES.items():
        op.create_index(name, TABLE, columns)
    # Nobody is looked for by number any more.
    op.drop_index("ix_audit_entry_actor", TABLE)
    for statement in _of_database(SQLITE, POSTGRESQL):
        op.execute(statement)


def downgrade():
    for statement in _of_database(SQLITE_BACK, POSTGRESQL_BACK):
        op.execute(statement)
    op.create_index("ix_audit_entry_actor", TABLE, ["actor_user_id", "id"])
    for name in INDEXES:
        op.drop_index(name, TABLE)


def _of_database(sqlite, postgresql):
    return postgresql if op.get_bind().dialect.name == "postgresql" else sqlite
