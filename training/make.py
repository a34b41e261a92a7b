"""From the corpus folder to the file that ships, in one command; run again, it goes on where it stopped.

    python -m training.make --corpus CORPUS --run RUN --minutes 90

Leaves in RUN: last.pt, log.jsonl, hf/ (a Hugging Face GPT-2 folder), default.safetensors (the compact file), gates.json and
training.png. Options are those of `training.train`.
"""

from pathlib import Path

from . import export, gates, plot, train


def main():
    options = train.parser().parse_args()
    train.main()
    folder = Path(options.run)
    export.main(["--run", options.run, "--folder", str(folder / "hf"), "--compact", str(folder / "default.safetensors")])
    plot.main([str(folder / "log.jsonl"), str(folder / "training.png")])
    gates.main(["--corpus", options.corpus, "--model", str(folder / "default.safetensors"),
                "--reference", str(folder / "hf"), "--json", str(folder / "gates.json")])


if __name__ == "__main__":
    main()
