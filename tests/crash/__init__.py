"""A small model of a disk that can lose power, and the recording of real writes that are replayed on it."""
