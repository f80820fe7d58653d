"""The XML of the API: a lossless form of JSON, the one parser of bodies, the writer of answers, and the schema.

JSON values take the elements that XPath 3.1 defines for ``json-to-xml``. Nothing here recurses over a document, so
neither a body nor a stored value can exhaust the stack.
"""

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice, repeat
from pathlib import Path

from lxml import etree

from . import rawjson
from .errors import BadRequest, MalformedBody

XPATH = "http://www.w3.org/2005/xpath-functions"
PROBLEM = "urn:ietf:rfc:7807"
SCHEMA_FILE = Path(__file__).parent / "static" / "BESAPI.xsd"

_WHITE = " \t\r\n"
_NAMES = {f"{{{XPATH}}}{name}": name for name in ("map", "array", "string", "number", "boolean", "null")}
# BESAPI, DeploymentMetrics and Metrics around the value, and a leaf in its innermost container.
_MAX_XML_DEPTH = rawjson.MAX_DEPTH + 4
_TOO_DEEP = f"The body is nested deeper than {rawjson.MAX_DEPTH} levels."
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# JSON without any of these has no string that XML writes differently: no markup, no escapes, no U+FFFE or U+FFFF.
_CARE = (b"&", b"<", b">", b"\\", b"\xef\xbf\xbe", b"\xef\xbf\xbf")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPED = re.compile(r'(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+', re.DOTALL)
# A quotation mark after an even number of backslashes: one that is not escaped.
_OPEN_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*+)"')
_BOOLEAN = {"true": True, "1": True, "false": False, "0": False, None: False}
_DECLARATION = re.compile(r"<\?xml\s([^>]*?)\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']*)""")
# Comments and CDATA are taken whole; any other "<!" or "<?" is a DOCTYPE or a processing instruction (or broken). A tag
# that never ends matches to the end of the text, so that the scan stays linear.
_MARKUP = re.compile(
    r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|(?P<forbidden><[!?])|(?P<end></)"""
    r"""|(?P<start><(?:[^"'>/]++|"[^"]*+"|'[^']*+'|/(?!>))*+(?P<empty>/)?)""",
    re.DOTALL,
)


class _Wrong(Exception):
    """An element that breaks the format."""

    def __init__(self, element, detail, code="malformed-xml"):
        self.element, self.detail, self.code = element, detail, code


# --- JSON to XML


def _text(string):
    """A string, which XML can hold, as element or attribute content; white space survives attributes and CR."""
    string = string.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return string.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#9;")


def _plain(value):
    """Any value as content for a person to read; what XML cannot hold becomes U+FFFD."""
    return _text(_ILLEGAL.sub("\ufffd", str(value)))


def _escape(string, attribute="escaped"):
    """The content for a string and the attribute it needs, which is none unless XML cannot hold the string."""
    if not _ILLEGAL.search(string):
        return _text(string), ""
    escaped = rawjson.quote(string)[1:-1]
    return _text(_ILLEGAL.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped)), f' {attribute}="true"'


def _as_is(string, attribute=""):
    """Like ``_escape``, for strings known to need nothing."""
    return string, ""


def _leaf(value, key, escape):
    """The element of a value that is not an array or object."""
    kind = type(value)
    if kind is str:
        content, escaped = escape(value)
        return f"<string{key}{escaped}>{content}</string>"
    if kind is rawjson.Number:
        return f"<number{key}>{value}</number>"
    return f"<null{key}/>" if value is None else f"<boolean{key}>{'true' if value else 'false'}</boolean>"


def json_to_xml(metrics):
    """The XML fragment, as text, of JSON that ``rawjson.compact`` returned; no white space is added."""
    # Most documents have no string that needs care, and to see that once is faster than to look at each.
    escape = _escape if any(care in metrics for care in _CARE) else _as_is
    out = []
    opened = [(iter([(None, rawjson.parse(metrics))]), "")]
    while opened:
        children, end = opened[-1]
        for key, value in children:
            if key is None:
                key = ""
            else:
                content, escaped = escape(key, "escaped-key")
                key = f'{escaped} key="{content}"'
            kind = type(value)
            if kind is rawjson.Pairs:
                out.append(f"<map{key}>")
                opened.append((iter(value), "</map>"))
                break
            if kind is list:
                out.append(f"<array{key}>")
                opened.append((zip(repeat(None), value), "</array>"))
                break
            out.append(_leaf(value, key, escape))
        else:
            out.append(end)
            opened.pop()
    name = re.match("<[a-z]+", out[0])[0]
    out[0] = f'{name} xmlns="{XPATH}"{out[0][len(name):]}'
    return "".join(out)


# --- XML to JSON


def _unescape(element, content, flag):
    """The string that ``content`` stands for, given its attribute ``escaped`` or ``escaped-key``."""
    if _flag(element, flag):
        if not _ESCAPED.fullmatch(content):
            raise _Wrong(element, "A backslash in escaped text must start a JSON escape.")
        # XPath lets quotation marks and white space stand unescaped; JSON does not.
        content = content.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
        content = rawjson.parse('"{}"'.format(_OPEN_QUOTE.sub(r'\1\"', content)).encode())
        if re.search("[\ud800-\udfff]", content):
            raise _Wrong(element, "Escaped text must not hold half of a surrogate pair.")
    return content


def _flag(element, name):
    """Whether a boolean attribute is set."""
    value = element.get(name)
    value = value if value is None else value.strip(_WHITE)
    if value not in _BOOLEAN:
        raise _Wrong(element, f"The attribute {name} must be true or false.")
    return _BOOLEAN[value]


def _check_attributes(element, *allowed):
    """Nothing, unless an attribute without a namespace is not one of these."""
    if any(name[0] != "{" and name not in allowed for name in element.keys()):
        raise _Wrong(element, "An attribute is not one that may be here.")


def _check_blank(element):
    """Nothing, unless there is text in or between the children of an element that holds elements only."""
    if (element.text or "").strip(_WHITE) or any((child.tail or "").strip(_WHITE) for child in element):
        raise _Wrong(element, "There is text where only elements may be.")


def _content(element):
    """The text of an element that has no children."""
    if len(element):
        raise _Wrong(element, "There are elements where only text may be.")
    return element.text or ""


def _leaf_json(element, name):
    """The JSON text of a string, number, boolean or null element."""
    content = _content(element)
    if name == "string":
        return rawjson.quote(_unescape(element, content, "escaped"))
    content = content.strip(_WHITE)
    if name == "number" and _NUMBER.fullmatch(content):
        return content
    if name == "boolean" and content in _BOOLEAN:
        return "true" if _BOOLEAN[content] else "false"
    if name == "null" and not content:
        return "null"
    raise _Wrong(element, f"This is not the content of a {name}.")


def _member(element, name, in_map):
    """The JSON text of an object's key with its colon, or nothing in an array; attributes are checked."""
    own = ("escaped",) if name == "string" else ()
    if not in_map:
        _check_attributes(element, *own)
        return ""
    _check_attributes(element, "key", "escaped-key", *own)
    key = element.get("key")
    if key is None:
        raise _Wrong(element, "A value in a map needs the attribute key.")
    return rawjson.quote(_unescape(element, key, "escaped-key")) + ":"


def _name(element):
    """The local name of one of XPath's six elements."""
    name = _NAMES.get(element.tag)
    if name is None:
        raise _Wrong(element, "This is not an element of XPath's JSON: map, array, string, number, boolean, null.")
    return name


def _to_json(root):
    """The JSON text of an element; ``_Wrong`` names the element that is not right."""
    out = []
    opened = [(iter([root]), "", False)]
    while opened:
        children, end, in_map = opened[-1]
        for child in children:
            name = _name(child)
            comma = "," if out and not out[-1].endswith(("[", "{")) else ""
            start = comma + _member(child, name, in_map)
            if name in ("map", "array"):
                _check_blank(child)
                if len(opened) > rawjson.MAX_DEPTH:
                    raise _Wrong(child, _TOO_DEEP, "too-deep")
                out.append(start + ("{" if name == "map" else "["))
                opened.append((iter(child), "}" if name == "map" else "]", name == "map"))
                break
            out.append(start + _leaf_json(child, name))
        else:
            out.append(end)
            opened.pop()
    return "".join(out)


def xml_to_json(element):
    """The compact JSON, as bytes, of an XPath JSON element: numbers, order and duplicate keys as they are.

    Raises ``MalformedBody``, code ``malformed-xml``, with the line; the column is 1, for lxml knows no better.
    """
    try:
        return rawjson.compact(_to_json(element).encode())
    except _Wrong as wrong:
        raise MalformedBody(wrong.detail, code=wrong.code, line=wrong.element.sourceline, column=1) from None


# --- Bodies


def _check_text(text):
    """Nothing; refuses, before any parser runs, what a body must not have."""
    declaration = _DECLARATION.match(text)
    encoding = declaration and _ENCODING.search(declaration[1])
    if encoding and encoding[1].lower() not in ("utf-8", "us-ascii"):
        raise rawjson.malformed(text, 0, "The encoding must be UTF-8.", "malformed-xml")
    start = declaration.end() if declaration else 0
    # Too few tags to be too deep, and nothing but tags: that spares most bodies the exact look.
    if text.count("<") > _MAX_XML_DEPTH or text.find("<!", start) >= 0 or text.find("<?", start) >= 0:
        _check_markup(text, start)


def _check_markup(text, start):
    """Nothing; refuses a DOCTYPE, a processing instruction, or tags nested too deeply."""
    depth = 0
    for match in _MARKUP.finditer(text, start):
        kind = match.lastgroup
        if kind == "start":
            if depth >= _MAX_XML_DEPTH:
                raise rawjson.malformed(text, match.start(), _TOO_DEEP, "too-deep")
            depth += match["empty"] is None
        elif kind == "end":
            depth -= 1
        elif kind and text.startswith(("<!--", "<![CDATA["), match.start()):
            raise rawjson.malformed(text, match.start(), "A comment or CDATA does not end.", "malformed-xml")
        elif kind:
            detail = "A DOCTYPE, an entity or a processing instruction must not be in a body."
            raise rawjson.malformed(text, match.start(), detail, "forbidden-xml")


def _parse(body):
    """The root element of a body; without DTD, entities, network or processing instructions, whatever it holds."""
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        huge_tree=True,  # for JSON nested over 256 deep; size and depth are bounded before
    )
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        entry = parser.error_log[0] if len(parser.error_log) else None
        line, column = (entry.line, entry.column) if entry else error.position
        message = entry.message.strip() if entry else "it cannot be read"
    raise MalformedBody(f"The body is not XML: {message}.", code="malformed-xml", line=line, column=column)


def _children(element, *names):
    """The children of an element by name: each one of ``names``, each at most once."""
    _check_blank(element)
    found = {}
    for child in element:
        if child.tag not in names or child.tag in found:
            raise _Wrong(child, f"In {element.tag} there may be one of each: {', '.join(names)}.")
        found[child.tag] = child
    return found


def _read_envelope(root, tag):
    """The JSON text in a BESAPI or BES envelope."""
    if root.tag not in ("BESAPI", "BES"):
        raise _Wrong(root, "The root element must be BESAPI or BES.")
    document = _children(root, "DeploymentMetrics").get("DeploymentMetrics")
    if document is None:
        raise _Wrong(root, "There must be one DeploymentMetrics.")
    parts = _children(document, "Tag", "Metrics", "LastChanged")
    named = parts.get("Tag")
    if named is not None and _unescape(named, _content(named).strip(_WHITE), "escaped") != tag:
        raise BadRequest("The Tag in the body is not the one in the address.", code="tag-mismatch")
    if "Metrics" not in parts:
        raise _Wrong(document, "There must be one Metrics.")
    _check_blank(parts["Metrics"])
    if len(parts["Metrics"]) != 1:
        raise _Wrong(parts["Metrics"], "In Metrics there must be exactly one element.")
    return _to_json(parts["Metrics"][0])


def read_document(body, tag):
    """The metrics of an XML body, as compact JSON bytes; a Tag in the body must equal ``tag``.

    Raises ``MalformedBody`` with line and column, code ``malformed-xml``, ``forbidden-xml`` (DOCTYPE, entity,
    processing instruction) or ``too-deep``; ``BadRequest``, code ``tag-mismatch``, for another Tag.
    """
    text = rawjson.decode(body, "malformed-xml")
    _check_text(text)
    root = _parse(body)
    try:
        return rawjson.compact(_read_envelope(root, tag).encode())
    except _Wrong as wrong:
        # lxml keeps the line only, and none over 65,535; the n-th element is the n-th start tag.
        number = next(n for n, element in enumerate(root.iter()) if element is wrong.element)
        starts = (match.start() for match in _MARKUP.finditer(text) if match.lastgroup == "start")
        raise rawjson.malformed(text, next(islice(starts, number, None)), wrong.detail, wrong.code) from None


# --- Answers


@dataclass(slots=True, kw_only=True)
class Entry:
    """What an XML answer shows of one document; the fields from ``version`` on are for the history.

    ``metrics`` is compact JSON, ``last_changed`` is ``12 Jan 2018 12:00``, ``resource`` the URL, ``modified`` an aware
    datetime, ``changed_at`` is ``2018-01-12T12:00:03.123456Z``. A deletion has neither metrics nor last_changed.
    """

    tag: str
    resource: str
    modified: datetime | None = None
    metrics: bytes | None = None
    last_changed: str | None = None
    version: int | None = None
    changed_at: str | None = None
    changed_by: str | None = None
    deleted: bool = False


_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<BESAPI xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:noNamespaceSchemaLocation="BESAPI.xsd">\n'
)
_TAIL = "</BESAPI>\n"


def _render(entry):
    """The DeploymentMetrics element of one document, as text."""
    attributes = {
        "Resource": entry.resource,
        # Not strftime, whose names follow the locale.
        "LastModified": entry.modified and format_datetime(entry.modified.astimezone(UTC)),
        "Version": entry.version,
        "ChangedAt": entry.changed_at,
        "ChangedBy": entry.changed_by,
        "Deleted": "true" if entry.deleted else None,
    }
    shown = "".join(f' {name}="{_plain(value)}"' for name, value in attributes.items() if value is not None)
    tag, escaped = _escape(entry.tag)
    parts = [f"    <DeploymentMetrics{shown}>", f"        <Tag{escaped}>{tag}</Tag>"]
    if not entry.deleted:
        parts += ["        <Metrics>", "            " + json_to_xml(entry.metrics), "        </Metrics>"]
        parts.append(f"        <LastChanged>{_plain(entry.last_changed)}</LastChanged>")
    return "\n".join([*parts, "    </DeploymentMetrics>\n"])


def render_documents(entries):
    """The pieces, as bytes, of an answer with these entries: one piece a document, so that a list can be streamed."""
    yield _HEAD.encode()
    for entry in entries:
        yield _render(entry).encode()
    yield _TAIL.encode()


def render_document(entry):
    """The answer with one document, as bytes."""
    return (_HEAD + _render(entry) + _TAIL).encode()


def _member_xml(key, value):
    """The element of a problem's member; lists have ``i`` elements, and odd keys become a ``field`` with a name."""
    key = str(key)
    plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]*", key)
    name, attribute = (key, "") if plain else ("field", f' name="{_plain(key)}"')
    if isinstance(value, dict):
        content = "".join(_member_xml(*item) for item in value.items())
    elif isinstance(value, list | tuple):
        content = "".join(_member_xml("i", item) for item in value)
    else:
        content = "" if value is None else _plain(str(value).lower() if isinstance(value, bool) else value)
    return f"<{name}{attribute}>{content}</{name}>"


def render_problem(problem):
    """An error, RFC 9457, as XML bytes: the standard members and ``code`` first, then the extensions."""
    members = {"type": "about:blank", "title": "", "status": 500, "detail": "", "instance": None, "code": ""} | problem
    if members["instance"] is None:
        del members["instance"]
    content = "".join(_member_xml(*item) for item in members.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="{PROBLEM}">{content}</problem>\n'.encode()


@functools.cache
def schema():
    """The XML schema that every XML answer is valid against; read once, from the package only."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.XMLSchema(etree.parse(str(SCHEMA_FILE), parser))
