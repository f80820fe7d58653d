"""For WSGI servers: ``gunicorn wsgi:app``, ``flask --app wsgi run``."""

from deploymetrics import create_app

app = create_app()
