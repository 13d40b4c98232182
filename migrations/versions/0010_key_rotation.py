"""two secrets of a key while it is rotated, who made it, and orders that act once

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("virtual_key", sa.Column("previous_digest", sa.String(64)))
    op.add_column("virtual_key", sa.Column("previous_until", sa.DateTime(timezone=True)))
    op.add_column(
        "virtual_key",
        sa.Column("created_by", sa.String(150), nullable=False, server_default=sa.text("''")),
    )
    op.create_table(
        "key_order",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_order"),
    )


def downgrade():
    op.drop_table("key_order")
    with op.batch_alter_table("virtual_key") as table:
        for name in ("created_by", "previous_until", "previous_digest"):
            table.drop_column(name)
