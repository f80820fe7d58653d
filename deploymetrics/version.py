"""The version of the package; apart, so that setup.cfg reads it without importing anything."""

VERSION = "0.1.0"
