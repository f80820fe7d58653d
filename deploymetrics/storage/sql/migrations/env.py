"""What Alembic runs: the migrations, on the connection that ``schema.py`` has opened and locked."""

from alembic import context

from deploymetrics.storage.sql.schema import VERSION_TABLE
from deploymetrics.storage.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
