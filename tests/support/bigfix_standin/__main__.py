"""``python -m bigfix_standin FD CERTFILE KEYFILE FOLDER``: serve on an open socket, with TLS."""

import sys

from gunicorn.app.base import BaseApplication

from bigfix_standin.app import create_app

FD, CERTFILE, KEYFILE, FOLDER = sys.argv[1:]
OPTIONS = {
    "bind": f"fd://{FD}",
    "certfile": CERTFILE,
    "keyfile": KEYFILE,
    "worker_class": "gthread",
    "threads": 8,
    "loglevel": "critical",
    "control_socket_disable": True,
    "graceful_timeout": 0,
}


class Server(BaseApplication):
    def load_config(self):
        for name, value in OPTIONS.items():
            self.cfg.set(name, value)

    def load(self):
        return create_app(FOLDER)


Server().run()
