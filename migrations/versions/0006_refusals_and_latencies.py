"""refused requests, outcomes by hour, latencies by day

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade():
    op.create_table(
        "refusal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("model", sa.String(length=160), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=True),
        sa.Column("window", sa.String(length=8), nullable=True),
        *(
            sa.Column(f"{name}_nano_usd", sa.BigInteger(), nullable=True)
            for name in ("limit", "spent", "held", "needed")
        ),
        sa.Column("resets_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal")),
    )
    op.create_index("ix_refusal_recent", "refusal", ["at", "id"])
    op.create_index("ix_refusal_user", "refusal", ["user_id", "at"])
    op.create_table(
        "refusal_position",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal_position")),
    )
    _counts("refusal_hour", sa.Column("hour", MOMENT), ("outcome", 24), ("reason", 40))
    _counts("outcome_hour", sa.Column("hour", MOMENT), ("provider", 64), ("outcome", 24))
    _counts("latency_day", sa.Column("day", MOMENT), ("provider", 64), ("kind", 16), bucket=True)


def downgrade():
    for name in ("latency_day", "outcome_hour", "refusal_hour", "refusal_position", "refusal"):
        op.drop_table(name)


def _counts(name, start, *words, bucket=False):
    """A table of numbers by a start, some words, and maybe a bucket."""
    numbers = [sa.Column("bucket", sa.Integer(), autoincrement=False)] if bucket else []
    key = [start, *(sa.Column(word, sa.String(length=length)) for word, length in words), *numbers]
    op.create_table(
        name,
        *key,
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*(column.name for column in key), name=op.f(f"pk_{name}")),
    )
