#!/usr/bin/env python3
"""Right-sizing of what runs: what pods really use is measured, judged, and applied on request."""

import json
import unittest

from berth import Server, container, main, pod, wait_for

CONFIGURATION = """
apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
prices: [{resource: cpu, perHour: 1, currency: USD}, {resource: memory, perHour: 8, currency: USD}]
"""
# 100 MiB that are held, and next to no CPU.
HOLDS = ["python3", "-c", "import time\nheld = b'x' * (100 << 20)\ntime.sleep(1000)"]


def sized(cpu: str, memory: str) -> dict:
    amounts = {"cpu": cpu, "memory": memory}
    return {"requests": amounts, "limits": dict(amounts)}


class AdviseTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.finish)
        configuration = self.server.folder / "configuration.yaml"
        configuration.write_text(CONFIGURATION)
        self.server.start("--config", str(configuration))

    def amounts(self, plural: str, name: str, *way: str) -> dict:
        spec = self.server.get(plural, name)["spec"]
        for key in way:
            spec = spec[key]
        return spec["containers"][0]["resources"]

    def test_what_does_not_fit_is_told_and_changed(self) -> None:
        wrong = self.server.cli("advise", "running", "deploy/none", "--window", "20s")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("deployment.apps/none: no pods of it run in namespace default", wrong.stderr)
        self.server.create("pods", pod("small", "", command=HOLDS,
                                       resources={"requests": {"cpu": "10m", "memory": "32Mi"}}))
        template = {"metadata": {"labels": {"app": "large"}},
                    "spec": {"terminationGracePeriodSeconds": 1,
                             "containers": [container("", command=HOLDS, resources=sized("300m", "1Gi"))]}}
        self.server.create("deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "large"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "large"}}, "template": template}})
        before = self.server.wait_phase("small", "Running")
        wait_for("the Deployment runs", lambda: self.server.get("deployments", "large")["status"]
                 .get("availableReplicas") == 1)

        done = self.server.cli("advise", "running", "--window", "31s", "--apply", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        report = json.loads(done.stdout)
        large, small = report["workloads"]
        self.assertEqual((large["kind"], large["name"], small["kind"], small["name"]),
                         ("Deployment", "large", "Pod", "small"))
        told = large["containers"][0]
        self.assertEqual((told["cpu"]["verdict"] in ("idle", "too large"), told["memory"]["verdict"]),
                         (True, "too large"), told)
        self.assertEqual(small["containers"][0]["memory"]["verdict"], "too small", small)
        self.assertGreater(large["saves_per_hour_micro"], 5_000_000, "most of a GiB, at 8 an hour")
        self.assertLess(small["saves_per_hour_micro"], 0)

        advised = {"cpu": told["cpu"]["advised"], "memory": told["memory"]["advised"]}
        self.assertEqual(self.amounts("deployments", "large", "template", "spec"),
                         {"requests": advised, "limits": advised}, "what is guaranteed stays so")
        wait_for("a pod by the new template runs, and none else", lambda: [
            each["spec"]["containers"][0]["resources"]["requests"] for each in self.server.list("pods", "app=large")
            if each["status"]["phase"] == "Running"] == [advised])
        wanted = small["containers"][0]["memory"]["advised"]
        wait_for("the pod has what was advised", lambda: self.server.get("pods", "small")["status"]
                 ["containerStatuses"][0].get("resources", {}).get("requests", {}).get("memory") == wanted)
        after = self.server.get("pods", "small")
        self.assertEqual(after["status"]["containerStatuses"][0]["containerID"],
                         before["status"]["containerStatuses"][0]["containerID"], "in place")

    def resized(self, name: str, script: str, size: dict, **ranges: str) -> tuple[dict, callable]:
        """A Deployment with ranges: its pod, and what that has now."""
        template = {"metadata": {"labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 1,
                             "containers": [container(script, resources=size)]}}
        self.server.create("deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "annotations": {
                "berth.dev/scale-window": "30s", **{f"berth.dev/scale-{key}": value for key, value in ranges.items()}}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}})

        def pod_of() -> dict:
            return self.server.list("pods", f"app={name}")[0]

        wait_for(f"{name} runs", lambda: self.server.get("deployments", name)
                 .get("status", {}).get("availableReplicas") == 1)
        return pod_of(), pod_of

    def test_pods_are_resized_by_what_they_use_while_they_run(self) -> None:
        busy, busy_now = self.resized("busy", "while :; do :; done", sized("100m", "64Mi"), cpu="50m..200m")
        idle, idle_now = self.resized("idle", "sleep 1000", sized("300m", "64Mi"), cpu="50m..1", memory="16Mi..256Mi")

        def in_force(pod: dict) -> dict:
            return pod["status"]["containerStatuses"][0].get("resources", {})

        wait_for("the busy one has twice as much", lambda: in_force(busy_now()) == sized("200m", "64Mi"))
        wait_for("the idle one has the least", lambda: in_force(idle_now()) == sized("50m", "16Mi"))
        for before, after in ((busy, busy_now()), (idle, idle_now())):
            self.assertEqual(after["metadata"]["uid"], before["metadata"]["uid"])
            self.assertEqual(after["status"]["qosClass"], "Guaranteed")
            status = after["status"]["containerStatuses"][0]
            self.assertEqual((status["restartCount"], status["containerID"]),
                             (0, before["status"]["containerStatuses"][0]["containerID"]), "in place")
        self.assertEqual(self.amounts("deployments", "busy", "template", "spec"), sized("100m", "64Mi"))
        told = self.server.cli("explain", "deployment", "busy").stdout
        self.assertRegex(told, r"main: cpu .*: used \d+m of a limit of \d+m")
        events = {(event["involvedObject"]["name"], event["reason"]) for event in self.server.list("events")}
        self.assertLessEqual({("busy", "Resized"), ("idle", "Resized")}, events)


if __name__ == "__main__":
    main()
