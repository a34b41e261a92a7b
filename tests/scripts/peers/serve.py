"""One peer, loaded once, that does a run whenever it is told to.

On its standard output, after whatever libraries print: `ready NAME`, or `no: why`. Then, for each line
`{"batch": n, "new": n, "ids": [...]}` on its standard input, a line `{"first": s, "rest": s}`: seconds until the first
token after the prompt, and from there until `new` more of them.
"""

import importlib
import json
import os
import sys

MODULES = {
    "ctranslate2": "translate",
    "llama-q8_0": "llama",
    "llama-q4_0": "llama",
    "onnx": "onnx_runtime",
    "hugging": "hugging",
    "reference": "hugging",
}


def main(peer, checkpoint, threads):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries say is no answer
    for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]:
        os.environ[name] = str(threads)

    def say(text):
        print(text, file=answers, flush=True)

    try:
        module = importlib.import_module(f"peers.{MODULES[peer]}")
        name, run = module.load(peer, checkpoint, threads)
    except Exception as error:  # whatever it is, the other peers are measured
        say(f"no: {type(error).__name__}: {error}".replace("\n", " "))
        return
    say(f"ready {name}")
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            first, rest = run(asked["ids"], asked["batch"], asked["new"])
            say(json.dumps({"first": first, "rest": rest}))
        except Exception as error:
            say(f"no: {type(error).__name__}: {error}".replace("\n", " "))
