"""Error handlers make the answer to an exception: a problem document under ``/api``, a page elsewhere; and log it."""

from contextlib import suppress

from flask import Flask, current_app, make_response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as PageResponse

from .. import errors
from .request_ids import CODE, request_id_of
from .responses import Response, problem_response
from .urls import in_api

_DRAINED = 2**24
Answer = Response | PageResponse


def init_app(app: Flask) -> None:
    """Register the handlers on the application: those of a blueprint miss unknown URLs below its prefix."""
    app.register_error_handler(errors.DeploymetricsError, answer_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    app.register_error_handler(Exception, answer_bug)


def answer_error(error: errors.DeploymetricsError) -> Answer:
    """Return the answer to one of the project's own errors; those of the server are logged with what they say."""
    if error.status >= 500:
        log(error, error.log or error.detail)
    return _answer(error)


def answer_http_exception(error: HTTPException) -> HTTPException | Answer:
    """Return the answer to an error of Flask or werkzeug, in the project's form; redirects pass."""
    if error.code is None or error.code < 400:
        return error
    if isinstance(error, RequestEntityTooLarge):
        return _answer(errors.BodyTooLarge(current_app.config["MAX_BODY_BYTES"]))
    known = _KNOWN.get(error.code)
    ours = known() if known else errors.DeploymetricsError(error.description, code=f"http-{error.code}")
    ours.status = error.code
    ours.headers |= {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    if allowed := ours.headers.get("Allow"):
        ours.detail = f"This address does not have this method; it has {allowed}."
    return _answer(ours)


def answer_bug(error: Exception) -> Answer:
    """Return the answer to what nobody expected: a fixed sentence and the id under which all of it is in the log."""
    log(error, "unexpected error")
    return _answer(errors.DeploymetricsError())


_KNOWN: dict[int, type[errors.DeploymetricsError]] = {404: errors.NotFound, 405: errors.MethodNotAllowed}


def log(error: BaseException, message: str) -> str:
    """Write the error to the log, and return the request id under which it is there.

    One of the project's own takes one line, which says its cause: a full disk must not fill the log as well.
    """
    request_id = request_id_of(request.environ)
    bug = None if isinstance(error, errors.DeploymetricsError) else error
    current_app.logger.error(
        "%s: %s %s: %s",
        request_id,
        request.method,
        request.path,
        message,
        exc_info=bug,
        extra={"requestId": request_id},
    )
    return request_id


def _drain() -> None:
    """Read what is left of a refused body, up to a bound: a connection that is closed with bytes unread is reset, and
    the client, or a proxy, may never see the answer."""
    environ = request.environ
    if environ.get("wsgi.input_terminated"):  # only then does reading end where the body does
        with suppress(Exception):
            left = _DRAINED
            while left > 0 and (data := environ["wsgi.input"].read(min(left, 2**16))):
                left -= len(data)


def _answer(error: errors.DeploymetricsError) -> Answer:
    request.environ[CODE] = error.code
    if error.code != "broken-body":  # of which nothing more is to come
        _drain()
    if in_api():
        return problem_response(error)
    page = render_template("web/error.html", error=error, request_id=request_id_of(request.environ))
    return make_response(page, error.status, error.headers)
