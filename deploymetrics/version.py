"""The version of the package; in a file of its own, so that setup.cfg reads it without importing anything."""

VERSION = "0.1.0"
