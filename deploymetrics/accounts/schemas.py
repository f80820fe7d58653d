"""What an account's name and a person's password can be."""

from marshmallow import Schema, fields, validate, validates

from ..schemas import from_1_to_64_bytes, no_control_characters, no_outer_space
from .names import not_reserved, nothing_invisible, one_alphabet
from .service import Role

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
    """An account to be added; a program's secret is generated, so it brings no password.

    Its name is none that a person would take for another one; names that are there already stay as they are.
    """

    @validates("name")
    def _check_how_it_reads(self, name: str, **about: object) -> None:
        for check in (nothing_invisible, one_alphabet, not_reserved):
            check(name)

    role = fields.Enum(Role, by_value=True, required=True)


class NewPassword(Schema):
    """A password that a person chose."""

    password = fields.String(
        required=True, validate=[validate.Length(MIN_PASSWORD, MAX_PASSWORD), no_control_characters]
    )
