"""How Sphinx builds the documentation: ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from deploymetrics.version import VERSION  # noqa: E402

project = "deploymetrics"
author = "the developers of deploymetrics"
version = release = VERSION
extensions = ["generated", "sphinx_click"]
exclude_patterns = ["build"]
highlight_language = "none"
nitpicky = True
html_theme = "furo"
html_title = f"deploymetrics {VERSION}"
html_copy_source = False
# The version of the package is not that of the day.
html_last_updated_fmt = None
