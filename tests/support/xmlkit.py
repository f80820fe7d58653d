"""The schema that every XML answer is valid against."""

from pathlib import Path

from lxml import etree

import deploymetrics

SCHEMA = etree.XMLSchema(etree.parse(Path(deploymetrics.__file__).parent / "static" / "BESAPI.xsd"))
