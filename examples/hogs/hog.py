"""Takes as much of a machine as it is let: to see that limits hold.

python hog.py cpu --processes 8
python hog.py memory --mebibytes 512
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

CHUNK_MEBIBYTES = 16


def spin() -> None:
    while True:
        sum(range(100_000))


def burn_cpu(processes: int) -> None:
    """`processes` busy loops, until SIGTERM."""
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            spin()
        children.append(child)
    print(f"{processes} processes are spinning", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def take_memory(mebibytes: int) -> None:
    """Takes memory in small steps, every page touched, and holds it until SIGTERM."""
    held = []
    for taken in range(CHUNK_MEBIBYTES, mebibytes + 1, CHUNK_MEBIBYTES):
        held.append(bytearray(b"x" * (CHUNK_MEBIBYTES << 20)))
        print(f"holding {taken} MiB", flush=True)
        time.sleep(0.05)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    cpu = kinds.add_parser("cpu", help="spin")
    cpu.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1))
    memory = kinds.add_parser("memory", help="allocate")
    memory.add_argument("--mebibytes", type=int, default=512)
    args = parser.parse_args()

    # Blocked here and waited for above: a signal between the two is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    if args.kind == "cpu":
        burn_cpu(args.processes)
    else:
        take_memory(args.mebibytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
