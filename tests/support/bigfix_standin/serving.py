"""Serve the stand-in on an open socket, with TLS."""

from gunicorn.app.base import BaseApplication

from .app import create_app


class Server(BaseApplication):
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        super().__init__()

    def load_config(self):
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self):
        return create_app(self.folder)


def serve(socket, certfile, keyfile, folder):
    """Serve until a signal ends this process."""
    options = {
        "bind": f"fd://{socket.fileno()}",
        "certfile": str(certfile),
        "keyfile": str(keyfile),
        "worker_class": "gthread",
        "threads": 8,
        "loglevel": "critical",
        "control_socket_disable": True,
        "graceful_timeout": 0,
    }
    Server(options, folder).run()
