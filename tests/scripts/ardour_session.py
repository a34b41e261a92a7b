"""Plays Continuo in Ardour: `ardour_session.py Continuo.vst3 FOLDER`.

Starts a JACK server with the dummy driver and a headless Ardour session, sends a phrase through JACK and records what
comes out: audio, and MIDI. Prints the figures, exits 1 with a reason when something is missing, and ends what it started.
"""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import jack
import numpy

RATE, PERIOD = 48_000, 512
SERVER = f"continuo-{os.getpid()}"
SCRIPTS = pathlib.Path(__file__).parent
PHRASE = [(57, 0.0, 0.45), (60, 0.5, 0.45), (64, 1.0, 0.45), (69, 1.5, 0.45), (67, 2.0, 0.2), (64, 2.25, 0.45)]
END, SECONDS = 2.7, 12.0


class Halted(Exception):
    """Ardour's JACK client and the server lost each other while Ardour started: Ardour's threads
    share one connection to it, and their requests at start sometimes mix. A new session is the remedy."""


def wait(what, ready, seconds=60.0, about=lambda: ""):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s {about()}")


def sweep():
    """What a killed JACK server left in shared memory makes the next one refuse clients; swept when none runs."""
    if b"jackd\n" not in [comm.read_bytes() for comm in pathlib.Path("/proc").glob("[0-9]*/comm") if comm.exists()]:
        for left in pathlib.Path("/dev/shm").glob("jack*"):
            if left.is_file() and left.stat().st_uid == os.getuid():
                left.unlink()


def link(vst3, home):
    """Hosts look in ~/.vst3: a home of the session's own, so that the user's is left alone."""
    folder = home / ".vst3"
    folder.mkdir(parents=True)
    (folder / vst3.name).symlink_to(vst3)
    scanner = "/usr/lib/ardour7/ardour-vst3-scanner"
    environment = dict(os.environ, HOME=str(home), LD_LIBRARY_PATH="/usr/lib/ardour7")
    subprocess.run([scanner, "-v", str(folder / vst3.name)], env=environment, check=True,
                   stdout=subprocess.DEVNULL, timeout=120)


class Recorder:
    """A JACK client that plays the phrase and keeps what it hears. All buffers are made before it starts."""

    def __init__(self):
        self.client = jack.Client("continuo-recorder", servername=SERVER, no_start_server=True)
        self.out = self.client.midi_outports.register("phrase")
        self.notes = self.client.midi_inports.register("notes")
        self.ears = [self.client.inports.register(name) for name in ("left", "right")]
        self.audio = numpy.zeros((2, int(SECONDS * RATE) + PERIOD), numpy.float32)
        self.heard, self.xruns, self.frame = [], 0, None
        events = [(at, (0x90, key, 90)) for key, at, _ in PHRASE]
        events += [(at + length, (0x80, key, 0)) for key, at, length in PHRASE]
        self.queue = sorted((int(at * RATE), message) for at, message in events)
        self.done = threading.Event()
        self.client.set_process_callback(self.process)
        self.client.set_xrun_callback(self.count)

    def count(self, _):
        self.xruns += 1

    def process(self, frames):
        self.out.clear_buffer()
        if self.frame is None or self.done.is_set():
            return
        start = self.frame
        while self.queue and self.queue[0][0] < start + frames:
            at, message = self.queue.pop(0)
            self.out.write_midi_event(max(at - start, 0), message)
        for offset, data in self.notes.incoming_midi_events():
            self.heard.append((start + offset, bytes(data)))
        for channel, port in enumerate(self.ears):
            self.audio[channel, start:start + frames] = port.get_array()
        self.frame = start + frames
        if self.frame >= SECONDS * RATE:
            self.done.set()


def join(client, out, into):
    """Connects two ports; JACK lists one that Ardour is about to make a moment before it can be connected."""
    def joined():
        try:
            client.connect(out, into)
        except jack.JackErrorCode as error:
            return error.code == errno.EEXIST
        return True

    wait(f"a connection from {out} to {into}", joined, seconds=20.0)


def connect(recorder, log):
    client = recorder.client
    names = lambda: [port.name for port in client.get_ports()]

    def ports():
        if "JACK HALTED" in log.read_text(errors="replace"):
            raise Halted
        return [p for p in client.get_ports(is_midi=True, is_input=True) if "Continuo" in p.name and "midi_in" in p.name]

    into = wait("Ardour's MIDI input", ports, about=names)
    join(client, recorder.out, into[0])
    audio = wait("Ardour's audio output", lambda: [p for p in client.get_ports(is_audio=True, is_output=True)
                                                   if "Continuo" in p.name and "audio_out" in p.name], about=names)
    for port, ear in zip(audio[:2], recorder.ears):
        join(client, port, ear)
    for port in client.get_ports(is_midi=True, is_output=True):
        if "Continuo" in port.name and "midi_out" in port.name:
            join(client, port, recorder.notes)


def report(recorder):
    level = lambda a, b: float(numpy.sqrt(numpy.mean(recorder.audio[:, int(a * RATE):int(b * RATE)] ** 2)))
    ons = [(at, m[1]) for at, m in recorder.heard if m[0] & 0xf0 == 0x90 and len(m) > 2 and m[2] > 0]
    offs = [m for _, m in recorder.heard if m[0] & 0xf0 == 0x80 or (m[0] & 0xf0 == 0x90 and m[2] == 0)]
    after = [at for at, _ in ons if at > (END + 0.1) * RATE]
    print(f"phrase {level(0, END):.4f}, answer {level(END + 1, 9):.4f} (RMS)")
    print(f"{len(ons)} note-ons and {len(offs)} note-offs came out, {len(after)} of them after the phrase; "
          f"{recorder.xruns} xruns")
    if after:
        print(f"first generated note {after[0] / RATE - END:.3f} s after the phrase")
        grid = RATE * 60 / 120 / 48
        print(f"onset errors in samples against the model's grid (least, most): {spread(after, grid)}")
    for good, why in [(level(0, END) > 1e-3, "the phrase is silent"), (level(END + 1, 9) > 1e-3, "the answer is silent"),
                      (after, "no generated MIDI came out")]:
        if not good:
            sys.exit(why)


def spread(onsets, grid):
    """Onsets less the first, folded to the grid: 0 everywhere when they are in time."""
    folded = [((at - onsets[0] + grid / 2) % grid) - grid / 2 for at in onsets]
    return min(folded), max(folded)


def main():
    vst3, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    attempt = int(os.environ.get("CONTINUO_ATTEMPT", "1"))
    try:
        return session(vst3, folder)
    except Halted:
        if attempt == 8:
            sys.exit("JACK halted Ardour's client eight times")
    # In a new process: the library of this one keeps the registry of the server that is gone.
    print(f"attempt {attempt}: JACK halted Ardour's client while it started", flush=True)
    os.environ["CONTINUO_ATTEMPT"] = str(attempt + 1)
    os.execv(sys.executable, [sys.executable, *sys.argv])


def session(vst3, folder):
    shutil.rmtree(folder, ignore_errors=True)
    home, session, stop = folder / "home", folder / "session", folder / "stop"
    home.mkdir(parents=True)
    link(vst3, home)
    environment = dict(os.environ, JACK_DEFAULT_SERVER=SERVER, JACK_NO_AUDIO_RESERVATION="1", HOME=str(home),
                       CONTINUO_SESSION=str(session), CONTINUO_STOP=str(stop))
    log = open(folder / "log.txt", "w")
    running = []
    try:
        running.append(serve(environment, folder / "jack.txt"))
        recorder = wait("JACK", recorder_or_none)
        running.append(subprocess.Popen(["ardour7-lua", str(SCRIPTS / "ardour.lua")], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        with recorder.client:
            connect(recorder, folder / "log.txt")
            wait("a rolling session", lambda: "ROLLING" in (folder / "log.txt").read_text())
            time.sleep(1.0)
            recorder.frame = 0
            recorder.done.wait(SECONDS + 20)
            stop.touch()
            running[-1].wait(20)
        report(recorder)
    except subprocess.TimeoutExpired as error:
        sys.exit(f"{error}")
    finally:
        for process in reversed(running):
            # A JACK server that is killed leaves its shared memory behind, which disturbs the next one.
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in ("jack.txt", "log.txt"):
            if (folder / name).exists():
                print(f"--- {name}\n" + (folder / name).read_text()[-1500:], file=sys.stderr)


def serve(environment, log, urgent=()):
    """A JACK server that is up, not real-time unless `urgent` says how. A client that came before it would disturb the
    registry that both share, so that its own word is waited for; and a registry that another server left damaged is swept
    before the next attempt."""
    command = ["jackd", "-n", SERVER, *(urgent or ["--no-realtime"]), "-t", "10000",
               "-d", "dummy", "-r", str(RATE), "-p", str(PERIOD)]
    for _ in range(5):
        sweep()
        with open(log, "w") as out:
            server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        wait("JACK's first words", lambda: server.poll() is not None or "JACK server starting" in log.read_text())
        time.sleep(1.0)
        if server.poll() is None:
            return server
    sys.exit(f"JACK does not start: {log.read_text()[-500:]}")


def recorder_or_none():
    try:
        return Recorder()
    except jack.JackOpenError:
        return None


if __name__ == "__main__":
    main()
