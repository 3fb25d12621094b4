#!/usr/bin/env python3
"""Mixed load on the gateway while its servers are killed, hung, slowed and restarted at random.

    tests/e2e/gateway_soak.py [--seconds 600] [--clients 24] [--seed 1] [--server]

With --server (root) the gateway takes its servers from `berth serve`, which is killed and restarted too, and which scales
them down; its ledger has to have counted every token once, and its money has to add up.
Checked: every request gets exactly one whole answer or one error; what clients were told of tokens is what the
gateway's log says, and the log adds up to its metrics to the last token.
"""

import argparse
import http.client
import json
import random
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter

from berth import Server, pod
from gateway import Gateway, Upstream, free_port, get, wait_for

# No request may take longer: the longest wait is for a hung server to be found out.
LIMIT_S = 90


class Client(threading.Thread):
    def __init__(self, port: int, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__()
        self.port, self.number, self.stop = port, number, stop
        self.dice = random.Random(seed * 1000 + number)
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.told: dict[str, tuple[int, int]] = {}  # by request id: tokens in and out

    def run(self) -> None:
        connection = None
        count = 0
        while not self.stop.is_set():
            count += 1
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
            if not self.ask(connection, f"soak-{self.number}-{count}"):
                connection.close()
                connection = None
        if connection:
            connection.close()

    def ask(self, connection: http.client.HTTPConnection, name: str) -> bool:
        """False: the connection cannot be used again."""
        stream = self.dice.random() < 0.6
        tokens = self.dice.randrange(1, 40)
        body = {"model": "m", "prompt": "p" * self.dice.randrange(4, 2000), "max_tokens": tokens, "stream": stream}
        asked_usage = stream and self.dice.random() < 0.5
        if asked_usage:
            body["stream_options"] = {"include_usage": True}
        leaves = self.dice.random() < 0.1
        try:
            connection.request("POST", "/v1/completions", json.dumps(body),
                               {"Content-Type": "application/json", "X-Request-Id": name})
            if leaves and not stream:
                self.outcomes["left"] += 1
                return False
            answer = connection.getresponse()
            if stream and answer.status == 200:
                return self.read_stream(answer, name, tokens, asked_usage, leaves)
            data = json.loads(answer.read())
        except Exception as error:  # noqa: BLE001: whatever it is, it is no answer
            self.wrong.append(f"{name}: {error!r}")
            return False
        if answer.status == 200:
            if data["usage"]["completion_tokens"] != tokens:
                self.wrong.append(f"{name}: {data['usage']} for {tokens}")
            self.outcomes["whole"] += 1
            self.told[answer.getheader("X-Request-Id")] = (data["usage"]["prompt_tokens"], tokens)
        elif "error" in data and data["error"]["message"]:
            self.outcomes[f"error {answer.status}"] += 1
        else:
            self.wrong.append(f"{name}: {answer.status} {data}")
        return not answer.will_close

    def read_stream(self, answer: http.client.HTTPResponse, name: str, tokens: int, asked_usage: bool,
                    leaves: bool) -> bool:
        seen, done, error, usage = 0, False, False, None
        while line := answer.readline():
            if not line.startswith(b"data: "):
                continue
            if done or error:
                self.wrong.append(f"{name}: more after the end: {line!r}")
            payload = line[6:].strip()
            if payload == b"[DONE]":
                done = True
                continue
            event = json.loads(payload)
            if "error" in event:
                error = True
            elif event.get("usage") and not event["choices"]:
                usage = event["usage"]
            else:
                seen += 1
            if leaves and seen > tokens // 2:
                self.outcomes["left"] += 1
                return False
        if done == error:
            self.wrong.append(f"{name}: {'both an answer and an error' if done else 'a stream without an end'}")
        if done:
            self.outcomes["stream"] += 1
            if seen != tokens:
                self.wrong.append(f"{name}: {seen} tokens of {tokens}")
            if asked_usage != (usage is not None):
                self.wrong.append(f"{name}: usage {usage}, asked: {asked_usage}")
            self.told[answer.getheader("X-Request-Id")] = (usage["prompt_tokens"] if usage else -1, tokens)
        else:
            self.outcomes["error in stream"] += 1
        return not answer.will_close


class Controller:
    """`berth serve`, which tells the gateway of its servers and keeps the ledger."""

    PRICES = """{apiVersion: config.berth.dev/v1alpha1, kind: BerthConfiguration,
      prices: [{resource: nvidia.com/gpu, perHour: 3.6, currency: USD}, {resource: cpu, perHour: 0.1, currency: USD}]}"""

    def __init__(self, upstreams: list[Upstream], address: str) -> None:
        self.address = address
        self.server = Server("--emulate-device", "nvidia.com/gpu=4:80Gi")
        self.server.options[1] = str(free_port())
        file = self.server.folder / "configuration.yaml"
        file.write_text(self.PRICES)
        self.server.options += ["--config", str(file)]
        self.server.start()
        labels = {"berth.dev/model-service": "m"}
        self.server.create("services", {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "m", "labels": labels, "annotations": {"berth.dev/max-in-flight": "8"}},
            "spec": {"ports": [{"port": 80}]}})
        for upstream in upstreams:
            self.add(upstream)
        gpu = {"limits": {"nvidia.com/gpu": "1"}}
        self.server.create("pods", pod("m-0", "sleep 100000", labels=labels, resources=gpu))

    @property
    def options(self) -> tuple[str, ...]:
        return "--discover", "--anonymous=ann", f"--kubeconfig={self.server.data / 'kubeconfig'}"

    @property
    def slices(self) -> str:
        return "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

    def add(self, upstream: Upstream) -> None:
        self.server.request("POST", self.slices, {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"m-{upstream.port}", "labels": {"kubernetes.io/service-name": "m"}},
            "ports": [{"port": upstream.port}],
            "endpoints": [{"addresses": [self.address], "conditions": {"ready": True}}]})

    def remove(self, upstream: Upstream) -> None:
        self.server.request("DELETE", f"{self.slices}/m-{upstream.port}")

    def restart(self) -> None:
        self.server.kill()
        self.server.start()

    def churn(self) -> None:
        """A pod that comes and goes."""
        name = f"p-{uuid.uuid4().hex[:8]}"
        self.server.create("pods", pod(name, "sleep 1", resources={"limits": {"nvidia.com/gpu": "1"}}))

    def report(self, by: str, until: str = "0s") -> dict:
        done = self.server.cli("cost", "--by", by, "--until", until, "-o", "json")
        return json.loads(done.stdout)

    def check(self, log: list[dict]) -> list[str]:
        wanted = {f"{direction}Tokens": sum(line[f"{direction}_tokens"] for line in log)
                  for direction in ("input", "output")}

        def counted() -> dict:
            rows = [row for row in self.report("model")["rows"] if row["key"] == "m"]
            return {key: rows[0].get(key, 0) for key in wanted} if rows else {}

        try:
            wait_for("all tokens are in the ledger", lambda: counted() == wanted, 20)
        except AssertionError:
            return [f"the ledger has {counted()}, the log {wanted}"]
        wrong = []
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        reports = [self.report(by, until) for by in ("queue", "tenant", "model", "job")]
        for report in reports:
            if sum(row["costMicro"] for row in report["rows"]) != report["allocatedMicro"] or (
                    report["allocatedMicro"] + report["idleMicro"] + report["overheadMicro"] != report["totalMicro"]):
                wrong.append(f"the ledger does not add up: {report}")
        if len({report["totalMicro"] for report in reports}) != 1:
            wrong.append(f"totals differ: {reports}")
        return wrong


def torment(upstreams: list[Upstream], dice: random.Random, stop: threading.Event,
            controller: Controller | None) -> Counter:
    """One fault after the other, so that something is always left to answer."""
    faults: Counter[str] = Counter()
    kinds = ["kill", "hang", "slow", "cuts", "refuses"] + (["controller", "scale down"] if controller else [])
    while not stop.wait(dice.uniform(0.2, 1.0)):
        victim = dice.choice(upstreams)
        fault = dice.choice(kinds)
        faults[fault] += 1
        if fault == "controller":
            controller.churn()
            controller.restart()
            continue
        if fault == "scale down":
            controller.remove(victim)
            stop.wait(dice.uniform(0.5, 3.0))
            controller.add(victim)
            continue
        if fault == "hang":
            victim.signal(signal.SIGSTOP)
            stop.wait(dice.uniform(0.5, 12.0))
            victim.signal(signal.SIGCONT)
            continue
        victim.kill()
        victim.options = (victim.options[0], *{"kill": (), "slow": ("--slow=0.02",), "cuts": ("--cut=0.3",),
                                               "refuses": ("--refuse=0.3",)}[fault])
        stop.wait(dice.uniform(0.0, 1.0))
        victim.start()
    return faults


def check_books(gateway: Gateway, clients: list[Client]) -> list[str]:
    wrong = []
    log = gateway.log()
    metrics = gateway.metrics()
    by_name = {line["request_id"]: line for line in log}
    if len(by_name) != len(log):
        wrong.append(f"{len(log) - len(by_name)} requests are in the log twice")

    def metric(name: str, **labels: str) -> float:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(v for k, v in metrics.items() if k.startswith(name + "{") and all(w in k for w in wanted))

    for outcome in ("answered", "refused", "failed", "passed_error", "cancelled"):
        counted = sum(line["outcome"] == outcome for line in log)
        if counted != metric("berth_gateway_requests_total", outcome=outcome):
            wrong.append(f"{outcome}: {counted} in the log, {metric('berth_gateway_requests_total', outcome=outcome)}")
    for direction in ("input", "output"):
        counted = sum(line[f"{direction}_tokens"] for line in log)
        if counted != metric("berth_gateway_tokens_total", direction=direction):
            wrong.append(f"{direction} tokens: {counted} in the log, "
                         f"{metric('berth_gateway_tokens_total', direction=direction)} in the metrics")
    for gauge in ("in_flight", "waiting"):
        if metric(f"berth_gateway_{gauge}_requests") != 0:
            wrong.append(f"{gauge} is {metric(f'berth_gateway_{gauge}_requests')} at the end")
    for client in clients:
        for name, (tokens_in, tokens_out) in client.told.items():
            line = by_name.get(name)
            if line is None:
                wrong.append(f"{name} is not in the log")
            elif line["outcome"] != "answered" or line["output_tokens"] != tokens_out or (
                    tokens_in >= 0 and line["input_tokens"] != tokens_in):
                wrong.append(f"{name}: the client was told {tokens_in}, {tokens_out}; the log says {line}")
    return wrong


def own_address() -> str:
    """One that is no loopback address, which an EndpointSlice may not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


def soak(seconds: float, client_count: int, seed: int, with_server: bool) -> int:
    dice = random.Random(seed)
    address = own_address() if with_server else "127.0.0.1"
    upstreams = [Upstream(f"--address={address}") for _ in range(3)]
    controller = Controller(upstreams, address) if with_server else None
    models = controller.options if controller else ("--upstream", "m=" + ",".join(u.url for u in upstreams))
    gateway = Gateway(*models, "--max-in-flight=8", "--stream-timeout=8s", "--first-byte-timeout=20s",
                      "--health-path=/health")
    stop = threading.Event()
    clients = [Client(gateway.port, i, seed, stop) for i in range(client_count)]
    try:
        gateway.ready("m", len(upstreams))
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        for client in clients:
            client.start()
        faults = torment(upstreams, dice, stop, controller)
        end = time.monotonic() + LIMIT_S
        for client in clients:
            client.join(timeout=max(0.1, end - time.monotonic()))
        wrong = [text for client in clients for text in client.wrong]
        wrong += [f"client {client.number} still waits" for client in clients if client.is_alive()]
        wait_for("quiet", lambda: gateway.metrics().get("berth_gateway_connections", 9) <= 1)
        time.sleep(0.3)  # the log is written ten times a second
        wrong += check_books(gateway, clients)
        outcomes = sum((client.outcomes for client in clients), Counter())
        code = gateway.stop()
        if code != 0:
            wrong.append(f"the gateway ended with {code}")
        if controller:
            wrong += controller.check(gateway.log())
        print(json.dumps({"seconds": seconds, "requests": sum(outcomes.values()), "outcomes": dict(outcomes),
                          "faults": dict(faults), "wrong": wrong[:20], "wrong_count": len(wrong)}, indent=2))
        return 1 if wrong else 0
    finally:
        stop.set()
        gateway.finish()
        for upstream in upstreams:
            upstream.signal(signal.SIGCONT)
            upstream.kill()
        if controller:
            controller.server.finish()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", action="store_true", help="with `berth serve`, which is killed too (root)")
    args = parser.parse_args()
    return soak(args.seconds, args.clients, args.seed, args.server)


if __name__ == "__main__":
    sys.exit(main())
