"""The XML of answers; its schema is ``static/BESAPI.xsd``."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from .jsonxml import escape_string, json_to_xml, plain

PROBLEM = "urn:ietf:rfc:7807"


_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<BESAPI xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:noNamespaceSchemaLocation="BESAPI.xsd">\n'
)
_TAIL = "</BESAPI>\n"


def document_element(
    tag: str,
    resource: str,
    modified: datetime | None = None,
    metrics: bytes | None = None,
    last_changed: str | None = None,
    *,
    version: int | None = None,
    changed_at: str | None = None,
    changed_by: str | None = None,
    deleted: bool = False,
) -> str:
    """Return the DeploymentMetrics element of a document, or with the arguments from ``version`` on of a version of it.

    ``resource`` is its URL, ``modified`` an aware datetime, ``metrics`` compact JSON, ``last_changed`` as in ``12 Jan
    2018 12:00``, ``changed_at`` a precise text. A deletion has neither metrics nor last_changed.
    """
    attributes = {
        "Resource": resource,
        # Not strftime, whose names follow the locale.
        "LastModified": modified and format_datetime(modified.astimezone(UTC)),
        "Version": version,
        "ChangedAt": changed_at,
        "ChangedBy": changed_by,
        "Deleted": "true" if deleted else None,
    }
    attribute_text = "".join(f' {name}="{plain(value)}"' for name, value in attributes.items() if value is not None)
    tag_text, escaped = escape_string(tag)
    lines = [f"    <DeploymentMetrics{attribute_text}>", f"        <Tag{escaped}>{tag_text}</Tag>"]
    if metrics is not None:
        lines += ["        <Metrics>", "            " + json_to_xml(metrics), "        </Metrics>"]
        lines.append(f"        <LastChanged>{plain(last_changed)}</LastChanged>")
    return "\n".join([*lines, "    </DeploymentMetrics>\n"])


def render_documents(elements: Iterable[str]) -> Iterator[bytes]:
    """Yield the XML of an answer with several documents, a piece for each element, so that a list can be streamed."""
    yield _HEAD.encode()
    for element in elements:
        yield element.encode()
    yield _TAIL.encode()


def render_document(element: str) -> bytes:
    """Return the XML of an answer with one document."""
    return f"{_HEAD}{element}{_TAIL}".encode()


def render_tokens(tokens: Iterable[tuple[str, Mapping[str, object]]]) -> bytes:
    """Return the XML of an answer with tokens, each given as (URL, members)."""
    pieces = [_HEAD]
    for resource, members in tokens:
        pieces.append(f'    <Token Resource="{plain(resource)}">\n')
        for name, value in members.items():
            texts, singular = [plain(value)], name.removesuffix("s")
            if isinstance(value, tuple):
                texts = [f"<{singular}>{plain(member)}</{singular}>" for member in value]
            pieces.append(f"        <{name}>{''.join(texts)}</{name}>\n")
        pieces.append("    </Token>\n")
    return "".join([*pieces, _TAIL]).encode()


def _member_xml(key: object, value: object) -> str:
    """Return the XML of a problem's member: lists have ``i`` elements, keys that are no names a ``field`` element."""
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


def render_problem(problem: Mapping[str, object]) -> bytes:
    """Return a problem document (RFC 9457) as XML; its members stand in the order of the mapping."""
    content = "".join(_member_xml(*item) for item in problem.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="{PROBLEM}">{content}</problem>\n'.encode()
