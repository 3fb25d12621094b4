"""What of a server's pods is on the machine, against what its API says: for tests that crash it."""

import json
import os
from collections import Counter
from pathlib import Path

from berth import Server


def container_uid(name: str) -> str:
    """A container is called UID-NAME-ATTEMPT."""
    return name[:36]


class Machine:
    """One look at the machine. Everything found belongs to a pod by its uid."""

    def __init__(self, server: Server) -> None:
        self.data = server.data
        self.run = Path(f"/run/berth/{server.run_name()}")
        self.uids = server.uids
        self.mounts = Path("/proc/self/mountinfo").read_text().splitlines()

    def names(self, folder: Path) -> list[str]:
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []

    def containers(self) -> list[str]:
        return self.names(self.run / "runc")

    def monitors(self) -> list[str]:
        """The containers of conmon processes and of the `runc create` that some of them run."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue
            if f"--root={self.run}/runc" in words and "-c" in words:
                found.append(words[words.index("-c") + 1])
        return found

    def addresses(self) -> list[tuple[str, str]]:
        """Addresses that the plugin has given, each with its pod."""
        found = []
        for lease in (self.data / "network" / "ipam").glob("*/[0-9]*.*.*.*"):
            try:
                found.append((lease.name, (lease.read_text().split() or ["nobody"])[0]))
            except FileNotFoundError:
                continue
        return found

    def held(self) -> dict[str, set[str]]:
        """What is held for a pod that runs: by uid, in words."""
        found: dict[str, set[str]] = {}

        def add(uid: str, what: str) -> None:
            found.setdefault(uid, set()).add(what)

        for name in self.containers():
            add(container_uid(name), f"container {name}")
        for name in self.monitors():
            add(container_uid(name), f"monitor of {name}")
        for name in self.names(self.run / "s"):
            if len(name) > 36:
                add(container_uid(name), f"socket folder {name}")
        for uid in self.uids:
            if os.path.exists(f"/run/netns/berth-{uid}"):
                add(uid, "network namespace")
        for address, uid in self.addresses():
            add(uid, f"address {address}")
        for name in self.names(self.data / "network" / "pods"):
            add(name.removesuffix(".json"), "network record")
        pods = str(self.data / "pods") + "/"
        for line in self.mounts:
            point = line.split()[4]
            if point.startswith(pods):
                add(point[len(pods):].split("/")[0], f"mount {point}")
        for folder, below, _ in os.walk("/sys/fs/cgroup"):
            for name in below:
                if name.startswith("pod") and name[3:] in self.uids:
                    add(name[3:], f"cgroup {folder}/{name}")
        return found

    def kept(self) -> dict[str, set[str]]:
        """What is kept of a pod as long as its object is there."""
        found: dict[str, set[str]] = {}
        for name in self.names(self.data / "pods"):
            found.setdefault(name, set()).add(f"folder {name}")
        for name in self.names(self.data / "logs"):
            found.setdefault(name[-36:], set()).add(f"logs {name}")
        for name in self.names(self.run / "exits"):
            found.setdefault(container_uid(name), set()).add(f"exit code {name}")
        return found

    def loose(self) -> list[str]:
        """What belongs to nothing at all."""
        return [str(path) for path in self.run.glob("exec-*")] + [
            f"{path}, a link to nothing" for path in self.run.glob("s/*") if path.is_symlink() and not path.exists()]

    def visible_devices(self) -> dict[str, list[str]]:
        """By device, the pods whose running containers see it, as runc was told."""
        found: dict[str, list[str]] = {}
        for name in self.containers():
            try:
                state = json.loads((self.run / "runc" / name / "state.json").read_text())
                bundle = next(label[len("bundle="):] for label in state["config"]["labels"]
                              if label.startswith("bundle="))
                if not Path(f"/proc/{state['init_process_pid']}").exists():
                    continue
                spec = json.loads((Path(bundle) / "config.json").read_text())
            except (OSError, StopIteration, ValueError):
                continue
            for variable in spec["process"]["env"]:
                if variable.startswith("NVIDIA_VISIBLE_DEVICES=") and not variable.endswith("=void"):
                    for device in variable.split("=")[1].split(","):
                        found.setdefault(device, []).append(container_uid(name))
        return found


def orphans(server: Server) -> list[str]:
    """What is on the machine and belongs to no pod that may have it. Work in progress shows here
    too: a test waits until there is none."""
    pods = server.list("pods")
    machine = Machine(server)
    there = {item["metadata"]["uid"] for item in pods}
    active = {item["metadata"]["uid"] for item in pods
              if item.get("status", {}).get("phase") not in ("Succeeded", "Failed")}
    found = [f"{uid}: {what}" for uid, all_of in machine.held().items() if uid not in active
             for what in sorted(all_of)]
    found += [f"{uid}: {what}" for uid, all_of in machine.kept().items() if uid not in there
              for what in sorted(all_of)]
    found += machine.loose()
    found += [f"container {name} has {count} monitors"
              for name, count in Counter(machine.monitors()).items() if count > 1]
    per_pod = Counter(uid for _, uid in machine.addresses())
    found += [f"{uid} has {count} addresses" for uid, count in per_pod.items() if count > 1]
    return found


def shared_devices(server: Server) -> list[str]:
    """Devices that containers of more than one pod see at the same time."""
    return [f"{device} is seen by {sorted(set(pods))}" for device, pods in Machine(server).visible_devices().items()
            if len(set(pods)) > 1]
