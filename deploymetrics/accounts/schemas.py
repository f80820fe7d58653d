"""What names, passwords, tokens and limits of accounts can be."""

from collections.abc import Callable

from marshmallow import Schema, fields, validate, validates

from ..schemas import WholeNumber, from_1_to_64_bytes, no_control_characters, no_outer_space
from .names import not_reserved, nothing_invisible, one_alphabet
from .records import Access, Role

MIN_PASSWORD = 8
MAX_PASSWORD = 1024


class AccountName(Schema):
    """The name of an account, as Basic authentication and XML can carry it."""

    name = fields.String(
        required=True,
        validate=[
            from_1_to_64_bytes,
            no_control_characters,
            no_outer_space,
            validate.ContainsNoneOf(":", error="It has a colon, which Basic authentication cannot carry."),
        ],
    )


class NewAccount(AccountName):
    """A new account, without its password.

    Its name is none that a person would take for another one; names that are there already stay as they are.
    """

    @validates("name")
    def _check_not_confusable(self, name: str, **options: object) -> None:
        for check in (nothing_invisible, one_alphabet, not_reserved):
            check(name)

    role = fields.Enum(Role, by_value=True, required=True)


class NewPassword(Schema):
    """A password that a person chose."""

    password = fields.String(
        required=True, validate=[validate.Length(MIN_PASSWORD, MAX_PASSWORD), no_control_characters]
    )


MAX_DAYS = 36500
MAX_PATTERNS = 20
_no_slash = validate.ContainsNoneOf("/", error="It has a slash, which no tag has.")
Pattern = fields.String(validate=[from_1_to_64_bytes, no_control_characters, _no_slash])
_TOKEN_NAME: list[Callable[[str], object]] = [
    from_1_to_64_bytes,
    no_control_characters,
    no_outer_space,
    validate.ContainsNoneOf("/", error="It has a slash, which the address of a token cannot carry."),
]


class NewToken(Schema):
    """A new token; ``duration`` is in days, and 0 is for ever."""

    name = fields.String(required=True, validate=_TOKEN_NAME)
    duration = WholeNumber(load_default=30, validate=validate.Range(0, MAX_DAYS))
    access = fields.Enum(Access, by_value=True, load_default=Access.FULL)
    tags = fields.List(Pattern, load_default=[], validate=validate.Length(max=MAX_PATTERNS))
    user = fields.String(load_default="", validate=validate.Length(min=1))


class ChangedToken(Schema):
    """Changes to a token; None leaves its name or duration as it is."""

    name = fields.String(load_default=None, validate=_TOKEN_NAME)
    duration = WholeNumber(load_default=None, validate=validate.Range(0, MAX_DAYS))


class Limits(Schema):
    """The limits of an account: which tags it may use, and how much it may post; empty and 0 are no limit."""

    tags = fields.List(Pattern, load_default=[], validate=validate.Length(max=MAX_PATTERNS))
    documents = WholeNumber(load_default=0, validate=validate.Range(0, 10**9))
    bytes = WholeNumber(load_default=0, validate=validate.Range(0, 2**50))
    posts = WholeNumber(load_default=0, validate=validate.Range(0, 10**6))
