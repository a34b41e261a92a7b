"""llama.cpp from llama-cpp-python, a source package: only its library (about ten minutes of two cores; wants cmake and a
compiler), built for this very processor, which prebuilt ones are not; and the Python that calls it."""

import os
import pathlib
import tarfile

PACKAGE = "llama-cpp-python"


def library(venv):
    return pathlib.Path(venv, "llama.cpp", "bin")


def install(venv, run):
    python = f"{venv}/bin/python"
    if not any(library(venv).glob("libllama.*")):
        sources = pathlib.Path(venv, "sources")
        run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE, "-d", sources, PACKAGE])
        with tarfile.open(next(sources.glob("*.tar.gz"))) as package:
            package.extractall(sources, filter="data")
        build(next(sources.glob("*/vendor/llama.cpp")), library(venv).parent, run)
    if not any(pathlib.Path(venv).glob("lib/python3*/site-packages/llama_cpp/__init__.py")):
        run([python, "-m", "pip", "install", "--quiet", PACKAGE], CMAKE_ARGS="-DLLAMA_BUILD=OFF")


def build(sources, folder, run):
    off = [f"-DLLAMA_{part}=OFF" for part in ["BUILD_COMMON", "BUILD_TOOLS", "BUILD_TESTS", "BUILD_EXAMPLES"]]
    run(["cmake", "-S", sources, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", *off])
    run(["cmake", "--build", folder, "--target", "llama", "--parallel", str(os.cpu_count())])
