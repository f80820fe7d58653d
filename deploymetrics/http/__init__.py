"""Between a request and a view: who asks, what was sent, and how answers and errors are written."""
