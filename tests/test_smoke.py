"""The shortest way through the service."""


def test_post_and_read_back(master, webui):
    assert webui.post("/api/deploymentmetrics/custom", data="[1.10]").status_code == 200
    answer = master.get("/api/deploymentmetrics/custom")
    assert answer.data == b'{"tag":"custom","metrics":[1.10],"lastChanged":"12 Jan 2018 12:00"}'
