"""The whole way on a corpus made up on the spot, in under two minutes: train, export both files, read back, judge.

    python -m training.tiny [--folder FOLDER] [--engine PROGRAM]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from . import checks, export, gates, loops, train
from . import vocabulary as v


def write_corpus(folder, pieces=120):
    """Writes a corpus folder as the real one is, from the loop generator."""
    made = loops.make(pieces, 99)
    rows, arrays = [], {name: [] for name in ("onset_quarter", "duration_quarter", "pitch", "program", "bars")}
    notes = bars = 0
    for row in range(pieces):
        part = slice(made.start[row], made.end[row])
        lines = np.arange(0, made.tick[part].max() + 1, 4 * v.TICKS_PER_BEAT) / v.TICKS_PER_BEAT
        arrays["onset_quarter"].append(made.tick[part] / v.TICKS_PER_BEAT)
        arrays["duration_quarter"].append(made.duration[part] / v.TICKS_PER_BEAT)
        arrays["pitch"].append(made.pitch[part])
        arrays["program"].append(made.instrument[part])
        arrays["bars"].append(lines)
        count = int(made.end[row] - made.start[row])
        rows.append({"set": "tanner", "piece": f"{row}", "group": f"{row}", "licence": "ours", "start": notes,
                     "notes": count, "bar_start": bars, "bars": len(lines)})
        notes, bars = notes + count, bars + len(lines)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "tanner.npz", **{name: np.concatenate(parts) for name, parts in arrays.items()})
    (folder / "pieces.json").write_text(json.dumps(rows))


def whole_way(folder, engine):
    """Everything, in a folder."""
    begin, folder = time.monotonic(), Path(folder)
    checks.main()
    write_corpus(folder / "corpus")
    common = ["--corpus", str(folder / "corpus"), "--run", str(folder / "run"), "--layers", "2", "--heads", "2",
              "--width", "64", "--batch", "4", "--loops", "40", "--device", "cpu", "--log-every", "5"]
    train.main([*common, "--steps", "12"])
    run = train.main([*common, "--steps", "24"])  # resumes
    assert run.step == 24
    weights = export.weights_of(run.model)
    config = export.config_text(2, 2, 64, 512, "tiny")
    export.write_folder(folder / "hf", weights, config)
    export.write_compact(folder / "tiny.safetensors", weights, config)
    judged = ["--corpus", str(folder / "corpus"), "--model", str(folder / "tiny.safetensors"), "--reference", str(folder / "hf"),
              "--windows", "8", "--prompts", "2", "--queries", "3"]
    result = gates.main([*judged, *(["--engine", engine] if engine else [])])
    assert abs(result["int8"]["int8 over f32, %"]) < 0.5
    assert result["loops"]["loops"] == 20 and result["answers"]["prompts"] == 2
    print(f"end to end in {time.monotonic() - begin:.0f} s")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder", help="leave everything here")
    p.add_argument("--engine", help="the program `passages`, if it is built")
    options = p.parse_args()
    with tempfile.TemporaryDirectory() as place:
        whole_way(options.folder or place, options.engine)


if __name__ == "__main__":
    main()
