"""Holds what the service says of real files against what known tools say: `agreement.py URL FILE.mid...`.

Notes and length against pretty_midi, tempo against mido's first tempo event, key against music21's. Prints a row a file; ends
with 1 where notes, length or tempo differ, or where fewer keys agree than LEAST says. A key agrees if it is the same or the
relative one.
"""

import base64
import json
import sys
import urllib.request
import warnings
from pathlib import Path

import mido
import music21
import pretty_midi

LEAST = 0.5  # of the keys
NAMES = ["C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"]


def told(url, path):
    """What the service says."""
    body = {"midi_input": base64.b64encode(path.read_bytes()).decode(), "analyses": ["metadata", "harmony"]}
    request = urllib.request.Request(url + "/analyze", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def counted(path):
    """Notes, and when the last of them ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        midi = pretty_midi.PrettyMIDI(str(path))
    ends = [note.end for part in midi.instruments for note in part.notes]
    return len(ends), max(ends)


def tempo(path):
    """Of the first tempo event; 120 where there is none."""
    events = [message.tempo for message in mido.merge_tracks(mido.MidiFile(path).tracks) if message.type == "set_tempo"]
    return mido.tempo2bpm(events[0]) if events else 120.0


def key(path):
    """Pitch class of the tonic, and whether it is major. Drums have no key."""
    score = music21.converter.parse(path)
    pitched = music21.stream.Stream()
    for note in score.flatten().notes:
        if not isinstance(note, (music21.note.Unpitched, music21.percussion.PercussionChord)):
            pitched.insert(note.offset, note)
    if not pitched.pitches:
        return None
    found = pitched.analyze("key")
    return found.tonic.pitchClass, found.mode == "major"


def major(found):
    """The major key that has its notes."""
    tonic, is_major = found
    return tonic if is_major else (tonic + 3) % 12


def named(found):
    return "none" if found is None else f"{NAMES[found[0]]} {'major' if found[1] else 'minor'}"


def parsed(text):
    if text is None:
        return None
    name, mode = text.rsplit(" ", 1)
    return NAMES.index(name), mode == "major"


def main(url, paths):
    wrong, keys, same = [], 0, 0
    print(f"{'file':<20} {'notes':>12} {'seconds':>18} {'tempo':>16}  key")
    for path in paths:
        ours, (notes, seconds), bpm, theirs = told(url, path), counted(path), tempo(path), key(path)
        facts = ours["metadata"]
        own = parsed(facts.get("estimated_key"))
        print(
            f"{path.name:<20} {facts['note_count']:>5} {notes:>6} {facts['duration_seconds']:>9.3f} {seconds:>8.3f}"
            f" {facts['tempo_bpm']:>8.2f} {bpm:>7.2f}  {named(own)}, {named(theirs)}"
        )
        equal = (
            ("notes", facts["note_count"] == notes),
            ("seconds", abs(facts["duration_seconds"] - seconds) < 0.002),
            ("tempo", abs(facts["tempo_bpm"] - bpm) < 0.01),
        )
        wrong += [f"{path.name}: {what}" for what, agrees in equal if not agrees]
        if theirs is not None:
            keys += 1
            same += own is not None and major(own) == major(theirs)
    print(f"keys: {same} of {keys} the same or relative")
    if same < LEAST * keys:
        wrong.append(f"{same} of {keys} keys agree")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
