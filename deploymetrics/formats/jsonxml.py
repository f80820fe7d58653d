"""JSON as XML and back without loss, in the elements that XPath 3.1 defines for ``json-to-xml``.

Nothing here recurses over a document, so neither a body nor a stored value can exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

from . import rawjson

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

XPATH = "http://www.w3.org/2005/xpath-functions"
TOO_DEEP = f"The body is nested deeper than {rawjson.MAX_DEPTH} levels."
_NAMES = {f"{{{XPATH}}}{name}": name for name in ("map", "array", "string", "number", "boolean", "null")}
_ILLEGAL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# JSON without any of these has no string that XML writes differently: no markup, no escapes, no U+FFFE or U+FFFF.
_CARE = (b"&", b"<", b">", b"\\", b"\xef\xbf\xbe", b"\xef\xbf\xbf")
_ESCAPED = re.compile(r'(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+', re.DOTALL)
# A quotation mark after an even number of backslashes: one that is not escaped.
_OPEN_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*+)"')
_BOOLEAN = {"true": True, "1": True, "false": False, "0": False}


class ElementError(Exception):
    """An XML element that breaks the format; ``detail`` says how, for the client."""

    def __init__(self, element: Element, detail: str, code: str = "malformed-xml") -> None:
        self.element, self.detail, self.code = element, detail, code


def text_content(string: str) -> str:
    """Escape a string that XML can hold, for element or attribute content, so that its white space survives."""
    string = string.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return string.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#9;")


def plain(value: object) -> str:
    """Escape any value as content for a person to read; characters that XML cannot hold become U+FFFD."""
    return text_content(_ILLEGAL.sub("\ufffd", str(value)))


def escape_string(string: str, attribute: str = "escaped") -> tuple[str, str]:
    """Return the content for a string, and the attribute ``escaped="true"`` if XML cannot hold the string as it is."""
    if not _ILLEGAL.search(string):
        return text_content(string), ""
    escaped = rawjson.quote(string)[1:-1]
    return text_content(_ILLEGAL.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped)), f' {attribute}="true"'


def json_to_xml(metrics: bytes) -> str:
    """Convert compact JSON to XML, without adding white space."""
    # Most documents have no string that needs care, and to see that once is faster than to look at each.
    needs_care = any(care in metrics for care in _CARE)
    escape = escape_string if needs_care else lambda string, attribute="": (string, "")
    out = []
    stack: list[tuple[Iterator[tuple[str | None, Any]], str]] = [(iter([(None, rawjson.parse(metrics))]), "")]
    while stack:
        children, end = stack[-1]
        for key, value in children:
            if key is None:
                key = ""
            else:
                content, escaped = escape(key, "escaped-key")
                key = f'{escaped} key="{content}"'
            kind = type(value)
            if kind is rawjson.Pairs or kind is list:
                name, members = ("map", value) if kind is rawjson.Pairs else ("array", zip(repeat(None), value))
                out.append(f"<{name}{key}>")
                stack.append((iter(members), f"</{name}>"))
                break
            if kind is str:
                content, escaped = escape(value)
                out.append(f"<string{key}{escaped}>{content}</string>")
            elif kind is rawjson.Number:
                out.append(f"<number{key}>{value}</number>")
            elif value is None:
                out.append(f"<null{key}/>")
            else:
                out.append(f"<boolean{key}>{'true' if value else 'false'}</boolean>")
        else:
            out.append(end)
            stack.pop()
    out[0] = re.sub("^<[a-z]+", rf'\g<0> xmlns="{XPATH}"', out[0])
    return "".join(out)


def unescape(element: Element, content: str, flag: str) -> str:
    """Return the string of an element's or key's ``content``; ``flag`` is the attribute that marks it as escaped."""
    is_escaped = element.get(flag, "false").strip(rawjson.WHITE)
    if is_escaped not in _BOOLEAN:
        raise ElementError(element, f"The attribute {flag} must be true or false.")
    if not _BOOLEAN[is_escaped]:
        return content
    if not _ESCAPED.fullmatch(content):
        raise ElementError(element, "A backslash in escaped text must start a JSON escape.")
    # XPath lets quotation marks and white space stand unescaped; JSON does not.
    content = content.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    string: str = rawjson.parse('"{}"'.format(_OPEN_QUOTE.sub(r'\1\"', content)).encode())
    if re.search("[\ud800-\udfff]", string):
        raise ElementError(element, "Escaped text must not hold half of a surrogate pair.")
    return string


def check_blank(element: Element) -> None:
    """Raise ElementError if an element that holds elements only has text in it."""
    if (element.text or "").strip(rawjson.WHITE) or any((child.tail or "").strip(rawjson.WHITE) for child in element):
        raise ElementError(element, "There is text where only elements may be.")


def content_of(element: Element) -> str:
    """Return the text of an element that has no children."""
    if len(element):
        raise ElementError(element, "There are elements where only text may be.")
    return element.text or ""


def _leaf_json(element: Element, name: str) -> str:
    """Return the JSON text of a string, number, boolean or null element."""
    content = content_of(element)
    if name == "string":
        return rawjson.quote(unescape(element, content, "escaped"))
    content = content.strip(rawjson.WHITE)
    if name == "number" and rawjson.NUMBER.fullmatch(content):
        return content
    if name == "boolean" and content in _BOOLEAN:
        return "true" if _BOOLEAN[content] else "false"
    if name == "null" and not content:
        return "null"
    raise ElementError(element, f"This is not the content of a {name}.")


def _key_json(element: Element, name: str, in_map: bool) -> str:
    """Check the attributes of an element, and return the JSON text of its key with a colon, or "" in an array."""
    allowed = {"escaped": name == "string", "key": in_map, "escaped-key": in_map}
    if any(attribute[0] != "{" and not allowed.get(attribute) for attribute in element.keys()):
        raise ElementError(element, "An attribute is not one that may be here.")
    if not in_map:
        return ""
    key = element.get("key")
    if key is None:
        raise ElementError(element, "A value in a map needs the attribute key.")
    return rawjson.quote(unescape(element, key, "escaped-key")) + ":"


def to_json(root: Element) -> str:
    """Convert an XML element back to JSON text; raises ElementError."""
    out: list[str] = []
    stack: list[tuple[Iterator[Element], str, bool]] = [(iter([root]), "", False)]
    while stack:
        children, end, in_map = stack[-1]
        for child in children:
            name = _NAMES.get(child.tag)
            if name is None:
                raise ElementError(child, f"This is not an element of XPath's JSON: {', '.join(_NAMES.values())}.")
            comma = "," if out and not out[-1].endswith(("[", "{")) else ""
            start = comma + _key_json(child, name, in_map)
            if name in ("map", "array"):
                check_blank(child)
                if len(stack) > rawjson.MAX_DEPTH:
                    raise ElementError(child, TOO_DEEP, "too-deep")
                out.append(start + ("{" if name == "map" else "["))
                stack.append((iter(child), "}" if name == "map" else "]", name == "map"))
                break
            out.append(start + _leaf_json(child, name))
        else:
            out.append(end)
            stack.pop()
    return "".join(out)
