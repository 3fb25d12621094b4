"""A virtual machine with cgroup v2 only: Debian's kernel and packages under QEMU's software emulation.

Needs no /dev/kvm and changes nothing of this machine but the packages it installs. The kernel and the root file
system are made once and kept in ~/.cache/berth, under a name made of the versions in them.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs",
         "strip": "binutils", "busybox": "busybox-static"}
KERNEL = "linux-image-cloud-amd64"
GUEST = ["systemd-sysv", "dbus", "kmod", "python3", "iproute2", "nftables", "runc", "conmon",
         "containernetworking-plugins", "ca-certificates", "busybox-static"]
# What the first file system needs to find the second.
EARLY_MODULES = ["virtio_pci", "virtio_blk"]


class Unavailable(Exception):
    """This machine cannot run the virtual one; says why."""


def say(text: str) -> None:
    print(f"cgroup-v2: {text}", flush=True)


def run(*command: str, **options) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def install_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        say(f"installing packages: {' '.join(missing)}")
        run("apt-get", "install", "-y", "--no-install-recommends", *missing,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def codename() -> str:
    release = Path("/etc/os-release").read_text()
    if not re.search(r'(?m)^ID="?debian"?$', release) or os.uname().machine != "x86_64":
        raise Unavailable("the virtual machine is made of Debian's packages for amd64; this is another system")
    return re.search(r"(?m)^VERSION_CODENAME=(\S+)", release).group(1)


def packages_of_libraries(binary: Path) -> list[str]:
    """So that the guest has what the binary was linked with."""
    files = re.findall(r"=> (/\S+)", run("ldd", str(binary)))
    owners = set()
    for file in files:
        for path in (file, os.path.realpath(file), os.path.realpath(file).removeprefix("/usr")):
            found = subprocess.run(["dpkg-query", "-S", path], text=True, capture_output=True)
            if found.returncode == 0:
                owners.add(found.stdout.split(":")[0])
                break
    return sorted(owners)


def kernel_package() -> tuple[str, str]:
    depends = run("apt-cache", "depends", "--important", KERNEL)
    name = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
    version = re.search(r"(?m)^Version: (\S+)", run("apt-cache", "show", "--no-all-versions", name)).group(1)
    return name, version


def prepare(binary: Path) -> Path:
    """The folder with `vmlinuz`, `initrd` and `root.ext4`."""
    if os.geteuid() != 0:
        raise Unavailable("making the root file system needs root")
    suite = codename()
    install_tools()
    libraries = packages_of_libraries(binary)
    kernel, version = kernel_package()
    key = hashlib.sha256(" ".join([suite, kernel, version, *GUEST, *libraries, *EARLY_MODULES,
                                   (HERE / "first_init").read_text()]).encode()).hexdigest()[:12]
    cache = Path.home() / ".cache" / "berth"
    made = cache / f"cgroup-v2-{version}-{key}"
    if made.is_dir():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cgroup-v2-", dir=cache) as folder:
        work = Path(folder)
        os.chmod(work, 0o755)
        say(f"fetching {kernel} {version}")
        run("apt-get", "download", kernel, cwd=work)
        run("dpkg-deb", "-x", str(next(work.glob("linux-image*.deb"))), str(work / "kernel"))
        release = next((work / "kernel" / "lib" / "modules").iterdir()).name
        say(f"making a {suite} root file system (some minutes, once)")
        root = work / "root"
        run("mmdebstrap", "--variant=minbase", "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/man/*",
            f"--include={','.join([*GUEST, *libraries])}", suite, str(root))
        shutil.copytree(work / "kernel" / "lib" / "modules" / release, root / "usr" / "lib" / "modules" / release)
        run("chroot", str(root), "depmod", release)
        shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
        shutil.rmtree(root / "var" / "lib" / "apt" / "lists", ignore_errors=True)
        out = work / "made"
        out.mkdir()
        shutil.copy(next((work / "kernel" / "boot").glob("vmlinuz-*")), out / "vmlinuz")
        make_first_file_system(root, release, work / "first", out / "initrd")
        run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(out / "root.ext4"), "2G")
        out.rename(made)
    return made


def make_first_file_system(root: Path, release: str, folder: Path, target: Path) -> None:
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        (folder / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), folder / "bin" / "busybox")
    shutil.copy(HERE / "first_init", folder / "init")
    order: list[str] = []
    for name in EARLY_MODULES:
        for file in re.findall(r"insmod (\S+)", run("chroot", str(root), "modprobe", "--set-version", release,
                                                    "--show-depends", name)):
            if Path(file).name not in order:
                order.append(Path(file).name)
                shutil.copy(root / file.lstrip("/"), folder / "modules")
    (folder / "modules" / "order").write_text("\n".join(order) + "\n")
    listing = "\n".join(str(path.relative_to(folder)) for path in [folder, *sorted(folder.rglob("*"))])
    with open(target, "wb") as out:
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=folder, input=listing.encode(), stdout=out,
                       stderr=subprocess.DEVNULL, check=True)


def test_disk(binary: Path, target: Path, files: dict[str, Path]) -> None:
    """The binary and the tests, laid out as in the repository; the guest has it at /berth. `files` are put into
    the guest's own root file system."""
    with tempfile.TemporaryDirectory(prefix="berth-cgroup-v2-") as folder:
        tree = Path(folder)
        (tree / "build" / "release").mkdir(parents=True)
        run("strip", "-o", str(tree / "build" / "release" / "berth"), str(binary))
        for part in ("tests/e2e", "deploy", "docs"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        for place, source in files.items():
            path = tree / "root" / place.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path)
        run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(target), "256M")


def boot(init: str, tests: list[str], *, binary: Path, limit: float, files: dict[str, Path] | None = None,
         slowdown: int = 5) -> tuple[int, str]:
    """Runs the machine until it turns itself off, and prints what the tests print. `init` is the guest's first
    program of its own, `tests` are relative to tests/e2e. Returns their exit status and the kernel's console."""
    made = prepare(binary)
    with tempfile.TemporaryDirectory(prefix="berth-cgroup-v2-") as folder:
        work = Path(folder)
        test_disk(binary, work / "test.ext4", files or {})
        output = work / "output"
        output.touch()
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", "2048",
                   "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-kernel", str(made / "vmlinuz"), "-initrd", str(made / "initrd"),
                   "-append", " ".join(["console=ttyS0", "panic=-1", "mitigations=off", "root_init=" + init,
                                        "systemd.wants=berth-test.service", "systemd.firstboot=off",
                                        f"test_slowdown={slowdown}", "test_names=" + ",".join(tests)]),
                   "-drive", f"file={made / 'root.ext4'},if=virtio,format=raw,snapshot=on",
                   "-drive", f"file={work / 'test.ext4'},if=virtio,format=raw,snapshot=on",
                   "-serial", f"file:{work / 'console'}", "-serial", f"file:{output}"]
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        follower = subprocess.Popen(["tail", "-c", "+1", "-f", str(output)], stderr=subprocess.DEVNULL)
        trouble = ""
        try:
            trouble, _ = machine.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            trouble = f"the virtual machine did not end within {limit:.0f} s"
        finally:
            machine.kill()
            machine.wait()
            time.sleep(0.5)  # the follower's last look
            follower.kill()
            follower.wait()
        text = output.read_text(errors="replace").replace("\r", "")
        console = (work / "console").read_text(errors="replace") if (work / "console").exists() else ""
        ended = re.search(r"(?m)^machine: test ended with (\d+)$", text)
        return int(ended.group(1)) if ended and not trouble else 124, trouble + console
