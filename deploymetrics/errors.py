"""The project's exceptions: what went wrong, with the HTTP status and a stable code that clients may rely on.

Those that are a status of HTTP have its name. No Flask in here: the command line and the storage raise the same errors
as the API.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

#: The realm of BigFix, which its clients look for.
REALM = "BigFix Server"


class DeploymetricsError(Exception):
    """An error with a status, a stable ``code`` and a sentence for the person who caused it.

    ``detail`` is shown to clients, so it never holds a path, a query or a secret. ``extra`` are further members of
    the problem document (RFC 9457, section 3.2): ``line`` and ``column``, ``errors``, ``limit``. ``headers`` go on
    the answer, beside those of the class. ``log`` is for the log only.
    """

    status: int = 500
    code: str = "internal-error"
    detail: str = "Something went wrong on the server. Its log has more under this request id."
    headers: dict[str, str] = {}

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        log: str | None = None,
        **extra: Any,
    ) -> None:
        self.detail = detail or self.detail
        self.code = code or self.code
        self.headers = {**self.headers, **(headers or {})}
        self.log = log
        self.extra = extra
        super().__init__(self.detail)

    @property
    def title(self) -> str:
        """Return the standard phrase of the status: ``Bad Request``."""
        return HTTPStatus(self.status).phrase

    def problem(self, request_id: str) -> dict[str, object]:
        """Return the members of the problem document; ``request_id`` is the one that the logs have.

        ``error`` repeats the sentence: that is where clients of BigFix look for it.
        """
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "error": self.detail,
            **self.extra,
            "requestId": request_id,
        }


class BadRequest(DeploymetricsError):
    """The request cannot be understood: a tag, a query argument or a body that breaks the contract."""

    status = 400
    code = "bad-request"


class MalformedBodyError(BadRequest):
    """A body that its parser refuses; ``line`` and ``column`` (both from 1) say where, where that is known."""

    def __init__(self, detail: str, *, code: str, line: int | None = None, column: int | None = None) -> None:
        if line is not None:
            detail = f"{detail.removesuffix('.')} (line {line}, column {column})."
        super().__init__(detail, code=code)
        if line is not None:
            self.extra |= {"line": line, "column": column}


class InvalidFieldsError(BadRequest):
    """Fields that marshmallow refuses; ``errors`` has its messages by field."""

    code = "invalid-fields"

    def __init__(self, errors: Mapping[str, Any]) -> None:
        detail = " ".join(f"{name}: {' '.join(_texts(messages))}" for name, messages in errors.items())
        super().__init__(detail, errors=errors)


def _texts(messages: Any) -> Iterator[str]:
    """Yield the messages of a field, and of what is in it, such as the elements of a list."""
    if isinstance(messages, str):
        yield messages
    else:
        for part in messages.values() if isinstance(messages, Mapping) else messages:
            yield from _texts(part)


class Unauthorized(DeploymetricsError):
    """No credential, or one that is wrong, broken or expired."""

    status = 401
    code = "unauthorized"
    detail = "This needs valid credentials."
    headers = {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'}


class ProofNeededError(Unauthorized):
    code = "proof-needed"
    detail = "This needs the password of the account: send it by HTTP Basic, or log in again."


class Forbidden(DeploymetricsError):
    """The account is known and may not do this."""

    status = 403
    code = "forbidden"
    detail = "This account may not do that."


class ReservedTagError(Forbidden):
    code = "reserved-tag"
    detail = "The tag platform belongs to the server's collector; nobody else may write it."


class QuotaExceededError(Forbidden):
    """The account may not store that much. The server is well, so this is none of its errors (5xx)."""

    code = "quota-exceeded"


class NotFound(DeploymetricsError):
    """The address, or what the request names, does not exist."""

    status = 404
    code = "not-found"
    detail = "There is nothing at this address."


class MethodNotAllowed(DeploymetricsError):
    """The address does not have this method; the header ``Allow`` says which it has."""

    status = 405
    code = "method-not-allowed"


class NotAcceptable(DeploymetricsError):
    status = 406
    code = "not-acceptable"
    detail = "Answers are application/json or application/xml; the Accept header takes neither."


class PreconditionFailed(DeploymetricsError):
    """The document is not in the state that the request's precondition asks for; nothing was written.

    ``revision`` is the current one, None where there is no document; the answer has it as ``ETag``.
    """

    status = 412
    code = "precondition-failed"

    def __init__(self, detail: str, *, revision: str | None) -> None:
        super().__init__(detail)
        self.revision = revision


class BodyTooLargeError(DeploymetricsError):
    """The body is over the limit; ``limit`` names it in bytes."""

    status = 413
    code = "body-too-large"

    def __init__(self, limit: int, detail: str | None = None) -> None:
        super().__init__(detail or f"The body is larger than the limit of {limit} bytes.", limit=limit)


class UnsupportedMediaType(DeploymetricsError):
    """A Content-Type or Content-Encoding that is not read."""

    status = 415
    code = "unsupported-media-type"


class TooManyAttemptsError(DeploymetricsError):
    """Too many wrong credentials for this account and address."""

    status = 429
    code = "too-many-attempts"

    def __init__(self, retry_after: int, detail: str = "Too many failed attempts; try again later.") -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class TooManyPostsError(TooManyAttemptsError):
    """The account posts more often than it may."""

    code = "too-many-posts"


class StorageError(DeploymetricsError):
    """The storage cannot answer now; nothing of the request was stored."""

    status = 503
    code = "storage-unavailable"
    detail = "The storage cannot answer now."
    headers = {"Retry-After": "5"}


class StorageFullError(StorageError):
    """The disk or the quota is full."""

    status = 507
    code = "storage-full"
    detail = "The storage is full; nothing was stored."


class DamagedItemError(StorageError):
    """A stored item cannot be read; it is left as it is and has to be repaired by hand."""

    code = "damaged-item"


class ReadOnlyError(DeploymetricsError):
    status = 503
    code = "read-only"
    detail = "The server takes no changes at the moment (READ_ONLY); reading goes on."
    headers = {"Retry-After": "60"}


class SettingError(DeploymetricsError):
    """A setting is not usable; the start stops and the message names it."""

    code = "bad-setting"


class ConflictError(DeploymetricsError):
    """An import found other versions under the same tag; they are left as they are."""

    status = 409
    code = "already-there"


class AccountError(DeploymetricsError):
    """An account command cannot be carried out: the name is taken, unknown or not valid."""

    status = 409
    code = "account-conflict"
