"""The least makespan that any schedule of the training queue can have, knowing everything from the start.

A relaxation: jobs take any part of their GPUs in a round, as flow from jobs to rounds. A job's rounds lie between
its arrival and the last one in which it can end fairly (finish-time fairness at most the limit) and by the makespan.
Where the flow leaves work over, no schedule has that makespan.
"""

import csv
import math
import sys
from collections import deque

ROUND_S = 120


class Flow:
    """Dinic's maximum flow."""

    def __init__(self, nodes: int) -> None:
        self.edges: list[list[list[int]]] = [[] for _ in range(nodes)]  # [to, capacity, index of the way back]

    def add(self, start: int, end: int, capacity: int) -> None:
        self.edges[start].append([end, capacity, len(self.edges[end])])
        self.edges[end].append([start, 0, len(self.edges[start]) - 1])

    def most(self, source: int, sink: int) -> int:
        sys.setrecursionlimit(10_000)
        total = 0
        while True:
            level = {source: 0}
            queue = deque([source])
            while queue:
                at = queue.popleft()
                for to, capacity, _ in self.edges[at]:
                    if capacity > 0 and to not in level:
                        level[to] = level[at] + 1
                        queue.append(to)
            if sink not in level:
                return total
            tried = [0] * len(self.edges)
            while pushed := self._push(source, sink, 10**9, level, tried):
                total += pushed

    def _push(self, at: int, sink: int, limit: int, level: dict, tried: list) -> int:
        if at == sink:
            return limit
        while tried[at] < len(self.edges[at]):
            edge = self.edges[at][tried[at]]
            if edge[1] > 0 and level.get(edge[0]) == level[at] + 1:
                pushed = self._push(edge[0], sink, min(limit, edge[1]), level, tried)
                if pushed:
                    edge[1] -= pushed
                    self.edges[edge[0]][edge[2]][1] += pushed
                    return pushed
            tried[at] += 1
        return 0


def fits(jobs: list, gpus: int, makespan_s: float, fairness: float) -> bool:
    contention = max(1.0, len(jobs) / gpus)
    rounds = math.ceil(makespan_s / ROUND_S)
    flow = Flow(2 + len(jobs) + rounds)
    work = 0
    for j, (arrival, width, runtime) in enumerate(jobs):
        needs = math.ceil(runtime / ROUND_S)
        rest = runtime - (needs - 1) * ROUND_S  # in its last round
        deadline = min(arrival + fairness * contention * runtime, makespan_s)
        flow.add(0, 2 + j, needs * width)
        work += needs * width
        for k in range(math.ceil(arrival / ROUND_S), math.floor((deadline - rest) / ROUND_S) + 1):
            flow.add(2 + j, 2 + len(jobs) + k, width)
    for k in range(rounds):
        flow.add(2 + len(jobs) + k, 1, gpus)
    return flow.most(0, 1) == work


def least_makespan_s(path: str, gpus: int, fairness: float) -> int:
    """In whole seconds: one second less is impossible."""
    with open(path, encoding="utf-8") as file:
        jobs = [(float(row["arrival_s"]), int(row["gpus"]), float(row["runtime_s"])) for row in csv.DictReader(file)]
    low = math.floor(max(arrival + runtime for arrival, _, runtime in jobs))
    high = 2 * low
    while high - low > 1:
        middle = (low + high) // 2
        if fits(jobs, gpus, middle, fairness):
            high = middle
        else:
            low = middle
    return high
