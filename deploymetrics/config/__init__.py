"""The settings and the instance folder.

settings.py       the settings, a row each
fields.py         what some of them can be: addresses, lists of words, relevance
loading.py        reading them from the environment and ``config.py``, and checking them
documentation.py  the table and the example that are made of the rows
instance.py       which folder is the instance, and whose it is
secret_key.py     the key that is generated there
storage_url.py    what STORAGE can be
"""

from .instance import INSTANCE
from .loading import Settings, load_settings, read_settings
from .settings import BY_NAME, PREFIX, SETTINGS, display_value

__all__ = [
    "BY_NAME",
    "INSTANCE",
    "PREFIX",
    "SETTINGS",
    "Settings",
    "load_settings",
    "read_settings",
    "display_value",
]
