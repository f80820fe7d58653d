"""How times are written."""

from email.utils import formatdate

import pytest

from deploymetrics.clock import as_http_date


@pytest.mark.parametrize("seconds", [-1, 0, 951782399, 951782400, 1515758403, 1796038144, 4102444799])
def test_http_dates_are_those_of_the_standard_library(seconds):
    assert as_http_date(seconds) == formatdate(seconds, usegmt=True)
