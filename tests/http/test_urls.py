"""Rules that are compiled when a URL of theirs is written, beside werkzeug's own."""

import pytest
from werkzeug import routing
from werkzeug.routing import Map, rules

from deploymetrics.http import urls


def test_all_rules_are_such(app):
    assert {type(rule) for rule in app.url_map.iter_rules()} == {urls.Rule}


def test_a_rule_is_compiled_once_and_only_for_a_url(monkeypatch):
    compiled = []
    monkeypatch.setattr(rules, "compile", lambda *args: compiled.append(args[1]) or compile(*args), raising=False)
    bound = Map([urls.Rule(f"/only-here/{name}/<a>", endpoint=name) for name in "xyz"]).bind("a")
    assert bound.match("/only-here/x/1") == ("x", {"a": "1"}) and compiled == []
    assert [bound.build("y", {"a": "1"}) for _ in range(2)] == ["/only-here/y/1"] * 2 and len(compiled) == 1


@pytest.mark.parametrize("values", [{}, {"a": "1"}, {"a": "ä /?", "b": "2"}, {"b": 2, "c": [1, 2]}])
@pytest.mark.parametrize("append_unknown", [True, False])
@pytest.mark.parametrize("rule", ["/x", "/x/<a>", "/x/<path:a>.xsd", "/x/<int:b>"])
def test_it_writes_what_werkzeug_writes(rule, append_unknown, values):
    def written(kind):
        try:
            return Map([kind(rule, endpoint="x")]).bind("a").build("x", values, append_unknown=append_unknown)
        except (routing.BuildError, ValueError) as error:
            return type(error)

    assert written(urls.Rule) == written(routing.Rule)
