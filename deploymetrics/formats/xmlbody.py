"""Reading the XML of request bodies, in the envelope that answers have; the only XML parser for foreign input."""

from __future__ import annotations

from array import array
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from ..errors import MalformedBodyError
from . import rawjson
from .jsonxml import TOO_DEEP, ElementError, check_blank, content_of, to_json, unescape

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

# BESAPI, DeploymentMetrics and Metrics around the value, and a leaf in its innermost container.
_MAX_XML_DEPTH = rawjson.MAX_DEPTH + 4
# Far more than the format has; lxml takes 400 bytes for each.
_MAX_ATTRIBUTES = 100
_LATE_DECLARATION = "The XML declaration must be the very first thing in the body; something stands before it"


class _Scan:
    """A first pass over a body: refuses DOCTYPE, entities and depth, and notes where elements start.

    lxml cannot refuse a DOCTYPE before it has read it, and knows no columns, and no line over 65,535.
    """

    def __init__(self) -> None:
        self.starts = array("q")  # the offsets of the start tags, which takes less than a place for each element
        self._depth = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.XmlDeclHandler = self._check_declaration
        self._parser.StartDoctypeDeclHandler = self._refuse_forbidden
        self._parser.ProcessingInstructionHandler = self._refuse_forbidden
        self._parser.StartElementHandler = self._start_element
        self._parser.EndElementHandler = self._end_element

    def read(self, body: bytes) -> None:
        """Scan the body and fill ``starts``; raises MalformedBodyError if it is forbidden, too deep, or no XML."""
        try:
            self._parser.Parse(body, True)
        except expat.ExpatError as error:
            late = error.code == expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI]
            message = _LATE_DECLARATION if late else f"The body is not XML: {expat.ErrorString(error.code)}"
            place = {"line": error.lineno, "column": error.offset + 1}
            raise MalformedBodyError(f"{message}.", code="malformed-xml", **place) from None

    def _refuse(self, detail: str, code: str = "malformed-xml") -> NoReturn:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        raise MalformedBodyError(detail, code=code, line=line, column=column)

    def _check_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0":
            self._refuse("The version of XML must be 1.0.")
        if (encoding or "utf-8").lower() not in ("utf-8", "us-ascii"):
            self._refuse("The encoding must be UTF-8.")

    def _refuse_forbidden(self, *arguments: object) -> None:
        self._refuse("A DOCTYPE, an entity or a processing instruction must not be in a body.", "forbidden-xml")

    def _start_element(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth >= _MAX_XML_DEPTH:
            self._refuse(TOO_DEEP, "too-deep")
        if len(attributes) > _MAX_ATTRIBUTES:
            self._refuse(f"An element has more than {_MAX_ATTRIBUTES} attributes.")
        self._depth += 1
        self.starts.append(self._parser.CurrentByteIndex)

    def _end_element(self, name: str) -> None:
        self._depth -= 1


def _parse(body: bytes) -> Element:
    """Parse a body that was scanned, without DTD, entities or network, and return its root element."""
    from lxml import etree  # here, for most processes never meet XML

    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        huge_tree=True,  # for JSON nested over 256 deep; size and depth are bounded before
    )
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        detail = f"The body is not XML: {error.msg}."
    raise MalformedBodyError(detail, code="malformed-xml", line=line, column=column)


def _children(element: Element, *names: str) -> dict[str, Element]:
    """Return the children of an element by name; raises ElementError for a name not in ``names``, or one twice."""
    check_blank(element)
    children: dict[str, Element] = {}
    for child in element:
        if child.tag not in names or child.tag in children:
            raise ElementError(child, f"In {element.tag} there may be one of each: {', '.join(names)}.")
        children[child.tag] = child
    return children


def _read_envelope(root: Element, tag: str) -> str:
    """Return the JSON text of the metrics in a BESAPI or BES envelope."""
    if root.tag not in ("BESAPI", "BES"):
        raise ElementError(root, "The root element must be BESAPI or BES.")
    document = _children(root, "DeploymentMetrics").get("DeploymentMetrics")
    if document is None:
        raise ElementError(root, "There must be one DeploymentMetrics.")
    children = _children(document, "Tag", "Metrics", "LastChanged")
    tag_element = children.get("Tag")
    if tag_element is not None and unescape(tag_element, content_of(tag_element), "escaped") != tag:
        raise ElementError(tag_element, "The Tag in the body is not the one in the address.", "tag-mismatch")
    if "Metrics" not in children:
        raise ElementError(document, "There must be one Metrics.")
    check_blank(children["Metrics"])
    if len(children["Metrics"]) != 1:
        raise ElementError(children["Metrics"], "In Metrics there must be exactly one element.")
    return to_json(children["Metrics"][0])


def read_document(body: bytes, tag: str) -> bytes:
    """Return the metrics of an XML body as compact JSON; a Tag in the body must equal ``tag``.

    A byte order mark at its start is no part of the document. Raises ``MalformedBodyError`` with line and column, code
    ``malformed-xml``, ``forbidden-xml`` (DOCTYPE, entity, processing instruction) or ``too-deep``; ``tag-mismatch`` for
    another Tag.
    """
    body = body.removeprefix(BOM_UTF8)
    text = rawjson.decode(body, "malformed-xml")
    if "\0" in text:  # the parser would take it for UTF-16
        raise rawjson.malformed(text, text.index("\0"), "The body has a NUL character.", "malformed-xml")
    scan = _Scan()
    scan.read(body)
    root = _parse(body)
    try:
        return rawjson.compact(_read_envelope(root, tag).encode())
    except ElementError as error:
        number = next(number for number, element in enumerate(root.iter()) if element is error.element)
        offset = len(body[: scan.starts[number]].decode())
        raise rawjson.malformed(text, offset, error.detail, error.code) from None
