"""The ``deploymetrics`` command: Flask's own (``run``, ``shell``, ``routes``) and what this service adds."""

import click
from flask.cli import FlaskGroup

from ..errors import DeploymetricsError
from . import accounts, collect, data, serve, settings

COMMANDS = (
    serve.serve,
    accounts.account,
    settings.settings,
    collect.collect,
    data.history,
    data.verify,
    data.export_documents,
    data.import_documents,
)


class Commands(FlaskGroup):
    """Says an error of the project in one line, and exits with 1, instead of a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except DeploymetricsError as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error):
    fields = error.extra.get("errors", {})
    return " ".join([error.detail, *(f"{name}: {' '.join(texts)}" for name, texts in fields.items())])


def _create_app():
    from .. import create_app

    try:
        return create_app()
    except DeploymetricsError as error:
        raise click.ClickException(error.detail) from error


@click.group(cls=Commands, create_app=_create_app, add_version_option=False)
@click.version_option(package_name="deploymetrics")
def main():
    """A server for deployment metrics. DEPLOYMETRICS_INSTANCE names the instance folder."""
