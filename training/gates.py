"""Judges an exported model on held-out pieces and on loops, and prints the figures.

    python -m training.gates --corpus CORPUS --model models/default.safetensors [--reference FOLDER] [--json OUT.json]

Nats per note event against an interpolated Markov model in the same time frame; the engine's continuations beside real and
shuffled ones; runs copied from the training part; the int8 file against the f32 folder; retrieval by embedding; nats with and
without controls; answers to hand-made loops. `--only` takes some of them.
"""

import argparse
import functools
import json
import time

from . import answers, engine, likelihood, retrieval, windows
from . import corpus as corpora
from .plain import Plain

PARTS = ("nats", "answers", "int8", "retrieval", "anticipation", "loops")


def judge(options):
    """The figures of the parts asked for."""
    ask = functools.partial(engine.ask, program=options.engine)
    corpus = corpora.read(options.corpus, limit=options.limit)
    notes = windows.Notes.of(corpus, "cpu")
    model = Plain.read(options.model)

    def continuations():
        figures, made = answers.continuations(corpus, options.model, ask, options.prompts)
        return figures | {"copied run, events": answers.copied(corpus, made)}

    def int8():
        return likelihood.int8_over_f32(corpus, notes, options.model, options.reference, ask)

    parts = {
        "nats": lambda: likelihood.against_markov(corpus, notes, model, options.windows, options.markov_pieces),
        "answers": continuations,
        "int8": int8 if options.reference else lambda: "no --reference",
        "retrieval": lambda: retrieval.retrieval(corpus, notes, model, options.queries),
        "anticipation": lambda: likelihood.ahead(corpus, notes, model, min(192, options.windows)),
        "loops": lambda: answers.loops(options.model, ask),
    }
    result = {}
    for name in options.only:
        begin = time.monotonic()
        result[name] = parts[name]()
        print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
        if options.json:
            with open(options.json, "w") as out:
                json.dump(result, out, indent=1)
    return result


def cell(values):
    return "{:.3f} ({:.3f} to {:.3f})".format(*values)


def nats_table(result):
    """Nats by slot, to read."""
    lines = ["nats a note event (95 % interval over groups)", f"{'':18}" + "".join(f"{s:>26}" for s in (*likelihood.SLOTS, "total"))]
    for who in ("markov", "model", "model better by"):
        lines.append(f"{who:18}" + "".join(f"{cell(result[who][s]):>26}" for s in (*likelihood.SLOTS, "total")))
    return lines


def answers_table(result):
    """Figures of the continuations, to read."""
    people = ("real", "model", "shuffled")
    lines = [f"{result['prompts']} held-out passages, 4 bars of answer: mean (95 % interval)"]
    lines += [f"{'':26}" + "".join(f"{p:>26}" for p in people) + "   the model lies within 80 % of the real ones"]
    for name, row in result["figures"].items():
        low, high = row["spread of the real ones"]
        verdict = "yes" if row["within"] else "NO"
        lines.append(f"{name:26}" + "".join(f"{cell(row[p]):>26}" for p in people) + f"   {verdict} ({low:.2f} to {high:.2f})")
    return lines


def loops_table(result):
    """Answers to the hand-made loops, to read."""
    lines = []
    for how in ("answers that keep", "with Stay in key"):
        kept = ", ".join(f"{count:.1f} {name}" for name, count in result[how].items())
        lines.append(f"{result['loops']} hand-made loops, {result['answers each']} answers each, {how}: {kept}")
    for name, row in result["each"].items():
        words = ", ".join(f"{row[what]} {what}" for what in result["answers that keep"])
        lines.append(f"{name:28}{row['notes']:4} notes, {row['share in key']:5.2f} in key: {words}")
    return lines


def table(result):
    """All figures, to read."""
    rest, lines = dict(result), []
    if "nats" in rest:
        lines += [*nats_table(rest["nats"]), ""]
        shown = (*likelihood.SLOTS, "markov", "model", "model better by")
        rest["nats"] = {k: x for k, x in rest["nats"].items() if k not in shown}
    if "answers" in rest:
        lines += [*answers_table(rest["answers"]), ""]
        rest["answers"] = {k: x for k, x in rest["answers"].items() if k != "figures"}
    if "loops" in rest:
        lines += [*loops_table(rest.pop("loops")), ""]
    if "retrieval" in rest:
        rest["retrieval"] = {k: x for k, x in rest["retrieval"].items() if k != "all"}
    return "\n".join(lines) + json.dumps(rest, indent=1)


def main(arguments=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", required=True)
    p.add_argument("--model", required=True, help="compact file")
    p.add_argument("--reference", help="the f32 folder of the same model, to compare with")
    p.add_argument("--json", help="write the figures here")
    p.add_argument("--engine", help="the program `passages`, if it is built; else cargo runs it")
    p.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    p.add_argument("--windows", type=int, default=300, help="held-out windows for the nats")
    p.add_argument("--markov-pieces", type=int, default=None, help="pieces for the Markov model (all)")
    p.add_argument("--prompts", type=int, default=50)
    p.add_argument("--queries", type=int, default=200, help="passages to find again")
    p.add_argument("--limit", type=int, default=None, help="pieces of each set, for a trial")
    options = p.parse_args(arguments)
    result = judge(options)
    print(table(result))
    return result


if __name__ == "__main__":
    main()
