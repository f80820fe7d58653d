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

    A class names its own status and code in its first line; what it does not name is that of the class above.
    ``detail`` is shown to clients, so it never holds a path, a query or a secret. ``extra`` are further members of
    the problem document (RFC 9457, section 3.2): ``line`` and ``column``, ``errors``, ``limit``. ``headers`` go on
    the answer, beside those of the class. ``log`` is for the log only.
    """

    status: int = 500
    code: str = "internal-error"
    detail: str = "Something went wrong on the server. Its log has more under this request id."
    headers: dict[str, str] = {}

    def __init_subclass__(cls, status: int | None = None, code: str | None = None) -> None:
        cls.status, cls.code = status or cls.status, code or cls.code

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
        """Return the members of the problem document (RFC 9457); ``error`` is for clients of BigFix."""
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


class BadRequest(DeploymetricsError, status=400, code="bad-request"):
    """The request cannot be understood: a tag, a query argument or a body that breaks the contract."""


class MalformedBodyError(BadRequest):
    """A body that its parser refuses, with the ``line`` and ``column`` of the mistake (from 1) if they are known."""

    def __init__(self, detail: str, *, code: str, line: int | None = None, column: int | None = None) -> None:
        if line is not None:
            detail = f"{detail.removesuffix('.')} (line {line}, column {column})."
        super().__init__(detail, code=code)
        if line is not None:
            self.extra |= {"line": line, "column": column}


class InvalidFieldsError(BadRequest, code="invalid-fields"):
    """Fields that marshmallow refuses; ``errors`` has its messages by field."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        detail = " ".join(f"{name}: {' '.join(_texts(messages))}" for name, messages in errors.items())
        super().__init__(detail, errors=errors)


def _texts(messages: Any) -> Iterator[str]:
    """Yield the messages of a field and, if it is a list or dict, of its elements."""
    if isinstance(messages, str):
        yield messages
    else:
        for part in messages.values() if isinstance(messages, Mapping) else messages:
            yield from _texts(part)


def with_names(messages: Any) -> str:
    """Return marshmallow's messages as sentences, each behind the names of what it is about."""
    if isinstance(messages, Mapping):
        return " ".join(f"{name}: {with_names(inner)}" for name, inner in messages.items())
    return messages if isinstance(messages, str) else " ".join(map(with_names, messages))


class Unauthorized(DeploymetricsError, status=401, code="unauthorized"):
    """No credential, or one that is wrong, broken or expired."""

    detail = "This needs valid credentials."
    headers = {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'}


class ProofNeededError(Unauthorized, code="proof-needed"):
    detail = "This needs the password of the account: send it by HTTP Basic, or log in again."


class Forbidden(DeploymetricsError, status=403, code="forbidden"):
    """The account is known and may not do this."""

    detail = "This account may not do that."


class ReservedTagError(Forbidden, code="reserved-tag"):
    detail = "The tag platform belongs to the server's collector; nobody else may write it."


class QuotaExceededError(Forbidden, code="quota-exceeded"):
    """The account may not store that much. The server is well, so this is none of its errors (5xx)."""


class NotFound(DeploymetricsError, status=404, code="not-found"):
    """The address, or what the request names, does not exist."""

    detail = "There is nothing at this address."


class MethodNotAllowed(DeploymetricsError, status=405, code="method-not-allowed"):
    """The address does not have this method; the header ``Allow`` says which it has."""


class NotAcceptable(DeploymetricsError, status=406, code="not-acceptable"):
    detail = "Answers are application/json or application/xml; the Accept header takes neither."


class PreconditionFailed(DeploymetricsError, status=412, code="precondition-failed"):
    """The document is not in the state that the request's precondition asks for; nothing was written.

    ``revision`` is the current one, None where there is no document; the answer has it as ``ETag``.
    """

    def __init__(self, detail: str, *, revision: str | None) -> None:
        super().__init__(detail)
        self.revision = revision


class BodyTooLargeError(DeploymetricsError, status=413, code="body-too-large"):
    """The body is over the limit; ``limit`` names it in bytes."""

    def __init__(self, limit: int, detail: str | None = None) -> None:
        super().__init__(detail or f"The body is larger than the limit of {limit} bytes.", limit=limit)


class UnsupportedMediaType(DeploymetricsError, status=415, code="unsupported-media-type"):
    """A Content-Type or Content-Encoding that the server does not read."""


class TooManyAttemptsError(DeploymetricsError, status=429, code="too-many-attempts"):
    """Too many wrong credentials for this account and address."""

    def __init__(self, retry_after: int, detail: str = "Too many failed attempts; try again later.") -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class TooManyPostsError(TooManyAttemptsError, code="too-many-posts"):
    """The account posts more often than it may."""


class StorageError(DeploymetricsError, status=503, code="storage-unavailable"):
    """The storage cannot answer now; nothing of the request was stored."""

    detail = "The storage cannot answer now."
    headers = {"Retry-After": "5"}


class StorageFullError(StorageError, status=507, code="storage-full"):
    """The disk or the quota is full."""

    detail = "The storage is full; nothing was stored."


class DamagedItemError(StorageError, code="damaged-item"):
    """A stored item cannot be read; it is left as it is and has to be repaired by hand."""


class NoMemoryError(DeploymetricsError, status=503, code="no-memory"):
    """The system has no memory left for this."""

    detail = "The server has no memory left for this at the moment."
    headers = {"Retry-After": "5"}


class ReadOnlyError(DeploymetricsError, status=503, code="read-only"):
    detail = "The server takes no changes at the moment (READ_ONLY); reading goes on."
    headers = {"Retry-After": "60"}


class SettingError(DeploymetricsError, code="bad-setting"):
    """A setting is not usable; the start stops and the message names it."""


class ConflictError(DeploymetricsError, status=409, code="already-there"):
    """An import found other versions under the same tag; they are left as they are."""


class AccountError(DeploymetricsError, status=409, code="account-conflict"):
    """An account cannot be changed so: its name is taken, unknown or not valid."""
