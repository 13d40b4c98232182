"""accounts by window first

SQLite never took the index that began with the scope: it went through the accounts of every day
that there ever was instead.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_account_total_window", "account_total"


def upgrade():
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, ["window_id", "scope"])


def downgrade():
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, ["scope", "window_id"])
