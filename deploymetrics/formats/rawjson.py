"""JSON as text: checked, compacted and taken apart without any number ever becoming a float.

A document comes back digit for digit, so its text is what is stored. ``compact`` is the gate: whatever it returns is
strict RFC 8259, not too deep, and can be parsed by everything else in the project.
"""

import json
import re
from itertools import accumulate, islice
from typing import Any, NoReturn

import msgspec

from ..errors import MalformedBodyError

#: How deep arrays and objects may nest. Well under Python's recursion limit, whatever called us.
MAX_DEPTH = 512
#: How deep an object may nest that holds metrics, such as a whole document.
AROUND_METRICS = MAX_DEPTH + 1

#: A JSON number, as text.
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WHITE = " \t\r\n"
# Strings are taken whole, so that brackets in them do not count. An open string runs to the end: the parser refuses it.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING.pattern + r"|[\[\]{}]", re.DOTALL)
_NOT_BRACKETS = re.compile(rf'(?:[^"\[\]{{}}]++|{_STRING.pattern})++', re.DOTALL)
_NOT_BREAKS = re.compile(rf'(?:[^"\[\]{{}},]++|{_STRING.pattern})++', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1, ",": 0}
#: ``indent`` makes a text at most so many times as long, or so many bytes.
MAX_GROWTH, ALWAYS_INDENTED = 4, 2**16
_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
_BYTE = re.compile(r"^(?:JSON is malformed: )?(.*) \(byte (\d+)\)$")


class Number(str):
    """A JSON number as the digits that were sent."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """A JSON object: its ``(key, value)`` pairs in their order, duplicate keys included."""

    __slots__ = ()


def malformed(text: str, offset: int, detail: str, code: str) -> MalformedBodyError:
    """Return the ``MalformedBodyError`` for an offset in ``text``, with its line and column."""
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return MalformedBodyError(detail, code=code, line=line, column=column)


def decode(body: bytes, code: str) -> str:
    """Decode a body as UTF-8; raises MalformedBodyError, also for a byte order mark and an empty body."""
    try:
        text = body.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise malformed(body[: error.start].decode(), error.start, "The body is not UTF-8.", code) from None
    if text.startswith("\ufeff"):
        raise malformed(text, 0, "The body starts with a byte order mark.", code)
    if not text.strip(WHITE):
        raise malformed(text, 0, "The body is empty.", code)
    return text


def compact(body: bytes, max_depth: int = MAX_DEPTH) -> bytes:
    """Check JSON text, and return it without insignificant white space; all else stays as it was sent.

    Raises MalformedBodyError with line and column: ``malformed-json`` for what RFC 8259 or UTF-8 does not allow (a lone
    surrogate escape included, because it has no UTF-8 form), ``too-deep`` over ``max_depth``, which is
    ``AROUND_METRICS`` for a text that has metrics as a member.
    """
    text = decode(body, "malformed-json")
    _check_depth(text, max_depth)
    try:
        return msgspec.json.format(body, indent=-1)
    except msgspec.DecodeError as error:
        message, offset = _locate(str(error), body, text)
    except RecursionError:
        # Only when the caller itself is hundreds of frames deep.
        raise MalformedBodyError("The body is nested too deeply.", code="too-deep") from None
    raise malformed(text, offset, f"The body is not JSON: {message}.", "malformed-json")


def parse(text: bytes) -> Any:
    """Return the value of compact JSON text: ``Pairs``, list, str, ``Number``, True, False or None."""
    return _DECODER.decode(text.decode())


def indent(text: bytes) -> str:
    """Indent compact JSON text: a line for each member, and two spaces for each level.

    It stays one line where indenting would make it too long: 512 levels can make a thousand bytes of each.
    """
    breaks = _NOT_BREAKS.sub("", text.decode())
    length = len(text) + len(breaks) + 2 * sum(accumulate(map(_STEP.__getitem__, breaks)))
    fits = length <= max(MAX_GROWTH * len(text), ALWAYS_INDENTED)
    return msgspec.json.format(text, indent=2 if fits else -1).decode()


def quote(string: str) -> str:
    """Return the JSON text of a string; only what must be escaped is, so non-ASCII stays readable."""
    return _ENCODER.encode(string)


def _check_depth(text: str, max_depth: int) -> None:
    """Raise MalformedBodyError if brackets nest deeper than ``max_depth``, with the place of the first one too many."""
    # Fewer brackets than levels cannot be too deep; that spares almost every body the exact count.
    if text.count("[") + text.count("{") <= max_depth:
        return
    # Of a str and not of bytes, whose join takes 80 bytes for each piece.
    brackets = _NOT_BRACKETS.sub("", text)
    for number, depth in enumerate(accumulate(map(_STEP.__getitem__, brackets)), 1):
        if depth > max_depth:
            matches = (match for match in _STRING_OR_BRACKET.finditer(text) if match[0] in _STEP)
            offset = next(islice(matches, number - 1, None)).start()
            raise malformed(text, offset, f"The body is nested deeper than {max_depth} levels.", "too-deep")


def _locate(message: str, body: bytes, text: str) -> tuple[str, int]:
    """Return a parser's error message and its offset in characters, which msgspec gives wrongly, or not, for some."""
    match = _BYTE.match(message)
    if match and "surrogate" not in message:
        # Ignore errors: the place may lie inside a character of several bytes.
        offset = int(match[2]) - _is_late(match[1], body[: int(match[2])].decode("utf-8", "ignore"))
        return match[1], len(body[:offset].decode("utf-8", "ignore"))
    try:
        parse(body)
    except json.JSONDecodeError as error:
        if not match:
            return "it ends too early", error.pos
    except RecursionError:
        return "it ends too early", len(text)
    for match in _SURROGATES.finditer(text):
        if match[1]:
            return f"{match[1]} is half of a surrogate pair", match.start()
    return "it ends too early", len(text)


def _is_late(message: str, before: str) -> bool:
    """Return True if msgspec names the byte after the wrong one; ``before`` is the text before the named one."""
    if message == "invalid character":
        # A true, false or null that is spelled wrongly after its first letter; no letter but these comes before a
        # value, and in a string what is wrong is the control character itself.
        return _STRING.sub("", before)[-1:] in ("t", "f", "n")
    return message.startswith("trailing characters") or "unicode escape" in message


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON; only a text that skipped ``compact`` can hold them."""
    raise MalformedBodyError(f"The body is not JSON: {name}.", code="malformed-json")


_ENCODER = json.JSONEncoder(ensure_ascii=False)
_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)
