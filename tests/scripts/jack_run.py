"""Measures xruns in a real JACK graph: `jack_run.py Continuo.vst3 FOLDER [MINUTES [TRACKS]]`.

Ardour (without a window, JACK's dummy driver, blocks of 512 at 48 kHz) with eight tracks, first without and then with
Continuo on each. A player of our own plays a phrase into all of them every twelve seconds and keeps what comes out.
Prints xruns, JACK's load, the machine's load, and whether every note-on has its note-off. Nothing here fails for a
number.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import jack

import ardour_session as one

TRACKS, ROUND = 8, 12.0
# The last phrase comes this long before the end, so that its answer is over by then.
REST = 15.0


class Player:
    """A JACK client that plays and keeps what it hears; made before the graph runs."""

    def __init__(self, seconds, tracks):
        self.client = jack.Client("continuo-player", servername=one.SERVER, no_start_server=True)
        self.out = self.client.midi_outports.register("phrase")
        self.ears = [self.client.midi_inports.register(f"track{number}") for number in range(tracks)]
        self.heard = [[] for _ in range(tracks)]
        self.xruns, self.frame, self.end = 0, None, int(seconds * one.RATE)
        starts = [ROUND * n for n in range(int((seconds - REST) / ROUND))]
        events = [(start + at, (0x90, key, 90)) for start in starts for key, at, _ in one.PHRASE]
        events += [(start + at + length, (0x80, key, 0)) for start in starts for key, at, length in one.PHRASE]
        self.queue = sorted((int(at * one.RATE), message) for at, message in events)
        self.next, self.done = 0, threading.Event()
        self.client.set_process_callback(self.process)
        self.client.set_xrun_callback(self.count)

    def count(self, _):
        if self.frame is not None and not self.done.is_set():
            self.xruns += 1

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


def perform(vst3, folder, seconds, tracks, with_plugin):
    shutil.rmtree(folder, ignore_errors=True)
    home, stop, figures = folder / "home", folder / "stop", folder / "figures.jsonl"
    home.mkdir(parents=True)
    one.link(vst3, home)
    environment = dict(os.environ, JACK_DEFAULT_SERVER=one.SERVER, JACK_NO_AUDIO_RESERVATION="1", HOME=str(home),
                       CONTINUO_SESSION=str(folder / "session"), CONTINUO_STOP=str(stop), CONTINUO_TRACKS=str(tracks),
                       CONTINUO_PLUGIN=str(int(with_plugin)), CONTINUO_FIGURES=str(figures),
                       CONTINUO_DATA=str(folder / "data"))
    log, running = folder / "log.txt", []
    try:
        running.append(one.serve(environment, folder / "jack.txt"))
        player = one.wait("JACK", lambda: player_or_none(seconds, tracks))
        with open(log, "w") as out:
            running.append(subprocess.Popen(["ardour7-lua", str(one.SCRIPTS / "ardour_eight.lua")], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out))
        with player.client:
            connect(player, log, tracks)
            one.wait("a rolling session", lambda: "ROLLING" in log.read_text(), 180)
            time.sleep(5.0)
            player.frame = 0
            loads, machine = [], []
            while not player.done.wait(1.0):
                loads.append(player.client.cpu_load())
                machine.append(os.getloadavg()[0])
                if running[-1].poll() is not None:
                    sys.exit("Ardour ended before its time")
            stop.touch()
            running[-1].wait(60)
            time.sleep(1.0)
        return report(player, loads, machine, figures)
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def player_or_none(seconds, tracks):
    try:
        return Player(seconds, tracks)
    except jack.JackOpenError:
        return None


def report(player, loads, machine, figures):
    counts = [hanging(messages) for messages in player.heard]
    lines = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    total = {name: sum(line[name] for line in lines) for name in ("hit", "backup", "miss", "notes", "late", "dropped")} if lines else {}
    mean = lambda values: sum(values) / max(len(values), 1)
    return {
        "xruns": player.xruns, "minutes": round(player.frame / one.RATE / 60, 2),
        "jack_load_mean": round(mean(loads), 1), "jack_load_max": round(max(loads, default=0), 1),
        "machine_load_mean": round(mean(machine), 1),
        "ons": sum(c[0] for c in counts), "offs": sum(c[1] for c in counts), "hanging": sum(c[2] for c in counts),
        "instances": len(lines), **total,
        "p95_ms": round(max((line["p95_ms"] for line in lines), default=0.0), 1),
    }


def main():
    vst3, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    minutes = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
    tracks = int(sys.argv[4]) if len(sys.argv) > 4 else TRACKS
    if len(sys.argv) > 5:
        try:
            print(json.dumps(perform(vst3, folder, minutes * 60, tracks, sys.argv[5] == "with")))
        except one.Halted:
            sys.exit(75)
        return
    print(f"{tracks} tracks, {minutes:g} minutes each, blocks of {one.PERIOD} at {one.RATE} Hz, JACK's dummy driver, not real-time", flush=True)
    for which in ("without", "with"):
        for _ in range(8):
            # A process each: the library keeps the registry of a server that is gone.
            out = subprocess.run([sys.executable, __file__, str(vst3), str(folder), str(minutes), str(tracks), which],
                                 stdout=subprocess.PIPE, text=True)
            if out.returncode != 75:
                break
            print("JACK halted Ardour's client while it started; again", flush=True)
        if out.returncode:
            sys.exit(f"{which} the plugin: ended with {out.returncode}")
        print(f"{which:>8} {out.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
