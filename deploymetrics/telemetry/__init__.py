"""Numbers for Prometheus: those in the documents, and those of the server itself.

    views.py      ``/metrics``, ``/healthz`` and ``/readyz``
    documents.py  the numbers in the documents
    server.py     the server's own numbers: what was counted, and what storage and machine know of it
    health.py     whether the storage reads and writes
    counting.py   what a process counts: its requests and its calls of the storage
    audit_log.py  who changed, logged in or was refused what; audited_requests.py what of a request is noted
    shared_memory.py  the memory in which all processes of a server count

A scrape is made from the storage, so it is the same on every worker.
"""

from .views import Telemetry, bp, init_app, telemetry_of

__all__ = ["Telemetry", "bp", "init_app", "telemetry_of"]
