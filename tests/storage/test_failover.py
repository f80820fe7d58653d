"""Two servers on one database, and what goes wrong beside them: no acknowledged write is lost or out of order.

``make failover`` does it for longer, with Patroni and etcd too, and prints the table of the documentation.
"""

import postgres
from conftest import missing
from failover import FAULTS, HEAD, Clients, Importer, Pair, report, served


def test_nothing_acknowledged_is_lost(tmp_path):
    if what := postgres.missing():
        missing(what)
    with postgres.folder_for_servers() as folder:
        pair = Pair(folder)
        try:
            with (
                served(tmp_path, pair.url()) as servers,
                Clients(servers.urls, pause=0.02) as clients,
                Importer(pair.url(), pause=0.05) as importer,
            ):
                print(HEAD)
                clients.go_on()
                for fault in FAULTS:
                    seconds = fault(pair, servers, clients)
                    if pair.standby is None:
                        pair.add_standby()
                        clients.go_on()
                    print(
                        report(pair.primary.url(), clients).line(fault.__name__.replace("_", " "), f"{seconds:.1f} s")
                    )
            found, wrong = report(pair.primary.url(), clients), list(importer.wrong())
        finally:
            pair.stop()
    assert found.violations == wrong == []
    assert found.lost == found.refused_but_stored == 0
    assert found.acknowledged > 300 and found.failed
    states = list(map(frozenset, importer.outcomes.values()))
    assert states.count({"whole"}) > 30 and states.count({"purged"}) > 10 and len(set(states)) > 2
