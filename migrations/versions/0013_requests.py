"""what explains a charge and a refusal, and the ways to one request

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

LEDGER, REFUSAL = "ledger_entry", "refusal"
NEEDED = ("input_pico_usd", "output_pico_usd", "output_tokens", "asked_tokens", "affordable_tokens")
PARTIAL = {
    "ix_ledger_entry_later": (["admitted_at", "request_id"], "entry_no > 1"),
    "ix_ledger_entry_later_user": (["user_id", "admitted_at", "request_id"], "entry_no > 1"),
    "ix_ledger_entry_provider_id": (["provider_id"], "provider_id IS NOT NULL"),
}


def upgrade():
    op.add_column(LEDGER, sa.Column("provider_id", sa.String(length=160), nullable=True))
    op.add_column(LEDGER, sa.Column("working", sa.Text(), nullable=True))
    for name, (columns, where) in PARTIAL.items():
        condition = sa.text(where)
        op.create_index(name, LEDGER, columns, sqlite_where=condition, postgresql_where=condition)
    for name in NEEDED:
        op.add_column(REFUSAL, sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_refusal_request", REFUSAL, ["request_id"])


def downgrade():
    op.drop_index("ix_refusal_request", REFUSAL)
    for name in NEEDED:
        op.drop_column(REFUSAL, name)
    for name in PARTIAL:
        op.drop_index(name, LEDGER)
    op.drop_column(LEDGER, "working")
    op.drop_column(LEDGER, "provider_id")
