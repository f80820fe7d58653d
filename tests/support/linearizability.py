"""Check that what several clients saw of one item can have happened one after another.

Each operation has the times of its call and its return by one clock, and what it saw. Every write made a version of its
own, and versions count on by one, so there is only one order in which the writes can stand: the search that such a
check needs in general is not needed here. An order of all operations exists if, and only if,

- the writes that were answered have different versions, and each rests on the version before it;
- every value that was seen is that of the write of its version;
- no operation is placed before one that returned before it was called.

A read of version v stands after the write v and before the write v + 1, so the last point is about versions alone.
"""

from typing import NamedTuple


class Seen(NamedTuple):
    """One operation: when it was called and returned, ``write`` or ``read``, the version and value that it made or saw.

    ``based_on`` is the version that a write was conditional on, None for any. A write without an answer has ``version``
    None: it may have happened or not. Version 0 is that nothing is there.
    """

    called: float
    returned: float
    kind: str
    version: int | None
    value: str | None
    based_on: int | None = None


def violations(operations):
    """What cannot be, as sentences; none if the operations are linearisable."""
    writes = [one for one in operations if one.kind == "write" and one.version is not None]
    lost = {one.value: one for one in operations if one.kind == "write" and one.version is None}
    reads = [one for one in operations if one.kind == "read"]
    made = {one.version: one.value for one in writes}
    answered = set(made)
    if len(made) < len(writes):
        yield "two writes made the same version"
    for one in writes:
        if one.based_on is not None and one.version != one.based_on + 1:
            yield f"a write on version {one.based_on} made version {one.version}"
    for one in reads:
        if one.version == 0:
            if one.value is not None:
                yield "a value without a version"
        elif made.setdefault(one.version, one.value) != one.value:
            yield f"version {one.version} is {made[one.version]} and {one.value}"
        elif one.value not in lost and one.version not in answered:
            yield f"nobody wrote version {one.version}, {one.value}"
        elif one.value in lost and lost[one.value].called > one.returned:
            yield f"version {one.version} was seen before it was written"
    newest = max((one.version for one in writes + reads), default=0)
    missing = set(range(1, newest + 1)) - set(made)
    if len(missing) > len(lost):
        yield f"nobody wrote the versions {sorted(missing)}"
    yield from _out_of_time(writes + reads)


def _out_of_time(operations):
    """An operation has to stand after all that returned before it was called: a write strictly, a read may be equal."""
    by_return = sorted(operations, key=lambda one: one.returned)
    newest, position = 0, 0
    for one in sorted(operations, key=lambda one: one.called):
        while position < len(by_return) and by_return[position].returned < one.called:
            newest = max(newest, by_return[position].version)
            position += 1
        if one.version < newest + (one.kind == "write"):
            yield f"a {one.kind} has version {one.version} after version {newest} was there"
