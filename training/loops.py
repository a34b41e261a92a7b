"""Bands that the scores lack: loops of drums, bass, comping and lead in six styles, made up by rule.

A piece is 4 to 16 bars of 4/4: a chord progression, a groove for each role that plays, a lead built from one motif, fills at
the end of fourth bars. Times are ticks of a beat; a 16th is 12 ticks, a swung offbeat 8th falls at 32.
"""

import numpy as np

from . import corpus as corpora
from . import vocabulary as v

BEAT = v.TICKS_PER_BEAT
STEP = BEAT // 4
BAR = 4 * BEAT
HELD_OUT_EVERY = 20  # one made-up piece in so many is held out

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
DORIAN, MIXOLYDIAN = (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 5, 7, 9, 10)
CHORDS = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "5": (0, 7, 12),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "9": (0, 4, 10, 14),
    "m9": (0, 3, 10, 14),
    "m7b5": (0, 3, 6, 10),
    "sus": (0, 5, 7),
}

# Each progression: a scale, then one chord a bar ("a|b": two in the bar), as semitones above the key and a quality.
PROGRESSIONS = {
    "pop": (
        (MAJOR, "0 7 9m 5"),
        (MAJOR, "9m 5 0 7"),
        (MAJOR, "0 9m 5 7"),
        (MAJOR, "5 0 7 9m"),
        (MAJOR, "0 4m 5 7sus|7"),
        (MINOR, "0m 8 3 10"),
        (MINOR, "0m 5m 8 7"),
        (MAJOR, "0 0 5 5 9m 7 5 7"),
    ),
    "rock": (
        (MIXOLYDIAN, "0 10 5 0"),
        (MINOR, "0m 8 10 0m"),
        (MAJOR, "0 5 7 5"),
        (MINOR, "0m 3 10 5"),
        (MAJOR, "0 0 5 0 7 5 0 7"),
        (MINOR, "0m 0m 8 10"),
        (MAJOR, "0|5 0|7 0|5 7"),
    ),
    "funk": (
        (DORIAN, "0m7 5 0m7 5"),
        (MIXOLYDIAN, "07 07 57 07"),
        (MIXOLYDIAN, "09 09 09 09"),
        (DORIAN, "0m7 0m7 5|57 0m7"),
        (MINOR, "0m7 8maj7 10 0m7"),
    ),
    "house": (
        (MINOR, "0m 8 10 5m"),
        (MINOR, "0m7 3maj7 8maj7 10"),
        (DORIAN, "0m9 0m9 5m9 5m9"),
        (MINOR, "8maj7 10 0m7 0m7"),
        (MAJOR, "9m7 5maj7 0 7"),
        (MINOR, "0m 0m 8 8"),
    ),
    "lofi": (
        (MAJOR, "2m9 79 0maj7 9m7"),
        (MAJOR, "0maj7 9m7 2m7 77"),
        (MAJOR, "5maj7 4m7 2m9 0maj7"),
        (MINOR, "0m9 5m9 8maj7 77"),
        (MAJOR, "0maj7 5maj7 0maj7 5maj7"),
        (MAJOR, "5maj7|47 9m7 2m7|77 0maj7"),
    ),
    "jazz": (
        (MAJOR, "2m7 77 0maj7 0maj7"),
        (MAJOR, "0maj7|9m7 2m7|77 4m7|97 2m7|77"),
        (MINOR, "2m7b5 77 0m7 0m7"),
        (MIXOLYDIAN, "07 57 07 07 57 57 07 97 2m7 77 07|97 2m7|77"),
        (MAJOR, "2m7 77 0maj7 5maj7 11m7b5 47 9m7 9m7"),
    ),
}

PROGRAMS = {
    "bass": {
        "pop": (33, 34, 38),
        "rock": (33, 34),
        "funk": (33, 36, 37),
        "house": (38, 39, 87),
        "lofi": (32, 33, 35),
        "jazz": (32,),
    },
    "comp": {
        "pop": (0, 4, 24, 25, 27, 48, 89),
        "rock": (27, 29, 30, 16),
        "funk": (7, 27, 28, 16, 4),
        "house": (0, 4, 62, 81, 90, 50),
        "lofi": (0, 4, 5, 26),
        "jazz": (0, 0, 26, 11, 4),
    },
    "lead": {
        "pop": (0, 73, 80, 81, 52, 25, 40),
        "rock": (29, 30, 27, 81),
        "funk": (61, 62, 65, 66, 80, 4),
        "house": (80, 81, 84, 0, 54),
        "lofi": (11, 4, 66, 73, 56, 12),
        "jazz": (64, 65, 66, 56, 59, 11, 0, 26),
    },
    "pad": {style: (48, 50, 88, 89, 90, 91, 94) for style in PROGRESSIONS},
}

# Drums on 16 steps: kick, snare (or clap), hat. Capitals always sound, small letters half the time.
DRUMS = {
    "pop": (
        ("K.....k.K.k.....", "....S.......S...", "H.H.H.H.H.H.H.H."),
        ("K..k..K...K.....", "....S.......S..s", "HhHhHhHhHhHhHhHh"),
        ("K.......K.K.....", "....S.......S...", "H.H.H.H.H.H.H.O."),
    ),
    "rock": (
        ("K.......K.K.....", "....S.......S...", "H.H.H.H.H.H.H.H."),
        ("K.k...K.K.......", "....S.......S...", "R.R.R.R.R.R.R.R."),
        ("K.K.....K.K...k.", "....S.......S...", "O...O...O...O..."),
    ),
    "funk": (
        ("K.k...K...K..k..", "....S..s.s..S..s", "H.HhH.H.H.HhH.O."),
        ("K..K..k...K.....", "....S..s.s.sS...", "HHHHHHHHHHHHHHHH"),
        ("K.K....k..K..K..", "....S..s....S.s.", "H.H.H.H.H.H.H.O."),
    ),
    "house": (
        ("K...K...K...K...", "....C.......C...", "..O...O...O...O."),
        ("K...K...K...K..k", "....C.......C...", "hhOhhhOhhhOhhhOh"),
        ("K...K...K...K...", "............C...", "H.O.H.O.H.O.H.Oh"),
    ),
    "lofi": (
        ("K.....k..kK.....", "....S.......S...", "H.H.H.H.H.H.H.H."),
        ("K..k......K..k..", "....S.......S..s", "H.HhH.H.H.H.HhH."),
    ),
    "jazz": (
        ("k...k...k...k...", "......s.......s.", "R...R.R.R...R.R."),
        ("K.......k.....k.", "...........s..s.", "R...R.R.R...R.R."),
    ),
}
KEYS = {"K": 36, "S": 38, "C": 39, "H": 42, "O": 46, "R": 51}
FILLS = ((38, 38, 45, 43), (50, 48, 45, 41), (38, 40, 38, 36))
COMPS = {  # rhythms of chords on 16 steps: (step, length)
    "pop": (((0, 16),), ((0, 4), (4, 4), (8, 4), (12, 4)), ((0, 6), (6, 6), (12, 4)), ((0, 8), (8, 8))),
    "rock": (tuple((k, 2) for k in range(0, 16, 2)), ((0, 6), (6, 10)), ((0, 16),), ((0, 3), (3, 3), (6, 10))),
    "funk": (((2, 1), (6, 1), (9, 1), (14, 1)), ((3, 1), (4, 1), (7, 1), (10, 2), (15, 1)), ((0, 1), (3, 2), (6, 1), (11, 1))),
    "house": (((2, 2), (6, 2), (10, 2), (14, 2)), ((0, 3), (3, 3), (6, 2), (10, 2), (12, 3)), ((0, 3), (6, 3), (12, 4))),
    "lofi": (((0, 14),), ((0, 6), (6, 8)), ((0, 4), (7, 5), (14, 2))),
    "jazz": (((0, 6), (6, 2)), ((6, 2), (14, 2)), ((0, 3), (10, 4)), ((4, 2), (12, 2)), ((2, 6), (14, 2))),
}
RHYTHMS = (  # of a bar of lead, in 16ths: (step, length)
    ((0, 4), (4, 4), (8, 8)),
    ((0, 2), (2, 2), (4, 4), (8, 6)),
    ((0, 6), (6, 2), (8, 4), (12, 4)),
    ((2, 2), (4, 2), (6, 2), (8, 8)),
    ((0, 3), (3, 3), (6, 4), (10, 2), (12, 4)),
    ((4, 2), (6, 4), (10, 2), (12, 4)),
    ((0, 12),),
    ((0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 4)),
    ((8, 2), (10, 2), (12, 2), (14, 2)),
    (),
)
FAST = (((0, 1), (1, 1), (2, 2), (4, 3), (7, 1), (8, 4)), ((0, 2), (2, 1), (3, 1), (4, 2), (6, 1), (7, 5), (14, 2)))


class Piece:
    """A piece being made: its notes and what its players agree on."""

    def __init__(self, rng):
        self.rng = rng
        self.style = self.pick(tuple(PROGRESSIONS))
        self.scale, text = self.pick(PROGRESSIONS[self.style])
        self.key = int(rng.integers(12))
        self.swing = self.style == "jazz" or (self.style == "lofi" and rng.random() < 0.5)
        bars = [[self.chord(word) for word in bar.split("|")] for bar in text.split()]
        length = int(self.pick((4, 8, 8, 16)))
        self.bars = [bars[k % len(bars)] for k in range(max(length, len(bars)))]
        self.notes = []

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def chord(self, word):
        """`9m7` as (root's pitch class, intervals); only 10 and 11 are roots of two digits."""
        split = 2 if word[:2] in ("10", "11") else 1
        return (self.key + int(word[:split])) % 12, CHORDS[word[split:]]

    def chord_at(self, bar, step):
        chords = self.bars[bar]
        return chords[step * len(chords) // 16]

    def add(self, bar, step, length, program, pitch):
        """A note at a 16th of a bar, swung where the piece swings."""

        def tick(k):
            offset = k * STEP
            if self.swing and self.style == "jazz" and k % 4 == 2:
                offset += 8
            if self.swing and self.style == "lofi" and k % 2 == 1:
                offset += 4
            return bar * BAR + offset

        begin, end = tick(step), tick(step + length)
        if program != v.DRUMS and length <= 2 and self.style == "funk":
            end = begin + max(6, (end - begin) * 2 // 3)
        self.notes.append((begin, max(end - begin, 3), program, int(np.clip(pitch, 0, 127))))

    def drums(self):
        kick, snare, hat = self.pick(DRUMS[self.style])
        crash = self.rng.random() < 0.4
        for bar in range(len(self.bars)):
            fill = bar % 4 == 3 and self.rng.random() < 0.5
            for line in (kick, snare, hat):
                for step, letter in enumerate(line):
                    quiet = letter == "." or (letter.islower() and self.rng.random() < 0.5)
                    if quiet or (fill and step >= 12):
                        continue
                    self.add(bar, step, 1, v.DRUMS, KEYS[letter.upper()])
            if fill:
                for step, key in zip(range(12, 16), self.pick(FILLS), strict=True):
                    self.add(bar, step, 1, v.DRUMS, key)
            if crash and bar % 8 == 0:
                self.add(bar, 0, 1, v.DRUMS, 49)

    def bass(self):
        program = self.pick(PROGRAMS["bass"][self.style])
        walk = self.style == "jazz"
        shape = self.pick((0, 1, 2, 3))
        for bar in range(len(self.bars)):
            if walk:
                self.walk(bar, program)
                continue
            for step, length, degree in self.bass_line(shape):
                root, intervals = self.chord_at(bar, step)
                base = 28 + (root - 28) % 12
                self.add(bar, step, length, program, base + (intervals[2] % 12 if degree == 5 else degree))

    def bass_line(self, shape):
        """(step, length, semitones above the root; 5 = the chord's fifth) of a bar."""
        if self.style in ("rock", "pop") and shape < 2:
            return tuple((k, 2, 0) for k in range(0, 16, 2))
        if self.style == "house":
            return (
                tuple((k, 2, 0) for k in range(2, 16, 4)),
                ((0, 2, 0), (3, 2, 0), (6, 2, 12), (10, 2, 0), (13, 2, 5)),
                tuple((k, 1, 0 if k % 4 else 12) for k in range(16) if k % 4),
                ((0, 3, 0), (3, 3, 0), (6, 2, 0), (10, 2, 12), (12, 3, 0)),
            )[shape]
        if self.style == "funk":
            return (
                ((0, 2, 0), (3, 1, 12), (6, 1, 0), (7, 1, 0), (10, 2, 5), (13, 1, 10), (14, 2, 12)),
                ((0, 3, 0), (6, 1, 12), (7, 2, 10), (10, 1, 0), (11, 1, 0), (14, 2, 5)),
                ((0, 1, 0), (2, 1, 0), (5, 1, 12), (8, 2, 5), (11, 1, 10), (12, 2, 12)),
                ((0, 4, 0), (10, 1, 0), (11, 1, 3), (12, 2, 5), (15, 1, 0)),
            )[shape]
        return (
            ((0, 16, 0),),
            ((0, 8, 0), (8, 8, 5)),
            ((0, 6, 0), (6, 2, 0), (8, 4, 5), (12, 4, 0)),
            ((0, 3, 0), (3, 5, 0), (8, 6, 0), (14, 2, 12)),
        )[shape]

    def walk(self, bar, program):
        """Four crotchets: the chord's root, chord tones, and a step into the next root."""
        for beat in range(4):
            root, intervals = self.chord_at(bar, 4 * beat)
            base = 28 + (root - 28) % 12
            changed = beat == 0 or self.chord_at(bar, 4 * beat - 4) != (root, intervals)
            if changed:
                pitch = base
            elif beat == 3:
                following = self.bars[(bar + 1) % len(self.bars)][0][0]
                pitch = 28 + (following - 28) % 12 + self.pick((-1, 1, -2, 2))
            else:
                pitch = base + self.pick(intervals[1:])
            self.add(bar, 4 * beat, 4, program, pitch)

    def comp(self, role):
        program = self.pick(PROGRAMS[role][self.style])
        rhythm = ((0, 16),) if role == "pad" else self.pick(COMPS[self.style])
        arpeggio = role == "comp" and self.style in ("pop", "lofi") and self.rng.random() < 0.3
        centre = int(self.rng.integers(55, 67))
        power = program in (29, 30)
        for bar in range(len(self.bars)):
            if arpeggio:
                for k in range(8):
                    pitches = self.voicing(self.chord_at(bar, 2 * k), centre)
                    self.add(bar, 2 * k, 2, program, pitches[(0, 1, 2, 1)[k % 4]])
                continue
            halved = len(self.bars[bar]) > 1 and (0, 16) in rhythm
            cuts = sorted({step for step, _ in rhythm} | ({8} if halved else set()))
            for step in cuts:
                length = dict(rhythm).get(step, 8)
                if halved:
                    length = 8
                chord = self.chord_at(bar, step)
                if power:
                    pitches = [40 + (chord[0] - 40) % 12 + k for k in (0, 7, 12)]
                else:
                    pitches = self.voicing(chord, centre)
                for pitch in pitches:
                    self.add(bar, step, length, program, pitch)

    @staticmethod
    def voicing(chord, centre):
        """The chord's tones nearest the centre, so that voices move little."""
        root, intervals = chord
        return sorted(centre - 6 + (root + k - centre + 6) % 12 for k in intervals)

    def lead(self):
        program = self.pick(PROGRAMS["lead"][self.style])
        choice = RHYTHMS + (FAST if self.style in ("funk", "jazz", "house") else ())
        rhythms = [self.pick(choice) for _ in range(4)]
        rhythms[2] = rhythms[0] if self.rng.random() < 0.7 else rhythms[2]
        contour = [[int(x) for x in self.rng.integers(-2, 3, size=len(r))] for r in rhythms]
        contour[2] = contour[0] if rhythms[2] is rhythms[0] else contour[2]
        tones = [p for p in range(57, 91) if (p - self.key) % 12 in self.scale]
        at = int(self.rng.integers(6, len(tones) - 6))
        home = at
        for bar in range(len(self.bars)):
            if bar >= 4 and bar % 4 == 3 and self.rng.random() < 0.4:
                rhythms[3] = self.pick(choice)
                contour[3] = [int(x) for x in self.rng.integers(-2, 3, size=len(rhythms[3]))]
            if bar % 4 in (0, 2):
                at = home
            for (step, length), move in zip(rhythms[bar % 4], contour[bar % 4], strict=True):
                at = int(np.clip(at + move, 0, len(tones) - 1))
                if step % 4 == 0 or length >= 4:
                    at = self.nearest_chord_tone(tones, at, self.chord_at(bar, step))
                self.add(bar, step, length, program, tones[at])

    @staticmethod
    def nearest_chord_tone(tones, at, chord):
        classes = {(chord[0] + k) % 12 for k in chord[1]}
        near = sorted(range(len(tones)), key=lambda k: (abs(k - at), k))
        return next((k for k in near if tones[k] % 12 in classes), at)


def piece(rng):
    """One made-up piece as the corpus has them: (tick, duration, instrument, pitch, bar)."""
    made = Piece(rng)
    roles = rng.random(5) < (0.85, 0.85, 0.75, 0.5, 0.15)
    if roles.sum() == 0:
        roles[1] = True
    players = (made.drums, made.bass, lambda: made.comp("comp"), made.lead, lambda: made.comp("pad"))
    for plays, player in zip(roles, players, strict=True):
        if plays:
            player()
    if not made.notes:
        made.bass()
    tick, duration, program, pitch = np.array(made.notes, dtype=np.int64).T
    bars = np.arange(len(made.bars) + 1, dtype=np.int64) * BAR
    return corpora.sort_piece(tick, np.clip(duration, 1, v.MAX_DURATION), program, pitch, bars)


def make(count, seed):
    """A corpus of so many made-up pieces, set `loops`; the same for the same seed."""
    rng = np.random.default_rng([seed, 7])
    parts = [piece(rng) for _ in range(count)]
    held = np.arange(count) % HELD_OUT_EVERY == 0
    return corpora.assemble(parts, ["loops"] * count, held, [f"loops/{k}" for k in range(count)])
