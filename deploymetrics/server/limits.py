"""Limits of ``serve`` for every client, with either server: bytes, seconds and connections."""

import resource

#: Bytes of the request line, of one header field, and of all of them together; and how many fields.
REQUEST_LINE = 4094
HEADER_FIELD = 8190
HEAD = 2**16
HEADER_FIELDS = 64

#: Seconds for a handshake and a head together, for a body, and for an answer, of which none may pass without any of it;
#: one second more for each so many bytes of a body or an answer.
RECEIVE_SECONDS = 10
SEND_SECONDS = 30
BYTES_PER_SECOND = 2**14
#: Seconds for which a connection is kept; longer than the 60 of nginx, so that none is closed under a request.
KEEP_SECONDS = 75

#: Seconds after which granian, which takes milliseconds to begin, passes for one that never will.
BEGIN_SECONDS = 10
#: Seconds for which a worker that stops waits for clients that may be about to send.
STOP_SECONDS = 2
#: Seconds without a request after which granian's clients pass for those that are not.
QUIET_SECONDS = 0.5

#: Seconds after which a thread that computes lets another one go on; Python's own 5 ms make each read beside it wait.
SWITCH_SECONDS = 0.0005

#: Connections of a worker, of which each needs a file descriptor, and descriptors for all else.
CONNECTIONS = 1000
_OTHER_FILES = 100
#: Connections of a worker of granian, which cannot end one that is idle for another that is new.
MOST_CONNECTIONS = 10_000

#: Bytes that a worker holds for connections that are slow in sending or reading; the largest body fits in any case.
HELD = 2**25
#: Bytes of one answer that wait for a slow reader without a thread.
UNSENT = 2**20


def largest_body(max_body_bytes: int) -> int:
    """Return how many bytes of a body are read at most; a form that edits a document is longer than the document."""
    return 8 * max_body_bytes + 2**16


def may_hold(largest_body: int) -> int:
    """Return how many bytes a worker holds for all clients at most: HELD, or more for a large body."""
    return max(HELD, largest_body + HELD // 4)


def connections(most: int = CONNECTIONS) -> int:
    """Return how many connections a process can have, up to ``most``; raise its limit of open files if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(16, min(most, soft - _OTHER_FILES))
