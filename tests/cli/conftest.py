"""What the tests of several commands share."""

import pytest


@pytest.fixture
def service(services):
    return services.documents


@pytest.fixture
def invoke(app):
    """Run a command of the application; gives its result."""
    return lambda *arguments, **kwargs: app.test_cli_runner().invoke(args=list(map(str, arguments)), **kwargs)
