"""What of gunicorn is overridden, or relied on from the inside, is still what it was when that was written.

When a test here fails, read what gunicorn changed and whether ours still fits; then put in the new hash.
"""

import hashlib
import inspect

import pytest
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.sock import ssl_context, ssl_wrap_socket
from gunicorn.util import write_error, write_nonblock
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

from deploymetrics import server
from deploymetrics.server.log import Log
from deploymetrics.server.worker import FairThreadWorker

OURS = {server.Master: Arbiter, server.Server: BaseApplication, Log: Logger, FairThreadWorker: ThreadWorker}
#: Not overridden, but what they do in which order is part of what ours does.
RELIED_ON = (
    Arbiter.start,
    Worker.init_process,
    ThreadWorker.handle,
    ThreadWorker.murder_keepalived,
    ThreadWorker.on_pending_socket_readable,
    ThreadWorker.run,
    TConn.__init__,
    TConn.init,
    TConn.close,
    ssl_context,
    ssl_wrap_socket,
    write_error,
    write_nonblock,
)
HASHES = {
    "Arbiter.__init__": "53b20d752bbb4cc2",
    "Arbiter.manage_workers": "518f2dd040ef6809",
    "Arbiter.reload": "fec344d2f774ee32",
    "Arbiter.spawn_worker": "6abc0d90b0b9f80b",
    "Arbiter.start": "92668bdb3e86b1af",
    "Arbiter.stop": "7138b6afd9c46ae0",
    "BaseApplication.__init__": "7b95f575e0502369",
    "BaseApplication.load": "e2d1c6bb2526a2a5",
    "BaseApplication.load_config": "e6dd967d56d4aeb8",
    "BaseApplication.run": "4fcc52f6dfc0c8b9",
    "Logger.access": "45fce61c353b69b2",
    "Logger.setup": "17c79acdddea07c6",
    "TConn.__init__": "c8763d7c65974e1b",
    "TConn.close": "6d1c334ed1979fcb",
    "TConn.init": "5ff3d4ba451cfdf3",
    "ThreadWorker._cap_keepalive": "745c8ac37108c74d",
    "ThreadWorker.accept": "f8dcead3dce5c851",
    "ThreadWorker.finish_request": "616e7bb15a009ff7",
    "ThreadWorker.handle": "ca85c9be3df75da4",
    "ThreadWorker.init_process": "e4fc63a1a68e4f48",
    "ThreadWorker.murder_keepalived": "4459960c4ccc36d4",
    "ThreadWorker.murder_pending": "7bf11f46454296e1",
    "ThreadWorker.on_pending_socket_readable": "2475f7087832c086",
    "ThreadWorker.run": "f92c7394d85715a4",
    "Worker.handle_error": "75426448389bbac9",
    "Worker.init_process": "114caccd7a0e3c21",
    "Worker.init_signals": "65442e0602b05f37",
    "ssl_context": "069b9e2751d0b762",
    "ssl_wrap_socket": "f240092e58c65afe",
    "write_error": "bd0143a03c15a2c8",
    "write_nonblock": "d2ff97701c36645e",
}


def overridden():
    """Every method of gunicorn's that a class of ours has too."""
    for ours, theirs in OURS.items():
        for name in vars(ours):
            if inspect.isfunction(getattr(theirs, name, None)):
                yield getattr(theirs, name)


def hash_of(function):
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


FUNCTIONS = {function.__qualname__: function for function in (*overridden(), *RELIED_ON)}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_gunicorn_is_as_it_was(name):
    assert hash_of(FUNCTIONS[name]) == HASHES.get(name)


def test_no_hash_is_left_over():
    assert set(HASHES) == set(FUNCTIONS)
