"""The query arguments of the API."""

from marshmallow import EXCLUDE, Schema, fields, validate

from ..schemas import WholeNumber


class _Arguments(Schema):
    """Query arguments; those that are not known are ignored, as BigFix does."""

    class Meta:
        unknown = EXCLUDE


class OutputArguments(_Arguments):
    """What every route of the API takes."""

    output = fields.String(load_default=None, validate=validate.OneOf(["json", "xml"]))


class ListArguments(_Arguments):
    """Where a page of the list begins, and how long it is; nothing where the whole list is asked for."""

    after = fields.String()
    limit = WholeNumber(validate=validate.Range(min=1))


class HistoryArguments(_Arguments):
    """Below which version a page of the history begins, and how long it is."""

    before = WholeNumber(load_default=None, validate=validate.Range(min=1))
    limit = WholeNumber(load_default=100, validate=validate.Range(1, 1000))
