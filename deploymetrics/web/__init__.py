"""The pages for a person's browser: a blueprint, and a module for each page or part of one.

    overview.py     all tags; overview_list.py which of them in which order, overview_cache.py what is kept of each
    selected_tags.py  what is done with several tags
    documents.py    one document; document_plots.py its small plots, editing.py its form, history.py its versions
    plot.py         one large plot, of one document or several
    accounts.py     all accounts; account.py one of them
    audit.py        the audit log
    login.py        login and logout
    preferences.py  how a person likes the pages
    time_range.py   the time that a page shows
    paging.py       long lists, a page at a time
    template_filters.py  how texts and numbers are written in all of them

The pages use the services that the API uses. Their credential is the login cookie, so ``http.access`` checks that each
form comes from this site; they need no script, and the policy of ``http.security_headers`` lets none in but our own.
"""

from importlib import import_module
from pkgutil import iter_modules

from flask import Blueprint

bp = Blueprint("web", __name__)

for module in iter_modules(__path__):  # each adds its views and filters to the blueprint
    import_module(f"{__name__}.{module.name}")
