"""Names of accounts that a person would take for another one, or not see."""

import unicodedata

from marshmallow import ValidationError

from ..formats.lookalikes import bare_letters, is_invisible, without_outer_punctuation

#: Who writes into the history without being an account.
RESERVED = ("collector", "server", "command line", "first start", "upgrade", "-")
# Alphabets that share the shapes of letters; a name keeps to one of them.
_ALPHABETS = {"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU"}
# Small letters that look like Latin ones.
_LOOKALIKES = str.maketrans("аԁеһіјкӏмоԛрѕсгтԝхуαεικνορτυχγ", "adehijklmoqpscrtwxyaeikvoptuxy")


def skeleton(name: str) -> str:
    """Return a text that is the same for all names that look alike (the skeleton in Unicode's standard 39).

    They may differ in case, width, alphabet, and in punctuation at their ends; ``jörg`` and ``jorg`` are two.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return without_outer_punctuation(" ".join(folded.translate(_LOOKALIKES).split()))


def nothing_invisible(name: str) -> None:
    """Raise ValidationError if the name has an invisible character, or a space other than the usual one."""
    if any(is_invisible(char) or unicodedata.category(char)[0] == "C" for char in name):
        raise ValidationError("It has an invisible character.")


def one_alphabet(name: str) -> None:
    """Raise ValidationError if the name mixes alphabets whose letters look alike, such as Latin and Cyrillic."""
    letters = (char for char in unicodedata.normalize("NFKC", name) if char.isalpha())
    if len({unicodedata.name(char, "").split(" ")[0] for char in letters} & _ALPHABETS) > 1:
        raise ValidationError("It mixes letters of several alphabets.")


def not_reserved(name: str) -> None:
    """Raise ValidationError if the name reads as one of RESERVED."""
    if name in RESERVED or bare_letters(skeleton(name)) in RESERVED:
        raise ValidationError("The server itself writes under this name.")
