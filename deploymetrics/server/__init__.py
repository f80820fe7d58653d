"""``deploymetrics serve``: gunicorn's master and its workers, of either kind, for this service."""
