"""An S3 server on loopback, and a proxy before it that counts, fails and refuses; for tests of runs on servers."""

import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS = 60


@contextmanager
def s3_server():
    """The address of a moto server of its own, which ends with the block."""
    command = [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            port = next(found[1] for line in lines if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
            threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


class Proxy:
    """Passes requests on to a server.

    Attributes:
        address: where it listens.
        sent, received: bytes of bodies that clients sent and received.
        requests: ``(method, path)`` in the order they came.
        answer: called as ``answer(method, path)`` before a request is passed on; a status to answer with at once.
    """

    def __init__(self, target):
        self.sent = self.received = 0
        self.requests = []
        self.answer = lambda method, path: None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.body()
                proxy.requests.append((self.command, self.path))
                status = proxy.answer(self.command, self.path)
                if status is not None:
                    self.reply(status, {}, f"<Error><Code>{CODES[status]}</Code></Error>".encode())
                    return
                proxy.sent += len(body)
                own = ("host", "transfer-encoding", "content-length")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
                headers.setdefault("Content-Type", "binary/octet-stream")
                request = urllib.request.Request(target + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request) as answer:
                        status, headers, data = answer.status, answer.headers, answer.read()
                except urllib.error.HTTPError as error:
                    status, headers, data = error.code, error.headers, error.read()
                proxy.received += len(data)
                self.reply(status, headers, data)

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = []
                while size := int(self.rfile.readline().partition(b";")[0], 16):
                    found.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(found)

            def reply(self, status, headers, data):
                self.send_response(status)
                skipped = ("connection", "transfer-encoding", "content-length", "server", "date")
                for name, value in headers.items():
                    if name.lower() not in skipped:
                        self.send_header(name, value)
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on  # noqa: N815 - names of the library

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


CODES = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}
