"""The directive ``generated``: a part of the reference that is made of the program, so that it is always true."""

import tempfile
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from deploymetrics import create_app
from deploymetrics.api.openapi import describe
from deploymetrics.cli.settings import table_text


def api() -> str:
    """Return each operation of the OpenAPI document: what it does, for whom, its parameters and answers."""
    with tempfile.TemporaryDirectory() as folder:
        paths = describe(create_app(folder), "")["paths"]
    lines: list[str] = []
    for path, operations in paths.items():
        lines += [path, "-" * len(path), ""]
        for method, operation in operations.items():
            lines += _operation(method.upper(), operation)
    return "\n".join(lines)


def _operation(method: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"**{method}**: {operation['summary']} {operation['description']}", ""]
    for place in ("path", "query", "header"):
        for one in operation["parameters"]:
            if one["in"] == place:
                lines += [f"- {place} ``{one['name']}``: {one['description'].replace('*', '``*``')}"]
    if "requestBody" in operation:
        lines += [f"- body: {', '.join(f'``{kind}``' for kind in operation['requestBody']['content'])}"]
    for status, answer in operation["responses"].items():
        if status < "400":
            names = ", ".join(f"``{name}``" for name in (*answer.get("content", ()), *answer.get("headers", ())))
            lines += [f"- {status} {answer['description']} {names}".rstrip()]
    refused = [status for status in operation["responses"] if status >= "400"]
    return [*lines, f"- refused with {', '.join(refused)}", ""]


PARTS = {"settings": table_text, "api": api}


class Generated(SphinxDirective):
    """``.. generated:: settings`` or ``api``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what is made of the part's text."""
        return self.parse_text_to_nodes(PARTS[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
