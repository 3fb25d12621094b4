#!/usr/bin/env python3
"""A current kubectl against `berth serve`: every verb that needs pods which really run."""

import json
import re
import subprocess
import sys
import unittest

import berth
from berth import LIMIT, ROOT, Server, wait_for

KUBECTL = ""
CONTAINER = {"name": "main", "image": "host", "command": ["sh", "-c", "echo up; sleep 1000"]}


def setUpModule() -> None:
    global server
    server = Server("--emulate-device", "nvidia.com/gpu=2:80Gi")
    server.start()


def tearDownModule() -> None:
    server.finish()


def command(*arguments: str) -> list:
    return [KUBECTL, "--kubeconfig", str(server.data / "kubeconfig"), *arguments]


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), input=stdin, text=True, capture_output=True, timeout=LIMIT,
                          env={"HOME": str(server.folder), "PATH": "/usr/bin:/bin"})


class Case(unittest.TestCase):
    def good(self, *arguments: str, stdin: str = "") -> str:
        done = run(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def bad(self, *arguments: str, stdin: str = "", code: int = 1) -> str:
        done = run(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stderr + done.stdout

    def apply(self, *manifests: dict) -> str:
        for manifest in manifests:
            kind = manifest["kind"].lower()
            self.addCleanup(run, "delete", kind, manifest["metadata"]["name"], "--ignore-not-found")
        return self.good("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": list(manifests)}))

    def pod(self, name: str, script: str, **spec) -> None:
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never",
                             "containers": [{"name": "main", "image": "host", "command": ["sh", "-c", script]}]}
                    | spec})

    def deployment(self, name: str, replicas: int = 2) -> None:
        self.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                    "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                             "template": {"metadata": {"labels": {"app": name}},
                                          "spec": {"terminationGracePeriodSeconds": 1,
                                                   "containers": [CONTAINER]}}}})


class RunningPodsTest(Case):
    def test_wait_get_describe_and_delete(self) -> None:
        self.pod("one", "echo hello; sleep 1000")
        self.assertIn("condition met", self.good("wait", "pod/one", "--for=condition=Ready", "--timeout=60s"))
        self.assertRegex(self.good("get", "pod", "one"), r"one +1/1 +Running +0")
        described = self.good("describe", "pod", "one")
        for text in ("Status: +Running", "Scheduled", "Started", "IP: +10\\."):
            self.assertRegex(described, text)
        self.assertRegex(self.good("describe", "node"), r"Allocatable:(.|\n)*one")
        self.assertIn("deleted", self.good("delete", "pod", "one"))
        self.assertIn("NotFound", self.bad("get", "pod", "one"))

    def test_get_watch(self) -> None:
        watch = subprocess.Popen(command("get", "pods", "-w", "-l", "app=watched"), text=True,
                                 stdout=subprocess.PIPE)
        try:
            self.pod("watched", "true")
            seen = ""
            while "Completed" not in seen:
                line = watch.stdout.readline()
                self.assertTrue(line, f"the watch ended: {seen}")
                seen += line
            self.assertRegex(seen, r"Pending(.|\n)*Completed")
        finally:
            watch.terminate()
            watch.wait(timeout=LIMIT)
            watch.stdout.close()

    def test_logs(self) -> None:
        self.pod("talks", "for i in 1 2 3; do echo line $i; done; sleep 2; echo end")
        followed = subprocess.Popen(command("logs", "-f", "talks", "--pod-running-timeout=60s"), text=True,
                                    stdout=subprocess.PIPE)
        self.good("wait", "pod/talks", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
        seen, _ = followed.communicate(timeout=LIMIT)
        if followed.returncode != 0:  # it was asked before the container was there
            seen = self.good("logs", "-f", "talks")
        self.assertEqual(seen.split("\n"), ["line 1", "line 2", "line 3", "end", ""])
        self.assertEqual(self.good("logs", "talks", "--tail=2"), "line 3\nend\n")
        self.assertEqual(self.good("logs", "talks", "--since=1h").count("\n"), 4)
        self.assertEqual(self.good("logs", "talks", "--since-time=2100-01-01T00:00:00Z"), "")
        self.assertRegex(self.good("logs", "talks", "--timestamps", "--tail=1"), r"^20\S+ end")
        self.assertIn("line 1", self.good("logs", "-l", "app=talks", "--prefix"))
        self.assertEqual(self.good("logs", "talks", "--limit-bytes=4"), "line")
        self.assertIn("previous terminated container", self.bad("logs", "-p", "talks"))

    def test_logs_of_the_run_before(self) -> None:
        self.pod("again", "", restartPolicy="Always", volumes=[{"name": "keep", "emptyDir": {}}],
                 containers=[CONTAINER | {
                     "volumeMounts": [{"name": "keep", "mountPath": "/keep"}],
                     "command": ["sh", "-c", "test -e /keep/been && { echo second; sleep 1000; }; "
                                 "touch /keep/been; echo first; exit 3"]}])
        self.good("wait", "pod/again", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
                  "--timeout=60s")
        wait_for("it says so", lambda: run("logs", "again").stdout == "second\n")
        self.assertEqual(self.good("logs", "-p", "again"), "first\n")

    def test_top(self) -> None:
        self.pod("busy", "while :; do :; done")
        self.good("wait", "pod/busy", "--for=condition=Ready", "--timeout=60s")
        shown = wait_for("it was measured", lambda: next(
            (done.stdout for done in [run("top", "pod")] if re.search(r"busy +[1-9]\d*m", done.stdout)), None))
        self.assertRegex(shown, r"NAME +CPU\(cores\) +MEMORY\(bytes\)")
        self.assertRegex(self.good("top", "pod", "--containers", "busy"), r"busy +main +\d+m +\d+Mi")
        self.assertRegex(self.good("top", "node"), r"\d+m +\d+% +\d+Mi +\d+%")

    def test_create_and_run(self) -> None:
        self.addCleanup(run, "delete", "job/counted", "deployment/typed", "pod/typed")
        self.good("create", "job", "counted", "--image=host", "--", "sh", "-c", "echo counted")
        self.good("wait", "job/counted", "--for=condition=Complete", "--timeout=60s")
        self.assertEqual(self.good("logs", "job/counted"), "counted\n")
        self.good("create", "deployment", "typed", "--image=host", "--replicas=1", "--", "sleep", "1000")
        self.good("rollout", "status", "deployment/typed", "--timeout=60s")
        self.good("run", "typed", "--image=host", "--restart=Never", "--", "sh", "-c", "echo typed")
        self.good("wait", "pod/typed", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        self.assertEqual(self.good("logs", "typed"), "typed\n")

    def test_events(self) -> None:
        self.pod("eventful", "true")
        self.good("wait", "pod/eventful", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        shown = wait_for("it was told", lambda: next(
            (text for text in [self.good("events", "--for", "pod/eventful")] if "Started" in text), None))
        self.assertRegex(shown, r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE")
        self.assertIn("pod/eventful", self.good("get", "events", "--sort-by=.lastTimestamp"))


class RolloutTest(Case):
    def template(self, name: str, path: str) -> str:
        return self.good("get", "deployment", name, "-o", f"jsonpath={{.spec.template.spec.containers[0]{path}}}")

    def test_rollout_and_what_changes_a_template(self) -> None:
        self.deployment("web")
        self.assertIn("successfully rolled out", self.good("rollout", "status", "deployment/web", "--timeout=60s"))
        self.good("scale", "deployment/web", "--replicas=3")
        self.good("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")
        self.good("set", "env", "deployment/web", "COLOR=blue")
        self.good("rollout", "status", "deployment/web", "--timeout=60s")
        self.good("set", "resources", "deployment/web", "--requests=cpu=10m", "--limits=cpu=500m,memory=64Mi")
        self.good("rollout", "status", "deployment/web", "--timeout=60s")
        self.assertEqual(self.template("web", ".resources.limits.cpu"), "500m")
        self.good("annotate", "deployment/web", "kubernetes.io/change-cause=limits")
        history = self.good("rollout", "history", "deployment/web")
        self.assertRegex(history, r"REVISION +CHANGE-CAUSE\n1(.|\n)*\n2(.|\n)*\n3 +")
        self.assertIn("COLOR", self.good("rollout", "history", "deployment/web", "--revision=2"))
        self.good("rollout", "undo", "deployment/web", "--to-revision=2")
        self.good("rollout", "status", "deployment/web", "--timeout=60s")
        self.assertEqual(self.template("web", ".resources.limits.cpu"), "")
        self.assertEqual(self.template("web", ".env[0].value"), "blue")
        before = self.good("get", "pods", "-l", "app=web", "-o", "name").split()
        self.good("rollout", "restart", "deployment/web")
        self.good("rollout", "status", "deployment/web", "--timeout=60s")
        after = set(self.good("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running",
                              "-o", "name").split())
        self.assertTrue(after - set(before), "the pods are new ones")
        self.good("rollout", "pause", "deployment/web")
        self.good("set", "image", "deployment/web", "main=nowhere.invalid/none:1")
        self.assertEqual(self.template("web", ".image"), "nowhere.invalid/none:1")
        self.good("set", "image", "deployment/web", "*=host")
        self.good("rollout", "resume", "deployment/web")
        self.good("rollout", "status", "deployment/web", "--timeout=60s")

    def test_diff_and_server_dry_run(self) -> None:
        self.deployment("same", replicas=0)
        manifest = self.good("get", "deployment", "same", "-o", "json")
        self.assertEqual(self.good("diff", "-f", "-", stdin=manifest), "")
        changed = manifest.replace('"replicas": 0', '"replicas": 1')
        self.assertRegex(self.bad("diff", "-f", "-", stdin=changed), r"-  replicas: 0\n\+  replicas: 1")
        self.assertIn("(server dry run)", self.good("apply", "--dry-run=server", "-f", "-", stdin=changed))
        self.assertEqual(self.good("get", "deployment", "same", "-o", "jsonpath={.spec.replicas}"), "0")

    def test_expose_and_reach(self) -> None:
        self.deployment("shown", replicas=1)
        self.addCleanup(run, "delete", "service", "shown")
        self.good("expose", "deployment/shown", "--port=80", "--target-port=8000")
        self.assertRegex(self.good("get", "service", "shown"), r"shown +ClusterIP +10\.")
        self.assertRegex(self.good("describe", "service", "shown"), r"Selector: +app=shown")


class NodeTest(Case):
    def test_cordon_drain_uncordon(self) -> None:
        node = self.good("get", "nodes", "-o", "name").strip()
        self.deployment("moved", replicas=1)
        self.good("rollout", "status", "deployment/moved", "--timeout=60s")
        try:
            self.assertIn("cordoned", self.good("cordon", node))
            self.assertIn("SchedulingDisabled", self.good("get", node))
            self.pod("kept-out", "true")
            self.good("wait", "pod/kept-out", "--for=condition=PodScheduled=False", "--timeout=60s")
            drained = self.good("drain", node, "--force", "--ignore-daemonsets", "--delete-emptydir-data",
                                "--timeout=60s")
            self.assertRegex(drained, r"pod/moved-\S+ evicted")
        finally:
            self.good("uncordon", node)
        self.good("rollout", "status", "deployment/moved", "--timeout=60s")

    def test_label_taint_and_annotate(self) -> None:
        node = self.good("get", "nodes", "-o", "name").strip()
        self.good("label", node, "rack=a1")
        self.assertIn("rack=a1", self.good("get", "nodes", "--show-labels"))
        self.assertIn(node.split("/")[1], self.good("get", "nodes", "-l", "rack=a1", "-o", "name"))
        self.good("label", node, "rack-")
        self.good("taint", "node", node.split("/")[1], "kept=for-others:NoSchedule")
        try:
            self.pod("not-here", "true")
            self.good("wait", "pod/not-here", "--for=condition=PodScheduled=False", "--timeout=60s")
        finally:
            self.good("taint", "node", node.split("/")[1], "kept-")
        self.good("wait", "pod/not-here", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")


class AskingTest(Case):
    def test_what_may_i_and_what_is_there(self) -> None:
        self.assertEqual(self.good("auth", "can-i", "delete", "nodes").strip(), "yes")
        self.assertIn("podgroups", self.good("api-resources", "--api-group=scheduling.x-k8s.io"))
        self.assertIn("replicas", self.good("explain", "deployment.spec"))
        self.assertIn("reclaimDelay", self.good("explain", "queue.spec"))
        self.assertIn('"kind":"NodeMetricsList"', self.good("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))
        self.assertIn("is running at", self.good("cluster-info"))
        self.assertRegex(self.good("version"), r"Server Version: v1")

    def test_several_kinds_at_once(self) -> None:
        self.deployment("all-of-it", replicas=1)
        shown = self.good("get", "all")
        for text in ("pod/all-of-it-", "deployment.apps/all-of-it", "replicaset.apps/all-of-it-"):
            self.assertIn(text, shown)
        self.assertIn("all-of-it", self.good("get", "deploy,rs,po", "-A", "-o", "wide"))
        self.assertIn("all-of-it", self.good("get", "deploy", "--sort-by=.metadata.name",
                                             "-o", "custom-columns=NAME:.metadata.name"))
        self.assertIn("name: all-of-it", self.good("get", "deploy", "all-of-it", "-o", "yaml", "--show-managed-fields"))


if __name__ == "__main__":
    made = subprocess.run([ROOT / "tools" / "kubectl" / "build"], text=True, capture_output=True)
    if made.returncode != 0:
        berth.skip(f"no kubectl could be built: {made.stderr.strip().splitlines()[-1:]}")
    KUBECTL = made.stdout.strip()
    berth.main()
