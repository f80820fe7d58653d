"""The reserved tag ``platform``, and the tags that a person would read as it."""

import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from ..formats.lookalikes import bare_letters, is_invisible, without_outer_punctuation

RESERVED_TAG = "platform"

# Letters and digits of other alphabets that look like those of the word (after Unicode's compatibility forms and case
# are folded), from the confusables of Unicode Technical Standard 39.
_LOOKALIKES = {
    "p": "рρϱⲣᴩꓑꮲᏢᑭ",
    "l": "ꓡꮮᏞꞁᒪ1i|ıӏіιاןוǀ",
    "a": "ꓮꭺᎪɐᗅаαɑ⍺",
    "t": "ꓔꭲᎢ†тτⲧ",
    "f": "ꓝꞙᖴẝϝ",
    "o": "ꓳꮻᏫⵔ0оοσօסهⲟ",
    "r": "ꓣꮢᏒᎡᖇгᴦⲅꭇ",
    "m": "ꓟꮇᎷмμⲙⅿ",
}
_TO_LATIN = str.maketrans({char: letter for letter, chars in _LOOKALIKES.items() for char in chars})
# Where alphabets in parentheses, squares and filled circles start, and that of flags.
_ENCLOSED = (0x249C, 0x1F110, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
# What Unicode takes for another letter, or for a picture, before the table above is asked.
_BEFORE = {ord("ſ"): "f", **{start + n: chr(ord("a") + n) for start in _ENCLOSED for n in range(26)}}
_RIGHT_TO_LEFT = "\u202e"


@lru_cache(maxsize=4096)
def is_reserved(tag: str) -> bool:
    """Return True if the tag reads as ``platform``.

    It may be in any case, width, alphabet or accent, have invisible characters or spaces in it, or be percent-encoded.
    """
    decoded = tag
    while (once := unquote(decoded)) != decoded:
        decoded = once
    text = decoded.translate(_BEFORE)
    folded = bare_letters(unicodedata.normalize("NFKD", text).casefold())
    # Marks, format characters and spaces do not change what is read, nor does a full stop at the end.
    visible = "".join(char for char in folded if unicodedata.category(char)[0] not in "MZC" and not is_invisible(char))
    read = without_outer_punctuation(visible.translate(_TO_LATIN)).replace("rn", "m")
    return read == RESERVED_TAG or (_RIGHT_TO_LEFT in decoded and read[::-1] == RESERVED_TAG)
