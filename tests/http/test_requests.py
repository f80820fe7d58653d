"""What werkzeug makes of the environ, which a request here makes when it is first looked at."""

import copy

import flask
import pytest
from werkzeug.test import EnvironBuilder

from deploymetrics.http.requests import Request

NAMES = ("path", "query_string", "remote_addr", "root_path", "scheme", "server", "url", "args", "full_path")


def environ():
    builder = EnvironBuilder(
        method="post", path="/api/déjà", base_url="https://host:52311/below/", query_string={"a": "1"}, data=b"[1]"
    )
    return builder.get_environ() | {"REMOTE_ADDR": "192.0.2.1"}


@pytest.mark.parametrize("name", NAMES)
def test_each_attribute_is_werkzeugs_own_whichever_is_looked_at_first(name):
    assert getattr(Request(environ()), name) == getattr(flask.Request(environ()), name)


def test_so_are_the_headers():
    assert list(Request(environ()).headers) == list(flask.Request(environ()).headers)


def test_the_method_is_in_capitals_as_werkzeugs():
    assert Request(environ()).method == flask.Request(environ()).method == "POST"


def test_the_body_can_be_looked_at_first():
    assert Request(environ()).get_data() == b"[1]"


def test_a_request_is_kept_by_nothing_that_it_was_made_from():
    """Else only the garbage collector could free it."""
    start = environ()
    request = Request(start)
    assert request.path == "/api/déjà"
    assert request not in list(start.values())


def test_an_attribute_that_no_request_has_is_an_error_that_names_it():
    request = Request(environ())
    with pytest.raises(AttributeError, match="'Request' object has no attribute 'colour'"):
        request.colour  # noqa: B018
    assert not hasattr(request, "colour")


def test_a_request_can_be_copied():
    assert copy.copy(Request(environ())).path == "/api/déjà"


def test_an_error_within_a_property_is_told_as_it_is():
    class Wrong(Request):
        @property
        def wrong(self):
            return self.environ["REMOTE_ADDR"].colour

    with pytest.raises(AttributeError, match="'str' object has no attribute 'colour'"):
        Wrong(environ()).wrong  # noqa: B018
