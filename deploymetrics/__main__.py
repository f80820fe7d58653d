"""``python -m deploymetrics`` is the ``deploymetrics`` command."""

from .cli import main

main(prog_name="deploymetrics")
