"""How exceptions are answered: with a problem document under ``/api``, a page elsewhere, and a line in the log."""

from flask import Flask, make_response, render_template
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Response as PageResponse

from .. import errors
from .environ_keys import CODE
from .request_ids import request_id_of
from .requests import Request, current_request
from .responses import Response, problem_response
from .urls import in_api


def init_app(app: Flask) -> None:
    """Register the handler on the application: one of a blueprint misses unknown URLs below its prefix."""
    app.register_error_handler(Exception, answer_error)


def answer_error(error: Exception) -> Response | PageResponse:
    """Return the answer to any exception, in the project's form."""
    request = current_request()
    problem = problem_of(error, request)
    if in_api():
        return problem_response(problem, request)
    page = render_template("web/error.html", error=problem, request_id=request_id_of(request.environ))
    return make_response(page, problem.status, problem.headers)


def problem_of(error: Exception, request: Request) -> errors.DeploymetricsError:
    """Convert an exception to one of the project's own; log it if the server is at fault, and drop the request's body.

    For an unexpected one the answer has a fixed sentence, and the request id under which the log has the traceback.
    """
    if isinstance(error, MemoryError):
        error = errors.NoMemoryError()
    if isinstance(error, errors.DeploymetricsError):
        problem = error
        if error.status >= 500 and not isinstance(error, errors.ReadOnlyError):  # which a person chose
            log_error(error, error.log or error.detail, request)
    elif isinstance(error, NotFound):
        problem = errors.NotFound()
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))  # in one order, whichever worker answers
        detail = f"This address does not have this method; it has {allowed}."
        problem = errors.MethodNotAllowed(detail, headers={"Allow": allowed})
    elif isinstance(error, HTTPException):
        problem = errors.DeploymetricsError(error.description, code=f"http-{error.code}")
        problem.status = error.code or 500
    else:
        log_error(error, "unexpected error", request)
        problem = errors.DeploymetricsError()
    request.environ[CODE] = problem.code
    if problem.code != "broken-body":  # of which nothing more is to come
        request.drop_body()
    return problem


def log_error(error: BaseException, message: str, request: Request) -> str:
    """Log an error of a request, and return the request id.

    One of the project's own takes one line, without a traceback: a full disk must not fill the log as well.
    """
    request_id = request_id_of(request.environ)
    bug = None if isinstance(error, errors.DeploymetricsError) else error
    fields = (request_id, request.method, request.path, message)
    request.app.logger.error("%s: %s %s: %s", *fields, exc_info=bug, extra={"requestId": request_id})
    return request_id
