"""What schemathesis makes of the OpenAPI document, sent as each role: no answer is one that is not described."""

from collections import Counter

from corpus import FUZZ
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

#: For each operation, and each is sent as each role: as many as a few seconds of processor time allow.
EXAMPLES = FUZZ or 10
#: Credentials are those of the roles, which invented ones would replace.
CONFIG = {"generation": {"with-security-parameters": False}}
#: What there is, in place of what schemathesis thinks of in every other request.
THERE = {"tag": "custom", "version": "1", "id": "1", "name": "one", "user": "master-operator", "resource": "login"}


def test_every_answer_is_described(app, services, nobody, operator, webui, scraper, master):
    from schemathesis import Config, openapi  # takes long, and one process of all needs it

    services.documents.save("custom", b"1", "test")
    services.tokens.add("master-operator", "one", "test", duration=1)
    everyone = [{"auth": (each.name, each.password)} for each in (operator, webui, scraper, master)]
    statuses = Counter()
    described = openapi.from_wsgi("/openapi.json", app, config=Config.from_dict(CONFIG))
    for result in described.get_all_operations():
        send(result.ok(), [{}, *everyone], statuses)
    assert {200, 204, 400, 401, 403, 404, 406, 412} <= set(statuses) and not any(s >= 500 for s in statuses), statuses


def send(operation, credentials, statuses):
    """Send requests for an operation, such as the document describes and others, as each of some."""
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi import checks

    conforms = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(modes), st.booleans())
    def call(case, is_there):
        if is_there:
            case.path_parameters.update({name: THERE[name] for name in case.path_parameters})
            case.headers = {}  # conditions mostly fail
        for each in credentials:
            answer = case.call_and_validate(checks=conforms, **each)
            statuses[answer.status_code] += 1

    call()
