"""costs, requests and the last request of accounts

Revision ID: 0005
Revises: 0004
"""

from collections import defaultdict
from datetime import UTC
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NEW = ("cost_nano_usd", "requests")


def upgrade():
    with _altered(sqlite_with_rowid=False) as table:
        for name in NEW:
            # The code that is still running does not name them.
            table.add_column(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("last_request_at", sa.DateTime(timezone=True), nullable=True))
    _fill(op.get_bind())


def downgrade():
    with _altered() as table:
        for name in (*NEW, "last_request_at"):
            table.drop_column(name)


def _altered(**options):
    """SQLite has to copy the table, for only a new one can be without row ids."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    recreate = "always" if is_sqlite else "never"
    return op.batch_alter_table("account_total", recreate=recreate, table_kwargs=options)


def _fill(connection):
    """Take over what the hours of the users hold already; the last request is then an hour."""
    zone = connection.scalar(sa.text("SELECT timezone FROM installation"))
    if zone is None:
        return
    moment = sa.DateTime(timezone=True)
    hours = sa.table(
        "usage_hour", sa.column("hour", moment), sa.column("user_id"), *map(sa.column, NEW)
    )
    totals = defaultdict(lambda: [0, 0, None])
    query = sa.select(hours.c.hour, hours.c.user_id, *(hours.c[name] for name in NEW))
    for hour, user_id, cost, requests in connection.execute(query.order_by(hours.c.hour)):
        begin = hour if hour.tzinfo else hour.replace(tzinfo=UTC)
        local = begin.astimezone(ZoneInfo(zone))
        for window_id in (f"{local:%Y-%m-%d}", f"{local:%Y-%m}"):
            total = totals[user_id, window_id]
            total[0] += cost
            total[1] += requests
            total[2] = begin
    accounts = sa.table(
        "account_total",
        *map(sa.column, ("scope", "subject_id", "window_id", *NEW)),
        sa.column("last_request_at", moment),
    )
    known = sa.and_(
        accounts.c.scope == "user",
        accounts.c.subject_id == sa.bindparam("user"),
        accounts.c.window_id == sa.bindparam("window"),
    )
    change = sa.update(accounts).where(known)
    for (user_id, window_id), (cost, requests, last) in totals.items():
        values = {"cost_nano_usd": cost, "requests": requests, "last_request_at": last}
        connection.execute(change.values(values), {"user": user_id, "window": window_id})
