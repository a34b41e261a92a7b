"""The project's own engine, asked for answers and for nats: what the plugin plays is what is judged."""

import json
import subprocess

BUILT = ("cargo", "run", "--quiet", "--package", "continuo-tests", "--bin", "passages", "--")


def ask(model, questions, program=None, weights="exact"):
    """Replies to questions (dictionaries as `tests/src/bin/passages.rs` has them), in order, by the model in a file or folder;
    `weights` are "exact", or "8" or "4" bits as they are played."""
    command = [program] if program else list(BUILT)
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([*command, str(model), weights], input=lines, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the engine failed on {model}: {done.stderr.strip()[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]
