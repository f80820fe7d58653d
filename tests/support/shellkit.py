"""``deploymetrics`` for the shells of a test: a small program that has a process do it that imported the package.

Each command is forked from that process, with the arguments, folder, environment and streams of the program.
"""

import json
import os
import signal
import socket
import sys
from contextlib import contextmanager

from hashing import hash_quickly
from launching import forked

from deploymetrics.cli import main

_PROGRAM = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(9) or 255))
"""


@contextmanager
def command_for_shells(folder):
    """Put the program ``deploymetrics`` into a folder; what it is called for is done until the end of the block."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path := str(folder / "socket"))
        listener.listen()
        program = folder / "deploymetrics"
        program.write_text(_PROGRAM.format(python=sys.executable, path=path))
        program.chmod(0o755)
        process = forked(_serve, listener)
        process.start()
        try:
            yield
        finally:
            process.terminate()
            process.join()


def _serve(listener):
    hash_quickly()
    while True:
        connection, _ = listener.accept()
        with connection:
            message, streams, *_ = socket.recv_fds(connection, 2**16, 3)
            while more := connection.recv(2**16):
                message += more
            if (child := os.fork()) == 0:
                _carry_out(streams, *json.loads(message))
            for stream in streams:
                os.close(stream)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            connection.sendall(str(code).encode())


def _carry_out(streams, arguments, folder, environment):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # those before may not be of this kind
    sys.argv = ["deploymetrics", *arguments]
    try:
        main(arguments, prog_name="deploymetrics")
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)
