"""Runs the release binary for tests: a private server, its API, conditions with limits, and what it must not leave."""

import base64
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("BERTH_BINARY", ROOT / "build" / "release" / "berth"))
# How many times slower than usual everything is, as in an emulated machine. Limits grow by it.
SLOWDOWN = float(os.environ.get("BERTH_TEST_SLOWDOWN") or 1)
# A limit is for what never comes: it is generous, so that a loaded machine passes.
LIMIT = 120 * SLOWDOWN
PLURALS = {"pods": "/api/v1", "services": "/api/v1", "configmaps": "/api/v1", "secrets": "/api/v1",
           "events": "/api/v1", "jobs": "/apis/batch/v1", "deployments": "/apis/apps/v1",
           "replicasets": "/apis/apps/v1", "modelservices": "/apis/berth.dev/v1alpha1"}


def skip(reason: str) -> None:
    print(f"skipped: {reason}")
    sys.exit(77)


def main() -> None:
    """Runs the tests of a file, or skips them with a reason."""
    if os.geteuid() != 0:
        skip("containers need root")
    for tool in ("runc", "conmon", "nft"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed")
    if not BINARY.exists():
        skip(f"{BINARY} is not built")
    unittest.main(verbosity=2)


def wait_for(what: str, condition, limit: float = LIMIT):
    """The first true value of `condition`, asked often; fails after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.05)


class ApiError(Exception):
    def __init__(self, code: int, body: str) -> None:
        super().__init__(f"HTTP {code}: {body[:500]}")
        self.code = code


def container(script: str, **more) -> dict:
    return {"name": "main", "image": "host", "command": ["sh", "-c", script], **more}


def pod(name: str, script: str, *, labels: dict | None = None, annotations: dict | None = None,
        resources: dict | None = None, spec: dict | None = None, **more) -> dict:
    """A pod of one shell script that is not restarted and dies at once when told to."""
    main_container = container(script, **more)
    if resources:
        main_container["resources"] = resources
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                     "containers": [main_container]} | (spec or {})}


def claim_subnet() -> tuple[TextIO, str]:
    """A range for Services that no other test of this machine has while the file is open."""
    for second in range(128, 192):
        claim = open(Path(tempfile.gettempdir()) / f"berth-e2e-subnet-{second}", "w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return claim, f"10.{second}.0.0/16"
        except BlockingIOError:
            claim.close()
    raise AssertionError("64 test servers hold every range for Services")


class Server:
    """`berth serve` on a folder of its own. Start again after `kill` or `stop`: the folder stays until `finish`."""

    def __init__(self, *options: str, folder: str | None = None, prefix: tuple[str, ...] = ()) -> None:
        """`prefix` is a program that starts the server in its own place."""
        self.folder = Path(folder or tempfile.mkdtemp(prefix="berth-e2e-"))
        self.data = self.folder / "data"
        # Its own also while it is stopped, so that no other server takes it meanwhile.
        self.subnet_claim, subnet = claim_subnet()
        self.prefix = prefix
        self.options = ["--port", "0", "--service-subnet", subnet, *options]
        self.uids: set[str] = set()
        self.process: subprocess.Popen | None = None
        self.bridges: set[str] = set()
        self.log = self.folder / "serve.log"

    def start(self, *options: str) -> None:
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BINARY, "serve", "--data", self.data, *self.options, *options], text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        if not line.startswith("Berth serves "):
            code = self.process.wait(timeout=LIMIT)
            raise AssertionError(f"berth serve ended with {code}: {self.log.read_text()[-2000:]}")
        self.connect()

    def connect(self) -> None:
        """To the server of the data folder, whoever started it."""
        config = (self.data / "kubeconfig").read_text()
        self.host, self.port = re.search(r"server: https://([\d.]+):(\d+)", config).groups()
        self.token = re.search(r"token: (\S+)", config).group(1)
        authority = re.search(r"certificate-authority-data: (\S+)", config).group(1)
        self.tls = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        self.bridges.add(json.loads((self.data / "network" / "network.json").read_text())["bridge"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=LIMIT)
        self.process.stdout.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=LIMIT)
        self.process.stdout.close()
        return code

    # The API.

    def request(self, method: str, path: str, body: dict | None = None,
                content_type: str = "application/json"):
        connection = http.client.HTTPSConnection(self.host, int(self.port), context=self.tls, timeout=60 * SLOWDOWN)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Authorization": f"Bearer {self.token}", "Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        if not answer.getheader("Content-Type", "").startswith("application/json"):
            return text
        value = json.loads(text)
        self.remember(value)
        return value

    def remember(self, value: dict) -> None:
        """The identities of pods, to know later whose leftovers to look for."""
        for item in value.get("items", [value]):
            if item.get("kind", value.get("kind", "")) in ("Pod", "PodList"):
                self.uids.add(item["metadata"]["uid"])
            if item.get("involvedObject", {}).get("kind") == "Pod":
                self.uids.add(item["involvedObject"]["uid"])

    @staticmethod
    def path(plural: str, name: str = "", namespace: str = "default") -> str:
        return f"{PLURALS[plural]}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def create(self, plural: str, manifest: dict) -> dict:
        return self.request("POST", self.path(plural), manifest)

    def get(self, plural: str, name: str) -> dict:
        return self.request("GET", self.path(plural, name))

    def list(self, plural: str, selector: str = ""):
        return self.request("GET", self.path(plural) + (f"?labelSelector={selector}" if selector else ""))["items"]

    def delete(self, plural: str, name: str) -> None:
        self.request("DELETE", self.path(plural, name))

    def exists(self, plural: str, name: str) -> bool:
        try:
            self.get(plural, name)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def patch(self, plural: str, name: str, change: dict, subresource: str = "") -> dict:
        return self.request("PATCH", self.path(plural, name) + subresource, change,
                            "application/merge-patch+json")

    def logs(self, name: str) -> str:
        return self.request("GET", self.path("pods", name) + "/log")

    def wait_phase(self, name: str, *phases: str, limit: float = LIMIT) -> dict:
        last = {}

        def reached():
            nonlocal last
            last = self.get("pods", name)
            return last if last.get("status", {}).get("phase") in phases else None

        try:
            return wait_for(f"pod {name} is {phases}", reached, limit)
        except AssertionError as late:
            raise AssertionError(f"{late}; it is {json.dumps(last.get('status'))}") from None

    def wait_log(self, name: str, text: str, limit: float = LIMIT) -> str:
        def logged():
            try:
                read = self.logs(name)
            except ApiError:
                return None
            return read if re.search(text, read) else None

        return wait_for(f"the log of {name} has '{text}'", logged, limit)

    def wait_gone(self, plural: str, name: str, limit: float = LIMIT) -> None:
        wait_for(f"{plural} {name} is gone", lambda: not self.exists(plural, name), limit)

    def cli(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
        return subprocess.run([BINARY, *arguments], input=stdin, text=True, capture_output=True, timeout=LIMIT,
                              env=os.environ | {"KUBECONFIG": str(self.data / "kubeconfig")})

    # The end.

    def finish(self) -> None:
        """Stops everything and fails when something is left."""
        try:
            if self.process is not None:
                if self.process.poll() is not None:
                    self.start()
                self.list("pods")
                self.list("events")
                self.stop()
                self.start("--drain")
                self.stop()
                left = self.leftovers()
                if left:
                    raise AssertionError("left behind:\n" + "\n".join(left))
        finally:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            if sys.exc_info()[0] is None or "BERTH_KEEP" not in os.environ:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.subnet_claim.close()

    def run_name(self) -> str:
        """What the folder below /run/berth is called."""
        name = 2166136261
        for byte in str(self.data).encode():
            name = (name ^ byte) * 16777619 % 2**32
        return f"{name:08x}"

    def processes(self):
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                groups = (entry / "cgroup").read_text()
            except OSError:
                continue
            # Without words it has ended and is only not yet reaped.
            if words and (f"{self.data}" in words or any(uid in groups for uid in self.uids)):
                found.append(f"process {entry.name}: {words[:200]}")
        return found

    def leftovers(self):
        found = self.processes()
        found += [f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines()
                  if str(self.data) in line or any(uid in line for uid in self.uids)]
        found += [f"network namespace {name}" for name in os.listdir("/run/netns")
                  if any(uid in name for uid in self.uids)] if os.path.isdir("/run/netns") else []
        tables = subprocess.run(["nft", "list", "tables"], text=True, capture_output=True).stdout.split()
        for bridge in self.bridges:
            if os.path.exists(f"/sys/class/net/{bridge}"):
                found.append(f"bridge {bridge}")
            if bridge in tables:
                found.append(f"nft table {bridge}")
        for folder, _, _ in os.walk("/sys/fs/cgroup"):
            if any(uid in os.path.basename(folder) for uid in self.uids):
                found.append(f"cgroup {folder}")
        found += [f"runtime file {path}" for path in Path(f"/run/berth/{self.run_name()}").rglob("*")]
        leases = self.data / "network" / "ipam"
        found += [f"address {path}" for path in leases.glob("*/[0-9]*.*.*.*")]
        return found
