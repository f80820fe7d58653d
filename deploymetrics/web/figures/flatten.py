"""A JSON value as its leaves, each with a path that a person can read and that stays the same from version to version.

Nothing here recurses, so no stored value can exhaust the stack.
"""

from itertools import islice

from ...formats import rawjson

#: The longest name that a key lends to a path, and the longest path; both end with an ellipsis where they are cut.
MAX_KEY = 80
MAX_PATH = 240


def leaves(value):
    """Yield (path, value) of everything that holds nothing itself, empty arrays and objects included, in their order.

    ``value`` is what ``rawjson.parse`` returned. A path looks like ``sites.count`` or ``[relay-3].clients``.
    """
    opened = [iter([("", value)])]
    while opened:
        for path, found in opened[-1]:
            if type(found) in (list, rawjson.Pairs) and found:
                opened.append(_children(path, found))
                break
            yield path, found
        else:
            opened.pop()


def label(value):
    """What names an object among its siblings: its first member, where that is text and no number; else None."""
    if type(value) is not rawjson.Pairs or not value:
        return None
    first = value[0][1]
    return first if type(first) is str and first and not first[0].isdecimal() else None


def shorten(text, limit):
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit - 1]}…"


def shown(value):
    """A leaf as a person reads it: text as it is, and all else as JSON writes it."""
    if type(value) in (str, rawjson.Number):
        return str(value)
    if type(value) in (list, rawjson.Pairs):
        return ("[]" if type(value) is list else "{}") if not value else "…"
    return {True: "true", False: "false", None: "null"}[value]


def _children(path, value):
    if type(value) is rawjson.Pairs:
        dot = f"{path}." if path else ""
        return ((shorten(dot + shorten(key, MAX_KEY), MAX_PATH), child) for key, child in value)
    if len(value) == 1 and type(value[0]) is rawjson.Pairs:
        return iter([(path, value[0])])
    return ((shorten(f"{path}[{name}]", MAX_PATH), child) for name, child in zip(_names(value), value))


def _names(array):
    """The names of an array's members: their labels, where each has one of its own, or their places."""
    if len(array) > 1 and label(array[0]) is not None:
        labels = [label(member) for member in islice(array, 10_000)]
        if len(labels) == len(array) and None not in labels and len(set(labels)) == len(labels):
            return (shorten(name, MAX_KEY) for name in labels)
    return range(len(array))
