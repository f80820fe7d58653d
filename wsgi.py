"""For WSGI servers: ``gunicorn wsgi:app``, ``flask --app wsgi run``."""

from deploymetrics import create_app
from deploymetrics.server.first_start import announce

app = create_app()
announce(app)
