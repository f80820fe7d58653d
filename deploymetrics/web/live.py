"""How an open page learns that what it shows has changed: by what address and ETag of the API its script asks."""

from typing import NamedTuple


class Live(NamedTuple):
    """The address of what a page shows, its ETag without quotation marks, and what is said when it has changed."""

    url: str
    etag: str
    words: str
