"""Notices when the machine stands still: `stops.py PROCESSOR` watches one processor until its input ends.

A virtual machine is halted by the one under it now and then, for longer than a block of audio. A thread that does nothing
but sleep, more urgent than anything else on its processor, sees that: it comes back late, and no other thread can be the
reason. Prints the times (monotonic, seconds) between which it was away, as JSON.
"""

import gc
import json
import os
import subprocess
import sys
import threading
import time

# Seconds: how long it sleeps, and how late is away.
STEP, LATE = 0.002, 0.0005


def watch(processor):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
    gc.disable()
    away, before = [], time.monotonic()
    while not over.is_set():
        time.sleep(STEP)
        now = time.monotonic()
        if now - before > STEP + LATE:
            away.append((before + STEP, now))
        before = now
    print(json.dumps(away))


class Watch:
    """Watches all processors from when it is made until `end`."""

    def __init__(self):
        self.watchers = [subprocess.Popen([sys.executable, __file__, str(processor)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True) for processor in os.sched_getaffinity(0)]

    def end(self):
        """The times between which one of them was away; each counts, also when two were away at once."""
        return [span for watcher in self.watchers for span in json.loads(watcher.communicate()[0])]


if __name__ == "__main__":
    watch(int(sys.argv[1]))
