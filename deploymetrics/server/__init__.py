"""``deploymetrics serve``: gunicorn's master process, and workers of gunicorn or granian."""
