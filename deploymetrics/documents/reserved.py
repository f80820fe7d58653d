"""Which tags a person would read as ``platform``, the tag that belongs to the server."""

import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from ..schemas import bare_letters, without_outer_punctuation

RESERVED_TAG = "platform"

# Letters and digits of other alphabets that look like those of the word (after Unicode's compatibility forms and case
# are folded), from the confusables of Unicode Technical Standard 39.
_LOOKALIKES = str.maketrans(
    {
        "р": "p",
        "ρ": "p",
        "ϱ": "p",
        "ⲣ": "p",
        "ᴩ": "p",
        "ꓑ": "p",
        "ꮲ": "p",
        "Ꮲ": "p",
        "ᑭ": "p",
        "ꓡ": "l",
        "ꮮ": "l",
        "Ꮮ": "l",
        "ꞁ": "l",
        "ᒪ": "l",
        "ꓮ": "a",
        "ꭺ": "a",
        "Ꭺ": "a",
        "ɐ": "a",
        "ᗅ": "a",
        "ꓔ": "t",
        "ꭲ": "t",
        "Ꭲ": "t",
        "†": "t",
        "ꓝ": "f",
        "ꞙ": "f",
        "ᖴ": "f",
        "ꓳ": "o",
        "ꮻ": "o",
        "Ꮻ": "o",
        "ⵔ": "o",
        "ꓣ": "r",
        "ꮢ": "r",
        "Ꮢ": "r",
        "Ꭱ": "r",
        "ᖇ": "r",
        "ꓟ": "m",
        "ꮇ": "m",
        "Ꮇ": "m",
        "1": "l",
        "i": "l",
        "|": "l",
        "ı": "l",
        "ӏ": "l",
        "і": "l",
        "ι": "l",
        "ا": "l",
        "ן": "l",
        "ו": "l",
        "ǀ": "l",
        "а": "a",
        "α": "a",
        "ɑ": "a",
        "⍺": "a",
        "т": "t",
        "τ": "t",
        "ⲧ": "t",
        "ẝ": "f",
        "ϝ": "f",
        "0": "o",
        "о": "o",
        "ο": "o",
        "σ": "o",
        "օ": "o",
        "ס": "o",
        "ه": "o",
        "ⲟ": "o",
        "г": "r",
        "ᴦ": "r",
        "ⲅ": "r",
        "ꭇ": "r",
        "м": "m",
        "μ": "m",
        "ⲙ": "m",
        "ⅿ": "m",
    }
)
# Where alphabets in parentheses, squares and filled circles start, and that of flags.
_ENCLOSED = (0x249C, 0x1F110, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
# What Unicode takes for another letter, or for a picture, before the table above is asked.
_BEFORE = {
    ord("ſ"): "f",
    **{start + n: chr(ord("a") + n) for start in _ENCLOSED for n in range(26)},
}
# They are shown as nothing or as a space, though they are not of the categories of marks, spaces or controls.
_BLANK = dict.fromkeys((0x2800, 0x115F, 0x1160, 0x3164, 0xFFA0))
_RIGHT_TO_LEFT = "\u202e"


@lru_cache(maxsize=4096)
def is_reserved(tag: str) -> bool:
    """Return True if the tag reads as ``platform``: in any case, width, alphabet or accent, with invisible characters
    or spaces in it, or percent-encoded once more."""
    decoded = tag
    while (once := unquote(decoded)) != decoded:
        decoded = once
    read = _skeleton(decoded)
    return read == RESERVED_TAG or (_RIGHT_TO_LEFT in decoded and read[::-1] == RESERVED_TAG)


def _skeleton(text: str) -> str:
    text = text.translate(_BEFORE).translate(_BLANK)
    folded = bare_letters(unicodedata.normalize("NFKD", text).casefold())
    # Marks, format characters and spaces do not change what is read, nor does a full stop at the end.
    visible = "".join(char for char in folded if unicodedata.category(char)[0] not in "MZC")
    return without_outer_punctuation(visible.translate(_LOOKALIKES)).replace("rn", "m")
