"""The tokens of accounts: addresses, arguments and members as BigFix 11.0.6 has them, and a few more."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_login import current_user
from marshmallow import EXCLUDE

from ..accounts.records import AccountRecord, Role, Token
from ..accounts.schemas import ChangedToken, NewToken
from ..accounts.tokens import token_in
from ..errors import ProofNeededError
from ..formats import besxml
from ..http.access import needs_proof, require_role
from ..http.requests import current_request
from ..http.responses import Response, check_value_precondition, json_response
from ..schemas import load, whole_number
from ..services import services
from ..telemetry.audited_requests import noted_by_name
from .openapi_schemas import NUMBER, TEXT, TOKEN, TOKENS, answers, list_of
from .views import bp

_DURATION = ("duration", {**NUMBER, "minimum": 0, "default": 30}, "For how many days; 0 is for ever.")
_NEW = (
    ("name", TEXT, "Its name."),
    _DURATION,
    ("access", {**TEXT, "enum": ["full", "read-only", "scrape"]}, "What it may do of what the account may."),
    ("tags", list_of(TEXT), "Patterns of the tags that it may read and write, with * and ?."),
    ("user", TEXT, "The program that it is for; for master operators."),
)


@bp.get("/tokens")
@require_role(*Role)
@answers(TOKENS, 304, 406, xml=True, headers=("ETag",))
def list_tokens() -> Response:
    """List the tokens of the account that asks."""
    return tokens_response("tokens", current_user.record)


@bp.get("/tokens/user/<user>")
@require_role(Role.MASTER_OPERATOR)
@answers(TOKENS, 304, 404, 406, xml=True, headers=("ETag",))
def list_tokens_of_user(user: str) -> Response:
    """List the tokens of an account; it is named by its name or its number."""
    accounts = services().accounts
    numbered = next((record for record in accounts.list() if str(record.id) == user), None)
    record = accounts.find(user) or numbered or accounts.get(user)
    return tokens_response("Tokens", record)  # BigFix writes it so here, and in lower case above


@bp.get("/token/name/<name>")
@require_role(*Role)
@answers(TOKEN, 304, 404, 406, xml=True, headers=("ETag",))
def show_token_by_name(name: str) -> Response:
    """Show a token of the account that asks."""
    return token_response(token_json(current_user.record, token_in(current_user.record, name=name)))


@bp.get("/token/id/<id>")
@require_role(*Role)
@answers(TOKEN, 304, 404, 406, xml=True, headers=("ETag",))
def show_token(id: str) -> Response:
    """Show a token; master operators see those of every account."""
    return token_response(token_json(*find_token(id)))


@bp.post("/token")
@require_role(*Role)
@needs_proof
@noted_by_name
@answers(TOKEN, 404, 406, 409, 507, xml=True, query=_NEW)
def add_token() -> Response:
    """Make a token of the account that asks; this answer alone has its secret, as ``Token``.

    A person sends the password for that (HTTP Basic, or a login a few minutes ago). A program makes one with a token
    that it has, which is not limited; the new one ends no later.
    """
    request = current_request()
    # Arguments that are not known are ignored, as BigFix does.
    arguments = load(NewToken(unknown=EXCLUDE), {**request.args.to_dict(), "tags": request.args.getlist("tags")})
    request.check_answerable()
    check_value_precondition(None)
    owner, token, secret = services().tokens.add_for(current_user, arguments.pop("user"), **arguments)
    return token_response(token_json(owner, token), secret)


@bp.put("/token/<id>")
@require_role(*Role)
@needs_proof
@answers(TOKEN, 404, 406, 409, 507, xml=True, query=(("name", TEXT, "Its new name."), _DURATION))
def change_token(id: str) -> Response:
    """Give a token another name, or another end, so many days from now; what is not given stays.

    With a token its own end cannot be moved.
    """
    arguments = load(ChangedToken(unknown=EXCLUDE), current_request().args)
    record, token = find_token(id)
    if current_user.token is not None and arguments["duration"] is not None:
        raise ProofNeededError("A token cannot move the end of tokens.")
    current_request().check_answerable()
    check = token_precondition(record)
    changed = services().tokens.change(record.name, token.id, current_user.name, check, **arguments)
    return token_response(token_json(record, changed))


@bp.delete("/token/<id>")
@require_role(*Role)
@answers(TOKEN, 404, 406, 507, xml=True)
def revoke_token(id: str) -> Response:
    """Revoke a token: it works nowhere any more, nor do the sessions that began with it."""
    record, token = find_token(id)
    current_request().check_answerable()
    answer = token_json(record, token)
    services().tokens.revoke(record.name, token.id, current_user.name, token_precondition(record))
    return token_response(answer)


def find_token(id: str) -> tuple[AccountRecord, Token]:
    """Return (AccountRecord, Token) for the id in a URL; raises NotFound."""
    number = whole_number(id)
    return services().tokens.find_for(current_user, -1 if number is None else number)


def token_json(record: AccountRecord, token: Token) -> dict[str, Any]:
    """Return a token as JSON members; times are microseconds since 1970, as BigFix has them, and 0 is never."""
    last_use = services().tokens.uses(record.name).get(token.hash, 0.0)
    return {
        "Id": token.id,
        "Name": token.name,
        "Expiration": round(token.expires * 1_000_000),
        "User": record.id,
        "UserName": record.name,
        "Access": token.access,
        "Tags": token.tags,
        "LastUsed": round(last_use * 1_000_000),
    }


def token_response(token: Mapping[str, Any], secret: str | None = None) -> Response:
    """Return the response with one token, and with its secret if it is new."""
    in_json, in_xml = ({}, {}) if secret is None else ({"Token": secret}, {"Secret": secret})
    return json_response({**in_json, **token}, lambda root: _xml([{**in_xml, **token}], root))


def tokens_response(name: str, record: AccountRecord) -> Response:
    """Return the response with all tokens of an account; in JSON they are the member ``name``."""
    tokens = [token_json(record, token) for token in record.tokens]
    return json_response({name: tokens}, lambda root: _xml(tokens, root))


def token_precondition(record: AccountRecord) -> Callable[[Token], None]:
    """Return a function that raises PreconditionFailed unless a token fulfils the request's If-Match and the like."""
    return lambda token: check_value_precondition(token_json(record, token))


def _xml(tokens: list[dict[str, Any]], root: str) -> bytes:
    return besxml.render_tokens((f"{root}api/token/id/{token['Id']}", token) for token in tokens)
