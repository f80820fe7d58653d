"""Templates and rules compiled once per process: each test has an application of its own, and they are all alike."""

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
    """Keep the code of templates, and what rules are compiled to."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Bytecode()}
    rules, bind = {}, Rule.bind

    def bind_once(rule, map, rebind=False):
        """Take all of a rule that was bound to a map like this one."""
        methods = frozenset(rule.methods or ())
        known = rules.setdefault((rule.rule, rule.endpoint, methods, map.merge_slashes, map.strict_slashes), rule)
        if known is rule:
            bind(rule, map, rebind)
        else:
            vars(rule).update(vars(known), map=map)

    Rule.bind = bind_once
