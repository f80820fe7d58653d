"""The order of the tests where several processes share them: what takes long begins first, and stays together.

xdist gives each process an equal number of tests, and who has none left takes those of others from behind. So each
begins with tests that take long, and those that are left in the end are quick. Tests that share something dear, as a
browser is or the states that were checked, are in one group, which is one process's.
"""

from itertools import groupby, islice

#: How the names of the tests of a group begin; each process has the tests of one or two groups.
GROUPS = tuple(
    tuple(f"tests/{name}" for name in names.split())
    for names in (
        "browser/test_journeys browser/test_script browser/test_cross_site",
        "crash/",
        "browser/test_accessible test_package",
        "storage/test_failover storage/test_retention storage/test_contract",
        "server/test_operation http/test_access_matrix",
        "collector/test_collector_processes server/test_server server/test_wire",
        "api/test_schemathesis http/test_spending deploy/test_system_calls",
        "server/test_soak storage/test_kill storage/test_sql_served",
    )
)


def in_shares(items, number):
    """Return the tests in the order in which so many processes are to have them."""
    shares = [[] for _ in range(number)]
    for place, names in enumerate(GROUPS):
        shares[place % number] += [item for item in items if item.nodeid.startswith(names)]
    others = [item for item in items if not item.nodeid.startswith(sum(GROUPS, ()))]
    for _, tests in groupby((item for item in others if item.get_closest_marker("slow")), lambda item: item.path):
        min(shares, key=len).extend(tests)
    quick = iter([item for item in others if not item.get_closest_marker("slow")])
    ordered = []
    for place, share in enumerate(shares):
        size = (len(items) - len(ordered)) // (number - place)  # as xdist cuts them
        ordered += share + list(islice(quick, max(0, size - len(share))))
    return ordered + list(quick)
