"""The XML of the API: the one parser of bodies and the writer of answers; their schema is ``static/BESAPI.xsd``."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice

from lxml import etree

from ..errors import MalformedBody
from . import rawjson
from .jsonxml import TOO_DEEP, Wrong, check_blank, content_of, escape_string, json_to_xml, plain, to_json, unescape

PROBLEM = "urn:ietf:rfc:7807"

# BESAPI, DeploymentMetrics and Metrics around the value, and a leaf in its innermost container.
_MAX_XML_DEPTH = rawjson.MAX_DEPTH + 4
_DECLARATION = re.compile(r"<\?xml\s([^>]*?)\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']*)""")
# Comments and CDATA are taken whole; any other "<!" or "<?" is a DOCTYPE or a processing instruction (or broken). A tag
# that never ends matches to the end of the text, so that the scan stays linear.
_MARKUP = re.compile(
    r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|(?P<forbidden><[!?])|(?P<end></)"""
    r"""|(?P<start><(?:[^"'>/]++|"[^"]*+"|'[^']*+'|/(?!>))*+(?P<empty>/)?)""",
    re.DOTALL,
)


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
                raise rawjson.malformed(text, match.start(), TOO_DEEP, "too-deep")
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
    check_blank(element)
    found = {}
    for child in element:
        if child.tag not in names or child.tag in found:
            raise Wrong(child, f"In {element.tag} there may be one of each: {', '.join(names)}.")
        found[child.tag] = child
    return found


def _read_envelope(root, tag):
    """The JSON text in a BESAPI or BES envelope."""
    if root.tag not in ("BESAPI", "BES"):
        raise Wrong(root, "The root element must be BESAPI or BES.")
    document = _children(root, "DeploymentMetrics").get("DeploymentMetrics")
    if document is None:
        raise Wrong(root, "There must be one DeploymentMetrics.")
    parts = _children(document, "Tag", "Metrics", "LastChanged")
    named = parts.get("Tag")
    if named is not None and unescape(named, content_of(named), "escaped") != tag:
        raise Wrong(named, "The Tag in the body is not the one in the address.", "tag-mismatch")
    if "Metrics" not in parts:
        raise Wrong(document, "There must be one Metrics.")
    check_blank(parts["Metrics"])
    if len(parts["Metrics"]) != 1:
        raise Wrong(parts["Metrics"], "In Metrics there must be exactly one element.")
    return to_json(parts["Metrics"][0])


def read_document(body, tag):
    """The metrics of an XML body, as compact JSON bytes; a Tag in the body must equal ``tag``.

    Raises ``MalformedBody`` with line and column, code ``malformed-xml``, ``forbidden-xml`` (DOCTYPE, entity,
    processing instruction) or ``too-deep``; ``tag-mismatch`` for another Tag.
    """
    text = rawjson.decode(body, "malformed-xml")
    _check_text(text)
    root = _parse(body)
    try:
        return rawjson.compact(_read_envelope(root, tag).encode())
    except Wrong as wrong:
        # lxml keeps the line only, and none over 65,535; the n-th element is the n-th start tag.
        number = next(n for n, element in enumerate(root.iter()) if element is wrong.element)
        starts = (match.start() for match in _MARKUP.finditer(text) if match.lastgroup == "start")
        raise rawjson.malformed(text, next(islice(starts, number, None)), wrong.detail, wrong.code) from None


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
    shown = "".join(f' {name}="{plain(value)}"' for name, value in attributes.items() if value is not None)
    tag, escaped = escape_string(entry.tag)
    parts = [f"    <DeploymentMetrics{shown}>", f"        <Tag{escaped}>{tag}</Tag>"]
    if not entry.deleted:
        parts += ["        <Metrics>", "            " + json_to_xml(entry.metrics), "        </Metrics>"]
        parts.append(f"        <LastChanged>{plain(entry.last_changed)}</LastChanged>")
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
    is_name = re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]*", key)
    name, attribute = (key, "") if is_name else ("field", f' name="{plain(key)}"')
    if isinstance(value, dict):
        content = "".join(_member_xml(*item) for item in value.items())
    elif isinstance(value, list | tuple):
        content = "".join(_member_xml("i", item) for item in value)
    else:
        content = "" if value is None else plain(str(value).lower() if isinstance(value, bool) else value)
    return f"<{name}{attribute}>{content}</{name}>"


def render_problem(problem):
    """An error, RFC 9457, as XML bytes; the dict has type, title, status, detail and code first, then extensions."""
    content = "".join(_member_xml(*item) for item in problem.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="{PROBLEM}">{content}</problem>\n'.encode()
