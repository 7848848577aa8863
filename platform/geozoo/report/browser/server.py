"""A small server of shelves and the page, for this machine alone: reads only, answers ranges, knows no other host."""

from __future__ import annotations

import re
import sys
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from geozoo.errors import GeozooError, InputError
from geozoo.report.browser.assets import ASSETS, LIST_NAME, PAGE_NAME, ListedZoo, encode_list, read_asset
from geozoo.report.browser.files import ServedFile
from geozoo.report.browser.tables import EMBEDDINGS_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geozoo.report.browser.shelves import Shelf

ADDRESS = "127.0.0.1"
_ZOO_PATH = re.compile(r"zoos/(\d+)/(.+)")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class BrowserServer(ThreadingHTTPServer):
    """Serves the page over some zoos on a port of the loopback address; port 0 takes a free one.

    A request whose ``Host`` is another name than this address's is refused, so that no other site can reach it through
    a name that it lets point here.

    Raises:
        InputError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, shelves: Sequence[Shelf], port: int = 0) -> None:
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"port {port} of {ADDRESS} cannot be used ({error}): choose another one.") from error
        self._shelves = tuple(shelves)
        self._files = {asset: ServedFile.of_bytes(read_asset(asset)) for asset in ASSETS}
        listed = [
            ListedZoo(name, f"zoos/{number}/", shelf.find(EMBEDDINGS_TABLE) is not None)
            for number, (shelf, name) in enumerate(zip(self._shelves, _distinct_names(self._shelves), strict=True))
        ]
        self._files[LIST_NAME] = ServedFile.of_bytes(encode_list(listed))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which it may be asked."""
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def find(self, path: str) -> ServedFile | None:
        """The file at a path below the root, or None where there is none."""
        if match := _ZOO_PATH.fullmatch(path):
            number = int(match[1])
            return self._shelves[number].find(match[2]) if number < len(self._shelves) else None
        return self._files.get(path or PAGE_NAME)


def _distinct_names(shelves: Sequence[Shelf]) -> list[str]:
    """The names of the zoos, with where they are added to names that several have."""
    count = Counter(shelf.name for shelf in shelves)
    return [shelf.name if count[shelf.name] == 1 else f"{shelf.name} ({shelf.url})" for shelf in shelves]


class _Handler(BaseHTTPRequestHandler):
    server: BrowserServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "geozoo", ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self._send(HTTPStatus.FORBIDDEN, _text("this address is not served here."), {}, with_body)
            return
        path = unquote(urlsplit(self.path).path).removeprefix("/")
        try:
            file = self.server.find(path)
            if file is None:
                self._send(HTTPStatus.NOT_FOUND, _text(f"there is no {path} here."), {}, with_body)
                return
            status, start, stop = _span(self.headers.get("Range"), file.size)
            body = file.read(start, stop) if with_body else b""
        except GeozooError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, _text(str(error)), {}, with_body)
            return
        headers = {"Content-Type": _type_of(path), "Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
        if status is HTTPStatus.PARTIAL_CONTENT:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        if status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            headers["Content-Range"] = f"bytes */{file.size}"
        self._send(status, body, headers, with_body)

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        plain = {"Content-Type": _TYPES[".txt"], "Content-Length": str(len(body))}
        for name, value in {**_HEADERS, **plain, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the page reports what fails."""


def _span(asked: str | None, size: int) -> tuple[HTTPStatus, int, int]:
    """Status, first byte and end of the answer to a ``Range`` header; one that is not a single range is ignored."""
    match = _RANGE.fullmatch(asked or "")
    if not match or match[1] == match[2] == "":
        return HTTPStatus.OK, 0, size
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return HTTPStatus.OK, 0, size
    else:
        start, stop = max(size - int(match[2]), 0), size
    if start >= size or start >= stop:
        return HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, 0
    return HTTPStatus.PARTIAL_CONTENT, start, stop


def _type_of(path: str) -> str:
    suffix = path[path.rfind(".") :] if "." in path else ""
    return _TYPES.get(suffix or ".html" if not path else suffix, "application/octet-stream")


def _text(sentence: str) -> bytes:
    return f"{sentence.rstrip('.')}.\n".encode()
