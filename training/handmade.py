"""Reads the hand-made loops (handmade.txt says how they are written), and judges whether an answer keeps a loop's role."""

from pathlib import Path

import numpy as np

from . import vocabulary as v

BAR = 4 * v.TICKS_PER_BEAT
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"#": 1, "b": -1}
KIT = {"k": 36, "s": 38, "h": 42, "o": 46, "r": 51, "c": 37, "t": 45}
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10, 11),  # with the leading note
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
GRIDS = {"straight": {0, 12, 24, 36}, "swing": {0, 16, 32}}


def read():
    """The loops: name, role, scale (pitch classes), grid (ticks of a beat), notes of 4 bars, instruments that may answer."""
    text = (Path(__file__).parent / "handmade.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    blocks = "\n".join(lines).strip().split("\n\n")
    return [loop(block.strip().splitlines()) for block in blocks]


def loop(lines):
    name, role, key, feel = (part.strip() for part in lines[0].split("|"))
    tracks = [track(line, feel) for line in lines[1:]]
    tonic, mode = key.split()
    scale = {(key_number(tonic) + step) % 12 for step in SCALES[mode]}
    notes = np.array(sorted(note for one in tracks for note in one))
    part = np.array(sorted(tracks[0]))  # the role's own track comes first
    return {"name": name, "role": role, "scale": scale, "grid": GRIDS[feel], "part": part,
            "notes": notes[:, [0, 3, 1, 2]], "instruments": [int(part[0, 1])]}  # fmt: skip


def track(line, feel):
    """The notes of a track: (onset, instrument, pitch, duration)."""
    program, text = line.split(":")
    kit = program.strip() == "kit"
    notes, places = [], []
    for bar, part in enumerate(text.split("|")):
        places = places if part.strip() == "=" else part.split()
        sounding = []
        for k, place in enumerate(places):
            onset = bar * BAR + place_in_bar(k, len(places), feel)
            after = bar * BAR + place_in_bar(k + 1, len(places), feel)
            if place == "-":
                sounding = [note.__setitem__(3, after - note[0]) or note for note in sounding]
                continue
            pitches = [] if place == "." else [KIT[p] if kit else pitch(p) for p in place.split("+")]
            sounding = [[onset, v.DRUMS if kit else int(program), p, after - onset] for p in pitches]
            notes += sounding
    return notes


def place_in_bar(k, places, feel):
    tick = k * BAR // places
    return tick + 8 if feel == "swing" and tick % v.TICKS_PER_BEAT == v.TICKS_PER_BEAT // 2 else tick


def key_number(name):
    return LETTERS[name[0]] + sum(SIGNS[sign] for sign in name[1:])


def pitch(name):
    return key_number(name[:-1]) + 12 * (int(name[-1]) + 1)


def keeps_role(one, notes):
    """Whether an answer sounds like the loop's own part: neither silent nor crowded, of its kit, register and texture."""
    part = one["part"][:, [0, 3, 1, 2]]
    if not len(part) / 3 <= len(notes) <= len(part) * 3:
        return False
    own, theirs = np.median(part[:, 3]), np.median(notes[:, 3])
    voices = len(notes) / len(np.unique(notes[:, 0]))
    if one["role"] == "drums":
        return bool(np.isin(notes[:, 3], part[:, 3]).mean() >= 0.8)
    if one["role"] == "comp":
        usual = len(part) / len(np.unique(part[:, 0]))
        return bool(abs(own - theirs) <= 12 and 0.5 * usual <= voices <= 1.7 * usual)
    return bool(abs(own - theirs) <= 9 and voices <= 1.3)
