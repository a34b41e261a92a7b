"""What can be counted in a few bars: key, grid, density, repetition. Events are arrays (events, 3) of onset, duration, note."""

import numpy as np

from . import vocabulary as v

DIATONIC = np.array([[(pc - root) % 12 in (0, 2, 4, 5, 7, 9, 11) for pc in range(12)] for root in range(12)])


def notes_of(triplets):
    """(onset, duration, instrument, pitch) of the notes among some triplets; RESTs dropped, controls folded in."""
    triplets = np.asarray(triplets)
    triplets = np.where(triplets >= v.EVENTS, triplets - v.EVENTS, triplets)
    triplets = triplets[triplets[:, 2] < v.REST]
    note = triplets[:, 2] - v.NOTE
    return np.stack([triplets[:, 0], triplets[:, 1] - v.DUR, note // 128, note % 128], axis=1)


def classes(notes):
    """How much each pitch class is heard (12), drums left out."""
    pitched = notes[notes[:, 2] != v.DRUMS]
    return np.bincount(pitched[:, 3] % 12, minlength=12).astype(float)


def key_of(notes):
    """The diatonic collection (0-11) that holds most of the notes; None without pitched notes."""
    heard = classes(notes)
    return int((DIATONIC @ heard).argmax()) if heard.sum() else None


def in_key(notes, key):
    """Share of the pitched notes that lie in a diatonic collection."""
    heard = classes(notes)
    return float(heard @ DIATONIC[key] / heard.sum()) if key is not None and heard.sum() else np.nan


def grid_error(notes):
    """Mean distance of the onsets, in ticks, to the nearest 16th or triplet 8th."""
    onset = notes[:, 0]
    errors = [np.abs((onset + grid / 2) % grid - grid / 2) for grid in (12, 16)]
    return float(np.minimum(*errors).mean()) if len(notes) else np.nan


def density(notes):
    """Notes a second at 120 beats a minute."""
    if len(notes) < 2:
        return np.nan
    beats = max(np.ptp(notes[:, 0]), 1) / v.TICKS_PER_BEAT
    return float(len(notes) / (beats / 2))


def overlap(first, second):
    """How much two pitch class histograms have in common, 0..1."""
    a, b = classes(first), classes(second)
    return float(np.minimum(a / a.sum(), b / b.sum()).sum()) if a.sum() and b.sum() else np.nan


def repeated(notes):
    """Share of the 3-grams of (instrument, pitch) that were there before."""
    if len(notes) < 4:
        return np.nan
    code = notes[:, 2] * 128 + notes[:, 3]
    grams = list(zip(code, code[1:], code[2:], strict=False))
    return 1 - len(set(grams)) / len(grams)


def kept(prompt, notes):
    """Share of the notes whose instrument was in the prompt."""
    return float(np.isin(notes[:, 2], prompt[:, 2]).mean()) if len(notes) else np.nan


def stacked(notes):
    """Share of the notes that repeat one of the same onset, instrument and pitch."""
    if not len(notes):
        return np.nan
    code = (notes[:, 0] * 129 + notes[:, 2]) * 128 + notes[:, 3]
    return 1 - len(np.unique(code)) / len(code)


def climb(prompt, notes):
    """How far the middle key of the pitched notes' second half lies above the prompt's, in semitones."""
    before, after = (x[x[:, 2] != v.DRUMS][:, 3] for x in (prompt, notes))
    return float(np.median(after[len(after) // 2 :]) - np.median(before)) if len(before) and len(after) else np.nan


def voices(notes):
    """Notes that begin at once, on average."""
    return len(notes) / len(np.unique(notes[:, 0])) if len(notes) else np.nan


def measure(prompt, notes):
    """All of them."""
    return {
        "in the prompt's key": in_key(notes, key_of(prompt)),
        "onset-grid error, ticks": grid_error(notes),
        "notes a second at 120": density(notes),
        "notes an onset": voices(notes),
        "pitch-class overlap": overlap(prompt, notes),
        "repeated 3-grams": repeated(notes),
        "instruments kept": kept(prompt, notes),
        "notes doubled": stacked(notes),
        "climb, semitones": climb(prompt, notes),
    }
