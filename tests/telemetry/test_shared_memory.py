"""The memory in which processes count together."""

import os

from deploymetrics.telemetry.shared_memory import REGION_BYTES, Memory


def of_process(memory, number):
    memory.own = number
    return memory.counters()


def test_regions_are_added_up():
    memory = Memory(3)
    for number in range(3):
        cells = of_process(memory, number)
        cells.cells_of("requests")[0] += 2
        cells.cells_of("times", 2)[:] = memoryview(bytearray(16)).cast("d")
        cells.cells_of("times")[1] += 0.5
    of_process(memory, 1).cells_of("another ü")[0] += 1
    assert memory.totals() == {"requests": [6.0], "times": [0.0, 1.5], "another ü": [1.0]}


def test_another_process_counts_in_the_same_memory():
    memory = Memory(2)
    of_process(memory, 0).cells_of("requests")[0] += 1
    child = os.fork()
    if not child:
        of_process(memory, 1).cells_of("requests")[0] += 1
        os._exit(0)
    os.waitpid(child, 0)
    assert memory.totals() == {"requests": [2.0]}


def test_what_an_ended_process_counted_stays_and_its_successor_counts_on():
    memory = Memory(2)
    of_process(memory, 0).cells_of("requests")[0] += 5
    of_process(memory, 0).cells_of("progress")[0] += 1
    memory.clear(0, "progress")
    assert memory.totals() == {"requests": [5.0], "progress": [0.0]}
    of_process(memory, 2).cells_of("requests")[0] += 1
    assert memory.totals()["requests"] == [6.0]


def test_a_full_region_goes_on_with_what_it_has():
    memory = Memory(2)
    cells = of_process(memory, 0)
    cells.cells_of("first")[0] += 1
    for number in range(REGION_BYTES // 16):
        cells.cells_of(f"number {number}")[0] += 1
    cells.cells_of("first")[0] += 1
    of_process(memory, 1).cells_of("first")[0] += 1
    totals = memory.totals()
    assert totals["first"] == [3.0] and 1000 < len(totals) < REGION_BYTES // 16
