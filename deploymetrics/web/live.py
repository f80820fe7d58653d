"""How an open page learns that what it shows has changed: by what address and ETag of the API its script asks."""

from typing import NamedTuple

from flask import url_for

from ..documents.service import Item, Listing


class Live(NamedTuple):
    """The address of what a page shows, its ETag without quotation marks, and what is said when it has changed."""

    url: str
    etag: str
    words: str


def live_document(item: Item) -> Live:
    """Return how the page of a document learns of a new version."""
    return Live(url_for("api.show_document", tag=item.key), item.revision, "There is a new version.")


def live_list(listing: Listing) -> Live:
    """Return how the overview learns of a change."""
    return Live(url_for("api.list_documents"), listing.revision, "Something has changed.")
