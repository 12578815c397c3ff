"""A function behind HTTP, as its function URL serves it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from tests import http_event

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@contextmanager
def served(function: Handler) -> Iterator[str]:
    """Yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _requests(function))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _requests(function: Handler) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()  # a Lambda container serves one request at a time

    class Requests(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            event = http_event.event(self.command, self.path, self.headers.items(), body)
            with one_at_a_time:
                found = function(event, SimpleNamespace(aws_request_id="r"))
            data = found["body"].encode()
            self.send_response(found["statusCode"])
            for name, value in (found["headers"] | {"content-length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # whatever the method is called
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Requests
