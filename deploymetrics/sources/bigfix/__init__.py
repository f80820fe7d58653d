"""The source ``bigfix``: session relevance over the REST API of a real BigFix server.

The wire is the affair of ``bigfix-remote-session-relevance``: Basic and bearer credentials, a server with and without
an Explorer (503, and then the older encoding of the query), errors that come with HTTP 200, tuples. Its backend is used
rather than its client, which looks for configured deployments and trusts an unknown certificate on first use.

Expressions are evaluated one after the other: a root server is spared a burst, and a wrong password is tried once.
"""

import asyncio
import logging
import os
import stat
from importlib.util import find_spec
from typing import Any

from ...formats.logs import raised_at
from .. import Findings, Round, Source, SourceError
from .endpoint import Endpoint, read_endpoint
from .metrics import Metric, RelevanceError, metrics_of, value_of

#: A server that gave no usable answer so many times in a row is left alone until the next round.
FAILURES_IN_A_ROW = 3
_NOT_MASTER = "The BigFix account is not a master operator: the numbers cover only what it may see."
log = logging.getLogger(__name__)


class QueryError(Exception):
    """The server gave no usable answer to one expression; the next one may succeed."""


class BigFixSource(Source):
    """Asks a BigFix server for metrics by relevance, if BIGFIX_SERVER is set."""

    @classmethod
    def is_wanted(cls, settings: dict[str, Any]) -> bool:
        return bool(settings["BIGFIX_SERVER"])

    def configuration(self) -> Any:
        try:
            access: Endpoint | str = read_endpoint(self.settings, self.context.instance)
        except SourceError as error:
            access = error.detail
        return {
            "settings": {name: self.settings[name] for name in self.settings if name.startswith("BIGFIX_")},
            "access": access,
            "authorities": _file_stamp(os.path.join(self.context.instance, self.settings["BIGFIX_CA_FILE"])),
            "library": find_spec("bigfix_remote_session_relevance") is not None,
        }

    def collect_round(self, current: Round) -> Findings:
        """Return the values of the Metrics that are due, as far as the server evaluates them in time."""
        return asyncio.run(self._collect(current, read_endpoint(self.settings, self.context.instance)))

    async def _collect(self, current: Round, endpoint: Endpoint) -> Findings:
        metrics = metrics_of(self.settings)
        asked = {metric.name: current.asked.get(metric.name, 0.0) for metric in metrics}
        # What failed comes last, and before that what was asked longest ago: first of all what the last round left.
        due = sorted(
            (metric for metric in metrics if current.is_due(metric.name, metric.every)),
            key=lambda metric: (metric.name in current.failed, asked[metric.name]),
        )
        findings = Findings({}, {}, current.warning, asked)
        if not due:
            return findings
        async with self._backend(endpoint) as backend:
            try:
                await self._ask(backend, endpoint, due, current, findings)
            except SourceError as error:
                error.findings = findings
                raise
            if len(findings.failed) == len(metrics):
                raise SourceError(f"Every metric failed; {_first_failure(findings)}", findings=findings)
            return findings._replace(warning=await self._warn_unless_master(backend, current))

    async def _ask(
        self, backend: Any, endpoint: Endpoint, due: list[Metric], current: Round, findings: Findings
    ) -> None:
        """Put the server's answers for Metrics that are due into the Findings; raises SourceError if it has none."""
        limit = self.settings["BIGFIX_CONNECT_SECONDS"] + self.settings["BIGFIX_QUERY_SECONDS"]
        reserve = min(2.0, current.seconds / 10)
        in_a_row = 0
        for number, metric in enumerate(due):
            seconds = min(limit, current.left() - reserve)
            if number and seconds < reserve:
                break
            try:
                evaluation = self._evaluate(backend, endpoint, metric.relevance)
                result = await asyncio.wait_for(evaluation, max(seconds, reserve))
                findings.values[metric.name] = value_of(metric, result)
                in_a_row = 0
            except RelevanceError as error:
                findings.failed[metric.name] = endpoint.redact(str(error))
                in_a_row = 0
            except TimeoutError:
                if number and seconds < limit:
                    break  # it had less time than it may take: in the next round it comes first
                findings.failed[metric.name] = f"BigFix: timeout: the answer took more than {seconds:.0f} seconds."
                in_a_row += 1
            except QueryError as error:
                findings.failed[metric.name] = str(error)
                in_a_row += 1
            findings.asked[metric.name] = current.now
            if in_a_row == FAILURES_IN_A_ROW:
                if not findings.values:
                    raise SourceError(f"No metric could be collected; {_first_failure(findings)}")
                log.warning("%d expressions in a row failed; the rest comes in the next round.", FAILURES_IN_A_ROW)
                break

    def _backend(self, endpoint: Endpoint) -> Any:
        try:
            from bigfix_remote_session_relevance import ConfigError, RestBackend

            from .transport import BoundedTransport, ssl_context
        except ImportError:
            raise SourceError("Install deploymetrics[bigfix] to collect from BigFix.", permanent=True) from None
        try:
            return RestBackend(
                endpoint.server,
                username=endpoint.user or None,
                password=endpoint.password or None,
                token=endpoint.token or None,
                transport=BoundedTransport(verify=ssl_context(self.settings, self.context.instance)),
                connect_timeout=self.settings["BIGFIX_CONNECT_SECONDS"],
                read_timeout=self.settings["BIGFIX_QUERY_SECONDS"],
            )
        except ConfigError as error:
            raise SourceError(f"BIGFIX_SERVER is not usable: {error}.", permanent=True) from None

    async def _evaluate(self, backend: Any, endpoint: Endpoint, relevance: str) -> Any:
        """Have the server evaluate one expression, and return the result.

        Raises RelevanceError or QueryError if this one failed, SourceError if every other one would fail too.
        """
        try:
            result = await backend.evaluate(relevance)
        except Exception as error:  # of the library, at an answer that it did not foresee
            log.error("%s at %s", type(error).__name__, raised_at(error))
            raise QueryError(f"BigFix: the answer cannot be read: {type(error).__name__}.") from None
        if not result.ok:
            raise self._error_of(endpoint, result.error)
        if endpoint.is_repeated_in(result.answers):
            raise RelevanceError("The answer repeats the credentials.")
        return result

    def _error_of(self, endpoint: Endpoint, error: Any) -> Exception:
        if error.kind == "session_relevance":
            return RelevanceError(error.message)
        # Redacted before anything is cut: half a secret would not be found any more.
        message = endpoint.redact(f"BigFix: {error.kind}: {error.message.rstrip('.')}.")
        if error.code == "cert_verify_failed":
            from .transport import fingerprint_hint

            is_pinned = self.settings["BIGFIX_FINGERPRINT"]
            hint = "" if is_pinned else fingerprint_hint(endpoint, self.settings["BIGFIX_CONNECT_SECONDS"])
            return SourceError(f"{message} {hint}", permanent=True)
        if error.kind == "authentication":
            return SourceError(message, permanent=True)
        return QueryError(message)

    async def _warn_unless_master(self, backend: Any, current: Round) -> str:
        """Return a warning unless the BigFix account is a master operator: only those may list Web Reports servers."""
        seconds = min(self.settings["BIGFIX_CONNECT_SECONDS"], current.left() / 2)
        try:
            servers = await asyncio.wait_for(backend.registered_servers(), seconds)
        except TimeoutError:
            return current.warning
        return _NOT_MASTER if getattr(servers, "code", None) == "permission_denied" else ""


def _first_failure(findings: Findings) -> str:
    name, reason = next(iter(findings.failed.items()))
    return f"{name}: {reason}"


def _file_stamp(path: str) -> list[int] | None:
    """Return time and size of a file, which tell that it changed; None if there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size] if stat.S_ISREG(status.st_mode) else None
