"""Bands that the scores lack: loops of drums, bass, comping and lead in seven styles, made up by rule.

A piece is 8 to 17 bars of 4/4: a chord progression, a groove for each role that plays, a lead built from one motif, fills at
the end of fourth bars, in some an ending. Times are ticks of a beat; a 16th is 12 ticks, a swung offbeat 8th falls at 32.
In many pieces one keyboard plays all but the drums, as a player with two hands does.
"""

import numpy as np

from . import corpus as corpora
from . import styles
from . import vocabulary as v

BEAT = v.TICKS_PER_BEAT
BAR = 4 * BEAT
HELD_OUT_EVERY = 20  # one made-up piece in so many is held out
PLACES = {  # ticks of the four steps of a beat
    "straight": (0, 12, 24, 36),
    "swing": (0, 16, 32, 40),
    "light": (0, 16, 24, 40),  # swung 16ths
}


class Piece:
    """A piece being made: its notes and what its players agree on."""

    def __init__(self, rng):
        self.rng = rng
        self.style = self.weighted(styles.STYLES)
        feels = styles.FEELS[self.style]
        self.feel = self.weighted({"straight": 1 - sum(feels.values())} | feels)
        self.scale, text = self.pick(styles.PROGRESSIONS[self.style])
        self.key = int(rng.integers(12))
        bars = [[self.chord(word) for word in bar.split("|")] for bar in text.split()]
        length = int(self.pick((8, 8, 8, 16)))
        self.bars = [bars[k % len(bars)] for k in range(max(length, len(bars)))]
        self.ending = rng.random() < 0.3
        if self.ending:
            home = (0, 3, 7) if 3 in self.scale else (0, 4, 7)
            self.bars.append([(self.key, home)])
        self.notes = []

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def weighted(self, table):
        weights = np.array(list(table.values()))
        return list(table)[int(self.rng.choice(len(table), p=weights / weights.sum()))]

    def chord(self, word):
        """`9m7` as (root's pitch class, intervals); only 10 and 11 are roots of two digits."""
        split = 2 if word[:2] in ("10", "11") else 1
        return (self.key + int(word[:split])) % 12, styles.CHORDS[word[split:]]

    def chord_at(self, bar, step):
        chords = self.bars[bar]
        return chords[step * len(chords) // 16]

    def closes(self, bar):
        """Whether a bar is the ending, where all but the lead hold one chord."""
        return self.ending and bar == len(self.bars) - 1

    def add(self, bar, step, length, program, pitch):
        """A note at a 16th of a bar, where the piece's feel puts it."""

        def tick(k):
            return bar * BAR + k // 4 * BEAT + PLACES[self.feel][k % 4]

        begin, end = tick(step), tick(step + length)
        if program != v.DRUMS and length <= 2 and self.style == "funk":
            end = begin + max(6, (end - begin) * 2 // 3)
        self.notes.append((begin, max(end - begin, 3), program, int(np.clip(pitch, 0, 127))))

    def drums(self):
        lines = self.pick(styles.DRUMS[self.style])
        crash = self.rng.random() < 0.4
        fills = self.rng.random() < 0.6
        for bar in range(len(self.bars)):
            if self.closes(bar):
                for key in (36, 49):
                    self.add(bar, 0, 1, v.DRUMS, key)
                continue
            fill = fills and bar % 4 == 3 and self.rng.random() < 0.5
            for line in lines:
                for step, letter in enumerate(line):
                    quiet = letter == "." or (letter.islower() and self.rng.random() < 0.5)
                    if quiet or (fill and step >= 12):
                        continue
                    self.add(bar, step, 1, v.DRUMS, styles.KEYS[letter.upper()])
            if fill:
                self.fill(bar)
            if crash and bar % 8 == 0:
                self.add(bar, 0, 1, v.DRUMS, 49)

    def fill(self, bar):
        steps = (12, 12, 14, 14) if self.feel == "swing" else range(12, 16)
        for step, key in zip(steps, self.pick(styles.FILLS), strict=True):
            self.add(bar, step, 1, v.DRUMS, key)

    def bass(self):
        program = self.pick(styles.PROGRAMS["bass"][self.style])
        walk = self.style == "jazz" or (self.style == "shuffle" and self.rng.random() < 0.4)
        shape = self.pick((0, 1, 2, 3))
        low = int(self.pick((28, 28, 28, 36)))
        for bar in range(len(self.bars)):
            if self.closes(bar):
                self.add(bar, 0, 16, program, low + (self.key - low) % 12)
                continue
            if walk:
                self.walk(bar, program, low)
                continue
            for step, length, degree in self.bass_line(shape):
                root, intervals = self.chord_at(bar, step)
                base = low + (root - low) % 12
                self.add(bar, step, length, program, base + (intervals[2] % 12 if degree == 5 else degree))

    def bass_line(self, shape):
        """(step, length, semitones above the root; 5 = the chord's fifth) of a bar."""
        if self.style in ("rock", "pop") and shape < 2:
            return tuple((k, 2, 0) for k in range(0, 16, 2))
        return styles.BASS.get(self.style, styles.BASS["pop"])[shape]

    def walk(self, bar, program, low):
        """Four crotchets: the chord's root, chord tones, and a step into the next root; now and then a skip before a beat."""
        for beat in range(4):
            root, intervals = self.chord_at(bar, 4 * beat)
            base = low + (root - low) % 12
            changed = beat == 0 or self.chord_at(bar, 4 * beat - 4) != (root, intervals)
            if changed:
                pitch = base
            elif beat == 3:
                following = self.bars[(bar + 1) % len(self.bars)][0][0]
                pitch = low + (following - low) % 12 + self.pick((-1, 1, -2, 2))
            else:
                pitch = base + self.pick(intervals[1:])
            skip = self.rng.random() < 0.08
            self.add(bar, 4 * beat, 2 if skip else 4, program, pitch)
            if skip:
                self.add(bar, 4 * beat + 2, 2, program, pitch)

    def comp(self, role):
        program = self.pick(styles.PROGRAMS[role][self.style])
        rhythms = [((0, 16),) if role == "pad" else self.pick(styles.COMPS[self.style]) for _ in range(2)]
        if self.rng.random() < 0.6:
            rhythms[1] = rhythms[0]
        if self.feel == "swing":
            rhythms = [tuple((min(step, step // 4 * 4 + 2), length) for step, length in r) for r in rhythms]
        arpeggio = role == "comp" and self.style in ("pop", "lofi") and self.rng.random() < 0.3
        centre = int(self.rng.integers(53, 67))
        for bar in range(len(self.bars)):
            if self.closes(bar):
                self.strike(bar, 0, 16, program, centre)
            elif arpeggio:
                for k in range(8):
                    pitches = self.voicing(self.chord_at(bar, 2 * k), centre)
                    self.add(bar, 2 * k, 2, program, pitches[(0, 1, 2, 1)[k % 4]])
            else:
                self.comp_bar(bar, rhythms[bar % 2], program, centre)

    def comp_bar(self, bar, rhythm, program, centre):
        halved = len(self.bars[bar]) > 1 and (0, 16) in rhythm
        cuts = sorted({step for step, _ in rhythm} | ({8} if halved else set()))
        for step in cuts:
            self.strike(bar, step, 8 if halved else dict(rhythm)[step], program, centre)

    def strike(self, bar, step, length, program, centre):
        """A chord."""
        chord = self.chord_at(bar, step)
        power = program in (29, 30)
        low = [40 + (chord[0] - 40) % 12 + k for k in (0, 7, 12)]
        for pitch in low if power else self.voicing(chord, centre):
            self.add(bar, step, length, program, pitch)

    @staticmethod
    def voicing(chord, centre):
        """The chord's tones nearest the centre, so that voices move little."""
        root, intervals = chord
        return sorted(centre - 6 + (root + k - centre + 6) % 12 for k in intervals)

    def lead(self):
        """A tune in phrases of four bars, the same motif in each; closes on the key note, may leave room for others."""
        programs = [self.pick(styles.PROGRAMS["lead"][self.style]) for _ in range(2)]
        manner = self.weighted({"all along": 0.6, "calls": 0.25, "trades": 0.15})
        choice = self.lead_rhythms()
        rhythms = [self.pick(choice) for _ in range(4)]
        rhythms[2] = rhythms[0] if self.rng.random() < 0.7 else rhythms[2]
        contour = [self.contour(r) for r in rhythms]
        contour[2] = contour[0] if rhythms[2] is rhythms[0] else contour[2]
        tones = [p for p in range(57, 88) if (p - self.key) % 12 in self.scale]
        at = home = int(self.rng.integers(4, len(tones) - 6))
        for bar in range(len(self.bars)):
            if bar % 4 in (0, 2):
                at = home
            if self.closes(bar) or (bar % 8 == 7 and manner == "all along"):
                self.close(bar, programs[0], tones, at)
            elif manner == "all along" or bar % 4 < 2:
                at = self.sing(bar, programs[0], tones, at, rhythms[bar % 4], contour[bar % 4])
            elif manner == "trades":
                at = self.sing(bar, programs[1], tones, at, rhythms[bar % 4], contour[bar % 4])

    def lead_rhythms(self):
        if self.feel == "swing":
            return styles.SWUNG
        return styles.STRAIGHT + (styles.FAST if self.style in ("funk", "jazz", "house") else ())

    def contour(self, rhythm):
        """Steps of the scale from note to note: small, and as often down as up."""
        return [int(x) for x in self.rng.integers(-2, 3, size=len(rhythm))]

    def sing(self, bar, program, tones, at, rhythm, contour):
        """One bar of the tune; where it has come to among the scale's tones."""
        for (step, length), move in zip(rhythm, contour, strict=True):
            at = int(np.clip(at + move, 0, len(tones) - 1))
            if step % 4 == 0 or length >= 4:
                at = self.nearest(tones, at, {(self.chord_at(bar, step)[0] + k) % 12 for k in self.chord_at(bar, step)[1]})
            self.add(bar, step, length, program, tones[at])
        return at

    def close(self, bar, program, tones, at):
        """A bar that steps down or up to the nearest key note and stays."""
        rhythm = self.pick(styles.ENDS)
        goal = self.nearest(tones, at, {self.key})
        for k, (step, length) in enumerate(rhythm):
            left = len(rhythm) - 1 - k
            self.add(bar, step, length, program, tones[int(np.clip(goal + (left if at >= goal else -left), 0, len(tones) - 1))])

    @staticmethod
    def nearest(tones, at, classes):
        """The place among the tones nearest to `at` whose pitch class is one of these."""
        near = sorted(range(len(tones)), key=lambda k: (abs(k - at), k))
        return next((k for k in near if tones[k] % 12 in classes), at)

    def on_one_keyboard(self):
        """All that is no drum goes to one program."""
        program = self.pick(styles.KEYBOARDS)
        self.notes = [(t, d, p if p == v.DRUMS else program, q) for t, d, p, q in self.notes]


def piece(rng):
    """One made-up piece as the corpus has them: (tick, duration, instrument, pitch, bar)."""
    made = Piece(rng)
    roles = rng.random(5) < (0.75, 0.85, 0.8, 0.6, 0.12)
    if roles.sum() == 0:
        roles[1] = True
    players = (made.drums, made.bass, lambda: made.comp("comp"), made.lead, lambda: made.comp("pad"))
    for plays, player in zip(roles, players, strict=True):
        if plays:
            player()
    if not made.notes:
        made.bass()
    if rng.random() < 0.4:
        made.on_one_keyboard()
    tick, duration, program, pitch = np.array(made.notes, dtype=np.int64).T
    bars = np.arange(len(made.bars) + 1, dtype=np.int64) * BAR
    return corpora.sort_piece(tick, np.clip(duration, 1, v.MAX_DURATION), program, pitch, bars)


def make(count, seed):
    """A corpus of so many made-up pieces, set `loops`; the same for the same seed."""
    rng = np.random.default_rng([seed, 7])
    parts = [piece(rng) for _ in range(count)]
    held = np.arange(count) % HELD_OUT_EVERY == 0
    return corpora.assemble(parts, ["loops"] * count, held, [f"loops/{k}" for k in range(count)])
