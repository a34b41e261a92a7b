"""Cuts, augments and interleaves training windows, as tensor operations on whole batches.

A window starts at a note; its tick 0 is the bar line at or before that note. Every function takes and gives tensors of shape
(batch, events) on one device.
"""

from dataclasses import dataclass

import torch

from . import vocabulary as v

FAR = 2**30  # later than any time
PLAIN = 0.4  # share of the training windows without controls


@dataclass
class Notes:
    """The corpus on a device; fields as in `corpus.Corpus`."""

    tick: torch.Tensor
    duration: torch.Tensor
    instrument: torch.Tensor
    pitch: torch.Tensor
    bar: torch.Tensor
    end: torch.Tensor  # per note, one past the last note of its piece

    @staticmethod
    def of(corpus, device):
        def tensor(array):
            return torch.as_tensor(array, device=device)

        return Notes(
            tensor(corpus.tick),
            tensor(corpus.duration),
            tensor(corpus.instrument),
            tensor(corpus.pitch),
            tensor(corpus.bar),
            tensor(corpus.end[corpus.piece]),
        )


@dataclass
class Window:
    """Events of a batch of windows, sorted by (time, instrument, pitch); those not valid stand last."""

    time: torch.Tensor
    duration: torch.Tensor
    instrument: torch.Tensor
    pitch: torch.Tensor
    valid: torch.Tensor

    def reorder(self, order):
        return Window(
            *(
                x.gather(1, order)
                for x in (self.time, self.duration, self.instrument, self.pitch, self.valid)
            )
        )

    def sorted(self):
        """The same events in order."""
        key = self.time.long() * 2**15 + self.instrument * 128 + self.pitch
        return self.reorder(torch.where(self.valid, key, 2**60).argsort(dim=1, stable=True))


def cut(notes, first, events):
    """Windows of up to so many events from the notes `first` (batch) on."""
    index = first[:, None] + torch.arange(events, device=first.device)
    valid = index < notes.end[first][:, None]
    index = index.clamp(max=len(notes.tick) - 1)
    time = notes.tick[index] - notes.bar[first][:, None]
    valid = valid & (time < v.TIMES)
    return Window(
        torch.where(valid, time, v.TIMES - 1).long(),
        notes.duration[index].long(),
        notes.instrument[index].long(),
        notes.pitch[index].long(),
        valid,
    )


def transpose(window, generator):
    """Moves each window by -5 to +6 semitones (drums stay), by an octave less or more where it would leave 0..127."""
    batch = len(window.time)
    shift = torch.randint(-5, 7, (batch, 1), generator=generator, device=window.time.device)
    pitched = window.instrument != v.DRUMS
    counted = pitched & window.valid
    top = torch.where(counted, window.pitch, 0).amax(1, keepdim=True)
    low = torch.where(counted, window.pitch, 127).amin(1, keepdim=True)
    shift = torch.where((top + shift > 127) | (low + shift < 0), 0, shift)
    window.pitch = torch.where(pitched, window.pitch + shift, window.pitch).clamp(0, 127)
    return window


def swap_programs(window, generator, share=0.25):
    """In a share of the windows, programs trade places within their General MIDI family."""
    batch, device = len(window.time), window.time.device
    order = torch.rand(batch, 16, 8, generator=generator, device=device).argsort(dim=2)
    table = (order + 8 * torch.arange(16, device=device)[:, None]).reshape(batch, 128)
    chosen = torch.rand(batch, 1, generator=generator, device=device) < share
    table = torch.where(chosen, table, torch.arange(128, device=device))
    table = torch.cat([table, torch.full((batch, 1), v.DRUMS, device=device)], dim=1)
    window.instrument = table.gather(1, window.instrument)
    return window


def jitter(window, generator, share=0.2):
    """In a share of the windows, the events before a random one are played by hand: loose onsets, shorter notes."""
    batch, events = window.time.shape
    device = window.time.device

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, device=device)

    played = torch.arange(events, device=device) < events * uniform(batch, 1)
    played = played & (uniform(batch, 1) < share) & window.valid
    spread = 0.3 + 1.7 * uniform(batch, 1)
    loose = torch.randn(batch, events, generator=generator, device=device) * spread
    time = (window.time + loose.round().long()).clamp(0, v.TIMES - 1)
    length = window.duration * (0.55 + 0.45 * uniform(batch, 1)) + loose.roll(1, 1)
    window.time = torch.where(played, time, window.time)
    length = length.round().long().clamp(1, v.MAX_DURATION)
    window.duration = torch.where(played, length, window.duration)
    return window


def choose_controls(window, generator):
    """Which events are given ahead: (batch, events) flags, none in some windows; and that choice (batch)."""
    batch, events = window.time.shape
    device = window.time.device

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, device=device)

    kind = uniform(batch, 1)
    loud = uniform(batch, 129) < uniform(batch, 1)
    by_instrument = loud.gather(1, window.instrument)
    at_random = uniform(batch, events) < 0.9 * uniform(batch, 1)
    position = torch.arange(events, device=device) / events
    first, last = uniform(batch, 1), uniform(batch, 1)
    to_the_end = uniform(batch, 1) < 0.5
    last = torch.where(to_the_end, 1.0, torch.maximum(first, last))
    in_span = (position >= torch.minimum(first, last)) & (position < last)
    share = (kind - PLAIN) / (1 - PLAIN)
    flags = torch.where(share < 0.5, by_instrument, torch.where(share < 0.7, at_random, in_span))
    return flags & (kind >= PLAIN) & window.valid, (kind >= PLAIN)[:, 0]


def with_rests(time, valid, length):
    """The `pad` rule: a REST at every 100 ticks of silence. Returns (source, time, is_rest, valid), (batch, length).

    `source` is the index of the event that stands there (of the next one, for a REST). `time` must be ordered, the invalid last.
    """
    before = torch.cat([torch.zeros_like(time[:, :1]), time[:, :-1]], dim=1)
    rests = torch.where(valid, (time - before - 1).clamp(min=0) // v.REST_EVERY, 0)
    place = torch.arange(time.shape[1], device=time.device) + rests.cumsum(1)
    place = torch.where(valid, place, FAR)
    slot = torch.arange(length, device=time.device).expand(len(time), length).contiguous()
    source = torch.searchsorted(place, slot)
    inside = source < valid.sum(1, keepdim=True)
    source = source.clamp(max=time.shape[1] - 1)
    is_rest = inside & (place.gather(1, source) != slot)
    begin = (place - rests).gather(1, source)  # slot of the first REST before this event
    rest_time = before.gather(1, source) + v.REST_EVERY * (slot - begin + 1)
    return source, torch.where(is_rest, rest_time, time.gather(1, source)), is_rest, inside


def triplets(window, controls, length):
    """Pads, interleaves and encodes: (tokens (batch, length, 3), is event (batch, length)).

    An event is one to be predicted: a note that is no control, or a REST. A control stands right after the first event
    whose onset is at least its own less DELTA, or first of all if its onset is at most DELTA. Rows end with SEPARATOR triplets.
    """
    order = (controls | ~window.valid).long().argsort(dim=1, stable=True)
    plain = window.reorder(order)
    plain.valid = plain.valid & ~controls.gather(1, order)
    source, time, is_rest, inside = with_rests(plain.time, plain.valid, length)
    note = v.NOTE + 128 * plain.instrument + plain.pitch
    duration = torch.where(is_rest, 0, plain.duration.gather(1, source))
    note = torch.where(is_rest, v.REST, note.gather(1, source))
    events = torch.stack([time, v.DUR + duration, note], dim=2)
    ahead = torch.stack(
        [window.time, v.DUR + window.duration, v.NOTE + 128 * window.instrument + window.pitch],
        dim=2,
    )
    ordered = torch.where(inside, time, FAR).contiguous()
    anchor = torch.searchsorted(ordered, (window.time - v.DELTA).contiguous())
    anchor = torch.where(window.time <= v.DELTA, -1, anchor)
    rank = torch.arange(length, device=time.device).expand(len(time), length)
    key = torch.cat(
        [torch.where(inside, 2 * rank, FAR), torch.where(controls, 2 * anchor + 1, FAR)], dim=1
    )
    key, order = key.sort(dim=1, stable=True)
    order, alive = order[:, :length], key[:, :length] < FAR
    both = torch.cat([events, ahead + v.EVENTS], dim=1)
    both = both.gather(1, order[:, :, None].expand(-1, -1, 3))
    both = torch.where(alive[:, :, None], both, v.SEPARATOR)
    return both, alive & (order < length)


def encode(window, controls, anticipated, length):
    """Tokens (batch, 1 + 3 * length) with their first one, and which triplets are to be predicted."""
    body, events = triplets(window, controls, length)
    first = torch.where(anticipated, v.ANTICIPATE, v.AUTOREGRESS)
    return torch.cat([first[:, None], body.flatten(1)], dim=1), events


def training_batch(notes, first, events, generator):
    """Augmented windows from the notes `first` on: (tokens, which triplets are to be predicted)."""
    window = cut(notes, first, events)
    window = jitter(swap_programs(transpose(window, generator), generator), generator).sorted()
    controls, anticipated = choose_controls(window, generator)
    return encode(window, controls, anticipated, events)


def plain_batch(notes, first, events):
    """The same windows as they stand, without controls."""
    window = cut(notes, first, events).sorted()
    none = torch.zeros_like(window.valid)
    return encode(window, none, none[:, 0], events)
