"""What a pod costs without Berth: network namespace, CNI plugin, conmon, runc, nothing else.

The bundle is a copy of one that Berth made (the same seccomp filter, mounts and root), so both
sides ask the same of the kernel.
"""

import concurrent.futures
import copy
import ctypes
import json
import os
import shutil
import subprocess
import threading
import time

CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
LIBC = ctypes.CDLL(None, use_errno=True)
BRIDGE, SUBNET, GATEWAY = "berthbench0", "198.18.0.0/16", "198.18.0.1"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
PLUGINS = "/usr/lib/cni"


def check(status, what):
    if status != 0:
        raise SystemExit(f"{what}: {os.strerror(ctypes.get_errno())}")


class BareRuntime:
    def __init__(self, folder, template_config):
        self.folder, self.template = folder, template_config
        self.live = []
        for name in ("runc", "exits", "sockets", "bundles", "ipam"):
            os.makedirs(f"{folder}/{name}", exist_ok=True)
        self.conf = json.dumps({
            "cniVersion": "1.0.0", "name": BRIDGE, "type": "bridge", "bridge": BRIDGE,
            "isGateway": True, "ipMasq": False, "hairpinMode": True,
            "ipam": {"type": "host-local", "dataDir": f"{folder}/ipam",
                     "ranges": [[{"subnet": SUBNET, "gateway": GATEWAY}]],
                     "routes": [{"dst": "0.0.0.0/0"}]}}).encode()

    def _netns(self, path):
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o444))

        def make():
            check(LIBC.unshare(CLONE_NEWNET), "unshare")
            check(LIBC.mount(b"/proc/thread-self/ns/net", path.encode(), b"none", MS_BIND, None),
                  "mount")

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()

    def _cni(self, command, name, netns):
        subprocess.run([PLUGINS + "/bridge"], input=self.conf, stdout=subprocess.DEVNULL,
                       check=True,
                       env=ENVIRONMENT | {"CNI_COMMAND": command, "CNI_CONTAINERID": name,
                                          "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
                                          "CNI_PATH": PLUGINS})

    def _runc(self, *arguments):
        subprocess.run(["/usr/sbin/runc", "--root", self.folder + "/runc", *arguments],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
                       check=False)

    def start(self, name):
        """Seconds until the container's process runs."""
        bundle = f"{self.folder}/bundles/{name}"
        netns = f"/run/netns/{name}"
        self.live.append(name)
        begin = time.monotonic()
        os.makedirs("/run/netns", exist_ok=True)
        self._netns(netns)
        self._cni("ADD", name, netns)
        config = copy.deepcopy(self.template)
        config["linux"]["cgroupsPath"] = f"/berth-bench/{name}"
        for namespace in config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = netns
        os.makedirs(bundle)
        with open(bundle + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        said, saying = os.pipe()
        going, go = os.pipe()
        with subprocess.Popen(
                ["/usr/bin/conmon", "--api-version", "1", "-c", name, "-u", name,
                 "-r", "/usr/sbin/runc", "-b", bundle, "-p", bundle + "/pid",
                 "--exit-dir", self.folder + "/exits", "-l", f"k8s-file:{bundle}/log",
                 "--socket-dir-path", self.folder + "/sockets", "--log-level", "error",
                 "--runtime-arg", f"--root={self.folder}/runc"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(saying, going),
                env=ENVIRONMENT | {"_OCI_SYNCPIPE": str(saying), "_OCI_STARTPIPE": str(going)}
        ) as conmon:
            os.close(saying)
            os.close(going)
            os.write(go, b"x")
            os.close(go)
            with os.fdopen(said) as pipe:
                answer = json.loads(pipe.readline() or "{}")
            conmon.wait()
        if answer.get("data", answer.get("pid", -1)) <= 0:
            raise SystemExit(f"bare conmon: {answer}")
        self._runc("start", name)
        return time.monotonic() - begin

    def start_many(self, names, workers):
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(self.start, names))
        return time.monotonic() - begin

    def remove_all(self):
        def remove(name):
            self._runc("delete", "--force", name)
            netns = f"/run/netns/{name}"
            self._cni("DEL", name, netns)
            LIBC.umount2(netns.encode(), MNT_DETACH)
            os.unlink(netns)
            shutil.rmtree(f"{self.folder}/bundles/{name}", ignore_errors=True)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(remove, self.live))
        self.live = []

    def close(self):
        self.remove_all()
        subprocess.run(["ip", "link", "delete", BRIDGE], stderr=subprocess.DEVNULL, check=False)
        roots = ["/sys/fs/cgroup"] + [f"/sys/fs/cgroup/{d}" for d in os.listdir("/sys/fs/cgroup")]
        for root in roots:
            group = root + "/berth-bench"
            for path, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    pass  # a process on its way out; the next run takes it
