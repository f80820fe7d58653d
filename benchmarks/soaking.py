"""Who uses the server in ``benchmarks.soak``, each in a thread, and what each of them takes for a wrong answer."""

import http.client
import json
import random
import threading
import time
from urllib.parse import urlencode

from .filling import AUTHORIZATION, NAME, PASSWORD

URL = "/api/deploymentmetrics"


class Actor:
    """Something that asks one thing after the other; ``step`` asks, ``pause`` is how long it then waits, in seconds."""

    pause = 0.02
    credentials = {"Authorization": AUTHORIZATION}

    def __init__(self, port, faults):
        self.port, self.faults = port, faults
        self.connection = None
        self.requests, self.refused, self.wrong = 0, 0, []

    def run(self, stop):
        while not stop.is_set():
            try:
                self.step()
            except Exception as error:  # a mistake of our own is not to look like a quiet end
                self.wrong.append(f"{type(self).__name__}: {error!r}")
            time.sleep(self.pause)

    def step(self):
        raise NotImplementedError

    def ask(self, method, path, body=None, **headers):
        """Return (status, headers, body), or None where a fault explains that there is no other answer than 5xx."""
        called = time.monotonic()
        self.requests += 1
        answer = self.send(method, path, body, {**self.credentials, **headers})
        if answer is not None and answer[0] < 500:
            return answer
        if self.faults.lasts(called) or self.faults.lasts(time.monotonic()):
            self.refused += 1
        else:
            self.wrong.append(f"{method} {path}: {answer and (answer[0], answer[2][:200])}, without a fault")
        return None

    def send(self, method, path, body, headers):
        """Send it, and once more on a new connection where one that was kept had ended, as every client does."""
        for _ in range(2):
            was_new = self.connection is None
            try:
                if was_new:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                found = answer.status, answer.headers, answer.read()
                if answer.will_close:
                    self.close()
                return found
            except (OSError, http.client.HTTPException):
                self.close()
                if was_new:
                    return None
        return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def expect(self, what, is_right):
        if not is_right:
            self.wrong.append(what)


class Writer(Actor):
    """Posts 1, 2, 3 … to a tag of its own."""

    pause = 0.05

    def __init__(self, port, faults, tag):
        super().__init__(port, faults)
        self.tag, self.number, self.last = tag, 0, 0
        self.acknowledged = set()

    def step(self):
        self.number += 1
        answer = self.ask("POST", f"{URL}/{self.tag}", json.dumps({"number": self.number, "padding": "x" * 500}))
        if answer is None:
            return
        status, _, body = answer
        self.expect(f"POST of {self.number}: {status}", status == 200)
        if status == 200:
            self.expect("another value came back", json.loads(body)["metrics"]["number"] == self.number)
            self.acknowledged.add(self.number)
            self.last = self.number

    @staticmethod
    def number_of(item):
        return json.loads(item.value)["metrics"]["number"]


class Reader(Actor):
    """Reads documents, lists, histories and series, and knows between which numbers they have to be."""

    def __init__(self, port, faults, writers):
        super().__init__(port, faults)
        self.writers = writers
        self.etag = ""

    def step(self):
        random.choice([self.document, self.document, self.document, self.listed, self.history, self.series])()

    def document(self):
        writer = random.choice(self.writers)
        least = writer.last
        answer = self.ask("GET", f"{URL}/{writer.tag}")
        if answer and (least or answer[0] != 404):
            self.check(writer, least, json.loads(answer[2])["metrics"]["number"])

    def listed(self):
        least = [writer.last for writer in self.writers]
        answer = self.ask("GET", URL, **({"If-None-Match": self.etag} if self.etag else {}))
        if not answer or answer[0] == 304:
            return
        self.etag = answer[1]["ETag"]
        found = {each["tag"]: each["metrics"] for each in json.loads(answer[2])}
        for writer, number in zip(self.writers, least, strict=True):
            if number:
                self.check(writer, number, found[writer.tag]["number"])

    def history(self):
        writer = random.choice(self.writers)
        least = writer.last
        answer = self.ask("GET", f"{URL}/{writer.tag}/history?limit=20")
        if answer and least:
            versions = json.loads(answer[2])
            self.check(writer, least, versions[0]["metrics"]["number"])
            numbers = [each["version"] for each in versions]
            self.expect("a history that is out of order", numbers == sorted(set(numbers), reverse=True))

    def series(self):
        writer = random.choice(self.writers)
        since = int(time.time()) - 30  # else each would read more than the one before
        if writer.last and (answer := self.ask("GET", f"{URL}/{writer.tag}/series?since={since}")):
            self.expect(f"series: {answer[0]} {answer[2][:200]}", answer[0] == 200)

    def check(self, writer, least, number):
        self.expect(f"{writer.tag} has {number}, not {least} or later", least <= number <= writer.number)


class Page(Actor):
    """A person who looks at pages, logged in by the form."""

    pause = 0.5
    credentials = {}

    def __init__(self, port, faults):
        super().__init__(port, faults)
        self.cookie = None

    def step(self):
        if self.cookie is None:
            self.log_in()
        elif answer := self.ask("GET", random.choice(["/", "/tags/tag00001", "/new", "/account"]), Cookie=self.cookie):
            self.expect(f"a page: {answer[0]}", answer[0] == 200 and b"</html>" in answer[2])

    def log_in(self):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", "/login", urlencode({"name": NAME, "password": PASSWORD}), **form)
        if answer:
            self.expect(f"the login: {answer[0]}", answer[0] == 302)
            self.cookie = answer[1]["Set-Cookie"].partition(";")[0]


class Scraper(Actor):
    """Prometheus."""

    pause = 1.0

    def step(self):
        if answer := self.ask("GET", "/metrics"):
            self.expect(f"/metrics: {answer[0]}", answer[0] == 200 and b"\ndeploymetrics_" in answer[2])


class Actors:
    """All of them, at work while it is entered."""

    def __init__(self, actors):
        self.actors = actors
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=actor.run, args=(self.stop,)) for actor in actors]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for actor in self.actors:
            actor.close()

    def counts(self):
        """Of each kind: how many requests, and how many had no other answer than 5xx while a fault lasted."""
        found = {}
        for actor in self.actors:
            requests, refused = found.get(type(actor).__name__.lower(), (0, 0))
            found[type(actor).__name__.lower()] = requests + actor.requests, refused + actor.refused
        return found

    def wrong(self):
        return [each for actor in self.actors for each in actor.wrong]
