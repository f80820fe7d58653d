"""What a WebUI application may store, and how often it may post."""

import pytest
from accesskit import LIST
from problems import assert_problem


@pytest.fixture
def limit(webui, services):
    """Set limits of the application."""

    def set_limits(documents=0, bytes=0, posts=0):
        services.accounts.set_limits(webui.name, tags=(), documents=documents, bytes=bytes, posts=posts)

    return set_limits


def post(person, tag, data="1"):
    return person.post(f"{LIST}/{tag}", data=data)


def test_as_many_documents_as_it_may(webui, master, limit):
    limit(documents=2)
    for tag in ("a", "b", "a", "b"):
        assert post(webui, tag).status_code == 200
    assert_problem(post(webui, "c"), 403, "quota-exceeded", detail="This account may store 2 documents.")
    assert master.get(f"{LIST}/c").status_code == 404
    assert post(webui, "a", "2").status_code == 200


def test_what_is_there_before_a_limit_counts(webui, limit):
    for tag in ("a", "b"):
        post(webui, tag)
    limit(documents=2)
    assert_problem(post(webui, "c"), 403, "quota-exceeded")
    assert post(webui, "a").status_code == 200


def test_what_others_delete_or_write_counts_no_more(webui, master, limit):
    limit(documents=1)
    post(webui, "a")
    assert_problem(post(webui, "b"), 403, "quota-exceeded")
    post(master, "a")
    assert post(webui, "b").status_code == 200
    assert_problem(post(webui, "a"), 403, "quota-exceeded")
    master.delete(f"{LIST}/b")
    assert post(webui, "a").status_code == 200


def test_bytes_are_those_that_are_stored(webui, master, limit):
    size = len(master.put(f"{LIST}/a", data='"xx"').data)
    master.delete(f"{LIST}/a")
    limit(bytes=2 * size)
    assert post(webui, "a", '"xx"').status_code == 200
    assert post(webui, "b", '"xx"').status_code == 200
    assert_problem(post(webui, "b", '"xxx"'), 403, "quota-exceeded")
    assert post(webui, "a", "1").status_code == 200
    assert post(webui, "b", '"xxx"').status_code == 200


def test_growing_and_shrinking_is_free(webui, limit):
    limit(bytes=200)
    for number in range(50):
        assert post(webui, "a", f'"{"x" * (100 if number % 2 else 1)}"').status_code == 200


def test_a_write_that_fails_takes_nothing_for_good(webui, limit):
    limit(documents=1)
    for _ in range(3):
        answer = webui.post(f"{LIST}/a", data="1", headers={"If-Match": '"x"'})
        assert_problem(answer, 412, "precondition-failed")
    assert post(webui, "b").status_code == 200


def test_posts_a_minute(webui, master, limit, clock):
    limit(posts=3)
    assert [post(webui, "a").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = post(webui, "a")
    assert_problem(answer, 429, "too-many-posts")
    assert answer.headers["Retry-After"] == "57"  # the held clock is at three seconds
    assert post(master, "a").status_code == 200
    clock.forward(seconds=57)
    assert post(webui, "a").status_code == 200


def test_posts_a_minute_hold_where_clocks_are_a_little_apart(webui, limit, clock):
    limit(posts=3)
    statuses = []
    for _ in range(3):
        statuses.append(post(webui, "a").status_code)
        clock.forward(seconds=57)  # as that of another server, where the next minute has begun
        statuses.append(post(webui, "a").status_code)
        clock.forward(seconds=-57)
    assert statuses == [200, 200, 200, 200, 429, 429]


def test_a_clock_that_was_ahead_holds_up_no_posts(webui, limit, clock):
    limit(posts=1)
    clock.forward(hours=2)
    assert post(webui, "a").status_code == 200
    clock.forward(hours=-2)
    assert [post(webui, "a").status_code for _ in range(2)] == [200, 429]


def test_limits_hold_on_every_worker(workers, webui, limit):
    limit(documents=2)
    auth = {"auth": (webui.name, webui.password)}
    assert [worker.post(f"{LIST}/{tag}", data="1", **auth).status_code for tag in "ab" for worker in workers] == [
        200
    ] * 4
    assert [worker.post(f"{LIST}/c", data="1", **auth).status_code for worker in workers] == [403] * 2


def test_a_post_counts_no_documents(webui, limit, services, monkeypatch):
    limit(documents=100)
    post(webui, "first")
    monkeypatch.setattr(services.documents, "list", None)
    for number in range(20):
        assert post(webui, f"a{number}").status_code == 200
