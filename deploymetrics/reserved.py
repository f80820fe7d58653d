"""Which tags a person would read as ``platform``, the tag that belongs to the server."""

import unicodedata
from functools import lru_cache
from urllib.parse import unquote

RESERVED_TAG = "platform"

# Letters and digits of other alphabets that look like those of the word (after Unicode's compatibility forms and case
# are folded), from the confusables of Unicode Technical Standard 39.
_LOOKALIKES = str.maketrans({
    "р": "p", "ρ": "p", "ϱ": "p", "ⲣ": "p",
    "1": "l", "i": "l", "|": "l", "ı": "l", "ӏ": "l", "і": "l", "ι": "l", "ا": "l", "ן": "l", "ו": "l", "ǀ": "l",
    "а": "a", "α": "a", "ɑ": "a", "⍺": "a",
    "т": "t", "τ": "t", "ⲧ": "t",
    "ƒ": "f", "ẝ": "f", "ϝ": "f", "ſ": "f",
    "0": "o", "о": "o", "ο": "o", "σ": "o", "օ": "o", "ס": "o", "ه": "o", "ⲟ": "o", "ᴏ": "o",
    "г": "r", "ᴦ": "r", "ⲅ": "r", "ꭇ": "r",
    "м": "m", "μ": "m", "ⲙ": "m", "ⅿ": "m",
})


@lru_cache(maxsize=4096)
def is_reserved(tag):
    """Whether the tag reads as ``platform``: in any case, width, alphabet or accent, with invisible characters or
    spaces in it, or percent-encoded once more."""
    decoded = tag
    while (once := unquote(decoded)) != decoded:
        decoded = once
    return _skeleton(decoded) == RESERVED_TAG


def _skeleton(text):
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    # Marks, format characters and spaces do not change what is read.
    visible = "".join(char for char in folded if unicodedata.category(char)[0] not in "MZC")
    return visible.translate(_LOOKALIKES).replace("rn", "m")
