"""`modelbench serve`, asked over HTTP."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from records import FULL, timed

from pytest_modelbench.__main__ import main
from pytest_modelbench.commands.serve import server
from pytest_modelbench.errors import StoreError, UsageError
from pytest_modelbench.stores.parquet import Parquet


@pytest.fixture
def store(tmp_path):
    Parquet(tmp_path / "data").append([timed(), FULL])
    (tmp_path / "secret.txt").write_text("not for anybody")
    return tmp_path / "data"


@pytest.fixture
def ask(store):
    """ask(path, method="GET", **headers): status, headers and body of a real answer."""
    with server(str(store), 0) as answering:
        thread = threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = answering.server_address[1]

        def ask_(path, method="GET", **headers):
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value.replace("PORT", str(port)))
            connection.endheaders()
            answer = connection.getresponse()
            found = answer.status, dict(answer.getheaders()), answer.read().decode()
            connection.close()
            return found

        ask_.port = port
        yield ask_
        answering.shutdown()
        thread.join()


def test_the_report_is_of_the_last_session_with_those_before_it(ask):
    status, headers, body = ask("/report")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert FULL.session in body
    assert "bench_generate" in body


def test_new_results_are_a_new_version_and_a_new_report(ask, store):
    before = ask("/version")[2]
    assert ask("/version")[2] == before
    Parquet(store).append([replace(timed("b.py::bench_newer"), session="s9", started_utc="2026-03-01T10:00:00Z")])
    assert ask("/version")[2] != before
    assert "newer" in ask("/report")[2]


def test_the_page_around_holds_a_frame_and_forbids_all_but_that(ask):
    _, headers, body = ask("/")
    assert '<iframe id="report"' in body
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "bench_" not in body


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/report/../../secret.txt", "/data",
     "/report/", "/secret.txt", "/etc/passwd", "file:///etc/passwd", "/./report", "/REPORT", "/\\..\\secret.txt"],
)  # fmt: skip
def test_no_path_leads_to_a_file(ask, path):
    status, _, body = ask(path)
    assert status == 404
    assert body == "there are /, /report and /version\n"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "127.0.0.1", "localhost:1", "", "0.0.0.0:PORT"])
def test_another_name_that_leads_here_is_refused(ask, host):
    assert ask("/report", Host=host)[0] == 403
    assert ask("/report", Host="localhost:PORT")[0] == 200


def test_only_reading_is_answered(ask):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask("/report", method)[0] == 501
    status, headers, body = ask("/report", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_other_machines_cannot_reach_it(ask):
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", ask.port), timeout=5)


def test_a_damaged_store_is_an_answer_that_names_the_file(ask, store):
    file = next((store / "records").glob("*"))
    file.write_bytes(b"<img src=x onerror=alert(1)>")
    status, headers, body = ask("/report")
    assert status == 500
    assert file.name in body
    assert "<img" not in body
    assert headers["Content-Security-Policy"] == "default-src 'none'"


def test_what_cannot_be_served_is_said(store, tmp_path, capsys):
    with pytest.raises(StoreError, match="holds no Records"):
        server(str(tmp_path / "nothing"), 0)
    with server(str(store), 0) as first, pytest.raises(UsageError, match="in use; give another --port"):
        server(str(store), first.server_address[1])
    assert main(["serve", str(store), "--port", "70000"]) == 2
    assert "cannot listen on port 70000" in capsys.readouterr().err


def test_it_runs_until_it_is_interrupted(store):
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_modelbench", "serve", str(store), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as running:  # fmt: skip
        port = int(re.match(r"http://127\.0\.0\.1:(\d+)/ ", running.stdout.readline())[1])
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/version")
        assert connection.getresponse().status == 200
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
        assert running.stderr.read() == ""
