"""Templates and routes compiled once per process: each test has an application of its own, and they are all alike."""

from flask import Flask
from jinja2 import BytecodeCache
from werkzeug.routing import Rule


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
    """Keep the code of templates and that of the functions with which werkzeug builds the URL of a route."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Bytecode()}
    builders = {}
    build = Rule._compile_builder

    def compile_builder(rule, append_unknown=True):
        key = rule.rule, rule.host, rule.subdomain, repr(rule.defaults), rule.merge_slashes, append_unknown
        if key not in builders:
            builders[key] = build(rule, append_unknown)
        return builders[key]

    Rule._compile_builder = compile_builder
