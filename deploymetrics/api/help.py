"""``/api/help``: the paths of the API as text, read off the URL map, as BigFix has them."""

from flask import current_app

from ..accounts.records import Role
from ..errors import NotFound
from ..http.access import require_role
from ..http.responses import Response, text_response
from .openapi import METHODS, routes
from .openapi_schemas import TEXT, answers
from .views import bp


@bp.get("/help")
@require_role(*Role)
@answers(TEXT)
def help_index() -> Response:
    """List the paths of the API, one a line."""
    paths = dict.fromkeys(path for path, _, _ in routes(current_app.url_map))
    return text_response("".join(f"{path}\n" for path in paths))


@bp.get("/help/<resource>")
@require_role(*Role)
@answers(TEXT, 404)
def help_resource(resource: str) -> Response:
    """List the methods and paths of one resource."""
    start, text = f"/api/{resource}", ""
    rows = [(path, method) for path, method, _ in routes(current_app.url_map) if f"{path}/".startswith(f"{start}/")]
    for method in METHODS:
        if paths := [f"    {path}\n" for path, of_path in rows if of_path == method]:
            text += f"{method}:\n{''.join(paths)}"
    if not text:
        raise NotFound()
    return text_response(text)
