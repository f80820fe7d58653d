"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    bytewise = sa.Text(collation="C")

    def version_columns() -> list[sa.Column[object]]:
        return [
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("changed_at", bytewise, nullable=False),
            sa.Column("changed_by", sa.Text, nullable=False),
            sa.Column("revision", bytewise, nullable=False),
            sa.Column("kept", sa.Boolean, nullable=False),
            sa.Column("value", sa.LargeBinary, comment="null in a deletion"),
        ]

    op.create_table(
        "items",
        sa.Column("collection", bytewise, nullable=False),
        sa.Column("key", bytewise, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        *version_columns(),
        sa.PrimaryKeyConstraint("collection", "key"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("items_by_shard", "items", ["collection", "shard"])
    op.create_table(
        "versions",
        sa.Column("collection", bytewise, nullable=False),
        sa.Column("key", bytewise, nullable=False),
        *version_columns(),
        sa.PrimaryKeyConstraint("collection", "key", "version"),
    )
    op.create_table(
        "shards",
        sa.Column("collection", bytewise, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("collection", "shard"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "leases",
        sa.Column("name", bytewise, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
