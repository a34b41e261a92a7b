"""Puts packages from PyPI into the throw-away environment. The last line printed is `ready`, or `no: why`."""

import os
import pathlib
import subprocess
import sys

from peers import llama_alone, torch_alone

# What each environment is made of, all of it as wheels.
PACKAGES = {
    "ctranslate2": ["ctranslate2", "numpy"],
    "llama": ["gguf", "numpy"],
    "onnx": ["onnx", "onnxruntime", "numpy"],
    "hugging": ["transformers", "numpy"],
}


def main(venv, kind):
    try:
        if not pathlib.Path(venv, "bin/python").exists():
            run([sys.executable, "-m", "venv", venv])
        pip(venv, PACKAGES[kind])
        if kind == "hugging":
            torch_alone.install(venv, lambda names: pip(venv, names))
        if kind == "llama":
            llama_alone.install(venv, run)
    except (OSError, RuntimeError, StopIteration, subprocess.SubprocessError) as error:
        print("no:", (str(error).strip() or repr(error)).splitlines()[-1])
        return
    print("ready")


def pip(venv, packages):
    run([f"{venv}/bin/python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages])


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more})
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise RuntimeError((errors or lines or [f"{command[0]} ended with {done.returncode}"])[-1])
