"""Two applications, the second without the fast path. What is sent to both has to leave the same."""

import io

from both_paths import answered
from werkzeug.test import EnvironBuilder

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.http.request_ids import RequestIds
from deploymetrics.telemetry import telemetry_of

PASSWORD = "correct horse battery"


class Twins:
    """See the module."""

    def __init__(self, folder, clock, settings):
        self.apps = [create_app(folder / name, settings, clock) for name in ("short", "long")]
        self.apps[1].fast_path.is_open = False
        for app in self.apps:
            app.request_ids = RequestIds(True)
            for role in (Role.MASTER_OPERATOR, Role.OPERATOR):
                app.extensions["deploymetrics"].accounts.add(role.value, role, PASSWORD)
        self.number = 0

    def send(self, path, method="POST", data=b"", auth=("master-operator", PASSWORD), **environ):
        """Send a request to both; return the status, once all that it left is the same, and if it went the fast path.

        ``data`` may be a function that gives what stands for a body. Names in ``environ`` are those of WSGI.
        """
        self.number += 1
        went, answers = False, []
        for app in self.apps:
            builder = EnvironBuilder(path, method=method, auth=auth)
            body = data() if callable(data) else io.BytesIO(data)
            length = {} if callable(data) else {"CONTENT_LENGTH": str(len(data))}
            sent = {**builder.get_environ(), "wsgi.input": body, "RAW_URI": path, **length, **environ}
            sent["HTTP_X_REQUEST_ID"] = f"request-{self.number}"
            way = app.fast_path.answer
            app.fast_path.answer = noted = Noted(way)
            answers.append((answered(app, sent), sent.get("REMOTE_USER"), body.read() if not callable(data) else b""))
            app.fast_path.answer = way
            went = went or noted.went
        assert answers[0] == answers[1]
        assert self.traces(self.apps[0]) == self.traces(self.apps[1])
        return int(answers[0][0][0][:3]), went

    @staticmethod
    def traces(app):
        """What is left of all requests: documents with their histories, lines of the audit log, counters."""
        documents = app.extensions["deploymetrics"].documents
        history = {entry.key: documents.history(entry.key).items for entry in documents.list().items}
        counted = app.telemetry.counting.memory.totals().items()
        return (
            {tag: [item._replace(record=None) for item in items] for tag, items in history.items()},
            [*telemetry_of(app).audit_log.newest_first()],
            {name: cells for name, cells in counted if name.startswith(("requests", "progress", "errors", "logins"))},
        )


class Noted:
    """A way that notes if it was gone."""

    def __init__(self, way):
        self.way = way
        self.went = False

    def __call__(self, environ):
        answer = self.way(environ)
        self.went = answer is not None
        return answer
