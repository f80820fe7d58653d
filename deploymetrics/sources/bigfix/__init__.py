"""The source ``bigfix``: session relevance over the REST API of a real BigFix server.

The wire is the affair of ``bigfix-remote-session-relevance``: Basic and bearer credentials, a server with and without
an Explorer (503, and then the older encoding of the query), errors that come with HTTP 200, tuples. Its backend is used
rather than its client, which looks for configured deployments and trusts an unknown certificate on first use.

Expressions are evaluated one after the other: a root server is spared a burst, and a wrong password is tried once.
"""

import asyncio
import json
import math
import os
import stat
from importlib.resources import files
from importlib.util import find_spec
from typing import NamedTuple

from .. import Findings, Source, SourceError
from .access import read_access

NUMBER, TEXT, COUNTS, ANY = "number", "text", "counts", "any"
_NOT_MASTER = "The BigFix account is not a master operator: the numbers cover only what it may see."


class Metric(NamedTuple):
    """A row of the table: a metric's name, its relevance, and what kind of answer makes sense."""

    name: str
    relevance: str
    answer: str = ANY


def default_metrics():
    """The Metrics that ship with the package."""
    text = files(__package__).joinpath("relevance.json").read_text(encoding="utf-8")
    return [Metric(**row) for row in json.loads(text)]


def metrics_of(settings):
    """The default Metrics as BIGFIX_METRICS extends, replaces and drops them."""
    changes = settings["BIGFIX_METRICS"]
    kept = [metric for metric in default_metrics() if metric.name not in changes]
    return kept + [Metric(name, relevance) for name, relevance in changes.items() if relevance]


def _stamp(path):
    """What changes with a file, without reading it; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size] if stat.S_ISREG(status.st_mode) else None


class BigFixSource(Source):
    """Wanted where BIGFIX_SERVER is set."""

    @classmethod
    def is_wanted(cls, settings):
        return bool(settings["BIGFIX_SERVER"])

    def configuration(self):
        return {
            "settings": {name: self.settings[name] for name in self.settings if name.startswith("BIGFIX_")},
            "access": self._access_or_refusal(),
            "authorities": _stamp(os.path.join(self.context.instance, self.settings["BIGFIX_CA_FILE"])),
            "library": find_spec("bigfix_remote_session_relevance") is not None,
        }

    def _access_or_refusal(self):
        try:
            return read_access(self.settings, self.context.instance)
        except SourceError as error:
            return error.detail

    def collect(self):
        """A value for each Metric that the server could evaluate."""
        return asyncio.run(self._collect(read_access(self.settings, self.context.instance)))

    async def _collect(self, access):
        values, failed = {}, {}
        async with self._backend(access) as backend:
            for metric in metrics_of(self.settings):
                try:
                    values[metric.name] = shaped(metric, await self._evaluate(backend, access, metric.relevance))
                except RelevanceError as error:
                    failed[metric.name] = access.redacted(str(error))
            return Findings(values, failed, await self._scope(backend))

    def _backend(self, access):
        try:
            from bigfix_remote_session_relevance import ConfigError, RestBackend

            from .transport import BoundedTransport, trusting
        except ImportError:
            raise SourceError("Install deploymetrics[bigfix] to collect from BigFix.", permanent=True) from None
        try:
            return RestBackend(
                access.server,
                username=access.user or None,
                password=access.password or None,
                token=access.token or None,
                transport=BoundedTransport(verify=trusting(self.settings, self.context.instance, access)),
                connect_timeout=self.settings["BIGFIX_CONNECT_SECONDS"],
                read_timeout=self.settings["BIGFIX_QUERY_SECONDS"],
            )
        except ConfigError as error:
            raise SourceError(f"BIGFIX_SERVER is not usable: {error}.", permanent=True) from None

    async def _evaluate(self, backend, access, relevance):
        """The result of one expression; raises RelevanceError for that one, SourceError for the server as a whole."""
        seconds = self.settings["BIGFIX_CONNECT_SECONDS"] + self.settings["BIGFIX_QUERY_SECONDS"]
        try:
            # The library's timeouts are for each read, and an answer can come in very many.
            result = await asyncio.wait_for(backend.evaluate(relevance), seconds)
        except TimeoutError:
            raise SourceError(f"BigFix: timeout: the answer took more than {seconds} seconds.") from None
        if not result.ok:
            raise self._failure(access, result.error)
        if access.is_repeated_in(result.answers):
            raise RelevanceError("The answer repeats the credentials.")
        return result

    def _failure(self, access, error):
        if error.kind == "session_relevance":
            return RelevanceError(error.message)
        # Redacted before a SourceError cuts it: half a secret would not be found any more.
        message = access.redacted(f"BigFix: {error.kind}: {error.message.rstrip('.')}.")
        untrusted = error.code == "cert_verify_failed"
        if untrusted:
            message = f"{message} {self._certificate(access)}"
        # Other failures of TLS are those of a server that is being restarted.
        return SourceError(message, permanent=untrusted or error.kind == "authentication")

    def _certificate(self, access):
        from .transport import fingerprint_of

        if self.settings["BIGFIX_FINGERPRINT"]:
            return "The certificate changed, or expired."
        return fingerprint_of(access, self.settings["BIGFIX_CONNECT_SECONDS"])

    async def _scope(self, backend):
        """A warning if the account is not a master operator: only those may list the Web Reports servers."""
        try:
            found = await asyncio.wait_for(backend.registered_servers(), self.settings["BIGFIX_CONNECT_SECONDS"])
        except TimeoutError:
            return ""
        return _NOT_MASTER if getattr(found, "code", None) == "permission_denied" else ""


class RelevanceError(Exception):
    """One expression has no answer, or one that makes no sense."""


def shaped(metric, result):
    """The answer as a metric's value: pairs as a dict, another plural as a list, a singular as it is.

    Raises RelevanceError for what is not of the kind that the Metric names.
    """
    answers = result.answers
    if metric.answer == COUNTS or _are_pairs(result):
        return _counts(answers)
    if metric.answer == ANY and result.plural:
        return [_text(answer) for answer in answers]
    if len(answers) != 1:
        raise RelevanceError(f"There are {len(answers)} answers in place of one.")
    answer = answers[0]
    if metric.answer == TEXT and not isinstance(answer, str | bool):
        raise RelevanceError("The answer is not a text.")
    if metric.answer == NUMBER and (isinstance(answer, bool) or not isinstance(answer, int)):
        raise RelevanceError("The answer is not a whole number.")
    return _text(answer)


def _are_pairs(result):
    return bool(result.answers) and all(isinstance(answer, tuple) and len(answer) == 2 for answer in result.answers)


def _counts(answers):
    try:
        counts = {_text(key): _text(count) for key, count in answers}
    except (TypeError, ValueError):
        raise RelevanceError("The answers are not pairs.") from None
    if len(counts) != len(answers):
        raise RelevanceError("The answers name something twice.")
    return counts


def _text(answer):
    if not isinstance(answer, str | int) and not (isinstance(answer, float) and math.isfinite(answer)):
        raise RelevanceError("An answer is neither text nor a number.")
    text = str(answer)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise RelevanceError("A text holds half of a surrogate pair.")
    return text
