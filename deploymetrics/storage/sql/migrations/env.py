"""What Alembic runs: the migrations, on the connection that ``schema.py`` has opened and locked."""

from alembic import context

from deploymetrics.storage.sql.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
