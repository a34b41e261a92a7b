"""An interpolated Markov model of the same triplets in the same time frame: what a model must beat.

Each slot is predicted from up to three events back (with the place in the beat), shorter contexts mixed in by Witten and Bell's
rule. Counts are sorted hash tables.
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


def columns(triplets):
    """Integer columns of every triplet, from (windows, triplets, 3)."""

    def back(x, steps):
        out = np.full_like(x, -1)
        out[:, steps:] = x[:, :-steps]
        return out

    time, length, note = (triplets[..., k].astype(np.int64) for k in range(3))
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
        h ^= part.astype(np.uint64) + np.uint64(0x7F4A7C15)
        h *= np.uint64(0xBF58476D1CE4E5B9)
        h ^= h >> np.uint64(29)
        h *= np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(32)
    return h


class Table:
    """How often each context, and each symbol in it, occurred."""

    def __init__(self, context, symbol):
        both = mix([context, symbol])
        self.pairs, first, counts = np.unique(both, return_index=True, return_counts=True)
        self.counts = counts.astype(np.float32)
        self.contexts, inverse = np.unique(context[first], return_inverse=True)
        self.total = np.bincount(inverse, weights=self.counts).astype(np.float32)
        self.kinds = np.bincount(inverse).astype(np.float32)

    def mixed(self, context, symbol, shorter):
        """The probabilities with the shorter context's mixed in."""
        count = _look_up(self.pairs, self.counts, mix([context, symbol]))
        total = _look_up(self.contexts, self.total, context)
        kinds = _look_up(self.contexts, self.kinds, context)
        return np.where(total > 0, (count + kinds * shorter) / np.maximum(total + kinds, 1), shorter)


def _look_up(keys, values, wanted):
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)


class Markov:
    """The three slots' tables, trained on triplets (windows, triplets, 3) where `real`."""

    def __init__(self, triplets, real):
        known = columns(triplets)
        self.tables = {}
        for slot, orders in ORDERS.items():
            symbol = known[slot][real]
            self.tables[slot] = [Table(self._context(known, order)[real], symbol) for order in orders]

    @staticmethod
    def _context(known, order):
        return mix([np.zeros_like(known["d0"]) + len(order)] + [known[name] for name in order])

    def nats(self, triplets, real):
        """Nats of each slot (windows, triplets, 3); zero where not real."""
        known = columns(triplets)
        out = np.zeros(triplets.shape, dtype=np.float32)
        for at, (slot, orders) in enumerate(ORDERS.items()):
            chance = np.full(int(real.sum()), 1 / SIZES[slot], dtype=np.float64)
            symbol = known[slot][real]
            for order, table in zip(orders, self.tables[slot], strict=True):
                chance = table.mixed(self._context(known, order)[real], symbol, chance)
            out[..., at][real] = -np.log(chance)
        return out
