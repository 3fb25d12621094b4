"""Writes harbour.txt, the text that the example trains on: short scenes of a working harbour.

The sentences are drawn from the small grammar below with a fixed seed, so the file can be made again and is free to use.
A model of a million parameters learns such a text within a minute, which makes the training visible.

    python3 harbour.py > harbour.txt
"""

from __future__ import annotations

import random
import sys

SCENES = 500

SHIPS = ["Heron", "Aurora", "Marigold", "Osprey", "Juniper", "Meridian", "Tern", "Harrier"]
PEOPLE = ["Ines", "Tomas", "Mara", "Oskar", "Lena", "Piet", "Runa", "Samir"]
CARGO = ["salt", "timber", "oranges", "wool", "copper", "tea", "grain", "lamp oil"]
PLACES = ["the north quay", "the old pier", "the grain dock", "the ferry landing", "the long jetty"]
NUMBERS = ["one", "two", "three", "four", "five", "six"]
WEATHER = [
    "The wind came from the west and the flags stood straight.",
    "Fog lay on the water until noon.",
    "The sea was calm and the gulls were quiet.",
    "Rain fell on the harbour all morning.",
    "The tide was high and the sky was clear.",
]
ARRIVALS = [
    "The {ship} came in at dawn with {cargo} and asked for berth {number}.",
    "At noon the {ship} waited outside the harbour, heavy with {cargo}.",
    "{person} brought the {ship} to {place} before the evening bell.",
    "The {ship} was late, and {person} had kept berth {number} free for her.",
]
WORK = [
    "{person} counted the crates of {cargo} twice and wrote the number down.",
    "Four sailors carried the {cargo} to {place} and came back singing.",
    "The harbour master, {person}, gave the {ship} berth {number} until the next tide.",
    "{person} tied the ropes while {other} watched the lamp on {place}.",
    "Small boats made way, because a large ship needs the whole channel.",
]
TALK = [
    '"How long must we wait?" asked {person}. "Until berth {number} is free," said {other}.',
    '"Whose turn is it?" asked {person}. "Ours, as soon as the {ship} leaves," said {other}.',
    '"Is there room at {place}?" asked {person}. "For one ship, not for two," said {other}.',
]
ENDINGS = [
    "In the evening the {ship} sailed, and berth {number} was free again.",
    "Nobody waited longer than was fair, and the harbour slept.",
    "{person} closed the book, lit the lamp and went home.",
    "The next ship was already on the horizon.",
]


def scene(rng: random.Random) -> str:
    """One paragraph about one ship and two people, so that names have to agree within it."""
    person, other = rng.sample(PEOPLE, 2)
    names = {
        "ship": rng.choice(SHIPS),
        "person": person,
        "other": other,
        "cargo": rng.choice(CARGO),
        "place": rng.choice(PLACES),
        "number": rng.choice(NUMBERS),
    }
    parts = [rng.choice(WEATHER), rng.choice(ARRIVALS), rng.choice(WORK)]
    if rng.random() < 0.5:
        parts.append(rng.choice(TALK))
    parts.append(rng.choice(ENDINGS))
    return " ".join(part.format(**names) for part in parts)


def text(scenes: int = SCENES) -> str:
    rng = random.Random(1)
    return "\n".join(scene(rng) for _ in range(scenes)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
