"""Checks the tensor operations against the rules written out note by note, on random windows.

    python -m training.checks
"""

import torch

from . import export, windows
from . import vocabulary as v
from .model import Model, Shape
from .plain import Plain


def by_hand(events, controls, length):
    """Pads and interleaves lists of (time, duration, note) as the rules say: triplets, the controls folded up."""
    padded, before = [], 0
    for time, duration, note in events:
        while time > before + v.REST_EVERY:
            before += v.REST_EVERY
            padded.append((before, v.DUR, v.REST))
        before = time
        padded.append((time, duration, note))
    out, before, waiting = [], 0, list(controls)
    for event in padded:
        while waiting and before >= waiting[0][0] - v.DELTA:
            out.append(tuple(x + v.EVENTS for x in waiting.pop(0)))
        out.append(event)
        before = event[0]
    last = waiting
    while last and before >= last[0][0] - v.DELTA:  # those that stand right after the last event
        out.append(tuple(x + v.EVENTS for x in last.pop(0)))
    return out[:length]


def random_window(generator, batch, events):
    """A made-up window, sparse enough to need RESTs."""

    def draw(high):
        return torch.randint(high, (batch, events), generator=generator)

    valid = torch.arange(events) < torch.randint(1, events + 1, (batch, 1), generator=generator)
    window = windows.Window(draw(3000), 1 + draw(998), draw(129), draw(128), valid, torch.zeros_like(valid))
    return window.sorted()


def check_interleaving(batch=64, events=40, length=60):
    generator = torch.Generator().manual_seed(3)
    window = random_window(generator, batch, events)
    controls, _ = windows.choose_controls(window, generator)
    tokens, predicted = windows.triplets(window, controls, length)
    for row in range(batch):
        everything = [
            (int(t), v.DUR + int(d), v.NOTE + 128 * int(i) + int(p))
            for t, d, i, p in zip(*(x[row] for x in (window.time, window.duration, window.instrument, window.pitch)), strict=True)
        ]
        chosen = [e for k, e in enumerate(everything) if window.valid[row, k]]
        given = [e for k, e in enumerate(everything) if controls[row, k]]
        plain = [e for k, e in enumerate(everything) if window.valid[row, k] and not controls[row, k]]
        assert len(given) + len(plain) == len(chosen)
        wanted = by_hand(plain, given, length)
        made = [tuple(x) for x in tokens[row].tolist()]
        made = [x for x in made if x[2] != v.SEPARATOR]
        assert made[: len(wanted)] == wanted, f"window {row}"
        assert all(x[2] >= v.EVENTS for x in made[len(wanted) :]), f"window {row}: events behind the end"
        assert predicted[row, : len(made)].tolist() == [x[2] < v.EVENTS for x in made]


def check_exports(folder):
    """Both exports read back and compute what the model in training computes."""
    torch.manual_seed(1)
    shape = Shape(2, 2, 64, 128)
    model = Model(shape)
    model.seen += 1000
    weights = export.weights_of(model)
    config = export.config_text(2, 2, 64, 128, "check")
    export.write_folder(folder / "hf", weights, config)
    export.write_compact(folder / "compact.safetensors", weights, config)
    generator = torch.Generator().manual_seed(4)
    window = random_window(generator, 8, 30)
    controls, anticipated = windows.choose_controls(window, generator)
    tokens, predicted = windows.encode(window, controls, anticipated, 42)
    with torch.no_grad():
        nats = model.loss(tokens, predicted)
    full = Plain.read(folder / "hf").nats(tokens, predicted)
    assert (nats - full).abs().max() < 1e-3, (nats - full).abs().max()
    small = Plain.read(folder / "compact.safetensors").nats(tokens, predicted)
    assert abs(small.sum() / full.sum() - 1) < 0.005


def main():
    import tempfile
    from pathlib import Path

    check_interleaving()
    with tempfile.TemporaryDirectory() as folder:
        check_exports(Path(folder))
    print("checks passed")


if __name__ == "__main__":
    main()
