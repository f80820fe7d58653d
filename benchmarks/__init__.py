"""Speed and memory beside baselines, measured in turn in one run: ``python -m benchmarks --help``."""
