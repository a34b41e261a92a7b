"""Cuts the passages of the listening page from held-out pieces: eight bars to continue and the four that really follow.

    python -m training.excerpts --corpus CORPUS --into tests/excerpts
"""

import argparse
import json
from pathlib import Path

import mido
import numpy as np

from . import corpus as corpora
from . import vocabulary as v

BARS = 12
VELOCITY = 80  # the corpus has none
TICKS = 480  # a quarter note in the files
# Each: the file's name, set, and what the piece's name ends in. The first twelve bars of one length with notes in each are
# taken, not the prettiest.
CHOSEN = (
    ("song", "lieder", "Villanelle/lc30190433.mxl"),
    ("string-quartet", "quartets", "K.157/sq9199617.mxl"),
    ("symphony", "hauptstimme", "Haydn_104_1.mxl"),
    ("mazurka", "chopin", "056-1-BH-002.krn"),
    ("contredanse", "polish", "composees-pour-le-piano-fig-3.krn"),
    ("hymn", "openhymnal", "Be_Thou_My_Vision_Slane.mid"),
    ("game", "freedoom", "d_e2m3.mid"),
    ("drums", "groove", "16_rock_136_beat_4-4.mid"),
    ("band", "tanner", "Deserve to be Loved.mid"),
)


def passage(arrays, piece):
    """(notes (onset, duration, program, pitch) in quarters from a bar line, a bar's quarters, beats a minute) of a piece."""
    rows = slice(piece["start"], piece["start"] + piece["notes"])
    onset, length, program, pitch, second = (
        arrays[name][rows].astype(np.float64)
        for name in ("onset_quarter", "duration_quarter", "program", "pitch", "onset")
    )
    lines = np.unique(arrays["bars"][piece["bar_start"] : piece["bar_start"] + piece["bars"]].astype(np.float64))
    for first in range(1, len(lines) - BARS):
        edges = lines[first : first + BARS + 1]
        sizes = np.diff(edges)
        counts = np.histogram(onset, edges)[0]
        if np.ptp(sizes) > 1e-3 or counts.min() < 2 or not float(sizes[0] * 2).is_integer():
            continue
        inside = np.flatnonzero((onset >= edges[0] - 1e-6) & (onset < edges[-1] - 1e-6))
        length = np.minimum(length, edges[-1] - onset)
        notes = np.stack([onset - edges[0], length, program, pitch], axis=1)[inside]
        span = second[inside[-1]] - second[inside[0]]
        tempo = 60 * (onset[inside[-1]] - onset[inside[0]]) / span
        return notes, float(sizes[0]), float(tempo)
    raise SystemExit(f"{piece['piece']}: no {BARS} bars of one length with notes in each")


def write(path, notes, bar, tempo):
    """A file of one track for each program."""
    file = mido.MidiFile(ticks_per_beat=TICKS)
    head = mido.MidiTrack()
    quarters = float(bar).is_integer()
    numerator, denominator = (int(bar), 4) if quarters else (int(bar * 2), 8)
    head.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(round(tempo))))
    head.append(mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator))
    file.tracks.append(head)
    channels = iter([channel for channel in range(16) if channel != 9])
    for program in np.unique(notes[:, 2]).astype(int):
        drums = program == v.DRUMS
        channel = 9 if drums else next(channels)
        events = []
        for onset, length, _, pitch in notes[notes[:, 2] == program]:
            begin, end = round(onset * TICKS), round((onset + length) * TICKS)
            events += [(begin, 1, int(pitch)), (max(end, begin + 1), 0, int(pitch))]
        track, now = mido.MidiTrack(), 0
        if not drums:
            track.append(mido.Message("program_change", program=program, channel=channel))
        for tick, on, pitch in sorted(events):
            velocity = VELOCITY if on else 0
            track.append(mido.Message("note_on", note=pitch, velocity=velocity, channel=channel, time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--corpus", required=True)
    p.add_argument("--into", required=True)
    options = p.parse_args()
    folder, into = Path(options.corpus), Path(options.into)
    into.mkdir(parents=True, exist_ok=True)
    pieces = json.loads((folder / "pieces.json").read_text())
    for name, chosen, ending in CHOSEN:
        piece = next(p for p in pieces if p["set"] == chosen and p["piece"].endswith(ending))
        if not corpora.is_held_out(chosen, corpora.group_of(piece)):
            raise SystemExit(f"{piece['piece']} was trained on")
        notes, bar, tempo = passage(dict(np.load(folder / f"{chosen}.npz")), piece)
        write(into / f"{name}.mid", notes, bar, tempo)
        print(f"{name}: {len(notes)} notes, {bar:g} quarters a bar, {tempo:.0f} a minute")


if __name__ == "__main__":
    main()
