"""Draws a run's curves: python -m training.plot RUN/log.jsonl docs/images/training.png"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def records(path):
    """The log's records; where a run was taken up again from a checkpoint, what came after it is dropped."""
    kept = []
    for line in Path(path).read_text().splitlines():
        record = json.loads(line)
        while kept and kept[-1]["step"] >= record["step"] and "held" not in kept[-1]:
            kept.pop()
        kept.append(record)
    return kept


def main(arguments=None):
    source, target = arguments or sys.argv[1:3]
    log = records(source)
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=90)
    for kind, style, note in (("train", "-", "in training, augmented"), ("held", "o-", "held out, averaged weights")):
        rows = [r for r in log if kind in r]
        events = [r["events"] / 1e6 for r in rows]
        for slot, colour, name in ((0, "tab:green", "onset"), (1, "tab:orange", "duration"), (2, "tab:blue", "note")):
            axes.plot(events, [r[kind][slot] for r in rows], style, color=colour, ms=3, lw=1,
                      alpha=0.45 if kind == "train" else 1, label=f"{name}, {note}")
        axes.plot(events, [r["total"] for r in rows], style, color="black", ms=3, lw=1,
                  alpha=0.45 if kind == "train" else 1, label=f"total, {note}")
    axes.set(xlabel="events seen, millions", ylabel="nats", ylim=(0, 10))
    axes.legend(fontsize=6, ncol=2)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


if __name__ == "__main__":
    main()
