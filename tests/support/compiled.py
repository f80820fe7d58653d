"""Templates compiled once per process: each test has an application of its own, and they are all alike."""

from flask import Flask
from jinja2 import BytecodeCache


class Bytecode(BytecodeCache):
    """Keep the code of templates in memory; Jinja compares the checksum of the source before it uses one."""

    def __init__(self):
        self.codes = {}

    def load_bytecode(self, bucket):
        if bucket.key in self.codes:
            bucket.bytecode_from_string(self.codes[bucket.key])

    def dump_bytecode(self, bucket):
        self.codes[bucket.key] = bucket.bytecode_to_string()


def compile_once():
    """Keep the code of templates."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Bytecode()}
