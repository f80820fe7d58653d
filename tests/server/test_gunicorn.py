"""What of gunicorn is overridden, or relied on from the inside, is still what it was when that was written.

When a test here fails, read what gunicorn changed and whether ours still fits; then put in the new hash.
"""

import hashlib
import inspect

import pytest
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import Message, Request
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response, create
from gunicorn.util import close_graceful, write, write_error, write_nonblock
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.workertmp import WorkerTmp

from deploymetrics.server import master
from deploymetrics.server.granian_worker import GranianWorker
from deploymetrics.server.log import Log
from deploymetrics.server.request_parsing import ReceiveBuffer, StrictRequest
from deploymetrics.server.worker import FairThreadWorker

OURS = {
    master.Master: Arbiter,
    master.Server: BaseApplication,
    master.Heartbeat: WorkerTmp,
    Log: Logger,
    FairThreadWorker: ThreadWorker,
    GranianWorker: Worker,
    ReceiveBuffer: Unreader,
    StrictRequest: Request,
}
#: Not overridden, but what they do in which order is part of what ours does.
RELIED_ON = (
    Arbiter.start,
    Worker.__init__,
    Worker.init_process,
    ThreadWorker.enqueue_req,
    ThreadWorker.handle_request,
    ThreadWorker.run,
    ThreadWorker.set_accept_enabled,
    Message.__init__,
    Request.parse,
    Unreader.read,
    Unreader.take_buffered,
    Body.read,
    ChunkedReader.parse_chunk_size,
    ChunkedReader.parse_chunked,
    ChunkedReader.parse_trailers,
    LengthReader.read,
    Response.can_sendfile,
    create,
    close_graceful,
    write,
    write_error,
    write_nonblock,
)
HASHES = {
    "Arbiter.__init__": "53b20d752bbb4cc2",
    "Arbiter.handle_ttou": "3abf8f0696cb040e",
    "Arbiter.manage_workers": "518f2dd040ef6809",
    "Arbiter.murder_workers": "3f8fbfdf473fe338",
    "Arbiter.reload": "fec344d2f774ee32",
    "Arbiter.spawn_worker": "6abc0d90b0b9f80b",
    "Arbiter.start": "92668bdb3e86b1af",
    "Arbiter.stop": "7138b6afd9c46ae0",
    "BaseApplication.__init__": "7b95f575e0502369",
    "BaseApplication.load": "e2d1c6bb2526a2a5",
    "BaseApplication.load_config": "e6dd967d56d4aeb8",
    "BaseApplication.run": "4fcc52f6dfc0c8b9",
    "Body.read": "c7bdfdd1c2c36fb2",
    "ChunkedReader.parse_chunk_size": "997c6693156b4f8a",
    "ChunkedReader.parse_chunked": "ce85cf226da0bbe5",
    "ChunkedReader.parse_trailers": "c2e578afedad3a17",
    "LengthReader.read": "be99a0aa587fc555",
    "Logger.access": "45fce61c353b69b2",
    "Logger.setup": "17c79acdddea07c6",
    "Message.__init__": "14b64a40f29fd0c4",
    "Request.parse": "34c084607ae12d4f",
    "Request.set_body_reader": "db5c46d4c717f58a",
    "Response.can_sendfile": "24f6012251a62814",
    "ThreadWorker._cap_keepalive": "745c8ac37108c74d",
    "ThreadWorker.accept": "f8dcead3dce5c851",
    "ThreadWorker.enqueue_req": "c9f428953d24acef",
    "ThreadWorker.finish_request": "616e7bb15a009ff7",
    "ThreadWorker.get_thread_pool": "003f3549a71b6d34",
    "ThreadWorker.handle": "ca85c9be3df75da4",
    "ThreadWorker.handle_request": "6d0de5b919102efc",
    "ThreadWorker.init_process": "e4fc63a1a68e4f48",
    "ThreadWorker.murder_keepalived": "4459960c4ccc36d4",
    "ThreadWorker.murder_pending": "7bf11f46454296e1",
    "ThreadWorker.run": "f92c7394d85715a4",
    "ThreadWorker.set_accept_enabled": "140150ebfd3cae34",
    "Unreader.__init__": "6219181af6ef67df",
    "Unreader.chunk": "29e0525ac3c7022c",
    "Unreader.read": "cbfeead6687ff48b",
    "Unreader.take_buffered": "89cef5e60e6f09e1",
    "Worker.__init__": "e0f1de2d60574066",
    "Worker.handle_error": "75426448389bbac9",
    "Worker.handle_exit": "e2f7159c426d379c",
    "Worker.init_process": "114caccd7a0e3c21",
    "Worker.init_signals": "65442e0602b05f37",
    "Worker.run": "49ab292508f4cc5c",
    "Worker.load_wsgi": "18b02fc35e964f2b",
    "WorkerTmp.__init__": "5d731e1551a94ace",
    "WorkerTmp.last_update": "97dfcd48118aa3ef",
    "WorkerTmp.notify": "0d06fcb9fe257c7e",
    "close_graceful": "0e5925bfc017bc4e",
    "create": "2c35d4a2dc629ede",
    "write": "cd995031295fd782",
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
