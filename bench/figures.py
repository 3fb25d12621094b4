"""Figures with their goals, the machine they were taken on, and how they are shown."""

import json
import os
import platform
import subprocess
import sys


class Figures:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, goal=None, note=""):
        """`goal` is the value that must not be reached; None: shown only."""
        row = {"name": name, "value": value, "unit": unit, "goal": goal,
               "met": None if goal is None else value < goal, "note": note}
        self.rows.append(row)
        print(format_row(row), file=sys.stderr)

    def add_at_least(self, name, value, unit, goal, note=""):
        """`goal` is the value to reach."""
        row = {"name": name, "value": value, "unit": unit, "goal": goal, "at_least": True,
               "met": value >= goal, "note": note}
        self.rows.append(row)
        print(format_row(row), file=sys.stderr)

    def fall_short(self):
        return [row for row in self.rows if row["met"] is False]


def number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def format_row(row):
    sign = ">=" if row.get("at_least") else "<"
    goal = f"goal {sign} {number(row['goal'])}" if row["goal"] is not None else ""
    verdict = {True: "met", False: "FALLS SHORT", None: ""}[row["met"]]
    return (f"{row['name']:<46} {number(row['value']):>8} {row['unit']:<6} {goal:<12} "
            f"{verdict:<11} {row['note']}").rstrip()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine(repository):
    def git(*arguments):
        done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True,
                              text=True, check=False)
        return done.stdout.strip()

    model = platform.processor() or "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as cpus:
        for line in cpus:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpus": os.cpu_count(), "cpu": model,
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": platform.release(), "load_1m": round(os.getloadavg()[0], 1),
            "commit": git("rev-parse", "--short", "HEAD") or "unknown",
            "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}


def show(figures, facts, output):
    if output == "json":
        print(json.dumps({"machine": facts, "figures": figures.rows}, indent=2))
        return
    print(f"{facts['cpus']} x {facts['cpu']}, {facts['memory_gib']} GiB, Linux {facts['kernel']}; "
          f"load {facts['load_1m']} before, {facts['load_1m_after']} after; commit "
          f"{facts['commit']}{' with changes' if facts['changed'] else ''}")
    for row in figures.rows:
        print(format_row(row))
