#!/usr/bin/env python3
"""What attackers send to the release binary's gateway: slow, huge, malformed, and requests that two readers would take
differently. None reaches a server, each is answered with an error or the end, and others are served meanwhile."""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway import BINARY, Gateway, get

if not BINARY.exists():
    print(f"skipped: {BINARY} is not built")
    sys.exit(77)

ASK = json.dumps({"model": "m", "prompt": "p"}).encode()
ANSWER = json.dumps({"choices": [{"text": "x"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
LIMIT_S = 60

# What comes after a request line and a Host, and after it a request that nobody may see as one of its own.
HIDDEN = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Request-Id: hidden\r\nContent-Length: %d\r\n\r\n" % len(ASK) + ASK
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ASK), ASK)
SMUGGLED = {
    "length and chunks": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + CHUNK,
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(ASK) + ASK,
    "two equal lengths": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"Content-Length: +3\r\n\r\nabc",
    "a hexadecimal length": b"Content-Length: 0x3\r\n\r\nabc",
    "a length with a space": b"Content-Length : 3\r\n\r\nabc",
    "a length with a null": b"Content-Length: 3\x00\r\n\r\nabc",
    "another encoding": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "an encoding in a list": b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNK,
    "an encoding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNK,
    "an encoding behind a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNK,
    "an encoding in a folded line": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNK,
    "a field in a folded line": b"X: a\r\n Content-Length: 3\r\n\r\nabc",
    "lines that end in LF": b"X: a\nContent-Length: 3\n\nabc",
    "a CR within a line": b"X: a\rContent-Length: 3\r\n\r\nabc",
    "a chunk with an extension": b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    "a chunk of a negative size": b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk of a size too large": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer than it says": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "a chunk that ends in LF": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "two hosts": b"Host: b\r\nContent-Length: 3\r\n\r\nabc",
    "an upgrade": b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    "two keys": b"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n\r\n",
    "a compressed body": b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
}
MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "another host's address": b"POST http://other/v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "no host": b"POST /v1/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "a target with a space": b"POST /v1/completions HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unending target": b"GET /" + b"a" * 100_000,
    "an unending field": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000,
    "many fields": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10_000 + b"\r\n",
    "a huge length": b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999\r\n\r\n",
    "deep JSON": (b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n"
                  + b"[" * 100_000),
}


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[str] = []

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["X-Request-Id"] if body == ASK else body.decode(errors="replace"))
        self.answer(ANSWER)


class AbuseTest(unittest.TestCase):
    def setUp(self) -> None:
        Recorder.seen.clear()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        folder = tempfile.TemporaryDirectory(prefix="berth-abuse-")
        self.addCleanup(folder.cleanup)
        keys = Path(folder.name, "keys.json")
        self.token = subprocess.run([BINARY, "key", "create", "ann", "--file", keys], text=True, check=True,
                                    capture_output=True).stdout.strip().encode()
        self.gateway = Gateway(f"--upstream=m=http://127.0.0.1:{server.server_port}", f"--keys={keys}")
        self.addCleanup(self.gateway.finish)
        self.gateway.ready("m", 1)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=LIMIT_S)
        self.addCleanup(connection.close)
        return connection

    def talk(self, data: bytes) -> bytes:
        """All that comes back until the connection ends."""
        connection = self.connect()
        answer = b""
        try:
            connection.sendall(data)
        except OSError:
            pass  # it need not read all of it
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer

    def statuses(self, answer: bytes) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", answer)]

    def ask(self, name: str) -> float:
        """A request as it should be, and how long it took."""
        begun = time.monotonic()
        answer = self.talk(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: %s\r\n"
                           b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                           % (name.encode(), self.token, len(ASK), ASK))
        self.assertEqual(self.statuses(answer), [200], answer)
        return time.monotonic() - begun

    def test_requests_that_could_be_read_in_two_ways(self) -> None:
        for what, rest in SMUGGLED.items():
            with self.subTest(what):
                hidden = HIDDEN.replace(b"Host: a", b"Host: a\r\nAuthorization: Bearer " + self.token)
                start = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
                if what != "two keys":
                    start += b"Authorization: Bearer %s\r\n" % self.token
                answer = self.talk(start + rest + hidden)
                found = self.statuses(answer)
                self.assertEqual(len(found), 1, answer)
                self.assertIn(found[0] // 100, (4, 5))
        self.ask("honest")
        self.assertEqual(Recorder.seen, ["honest"])
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual([line["request_id"] for line in self.gateway.log()], ["honest"])

    def test_malformed_and_huge_requests(self) -> None:
        for what, data in MALFORMED.items():
            with self.subTest(what):
                data = data.replace(b"Host: a\r\n", b"Host: a\r\nAuthorization: Bearer " + self.token + b"\r\n", 1)
                found = self.statuses(self.talk(data))
                self.assertLessEqual(len(found), 1)
                for status in found:
                    self.assertIn(status // 100, (4, 5))
        self.ask("honest")
        self.assertEqual(Recorder.seen, ["honest"])

    def test_a_request_that_comes_a_byte_at_a_time(self) -> None:
        connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
                     b"Authorization: Bearer " + self.token + b"\r\n\r\n0\r\n\r\n"):
            connection.send(bytes([byte]))
            time.sleep(0.002)  # else they come together
        self.assertEqual(self.statuses(connection.recv(65536)), [400], "an empty body is no request")
        self.ask("honest")

    def test_bodies_take_no_memory_before_a_key(self) -> None:
        before = self.rss_mib()
        held = []
        for _ in range(300):
            connection = self.connect()
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
            connection.setblocking(False)
            try:
                while True:
                    connection.send(b"x" * 65536)
            except OSError:
                held.append(connection)
        self.assertLess(self.rss_mib() - before, 64)
        self.ask("honest")

    def rss_mib(self) -> float:
        text = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024

    def test_slow_clients_keep_nobody_waiting_and_are_ended(self) -> None:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + self.token + b"\r\n"
        slow = [self.connect() for _ in range(1000)]
        for i, connection in enumerate(slow):
            connection.sendall((b"", head[:20], head, head + b"Content-Length: 100\r\n\r\n{")[i % 4])
        begun = time.monotonic()
        longest = 0.0
        ended = 0
        while ended < len(slow):
            self.assertLess(time.monotonic() - begun, LIMIT_S, f"{len(slow) - ended} are still there")
            longest = max(longest, self.ask("honest"))
            for i, connection in enumerate(slow):
                if connection.fileno() < 0:
                    continue
                connection.setblocking(False)
                try:
                    if i % 4 and time.monotonic() % 1 < 0.1:
                        connection.send(b"a")  # a byte now and then keeps no place
                    if connection.recv(65536):
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                connection.close()
                ended += 1
        self.assertLess(longest, 5)
        self.assertEqual(set(Recorder.seen), {"honest"})
        self.assertEqual(get(self.gateway.port, "/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
