"""Renders a phrase through the VST3 in pedalboard and prints what came: `pedalboard_render.py Continuo.vst3`.

pedalboard renders offline at 120 BPM without a rolling transport, so the plugin's internal clock serves.
"""

import sys

import numpy
import pedalboard

RATE = 48_000
PHRASE = [(57, 0.0, 0.45), (60, 0.5, 0.45), (64, 1.0, 0.45), (69, 1.5, 0.45), (67, 2.0, 0.2), (64, 2.25, 0.45)]
END = 2.7


def messages():
    for key, at, length in PHRASE:
        yield bytes([0x90, key, 90]), at
        yield bytes([0x80, key, 0]), at + length


def loudness(audio, start, end):
    part = audio[:, int(start * RATE):int(end * RATE)]
    return float(numpy.sqrt(numpy.mean(part * part)))


def main():
    plugin = pedalboard.load_plugin(sys.argv[1])
    render = lambda: plugin(sorted(messages(), key=lambda m: m[1]), duration=10.0, sample_rate=RATE)
    audio = render()
    assert numpy.isfinite(audio).all(), "samples that are not numbers"
    assert numpy.abs(audio).max() <= 1.0, "beyond full scale"
    phrase, answer = loudness(audio, 0.0, END), loudness(audio, END + 1.0, 8.0)
    print(f"phrase {phrase:.4f} answer {answer:.4f} (RMS)")
    assert phrase > 1e-3, "the phrase is silent"
    assert answer > 1e-3, "the answer is silent"


if __name__ == "__main__":
    main()
