"""audit of a target by time

The page asks for the newest first, which is by moment and then by number. With the number alone all
lines about one target were sorted for each page.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_audit_entry_target", "audit_entry"
TARGET = ["target_kind", "target_id"]


def upgrade():
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, [*TARGET, "at", "id"])


def downgrade():
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, [*TARGET, "id"])
