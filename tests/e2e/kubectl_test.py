#!/usr/bin/env python3
"""A current kubectl against the API server alone: what a user does all day works and reads as usual.

Uses the newest of the build folders that hold tests. Exit code 77: skipped, saying why.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = sorted((ROOT / "build").glob("*/e2e_api_server"), key=lambda path: path.stat().st_mtime)

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: host, command: [sleep, "60"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: lone}}
spec:
  containers: [{name: main, image: host, command: [sleep, "60"]}]
"""


def skip(reason: str) -> None:
    print(f"skipped: {reason}")
    sys.exit(77)


class KubectlTest(unittest.TestCase):
    kubectl = ""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.mkdtemp(prefix="berth-kubectl-")
        cls.server = subprocess.Popen([SERVERS[-1], f"{cls.folder}/data"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.address = cls.server.stdout.readline().strip()
        cls.env = os.environ | {"KUBECONFIG": f"{cls.folder}/data/kubeconfig", "HOME": cls.folder}

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stdin.close()
        cls.server.wait(timeout=30)
        cls.server.stdout.close()
        shutil.rmtree(cls.folder)

    def run_kubectl(self, *arguments: str, stdin: str = "", env: dict | None = None):
        return subprocess.run([self.kubectl, *arguments], input=stdin, text=True, capture_output=True,
                              timeout=60, env=env or self.env)

    def good(self, *arguments: str, stdin: str = "", env: dict | None = None) -> str:
        done = self.run_kubectl(*arguments, stdin=stdin, env=env)
        self.assertEqual(done.returncode, 0, f"kubectl {arguments}: {done.stderr}")
        return done.stdout

    def bad(self, *arguments: str, stdin: str = "") -> str:
        done = self.run_kubectl(*arguments, stdin=stdin)
        self.assertNotEqual(done.returncode, 0, f"kubectl {arguments}: {done.stdout}")
        return done.stderr

    def setUp(self) -> None:
        self.ns = self.id().rsplit(".", 1)[-1].removeprefix("test_").replace("_", "-")
        self.good("create", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.ns}}))
        self.good("config", "set-context", "berth", "--namespace", self.ns)

    def test_apply_twice_and_change(self) -> None:
        self.assertIn("deployment.apps/web created", self.good("apply", "-f", "-", stdin=MANIFEST))
        self.assertIn("deployment.apps/web unchanged", self.good("apply", "-f", "-", stdin=MANIFEST))
        changed = MANIFEST.replace("replicas: 2", "replicas: 3")
        self.assertIn("deployment.apps/web configured", self.good("apply", "-f", "-", stdin=changed))
        self.assertEqual(self.good("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "3")
        self.assertIn("deleted", self.good("delete", "-f", "-", stdin=MANIFEST))
        self.assertIn("NotFound", self.bad("get", "deployment", "web"))

    def test_tables_and_descriptions(self) -> None:
        self.good("apply", "-f", "-", stdin=POD)
        listed = self.good("get", "pods")
        self.assertRegex(listed, r"NAME +READY +STATUS +RESTARTS +AGE")
        self.assertRegex(listed, r"one +0/1 +Pending")
        self.assertIn("NODE", self.good("get", "pods", "-o", "wide"))
        self.assertEqual(self.good("get", "pods", "-o", "name"), "pod/one\n")
        self.assertIn("Image:", self.good("describe", "pod", "one"))
        self.assertIn("one", self.good("get", "pods", "-l", "app=lone", "--show-labels"))
        self.assertNotIn("one", self.good("get", "pods", "-l", "app!=lone"))
        self.assertIn("one", self.good("get", "pods", "--field-selector", "status.phase=Pending"))

    def test_three_patches(self) -> None:
        self.good("apply", "-f", "-", stdin=MANIFEST)
        self.good("patch", "cm", "settings", "-p", '{"data":{"a":"1"}}')
        self.good("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"b":"1","a":null}}')
        self.good("patch", "cm", "settings", "--type=json", "-p",
                  '[{"op":"add","path":"/data/c","value":"1"}]')
        data = json.loads(self.good("get", "cm", "settings", "-o", "json"))["data"]
        self.assertEqual(data, {"color": "blue", "b": "1", "c": "1"})

    def test_label_annotate_scale_and_wait(self) -> None:
        self.good("apply", "-f", "-", stdin=MANIFEST)
        self.good("label", "cm", "settings", "team=red")
        self.good("annotate", "cm", "settings", "note=hello")
        self.assertIn("settings", self.good("get", "cm", "-l", "team=red"))
        self.good("scale", "deployment", "web", "--replicas=5")
        self.good("wait", "deployment/web", "--for=jsonpath={.spec.replicas}=5", "--timeout=20s")
        self.good("delete", "cm", "settings")
        self.good("wait", "cm/settings", "--for=delete", "--timeout=20s")

    def test_watch_shows_changes(self) -> None:
        watch = subprocess.Popen([self.kubectl, "get", "cm", "-w", "--output-watch-events"], text=True,
                                 stdout=subprocess.PIPE, env=self.env)
        try:
            self.good("apply", "-f", "-", stdin=MANIFEST)
            seen = [watch.stdout.readline() for _ in range(2)]
            self.assertIn("EVENT", seen[0])
            self.assertRegex(seen[1], r"ADDED +settings")
            self.good("delete", "cm", "settings")
            self.assertRegex(watch.stdout.readline(), r"DELETED +settings")
        finally:
            watch.terminate()
            watch.wait(timeout=20)
            watch.stdout.close()

    def test_edit(self) -> None:
        self.good("apply", "-f", "-", stdin=MANIFEST)
        editor = self.env | {"KUBE_EDITOR": "sed -i s/blue/green/"}
        self.assertIn("edited", self.good("edit", "cm", "settings", env=editor))
        self.assertIn("green", self.good("get", "cm", "settings", "-o", "yaml"))

    def test_discovery_explain_and_raw(self) -> None:
        self.assertIn("deployments", self.good("api-resources"))
        self.assertIn("berth.dev/v1alpha1", self.good("api-versions"))
        self.assertIn("containers", self.good("explain", "pod.spec"))
        self.assertIn("v1.36", self.good("version"))
        self.assertEqual(json.loads(self.good("get", "--raw", "/version"))["major"], "1")
        self.assertEqual(self.good("get", "--raw", "/readyz"), "ok")

    def test_mistakes_are_explained(self) -> None:
        wrong = POD.replace("metadata:", "meta:")
        self.assertIn("meta", self.bad("create", "-f", "-", stdin=wrong))
        self.assertIn("spec.containers", self.bad(
            "create", "--validate=false", "-f", "-", stdin="apiVersion: v1\nkind: Pod\n"
            "metadata: {name: empty}\nspec: {containers: []}\n"))
        self.assertIn("--server-side", self.bad("apply", "--server-side", "-f", "-", stdin=POD))

    def test_commands_that_send_protobuf(self) -> None:
        self.good("create", "configmap", "typed", "--from-literal=color=blue")
        self.good("create", "secret", "generic", "hidden", "--from-literal=word=open")
        self.good("create", "deployment", "typed", "--image=host", "--replicas=0")
        self.assertEqual(self.good("get", "cm", "typed", "-o", "jsonpath={.data.color}"), "blue")
        self.assertEqual(self.good("get", "secret", "hidden", "-o", "jsonpath={.data.word}"), "b3Blbg==")
        self.assertEqual(self.good("get", "deployment", "typed", "-o", "jsonpath={.spec.replicas}"), "0")
        self.good("create", "quota", "small", "--hard=pods=1")
        self.assertIn("yes", self.good("auth", "can-i", "create", "pods"))
        self.good("run", "one", "--image=host", "--env=A=1", "--", "sleep", "60")
        self.assertIn("exceeded quota", self.bad("run", "two", "--image=host"))

    def test_dry_run_changes_nothing(self) -> None:
        self.good("create", "--dry-run=server", "-f", "-", stdin=POD)
        self.assertIn("NotFound", self.bad("get", "pod", "one"))

    def test_a_namespace_goes_with_what_is_in_it(self) -> None:
        self.good("apply", "-f", "-", stdin=MANIFEST)
        self.good("delete", "namespace", self.ns, "--timeout=30s")
        self.assertIn("NotFound", self.bad("get", "cm", "settings"))


if __name__ == "__main__":
    if not SERVERS:
        skip("no build folder holds e2e_api_server: build the preset debug or asan")
    made = subprocess.run([ROOT / "tools" / "kubectl" / "build"], text=True, capture_output=True)
    if made.returncode != 0:
        skip(f"no kubectl could be built: {made.stderr.strip().splitlines()[-1:]}")
    KubectlTest.kubectl = made.stdout.strip()
    unittest.main(verbosity=2)
