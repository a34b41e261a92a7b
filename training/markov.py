"""An interpolated Markov model of the same triplets in the same time frame: what a model must beat.

Each slot is predicted from up to three events back (with the place in the beat), shorter contexts mixed in by Witten and Bell's
rule. Counts are sorted arrays of 48 bits of context hash and 16 bits of symbol. What cannot stand - notes at or below the last
one of the same onset - is closed to it as it is to the model: what it gives to such notes is shared out among the others.
"""

import numpy as np

from . import vocabulary as v

ORDERS = {
    # Each slot's contexts, short to long, by the names of the columns below.
    "onset": (
        (),
        ("d1",),
        ("d1", "phase"),
        ("d1", "d2", "phase"),
        ("d1", "d2", "d3", "phase"),
        ("d1", "d2", "d3", "phase", "n1"),
    ),
    "duration": (
        (),
        ("l1",),
        ("d0", "l1"),
        ("d0", "l1", "l2"),
        ("d0", "d1", "l1", "l2", "phase0"),
        ("d0", "l1", "l2", "l3", "n1", "phase0"),
    ),
    "note": (
        (),
        ("i1",),
        ("n1",),
        ("n1", "d0"),
        ("n1", "n2", "d0"),
        ("n1", "n2", "n3", "d0", "l0"),
    ),
}
SIZES = {"onset": v.TIMES, "duration": v.DURS, "note": v.NOTES + 1}
SYMBOL = np.uint64(16)  # bits of a symbol


def columns(triplets):
    """Integer columns of every triplet, from (windows, triplets, 3)."""

    def back(x, steps):
        out = np.full_like(x, -1)
        out[:, steps:] = x[:, :-steps]
        return out

    time, length, note = (triplets[..., k].astype(np.int32) for k in range(3))
    before = np.maximum(back(time, 1), 0)
    step = time - before
    known = {"d0": step, "l0": length, "phase": before % v.TICKS_PER_BEAT, "phase0": time % v.TICKS_PER_BEAT}
    for k in (1, 2, 3):
        known |= {f"d{k}": back(step, k), f"l{k}": back(length, k), f"n{k}": back(note, k)}
    known["i1"] = np.where(known["n1"] >= 0, (known["n1"] - v.NOTE) // 128, -1)
    return known | {"onset": step, "duration": length - v.DUR, "note": note - v.NOTE}


def mix(parts):
    """One 64-bit hash of some columns."""
    h = np.full(parts[0].shape, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for part in parts:
        h ^= part.astype(np.int64).astype(np.uint64) + np.uint64(0x7F4A7C15)
        h *= np.uint64(0xBF58476D1CE4E5B9)
        h ^= h >> np.uint64(29)
        h *= np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(32)
    return h


class Table:
    """How often each context, and each symbol in it, occurred."""

    def __init__(self, context, symbol):
        both = np.sort((context >> SYMBOL << SYMBOL) | symbol.astype(np.uint64))
        self.pairs, self.counts = runs(both)
        self.contexts, self.kinds = runs(self.pairs >> SYMBOL)
        begin = np.cumsum(self.kinds) - self.kinds
        self.total = np.add.reduceat(self.counts, begin)
        self.below = np.concatenate([[0], np.cumsum(self.counts)])

    def mixed(self, context, symbol, shorter):
        """The probabilities with the shorter context's mixed in."""
        context = context >> SYMBOL
        return self.mixed_in(context, look_up(self.pairs, self.counts, (context << SYMBOL) | symbol.astype(np.uint64)), shorter)

    def mixed_above(self, context, last, shorter):
        """The same of all notes above `last` together."""
        context = context >> SYMBOL
        low = np.searchsorted(self.pairs, (context << SYMBOL) | (last + 1).astype(np.uint64))
        high = np.searchsorted(self.pairs, (context << SYMBOL) | np.uint64(v.NOTES))
        return self.mixed_in(context, self.below[high] - self.below[low], shorter)

    def mixed_in(self, context, count, shorter):
        """Witten and Bell's rule for what was counted in a context."""
        total = look_up(self.contexts, self.total, context)
        kinds = look_up(self.contexts, self.kinds, context)
        return np.where(total > 0, (count + kinds * shorter) / np.maximum(total + kinds, 1), shorter)


def runs(ordered):
    """The distinct values of a sorted array, and how often each occurs."""
    begin = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[begin], np.diff(np.append(begin, len(ordered)))


def look_up(keys, values, wanted):
    """The values of some keys; 0 where a key is not there."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


class Markov:
    """The three slots' tables, trained on triplets (windows, triplets, 3) where `real`."""

    def __init__(self, triplets, real):
        known = {name: column[real] for name, column in columns(triplets).items()}
        self.tables = {
            slot: [Table(context(known, order), known[slot]) for order in orders] for slot, orders in ORDERS.items()
        }

    def nats(self, triplets, real):
        """Nats of each slot (windows, triplets, 3); zero where not real."""
        known = {name: column[real] for name, column in columns(triplets).items()}
        out = np.zeros(triplets.shape, dtype=np.float32)
        for at, (slot, orders) in enumerate(ORDERS.items()):
            chance = np.full(int(real.sum()), 1 / SIZES[slot], dtype=np.float64)
            for order, table in zip(orders, self.tables[slot], strict=True):
                chance = table.mixed(context(known, order), known[slot], chance)
            if slot == "note":
                chance = self.among_the_open(known, chance)
            out[..., at][real] = -np.log(chance)
        return out

    def among_the_open(self, known, chance):
        """The probabilities of notes given that, on the onset of the note before, they stand above it."""
        last = known["n1"] - v.NOTE
        chord = (known["d0"] == 0) & (last >= 0) & (last < v.NOTES) & (known["note"] > last) & (known["note"] < v.NOTES)
        known = {name: column[chord] for name, column in known.items()}
        open_ = (v.NOTES - 1 - last[chord]) / SIZES["note"]
        for order, table in zip(ORDERS["note"], self.tables["note"], strict=True):
            open_ = table.mixed_above(context(known, order), last[chord], open_)
        chance = chance.copy()
        chance[chord] /= open_
        return chance


def context(known, order):
    """The hashes of the contexts of an order."""
    return mix([np.full(len(known["d0"]), len(order))] + [known[name] for name in order])
