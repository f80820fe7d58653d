"""The newest versions that this process read last. The database says with each read whether they still are."""

from .. import Item

#: Values larger than this are not kept, nor more than so many bytes of all.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
_OVERHEAD = 2**10


class Remembered:
    """Keeps Items by collection and key; the threads of a process share it."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self._bytes = 0

    def get(self, collection: str, key: str) -> Item | None:
        """Return what was read last, which may be old."""
        return self._items.get((collection, key))

    def put(self, collection: str, item: Item) -> None:
        """Keep an Item, unless it is too large; where there are too many, begin anew."""
        self.forget(collection, item.key)
        size = _size(item)
        if size > ITEM_BYTES + _OVERHEAD:
            return
        if self._bytes + size > ALL_BYTES:
            self._items, self._bytes = {}, 0
        self._items[collection, item.key] = item
        self._bytes += size

    def forget(self, collection: str, key: str) -> None:
        """Drop what was read of a key."""
        if before := self._items.pop((collection, key), None):
            self._bytes -= _size(before)


def _size(item: Item) -> int:
    return len(item.value or b"") + _OVERHEAD
