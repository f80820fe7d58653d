"""Keys of ours in the environ of a request, by which the server and the application tell each other something."""

#: The request's id; its route and the code of its error, once it is answered; for the logs.
REQUEST_ID = "deploymetrics.request_id"
ROUTE = "deploymetrics.route"
CODE = "deploymetrics.code"
#: Set by a server: answer only a read on the fast path that waits for no database, as granian's one thread asks for.
ONLY_FAST_PATH = "deploymetrics.only_fast_path"
#: Set by a server: when all of the request had come, by time.perf_counter(), where requests wait for a thread.
RECEIVED_AT = "deploymetrics.received_at"
