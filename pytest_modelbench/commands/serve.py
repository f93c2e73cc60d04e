"""Serve the page over all stored sessions, on this machine only, and load it anew when there are new results.

It shows the last session, with those before it as history. Other machines cannot reach it: it listens on 127.0.0.1.

  modelbench serve
  modelbench serve results/data --port 9000
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import tempfile
from collections.abc import Callable
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from ..catalog import Catalog
from ..errors import ModelbenchError, UsageError
from ..places import results_at, rows_at, stored_at, usual_store
from ..quantity import visible
from . import say

_HOST = "127.0.0.1"
#: The page around the report asks so often whether there is a new one (chosen here: soon enough for a person).
_EVERY_MS = 2000

# The report forbids itself every request, so it cannot ask for news. A page around it does, which holds nothing of any
# Record: the report is in a frame, keeps its policy, and its place in the URL (`#v=slower&...`) is carried over.
_SCRIPT = """
const frame = document.getElementById("report");
let seen = null;
frame.src = "/report" + location.hash;
frame.addEventListener("load", () => { document.title = frame.contentDocument.title; });
async function look() {
  try {
    const answer = await fetch("/version", { cache: "no-store" });
    const version = await answer.text();
    if (seen !== null && version !== seen) frame.contentWindow.location.reload();
    seen = version;
    document.body.className = "";
  } catch {
    document.body.className = "gone";
  }
  const place = frame.contentWindow.location.hash;
  if (place !== location.hash) history.replaceState(null, "", place || "/");
}
look();
setInterval(look, EVERY_MS);
""".replace("EVERY_MS", str(_EVERY_MS))
_STYLE = """
html, body { margin: 0; height: 100% } iframe { border: 0; width: 100%; height: 100%; display: block }
p { display: none; margin: 0; padding: 4px; font: 14px sans-serif; background: #b4470b; color: #fff }
.gone p { display: block }
"""
_AROUND = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>modelbench</title><style>{_STYLE}</style></head>
<body><p role="status">modelbench serve has ended: what is shown is the last that it said.</p>
<iframe id="report" title="report"></iframe><script>{_SCRIPT}</script></body></html>
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """STORE, --port."""
    parser.add_argument("store", nargs="?", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="of 127.0.0.1 (8765); 0 takes a free one")


def run(arguments: argparse.Namespace) -> int:
    """Answer until Ctrl-C."""
    with server(arguments.store, arguments.port) as answering:
        where = f"http://{_HOST}:{answering.server_address[1]}/"
        say(f"{where}  shows {arguments.store or usual_store()}; Ctrl-C ends it")
        try:
            answering.serve_forever()
        except KeyboardInterrupt:
            say()
    return 0


def server(store: str | None, port: int) -> ThreadingHTTPServer:
    """A server that does not run yet. Raises UsageError for a taken port, StoreError where there is no store."""
    stored_at(store)
    try:
        return ThreadingHTTPServer((_HOST, port), partial(_Answer, _Pages(store)))
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on port {port} of {_HOST}: {error}; give another --port") from error


class _Pages:
    """The report of a store, made again when the store has changed."""

    def __init__(self, store: str | None) -> None:
        self.store = store
        self._made: tuple[str, bytes] = ("", b"")
        self._lock = Lock()

    def version(self) -> str:
        """Changes with the store: by the names, sizes and times of its files, where it is a folder of them."""
        store = stored_at(self.store)
        folder = getattr(store, "place", None)
        if isinstance(folder, Path) and folder.is_dir():
            files = sorted((folder / "records").glob("*"))
            told: Any = [(file.name, *_size_and_time(file)) for file in files]
        else:
            told = [(row["session"], row["record_id"]) for row in rows_at(self.store)]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def report(self) -> bytes:
        """The page of the last session."""
        with self._lock:
            version = self.version()
            if self._made[0] != version:
                with tempfile.TemporaryDirectory(prefix="modelbench-serve-") as folder:
                    page = Catalog().find("report", "html")(results_at(self.store), Path(folder, "page.html"))
                    self._made = version, page.read_bytes()
            return self._made[1]


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:  # a draft that became a file meanwhile
        return 0, 0
    return found.st_size, found.st_mtime_ns


class _Answer(BaseHTTPRequestHandler):
    """Three addresses, each a page that is made here: no path leads to a file."""

    server_version = "modelbench"
    sys_version = ""

    def __init__(self, pages: _Pages, *rest: Any) -> None:
        self.pages = pages
        super().__init__(*rest)

    def do_GET(self) -> None:
        """The page around, the report, or whether there is a new one."""
        if not self._ours():
            self._say(403, b"this server answers to 127.0.0.1 and localhost only\n", "text/plain")
            return
        answers: dict[str, Callable[[], tuple[bytes, str, str]]] = {
            "/": lambda: (_AROUND.encode(), "text/html", _around_policy()),
            "/report": lambda: (self.pages.report(), "text/html", "frame-ancestors 'self'"),
            "/version": lambda: (self.pages.version().encode(), "text/plain", "default-src 'none'"),
        }
        answer = answers.get(self.path.partition("?")[0])
        if answer is None:
            self._say(404, b"there are /, /report and /version\n", "text/plain")
            return
        try:
            self._say(200, *answer())
        except ModelbenchError as error:
            text = f"<!doctype html><title>modelbench</title><p>{escape(visible(str(error)))}</p>"
            self._say(500, text.encode(), "text/html")

    do_HEAD = do_GET

    def _ours(self) -> bool:
        """Whether the browser asked for this machine by its name: a foreign name that was made to lead here did not."""
        assert isinstance(self.server, ThreadingHTTPServer)
        port = self.server.server_port
        return self.headers.get("Host", "") in {f"{name}:{port}" for name in (_HOST, "localhost")}

    def _say(self, status: int, content: bytes, kind: str, policy: str = "default-src 'none'") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line every two seconds tells nobody anything."""


def _around_policy() -> str:
    script, style = (
        "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (_SCRIPT, _STYLE)
    )
    return (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; frame-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
