"""Draws the small placement trace in this folder: the format of openb, none of its rows."""

import random

draw = random.Random(7)
with open("nodes.csv", "w") as nodes:
    nodes.write("sn,cpu_milli,memory_mib,gpu,model\n")
    for row in range(16):
        gpus, model = draw.choice([(8, "A"), (8, "A"), (4, "B"), (2, "C")])
        nodes.write(f"n{row},{gpus * draw.choice([6000, 12000])},{gpus * 32768},{gpus},{model}\n")
with open("pods.csv", "w") as pods:
    pods.write("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n")
    for row in range(90):
        kind = draw.random()
        gpus = 0 if kind < 0.1 else 1 if kind < 0.9 else draw.choice([2, 4, 8])
        milli = 0 if gpus == 0 else draw.choice([150, 320, 470, 650, 810]) if kind < 0.5 else 1000
        cpu = 1000 * draw.randrange(2, 12) * max(gpus, 1)
        spec = draw.choice(["", "", "", "", "A", "B|C"]) if 0 < gpus < 4 else ""
        pods.write(f"p{row},{cpu},{2048 * max(gpus, 1)},{gpus},{milli},{spec}\n")
