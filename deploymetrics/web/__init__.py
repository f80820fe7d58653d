"""The pages for a person's browser: a blueprint, and a module for each part of it.

    overview.py     all tags; selected.py what is done with several, remembered.py what it keeps of each document
    documents.py    one document; plots.py its small plots, editing.py its form, history.py its versions
    charts.py       one large plot, of one document or several
    accounts.py     all accounts; own_account.py one of them
    audit.py        the audit log
    login.py        login and logout
    preferences.py  how a person likes the pages
    spans.py        the stretch of time that a page shows
    living.py       how an open page learns of a change
    filters.py      how texts and numbers are written in all of them

The pages use the services that the API uses. Their credential is the login cookie, so ``http.access`` checks that each
form comes from this site; they need no script, and the policy of ``http.security_headers`` lets none in but our own.
"""

from flask import Blueprint

bp = Blueprint("web", __name__)


from . import (  # noqa: E402
    accounts,  # noqa: F401
    audit,  # noqa: F401
    charts,  # noqa: F401
    documents,  # noqa: F401
    editing,  # noqa: F401
    filters,  # noqa: F401
    history,  # noqa: F401
    login,  # noqa: F401
    overview,  # noqa: F401
    own_account,  # noqa: F401
    plots,  # noqa: F401
    preferences,  # noqa: F401
    remembered,  # noqa: F401
    selected,  # noqa: F401
)
