"""Berth as the story talks to it: the Kubernetes API by HTTPS, and the `berth` command as a user would type it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import children

Object = dict[str, Any]
NAMESPACE = "default"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class ApiError(Exception):
    pass


def _field(text: str, name: str) -> str:
    found = re.search(rf"^[\s-]*\"?{name}\"?:\s*\"?([^\s\",]+)", text, re.MULTILINE)
    if not found:
        raise ApiError(f"the kubeconfig has no {name}")
    return found.group(1)


class Api:
    """Reads of the API. Each call has its own connection, so that threads may share this."""

    def __init__(self, kubeconfig: Path) -> None:
        text = kubeconfig.read_text()
        server = urllib.parse.urlsplit(_field(text, "server"))
        self._host, self._port = server.hostname or "127.0.0.1", server.port or 443
        self._token = _field(text, "token")
        authority = base64.b64decode(_field(text, "certificate-authority-data")).decode()
        self._tls = ssl.create_default_context(cadata=authority)

    def raw(self, path: str) -> str:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=10, context=self._tls
        )
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"GET {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise ApiError(f"GET {path}: HTTP {answer.status}: {body[:300]}")
        return body

    def watch(self, path: str, version: str, seconds: int) -> Iterator[Object]:
        """The changes of a collection after that version, for so long."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=seconds + 10, context=self._tls
        )
        query = f"?watch=1&timeoutSeconds={seconds}&resourceVersion={version}"
        try:
            connection.request(
                "GET", path + query, headers={"Authorization": f"Bearer {self._token}"}
            )
            answer = connection.getresponse()
            if answer.status != 200:
                raise ApiError(f"GET {path}{query}: HTTP {answer.status}")
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(f"GET {path}{query}: {event['object'].get('message')}")
                yield event
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ApiError(f"GET {path}{query}: {error}") from error
        finally:
            connection.close()

    def get(self, path: str) -> Object:
        return json.loads(self.raw(path))

    def list(self, path: str) -> list[Object]:
        return self.get(path)["items"]

    def pods(self, selector: str = "") -> list[Object]:
        query = f"?labelSelector={urllib.parse.quote(selector)}" if selector else ""
        return self.list(f"{PODS}{query}")

    def pod(self, name: str) -> Object:
        return self.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")

    def log(self, pod: str) -> str:
        return self.raw(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/log")

    def queues(self) -> list[Object]:
        return self.list("/apis/berth.dev/v1alpha1/queues")


class Command:
    """The `berth` binary."""

    def __init__(self, binary: Path, kubeconfig: Path) -> None:
        self.binary = binary
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"}

    def run(self, *arguments: str, check: bool = True, limit_s: float = 60) -> str:
        """What it printed. With `check`, anything but success is an error with what it said."""
        try:
            done = children.run(
                [self.binary, *arguments],
                limit_s,
                env=self._environment,
                stderr=subprocess.STDOUT,
            )
        except subprocess.TimeoutExpired as late:
            raise ApiError(f"berth {' '.join(arguments)}: no end after {limit_s:.0f} s") from late
        if check and done.returncode != 0:
            raise ApiError(
                f"berth {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}"
            )
        return done.stdout


def name_of(item: Object) -> str:
    return item["metadata"]["name"]


def label(item: Object, key: str) -> str:
    return item["metadata"].get("labels", {}).get(key, "")


def annotation(item: Object, key: str) -> str:
    return item["metadata"].get("annotations", {}).get(key, "")


def phase(pod: Object) -> str:
    return pod.get("status", {}).get("phase", "")


def condition(item: Object, kind: str) -> Object:
    for found in item.get("status", {}).get("conditions", []):
        if found.get("type") == kind:
            return found
    return {}


def is_ready(pod: Object) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def why_waiting(pod: Object) -> str:
    """The reason that the API gives for not being placed; empty where it is placed."""
    scheduled = condition(pod, "PodScheduled")
    return (scheduled.get("message") or "") if scheduled.get("status") == "False" else ""
