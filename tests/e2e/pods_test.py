#!/usr/bin/env python3
"""Pods as a user has them: limits, life cycle, what they see and do not see, Services, controllers, explanations."""

import base64
import re
import tempfile
import unittest
from pathlib import Path

import berth
from berth import Server, container, pod, wait_for

GPU = "nvidia.com/gpu"
# How many seconds a probe that succeeds may take.
PATIENCE = round(berth.SLOWDOWN)


def setUpModule() -> None:
    global server
    server = Server("--emulate-device", f"{GPU}=2:80Gi")
    server.start()


def tearDownModule() -> None:
    server.finish()


def status_of(item: dict) -> dict:
    return item["status"]["containerStatuses"][0]


class Case(unittest.TestCase):
    def run_pod(self, name: str, script: str, *phases: str, **more) -> dict:
        """Started, and as far as asked; gone again after the test."""
        self.start_pod(name, script, **more)
        return server.wait_phase(name, *(phases or ("Succeeded", "Failed")))

    def start_pod(self, name: str, script: str, **more) -> None:
        server.create("pods", pod(name, script, **more))
        self.addCleanup(self.remove, "pods", name)

    def make(self, plural: str, manifest: dict) -> None:
        server.create(plural, manifest)
        self.addCleanup(self.remove, plural, manifest["metadata"]["name"])

    def remove(self, plural: str, name: str) -> None:
        if server.exists(plural, name):
            server.delete(plural, name)
            server.wait_gone(plural, name)


class LimitsTest(Case):
    def test_memory_limit_kills_and_is_reported(self) -> None:
        done = self.run_pod("oom", "", resources={"limits": {"memory": "32Mi"}},
                            command=["python3", "-c", "x = bytearray(300 << 20)"])
        ended = status_of(done)["state"]["terminated"]
        self.assertEqual((ended["reason"], ended["exitCode"]), ("OOMKilled", 137))

    def test_cpu_limit_holds(self) -> None:
        script = ("import time\nbegin, used = time.monotonic(), time.process_time()\n"
                  "while time.process_time() < used + 0.6: pass\nprint(time.monotonic() - begin)")
        self.run_pod("slow", "", "Succeeded", resources={"limits": {"cpu": "200m", "memory": "64Mi"}},
                     command=["python3", "-c", script])
        self.assertGreater(float(server.logs("slow")), 2.0, "0.6 CPU seconds at a fifth of a CPU")

    def test_number_of_processes_is_limited(self) -> None:
        uid = self.run_pod("many", "sleep 1000", "Running")["metadata"]["uid"]
        limits = [path.read_text().strip() for path in Path("/sys/fs/cgroup").rglob("pids.max")
                  if f"pod{uid}" in str(path)]
        self.assertTrue(any(limit != "max" for limit in limits), limits)

    def test_resize_in_place(self) -> None:
        before = self.run_pod("resized", "while :; do cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
                              "/sys/fs/cgroup/memory.max 2>/dev/null; sleep 0.3; done", "Running",
                              resources={"limits": {"memory": "64Mi", "cpu": "200m"}})
        server.request("PATCH", server.path("pods", "resized") + "/resize",
                       {"spec": {"containers": [{"name": "main", "resources": {
                           "limits": {"memory": "96Mi", "cpu": "400m"},
                           "requests": {"memory": "96Mi", "cpu": "400m"}}}]}},
                       "application/strategic-merge-patch+json")
        wait_for("the new limit is in force", lambda: status_of(server.get("pods", "resized"))
                 .get("resources", {}).get("limits", {}).get("memory") == "96Mi")
        after = server.get("pods", "resized")
        self.assertEqual(status_of(after)["containerID"], status_of(before)["containerID"])
        self.assertEqual(status_of(after)["restartCount"], 0)
        uid = after["metadata"]["uid"]
        limits = [path.read_text().strip() for path in Path("/sys/fs/cgroup").rglob("memory.limit_in_bytes")
                  if f"pod{uid}" in str(path)] or \
                 [path.read_text().strip() for path in Path("/sys/fs/cgroup").rglob("memory.max")
                  if f"pod{uid}" in str(path)]
        self.assertIn(str(96 << 20), limits)

    def test_ephemeral_storage_is_enforced(self) -> None:
        done = self.run_pod("filler", "head -c 40000000 /dev/zero > /scratch/file; sleep 1000", "Failed",
                            resources={"limits": {"ephemeral-storage": "10Mi"}},
                            volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
                            spec={"volumes": [{"name": "scratch", "emptyDir": {}}]})
        self.assertEqual(done["status"]["reason"], "Evicted")
        self.assertIn("ephemeral", done["status"]["message"])


class RunTest(Case):
    def test_what_can_never_start_ends_with_its_reason(self) -> None:
        for options, reason in (([], "--allow-host-path"), (["--gpus=9"], "the most that a node has is 2"),
                                (["--queue=nosuch"], "its queue does not exist")):
            done = server.cli("run", "--name=hopeless", *options, "--", "true")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("hopeless cannot start: ", done.stderr)
            self.assertIn(reason, done.stderr)
            server.wait_gone("pods", "hopeless")

    def test_a_command_that_is_not_there_exits_as_in_a_shell(self) -> None:
        def restart(*options: str) -> None:
            server.stop()
            server.start(*options)

        restart("--allow-host-path")
        self.addCleanup(restart)
        for command, code in (("nosuchcommand", 127), ("/etc/passwd", 126)):
            done = server.cli("run", "--", command)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertNotIn("level=error", done.stderr)
            self.assertIn(command, done.stderr)


class LifeTest(Case):
    def test_exit_code(self) -> None:
        done = self.run_pod("seven", "exit 7", "Failed")
        self.assertEqual(status_of(done)["state"]["terminated"]["exitCode"], 7)

    def test_restart_backs_off(self) -> None:
        self.start_pod("again", "exit 3", spec={"restartPolicy": "Always"})

        def backing_off():
            item = server.get("pods", "again")
            if not item.get("status", {}).get("containerStatuses"):
                return None
            return item if status_of(item)["restartCount"] >= 1 and \
                status_of(item)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None

        item = wait_for("it restarts and backs off", backing_off)
        self.assertEqual(status_of(item)["lastState"]["terminated"]["exitCode"], 3)

    def test_init_containers_run_first_and_in_order(self) -> None:
        mounts = [{"name": "shared", "mountPath": "/shared"}]
        init = [container(f"echo {word} >> /shared/order", volumeMounts=mounts) | {"name": word}
                for word in ("one", "two")]
        self.run_pod("ordered", "cat /shared/order", "Succeeded", volumeMounts=mounts,
                     spec={"initContainers": init, "volumes": [{"name": "shared", "emptyDir": {}}]})
        self.assertEqual(server.logs("ordered").split(), ["one", "two"])

    def test_grace_lets_it_end_and_hook_runs_first(self) -> None:
        script = "trap 'echo term; sleep 0.3; echo end; exit 0' TERM; while :; do sleep 0.1; done"
        hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
        self.run_pod("graceful", script, "Running", lifecycle=hook, spec={"terminationGracePeriodSeconds": 60})
        # A finalizer keeps the pod, so that its end can be read.
        server.patch("pods", "graceful", {"metadata": {"finalizers": ["example.com/keep"]}})
        server.delete("pods", "graceful")
        ended = wait_for("its end is reported", lambda: status_of(server.get("pods", "graceful"))["state"]
                         .get("terminated"))
        self.assertEqual(ended["exitCode"], 0)
        self.assertEqual(server.logs("graceful").split(), ["hook", "term", "end"])
        server.patch("pods", "graceful", {"metadata": {"finalizers": []}})
        server.wait_gone("pods", "graceful")

    def test_probes(self) -> None:
        self.start_pod("probed", "touch /tmp/alive; while [ ! -e /tmp/stop ]; do sleep 0.2; "
                       "[ -e /tmp/ready ] || { sleep 1; touch /tmp/ready; }; done; rm /tmp/alive; sleep 1000",
                       readinessProbe={"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1,
                                       "timeoutSeconds": PATIENCE},
                       livenessProbe={"exec": {"command": ["test", "-e", "/tmp/alive"]}, "periodSeconds": 1,
                                      "timeoutSeconds": PATIENCE, "failureThreshold": 2, "initialDelaySeconds": 2},
                       spec={"restartPolicy": "Always"})
        wait_for("it is ready", lambda: (server.get("pods", "probed").get("status", {})
                                         .get("containerStatuses") or [{}])[0].get("ready"))
        self.start_pod("sick", "sleep 1000", spec={"restartPolicy": "Always"},
                       livenessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1})
        wait_for("the liveness probe restarts it", lambda: (server.get("pods", "sick").get("status", {})
                 .get("containerStatuses") or [{}])[0].get("restartCount", 0) >= 1)


class ViewTest(Case):
    def test_environment_and_volumes(self) -> None:
        self.make("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
                                 "data": {"color": "blue", "file.txt": "of a map"}})
        self.make("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"},
                              "data": {"key": base64.b64encode(b"of a secret").decode()}})
        env = [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
               {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
               {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
               {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "key"}}},
               {"name": "BOTH", "value": "$(COLOR)-$(NAME)"}]
        item = self.run_pod(
            "informed", 'echo "$NAME|$ADDRESS|$COLOR|$KEY|$BOTH"; cat /map/file.txt; echo; cat /secret/key',
            "Succeeded", env=env,
            volumeMounts=[{"name": "map", "mountPath": "/map"}, {"name": "secret", "mountPath": "/secret"}],
            spec={"volumes": [{"name": "map", "configMap": {"name": "settings"}},
                              {"name": "secret", "secret": {"secretName": "hidden"}}]})
        address = item["status"]["podIP"]
        self.assertEqual(server.logs("informed").splitlines(),
                         [f"informed|{address}|blue|of a secret|blue-informed", "of a map", "of a secret"])

    def test_only_assigned_devices(self) -> None:
        self.run_pod("one-gpu", "env", "Succeeded", resources={"limits": {GPU: "1"}})
        self.run_pod("no-gpu", "env; ls /dev | grep -c -e nvidia -e sd -e vd -e kvm", "Failed", "Succeeded")
        self.assertRegex(server.logs("one-gpu"), r"(?m)^NVIDIA_VISIBLE_DEVICES=EMULATED-gpu-[01]$")
        without = server.logs("no-gpu")
        self.assertNotRegex(without, r"EMULATED")
        self.assertEqual(without.split()[-1], "0", "no device of the machine is visible")

    def test_no_privilege(self) -> None:
        self.run_pod("plain", "cat /proc/self/status; mount -t tmpfs none /mnt && echo mounted; "
                     "touch /usr/x && echo wrote; unshare -U true && echo unshared; true", "Succeeded")
        text = server.logs("plain")
        self.assertRegex(text, r"NoNewPrivs:\s+1")
        self.assertRegex(text, r"Seccomp:\s+2")
        effective = int(re.search(r"CapEff:\s+(\w+)", text).group(1), 16)
        for number, name in ((12, "NET_ADMIN"), (16, "SYS_MODULE"), (19, "SYS_PTRACE"), (21, "SYS_ADMIN"),
                             (22, "SYS_BOOT"), (25, "SYS_TIME")):
            self.assertFalse(effective >> number & 1, f"CAP_{name} is held")
        for word in ("mounted", "wrote", "unshared"):
            self.assertNotRegex(text, rf"(?m)^{word}$")

    def test_host_image_hides_what_is_private(self) -> None:
        with tempfile.TemporaryDirectory(prefix="berth-e2e-home-", dir="/root") as home:
            (Path(home) / "private").write_text("private")
            key = server.data / "pki"
            paths = [f"{home}/private", "/etc/shadow", "/etc/gshadow", f"{server.data}/kubeconfig",
                     *(str(path) for path in key.iterdir()), "/etc/ssh/ssh_host_rsa_key", "/var/lib/berth"]
            self.run_pod("nosy", "".join(f"cat {path} 2>/dev/null | head -c 1 | wc -c; " for path in paths)
                         + "ls /home /root | wc -w; true", "Succeeded")
            self.assertEqual(set(server.logs("nosy").split()[:len(paths)]), {"0"})

    def test_privileged_is_refused(self) -> None:
        for name, change in (("priv", {"containers": [container("true", securityContext={"privileged": True})]}),
                             ("net", {"hostNetwork": True}),
                             ("path", {"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]})):
            with self.subTest(name):
                try:
                    self.start_pod(name, "cat /etc/shadow; sleep 1000", spec=change)
                except berth.ApiError as error:
                    self.assertIn(error.code, (403, 422))
                    continue
                item = server.wait_phase(name, "Failed", "Pending")
                self.assertFalse(status_of(item).get("started") if item["status"].get("containerStatuses")
                                 else False)


class WorkTest(Case):
    def test_services_by_name_and_rollout(self) -> None:
        serve = ("mkdir /tmp/w; cd /tmp/w; echo VERSION > index.html; "
                 "exec python3 -m http.server 8000")
        self.make("services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                               "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}})
        template = {"metadata": {"labels": {"app": "web"}},
                    "spec": {"terminationGracePeriodSeconds": 2, "containers": [
                        container(serve.replace("VERSION", "first"), readinessProbe={
                            "tcpSocket": {"port": 8000}, "periodSeconds": 1, "timeoutSeconds": PATIENCE})]}}
        self.make("deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                                  "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                                           "template": template}})
        wait_for("both replicas are ready", lambda: server.get("deployments", "web").get("status", {})
                 .get("readyReplicas") == 2)
        ask = ("import time, urllib.request\n"
               "while True:\n"
               "    try: print(urllib.request.urlopen('http://%s/', timeout=10).read().decode().strip(), flush=True)\n"
               "    except Exception as e: print('failed', e, flush=True)\n"
               "    time.sleep(0.1)")
        self.start_pod("asker", "", command=["python3", "-c", ask % "web.default.svc"])
        server.wait_log("asker", "first")
        template["spec"]["containers"][0]["command"][-1] = serve.replace("VERSION", "second")
        server.patch("deployments", "web", {"spec": {"template": template}})
        server.wait_log("asker", r"second\n(.*\n)*second")

        def rolled():
            status = server.get("deployments", "web")["status"]
            return status.get("updatedReplicas") == 2 and status.get("replicas") == 2 \
                and status.get("availableReplicas") == 2

        wait_for("the rollout is complete", rolled)
        lines = server.logs("asker").split("\n")
        self.assertNotIn("failed", "".join(lines[lines.index("first"):]), "a request failed in the rollout")

    def test_indexed_job(self) -> None:
        self.make("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "parts"},
                           "spec": {"completions": 3, "parallelism": 2, "completionMode": "Indexed",
                                    "template": {"metadata": {"labels": {"job": "parts"}},
                                                 "spec": {"restartPolicy": "Never", "containers": [
                                                     container("echo part $JOB_COMPLETION_INDEX")]}}}})
        wait_for("all three are done", lambda: server.get("jobs", "parts").get("status", {})
                 .get("succeeded") == 3)
        logs = sorted(server.logs(item["metadata"]["name"]).strip() for item in server.list("pods", "job=parts"))
        self.assertEqual(logs, ["part 0", "part 1", "part 2"])

    def test_what_never_fits_is_told_at_once(self) -> None:
        self.run_pod("has-a-device", "sleep 1000", "Running", resources={"limits": {GPU: "1"}})
        self.start_pod("huge", "true", resources={"limits": {GPU: "64"}})
        reason = wait_for("the reason is there", lambda: next(
            (c.get("message") for c in server.get("pods", "huge").get("status", {}).get("conditions", [])
             if c["type"] == "PodScheduled" and c["status"] == "False"), None), limit=30 * berth.SLOWDOWN)
        self.assertRegex(reason, r"64")
        explained = server.cli("explain", "pod", "huge")
        self.assertEqual(explained.returncode, 0, explained.stderr)
        self.assertIn("the most that a node has is 2", explained.stdout)
        self.assertIn("pod huge: can never start as it is", explained.stdout)
        self.assertNotIn("has-a-device", explained.stdout, "its end would not help")
        self.assertRegex(explained.stdout, "ask for [12] nvidia.com/gpu instead of 64")
        self.run_pod("modest", "true", "Succeeded", resources={"limits": {GPU: "1"}})

    def test_explanation_is_true(self) -> None:
        self.run_pod("holder", "sleep 1000", "Running", resources={"limits": {GPU: "2"}})
        self.start_pod("waiter", "echo started; sleep 1000", resources={"limits": {GPU: "1"}})
        wait_for("it is told why it waits", lambda: server.get("pods", "waiter").get("status", {})
                 .get("conditions"))
        explained = wait_for("the explanation names who holds the devices", lambda: next(
            (text for text in [server.cli("explain", "pod", "waiter").stdout] if "holder" in text), None))
        self.assertEqual(server.get("pods", "waiter")["status"]["phase"], "Pending", explained)
        server.delete("pods", "holder")
        server.wait_phase("waiter", "Running")


if __name__ == "__main__":
    berth.main()
