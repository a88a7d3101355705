"""A model hub on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Fault = Callable[["Handler", str, bytes], bool]
"""Answers a GET of a file (handler, name, content) in a wrong way; False to answer rightly."""


@dataclass
class Hub:
    """What the server gives, what it does wrong, and what it was asked."""

    files: dict[str, bytes]
    fault: Fault | None = None
    requests: list[str] = field(default_factory=list)
    endpoint: str = ""


class Handler(BaseHTTPRequestHandler):
    """HEAD and GET of files; whatever else is asked does not exist."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub = self.hub
        hub.requests.append(f"{self.command} {self.path}")
        match = re.match(r"/[^/]+/[^/]+/resolve/[^/]+/(.+)", self.path)
        content = hub.files.get(match[1]) if match else None
        if match is None or content is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if self.command == "GET" and hub.fault and hub.fault(self, match[1], content):
            return
        self.send_file(content)

    def send_file(self, content: bytes, *, ranges: bool = True) -> None:
        """The file, or the asked-for rest of it."""
        first = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and ranges:
            first = int(asked[1])
        headers = self.file_headers(content)
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self.send(206 if first else 200, content[first:], headers)

    def file_headers(self, content: bytes) -> dict[str, str]:
        digest = hashlib.sha256(content).hexdigest()
        return {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path, fault: Fault | None = None) -> Iterator[Hub]:
    """A hub with the files of a model folder, until the block ends."""
    hub = Hub({path.name: path.read_bytes() for path in folder.iterdir()}, fault)
    handler = type("OneHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def cut_at(where: Callable[[int], int], *, times: int = 1, only: str = "") -> Fault:
    """Promise the whole file, send the first `where(length)` bytes and hang up, `times` times a file."""
    done: dict[str, int] = {}

    def fault(handler: Handler, name: str, content: bytes) -> bool:
        if only not in name or done.get(name, 0) >= times:
            return False
        done[name] = done.get(name, 0) + 1
        handler.send_response(200)
        for key, value in handler.file_headers(content).items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: where(len(content))])
        handler.close_connection = True
        return True

    return fault


def fail_with(status: int, times: int = 10**9) -> Fault:
    """Answer with a status instead of the file."""
    left = [times]

    def fault(handler: Handler, name: str, content: bytes) -> bool:  # noqa: ARG001
        if left[0] <= 0:
            return False
        left[0] -= 1
        handler.send(status, b"no", {})
        return True

    return fault


def drip(handler: Handler, name: str, content: bytes) -> bool:
    """One byte every tenth of a second."""
    if not name.endswith(".safetensors"):
        return False
    handler.send_response(200)
    for key, value in handler.file_headers(content).items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for index in range(len(content)):
            handler.wfile.write(content[index : index + 1])
            handler.wfile.flush()
            time.sleep(0.1)
    handler.close_connection = True
    return True


def flip_bit(name: str, place: int) -> Fault:
    """One bit of one file is wrong."""

    def fault(handler: Handler, asked: str, content: bytes) -> bool:
        if asked != name:
            return False
        damaged = bytearray(content)
        damaged[place % len(content)] ^= 1
        handler.send(200, bytes(damaged), handler.file_headers(content))
        return True

    return fault
