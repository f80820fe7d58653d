"""Headlines: which number of a document the overview shows, chosen by a person or else the most telling."""

from itertools import accumulate, islice

from ..errors import BadRequest, DamagedItemError
from ..storage import Collection, Entry, Item, Record
from .per_tag import PerTag
from .service import Documents
from .values.measures import measures
from .values.places import MAX_NAME
from .values.series import Series, read_series

MAX_UNIT = 12
#: How much of a history is looked at for the most telling number, and among how many numbers.
SPARK_VERSIONS = 24
SPARK_BYTES = 2**16
MAX_CANDIDATES = 40
#: The longest name of a number; ``mean(…)`` may stand around it.
MAX_NUMBER = MAX_NAME + 8


class Headline(Record, frozen=True):
    """The stored headline of a tag: the name of a number as plots have it, and a unit, or an empty text for its own."""

    tag: str
    number: str
    unit: str = ""


HEADLINES = Collection("headlines", Headline)


class Headlines(PerTag[Headline]):
    """Stores the headline of each tag for which a person chose one."""

    collection = HEADLINES

    def set(self, tag: str, number: str | None, unit: str, author: str) -> None:
        """Choose the number of a tag that the overview shows; None leaves the choice to it. Raises BadRequest."""
        if number is not None and len(number) > MAX_NUMBER or len(unit) > MAX_UNIT or not unit.isprintable():
            raise BadRequest(f"A unit has at most {MAX_UNIT} characters, and a number is named as in the plots.")
        self._write(tag, None if number is None else Headline(tag, number, unit), author)


def headline_series(documents: Documents, item: Item | Entry, number: str | None = None) -> Series | None:
    """Return the Series of a document's headline, the most telling number in it, over its last versions.

    That is ``number`` where the newest version has it. Otherwise it is the first that changed in these versions and
    does not just name a thing, or the first that does not, or the first there is; of an array with several elements it
    is the sum or the mean. None where there is no number, the document is large, or its history cannot be read.
    """
    if item.size > SPARK_BYTES:
        return None
    try:
        items = _last_versions(documents, item.key)
    except DamagedItemError:  # the list goes on; the page of the history says what is wrong
        return None
    plottable = measures(items)
    candidates = list(islice(plottable.by_name.values(), MAX_CANDIDATES))
    if number in plottable.by_name:
        candidates.append(plottable.by_name[number])
    every_series = read_series(items, plottable, candidates)
    current = [series for series in every_series if series.points and not series.gone]
    chosen = [series for series in current if series.name == number]
    telling = [series for series in current if plottable.by_name[series.name].tells_something()] or current
    changing = [series for series in telling if series.points[0].text != series.points[-1].text]
    return next(iter(chosen or changing or telling), None)


def _last_versions(documents: Documents, tag: str) -> list[Item]:
    """Return the last few versions of a tag, oldest first, without deletions, and not many bytes of them."""
    items = documents.history(tag, limit=SPARK_VERSIONS).items
    sizes = accumulate(item.size for item in items)
    return [item for item, size in zip(items, sizes) if size <= SPARK_BYTES and not item.deleted][::-1]
