"""sums by model over all users: by hour and by local day

Revision ID: 0004
Revises: 0003
"""

from collections import defaultdict
from datetime import UTC
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUMS = (
    "cost_nano_usd",
    "requests",
    "failures",
    "cancellations",
    "unpriced",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_long_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "cached_audio_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "web_searches",
    "latency_ms",
)


def upgrade():
    op.create_index("ix_usage_hour_user", "usage_hour", ["user_id", "hour"])
    hours = _create("model_hour", "hour")
    days = _create("model_day", "day")
    _fill(op.get_bind(), hours, days)


def downgrade():
    op.drop_table("model_day")
    op.drop_table("model_hour")
    op.drop_index("ix_usage_hour_user", "usage_hour")


def _create(name, start):
    return op.create_table(
        name,
        sa.Column(start, sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=160), nullable=False),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in SUMS),
        sa.PrimaryKeyConstraint(start, "provider", "model", name=op.f(f"pk_{name}")),
    )


def _fill(connection, hours, days):
    """Sum up what the users' hours hold already."""
    zone = connection.scalar(sa.text("SELECT timezone FROM installation"))
    if zone is None:
        return
    source = sa.table(
        "usage_hour",
        sa.column("hour", sa.DateTime(timezone=True)),
        *(sa.column(name) for name in ("provider", "model", *SUMS)),
    )
    key = [source.c.hour, source.c.provider, source.c.model]
    query = sa.select(*key, *(sa.func.sum(source.c[name]) for name in SUMS)).group_by(*key)
    by_day = defaultdict(lambda: dict.fromkeys(SUMS, 0))
    rows = []
    for hour, provider, model, *sums in connection.execute(query):
        begin = hour if hour.tzinfo else hour.replace(tzinfo=UTC)
        numbers = dict(zip(SUMS, map(int, sums), strict=True))
        rows.append({"hour": begin, "provider": provider, "model": model} | numbers)
        local = begin.astimezone(ZoneInfo(zone))
        midnight = local.replace(hour=0, minute=0, fold=0).astimezone(UTC)
        total = by_day[midnight, provider, model]
        for name, number in numbers.items():
            total[name] += number
    if rows:
        op.bulk_insert(hours, rows)
        op.bulk_insert(
            days,
            [
                {"day": day, "provider": provider, "model": model} | total
                for (day, provider, model), total in by_day.items()
            ],
        )
