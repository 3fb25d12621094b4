"""A `berth serve` of this run's own, and the little of its API that the figures need.

Requests go through the server's local socket: no TLS and no token, so that the client costs little
on the machine that is being measured.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

PODS = "/api/v1/namespaces/default/pods"
TICKS = os.sysconf("SC_CLK_TCK")
TOOK = re.compile(r"node: (conmon create|runc start|\S+ ADD) (\S+) took (\d+) us")


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=120):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class BerthServer:
    """Starts when it is made; `ready_s` is from the start of the process to its line on stdout."""

    def __init__(self, program, data, log_level="info"):
        self.program, self.data = program, data
        self.log_path = data + ".log"
        started = time.monotonic()
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--data", data, "--port", "0", "--log-level", log_level],
                stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        self.ready_s = time.monotonic() - started
        if not line:
            with open(self.log_path, encoding="utf-8") as log:
                raise SystemExit(f"berth serve did not start: {log.read().strip()}")
        self.address = line.split()[2].rstrip(";")
        self.kubeconfig = data + "/kubeconfig"

    def connect(self, timeout=120):
        return SocketConnection(self.data + "/api.sock", timeout)

    def request(self, method, path, body=None, connection=None):
        own = connection or self.connect()
        own.request(method, path, None if body is None else json.dumps(body),
                    {"Content-Type": "application/json"})
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        if answer.status >= 400 and answer.status != 404:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300].decode()}")
        return json.loads(text)

    def apply(self, path):
        subprocess.run([self.program, "--kubeconfig", self.kubeconfig, "apply", "-f", path],
                       stdout=subprocess.DEVNULL, check=True)

    def wait_scheduling(self):
        """Until a first decision can be taken: the scheduler has seen the Node."""
        limit = time.monotonic() + 30
        while not self.request("GET", "/api/v1/nodes")["items"]:
            if time.monotonic() > limit:
                raise SystemExit("the Node never appeared")
            time.sleep(0.02)

    def delete_pods(self, keep=(), limit_s=180):
        """All but those named in `keep`; waits until their containers are gone too."""
        connection = self.connect()
        for item in self.request("GET", PODS, connection=connection)["items"]:
            name = item["metadata"]["name"]
            if name not in keep:
                self.request("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0",
                             connection=connection)
        until = time.monotonic() + limit_s
        while len(os.listdir(self.data + "/pods")) > len(keep):
            if time.monotonic() > until:
                raise SystemExit("pods were still there after their deletion")
            time.sleep(0.1)

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def cpu_s(self):
        """Of the server itself, without the programs that it ran."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def tool_times(self):
        """Pod uid -> seconds that its runc, conmon and CNI plugins took, from the debug log."""
        out = {}
        with open(self.log_path, encoding="utf-8") as log:
            for _, subject, microseconds in TOOK.findall(log.read()):
                uid = subject[:36]
                out[uid] = out.get(uid, 0) + int(microseconds) / 1e6
        return out

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)


class RunningWatch:
    """Notes when each pod is first seen Running, as a client that watches sees it."""

    def __init__(self, server):
        self.seen = {}  # name -> (monotonic seconds, uid)
        self.created = {}  # name -> monotonic seconds at which the API showed it
        self.changed = threading.Condition()
        self.connection = server.connect(timeout=600)
        self.connection.request("GET", PODS + "?watch=1")
        self.response = self.connection.getresponse()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for line in self.response:
                now = time.monotonic()
                running = b'"phase":"Running"' in line
                if not running and not line.startswith(b'{"type":"ADDED"'):
                    continue
                meta = json.loads(line)["object"]["metadata"]
                self.created.setdefault(meta["name"], now)
                if not running:
                    continue
                with self.changed:
                    self.seen.setdefault(meta["name"], (now, meta["uid"]))
                    self.changed.notify_all()
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def wait(self, names, limit_s):
        with self.changed:
            if not self.changed.wait_for(lambda: all(n in self.seen for n in names), limit_s):
                missing = [n for n in names if n not in self.seen]
                raise SystemExit(f"{len(missing)} pods did not run within {limit_s} s: "
                                 f"{', '.join(missing[:5])}")
            return {n: self.seen[n] for n in names}

    def close(self):
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.thread.join(5)


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "c", "image": "host",
                                     "command": ["/bin/sleep", "100000"],
                                     "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}]}}


def write_manifest(path, names):
    # JSON documents are YAML documents.
    with open(path, "w", encoding="utf-8") as file:
        file.write("---\n".join(json.dumps(pod(name)) + "\n" for name in names))
