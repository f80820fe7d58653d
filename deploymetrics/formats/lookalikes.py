"""Texts that look alike to a person: letters with marks, invisible characters, outer punctuation."""

import re
import unicodedata

_WITH_MARK = re.compile("LATIN SMALL LETTER ([A-Z]) WITH .*|LATIN LETTER SMALL CAPITAL ([A-Z])")
_UNSEEN_CATEGORIES = ("Cf", "Zl", "Zp", "Zs")
# Those that Unicode has among letters, marks and symbols.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def is_invisible(char: str) -> bool:
    """Return True for an invisible character, or a space other than the usual one."""
    return char != " " and (unicodedata.category(char) in _UNSEEN_CATEGORIES or _UNSEEN.match(char) is not None)


def bare_letters(text: str) -> str:
    """Strip hooks, strokes and accents from the Latin letters of a text in lower case: ``ƭ`` becomes ``t``."""
    bare = []
    for char in unicodedata.normalize("NFKD", text):
        if match := _WITH_MARK.fullmatch(unicodedata.name(char, "")):
            bare.append((match[1] or match[2]).lower())
        elif unicodedata.category(char)[0] != "M":
            bare.append(char)
    return "".join(bare)


def without_outer_punctuation(text: str) -> str:
    """Strip punctuation and spaces from the ends of a text: ``platform.`` becomes ``platform``."""
    inner = [number for number, char in enumerate(text) if unicodedata.category(char)[0] not in "PZ"]
    return text[inner[0] : inner[-1] + 1] if inner else ""
