"""Measures xruns in a real JACK graph: `jack_run.py Continuo.vst3 FOLDER [--minutes M] [--tracks N] [--pairs P]`.

Ardour (without a window, JACK's dummy driver, blocks of 512 at 48 kHz) with eight tracks, without and with Continuo on
each, in turns. A player of our own plays a phrase into all of them every twelve seconds and keeps what comes out.
Prints xruns, how many of them the machine under this one is no excuse for (`stops.py`), JACK's load, the machine's load,
and whether every note-on has its note-off. Nothing here fails for a number.

JACK is real-time where this user may ask for it (as on a musician's machine), and not where not, or with `--fair`.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import jack
import numpy

import ardour_session as one
import stops

ROUND = 12.0
SUMMED = ("xruns", "xruns_not_the_machine's", "away_ms", "server_late", "client_late", "ons", "offs", "hanging", "notes", "late",
          "dropped", "hit", "backup", "miss")
KINDS = ("without", "beside", "with")
# Seconds in which eight instances that answer a phrase at once keep both processors busy.
BURST = 0.3
# Seconds between blocks that the player itself is late with, where that is asked for.
STUMBLE = 5
PRIORITY = 70
URGENT = ["--realtime", "--realtime-priority", str(PRIORITY)]
# The last phrase comes this long before the end, so that its answer is over by then.
REST = 15.0


class Player:
    """A JACK client that plays and keeps what it hears; made before the graph runs."""

    def __init__(self, seconds, tracks, stumbles):
        self.client = jack.Client("continuo-player", servername=one.SERVER, no_start_server=True)
        self.out = self.client.midi_outports.register("phrase")
        self.ears = [self.client.midi_inports.register(f"track{number}") for number in range(tracks)]
        self.heard = [[] for _ in range(tracks)]
        self.xruns, self.began, self.frame, self.end = [], 0.0, None, int(seconds * one.RATE)
        starts = [ROUND * n for n in range(int((seconds - REST) / ROUND))]
        events = [(start + at, (0x90, key, 90)) for start in starts for key, at, _ in one.PHRASE]
        events += [(start + at + length, (0x80, key, 0)) for start in starts for key, at, length in one.PHRASE]
        self.queue = sorted((int(at * one.RATE), message) for at, message in events)
        self.next, self.done, self.stumbles = 0, threading.Event(), stumbles
        self.client.set_process_callback(self.process)
        self.client.set_xrun_callback(self.count)

    def count(self, _):
        if self.frame is not None and not self.done.is_set():
            self.xruns.append(time.monotonic())

    def process(self, frames):
        self.out.clear_buffer()
        if self.frame is None:
            return
        while self.next < len(self.queue) and self.queue[self.next][0] < self.frame + frames:
            at, message = self.queue[self.next]
            try:
                self.out.write_midi_event(max(at - self.frame, 0), message)
            except jack.JackError:
                break  # a cycle that JACK gave up takes nothing; the next one does
            self.next += 1
        for ear, heard in zip(self.ears, self.heard):
            for _, data in ear.incoming_midi_events():
                heard.append(bytes(data))
        if self.stumbles and self.frame // (STUMBLE * one.RATE) != (self.frame + frames) // (STUMBLE * one.RATE):
            time.sleep(1.5 * one.PERIOD / one.RATE)
        self.frame += frames
        if self.frame >= self.end:
            self.done.set()


def connect(player, log, tracks):
    client = player.client

    def inputs():
        if "JACK HALTED" in log.read_text(errors="replace"):
            raise one.Halted
        found = [p for p in client.get_ports(is_midi=True, is_input=True) if "Continuo" in p.name and "midi_in" in p.name]
        return found if len(found) >= tracks else None

    def outputs():
        found = [p for p in client.get_ports(is_midi=True, is_output=True) if "Continuo" in p.name and "midi_out" in p.name]
        return found if len(found) >= tracks else None

    for port in one.wait("the tracks' MIDI inputs", inputs, 120):
        one.join(client, player.out, port)
    # The inputs of a track may be there before its outputs: who is not heard is not counted.
    for port, ear in zip(one.wait("the tracks' MIDI outputs", outputs, 120), player.ears):
        one.join(client, port, ear)


def hanging(messages):
    """Ons, offs, and keys that sound at the end."""
    open_keys, ons, offs = {}, 0, 0
    for message in messages:
        kind, place = message[0] & 0xf0, (message[0] & 15, message[1] if len(message) > 1 else 0)
        if kind == 0x90 and message[2] > 0:
            ons += 1
            open_keys[place] = open_keys.get(place, 0) + 1
        elif kind in (0x80, 0x90):
            offs += 1
            open_keys[place] = open_keys.get(place, 0) - 1
    return ons, offs, sum(1 for count in open_keys.values() if count != 0)


def may_be_urgent():
    """Whether this user's threads may be real-time: tried in a process of its own, which is gone afterwards."""
    ask = f"import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param({PRIORITY}))"
    return subprocess.run([sys.executable, "-c", ask], stderr=subprocess.DEVNULL).returncode == 0


def real_time(process):
    """How many threads of a process are real-time."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(os.sched_getscheduler(int(task.name)) == os.SCHED_FIFO for task in tasks)


def machines(moments, away):
    """For each of these moments, whether the machine was away for half a block or more in the three blocks before."""
    moments, block = numpy.asarray(moments, float), one.PERIOD / one.RATE
    taken = numpy.zeros_like(moments)
    for begin, end in away:
        taken += numpy.maximum(0.0, numpy.minimum(end, moments) - numpy.maximum(begin, moments - 3 * block))
    return taken > block / 2


def blame(player, away):
    """Which xruns the machine is no excuse for, and how often chance would say that it is one."""
    every = numpy.arange(player.began, time.monotonic(), one.PERIOD / one.RATE)
    return {"away_ms": round(1e3 * sum(end - begin for begin, end in away), 1),
            "away_share": round(float(machines(every, away).mean()), 5),
            "xruns_not_the_machine's": int((~machines(player.xruns, away)).sum())}


def perform(vst3, folder, seconds, tracks, which, urgent, stumbles):
    shutil.rmtree(folder, ignore_errors=True)
    home, stop, figures = folder / "home", folder / "stop", folder / "figures.jsonl"
    home.mkdir(parents=True)
    one.link(vst3, home)
    environment = dict(os.environ, JACK_DEFAULT_SERVER=one.SERVER, JACK_NO_AUDIO_RESERVATION="1", HOME=str(home),
                       CONTINUO_SESSION=str(folder / "session"), CONTINUO_STOP=str(stop), CONTINUO_TRACKS=str(tracks),
                       CONTINUO_PLUGIN=str(int(which == "with")), CONTINUO_FIGURES=str(figures),
                       CONTINUO_DATA=str(folder / "data"))
    log, running = folder / "log.txt", []
    try:
        running.append(one.serve(environment, folder / "jack.txt", URGENT if urgent else ()))
        player = one.wait("JACK", lambda: player_or_none(seconds, tracks, stumbles))
        with open(log, "w") as out:
            ardour = subprocess.Popen(["ardour7-lua", str(one.SCRIPTS / "ardour_eight.lua")], env=environment,
                                      stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        running.append(ardour)
        with player.client:
            connect(player, log, tracks)
            one.wait("a rolling session", lambda: "ROLLING" in log.read_text(), 180)
            time.sleep(5.0)
            threads = real_time(ardour)
            loads, machine = [], []
            if which == "beside":
                command = [sys.executable, str(one.SCRIPTS / "beside.py"), str(tracks), str(ROUND), str(BURST)]
                running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
            words_before = len((folder / "jack.txt").read_text())
            watch = stops.Watch() if threads else None
            player.began, player.frame = time.monotonic(), 0
            while not player.done.wait(1.0):
                loads.append(player.client.cpu_load())
                machine.append(os.getloadavg()[0])
                if ardour.poll() is not None:
                    sys.exit("Ardour ended before its time")
            blamed = blame(player, watch.end()) if watch else {}
            words = (folder / "jack.txt").read_text()[words_before:]
            stop.touch()
            ardour.wait(60)
            time.sleep(1.0)
        return {**report(player, loads, machine, figures), **blamed, "urgent_threads": threads,
                "server_late": words.count("JackTimedDriver::Process XRun"),
                "client_late": words.count("was not finished")}
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def player_or_none(seconds, tracks, stumbles):
    try:
        return Player(seconds, tracks, stumbles)
    except jack.JackOpenError:
        return None


def report(player, loads, machine, figures):
    counts = [hanging(messages) for messages in player.heard]
    lines = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    total = {name: sum(line[name] for line in lines) for name in ("hit", "backup", "miss", "notes", "late", "dropped")} if lines else {}
    mean = lambda values: sum(values) / max(len(values), 1)
    return {
        "xruns": len(player.xruns), "at_s": [round(at - player.began, 1) for at in player.xruns], "minutes": round(player.frame / one.RATE / 60, 2),
        "jack_load_mean": round(mean(loads), 1), "jack_load_max": round(max(loads, default=0), 1),
        "machine_load_mean": round(mean(machine), 1),
        "ons": sum(c[0] for c in counts), "offs": sum(c[1] for c in counts), "hanging": sum(c[2] for c in counts),
        "instances": len(lines), **total,
        "p95_ms": round(max((line["p95_ms"] for line in lines), default=0.0), 1),
    }


def turn(which):
    """A run in a process of its own: the library keeps the registry of a server that is gone."""
    for _ in range(8):
        out = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", which], stdout=subprocess.PIPE, text=True)
        if out.returncode != 75:
            break
        print("JACK halted Ardour's client while it started; again", flush=True)
    if out.returncode:
        sys.exit(f"{which} the plugin: ended with {out.returncode}")
    print(f"{which:>8} {out.stdout.strip()}", flush=True)
    return json.loads(out.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vst3", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("folder", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tracks", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--fair", action="store_true", help="no real-time priority, even where it may be had")
    parser.add_argument("--stumble", action="store_true", help=f"the player is late every {STUMBLE} s: xruns that must not be the machine's")
    parser.add_argument("--beside", action="store_true", help="a third kind: no plugin, but as much work as theirs beside the graph")
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    urgent = not options.fair and may_be_urgent()
    if options.only:
        try:
            seconds = options.minutes * 60
            print(json.dumps(perform(options.vst3, options.folder, seconds, options.tracks, options.only, urgent,
                                     options.stumble)))
        except one.Halted:
            sys.exit(75)
        return
    print(f"{options.tracks} tracks, {options.minutes:g} minutes each, blocks of {one.PERIOD} at {one.RATE} Hz, JACK's dummy driver, "
          f"{'real-time' if urgent else 'not real-time'}", flush=True)
    kinds = [kind for kind in KINDS if kind != "beside" or options.beside]
    runs = {which: [] for which in kinds}
    for pair in range(options.pairs):
        # In turns, and there and back: what the hour does to the machine, it does to each.
        for which in kinds if pair % 2 == 0 else kinds[::-1]:
            runs[which].append(turn(which))
    for which, figures in runs.items():
        sums = {name: round(sum(run[name] for run in figures), 2) for name in SUMMED if all(name in run for run in figures)}
        print(f"all of {which:>8} {json.dumps(sums)}", flush=True)


if __name__ == "__main__":
    main()
