"""What the plugins do off the audio thread, without any plugin: `beside.py INSTANCES EVERY BURST`, until its input ends.

As many threads as instances look around every five milliseconds, and every EVERY seconds all processors compute for BURST
seconds, as nice as the engine's threads. It shares nothing with the audio graph but the machine.
"""

import multiprocessing
import os
import sys
import threading
import time

# Seconds between two looks, and how nice the engine's threads are.
LOOK, NICE = 0.005, 5


def compute(every, burst, parent):
    os.nice(NICE)
    while os.getppid() == parent:
        time.sleep(every - burst)
        end = time.monotonic() + burst
        while time.monotonic() < end:
            pass


def look():
    while True:
        time.sleep(LOOK)


def main():
    instances, every, burst = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    for _ in os.sched_getaffinity(0):
        multiprocessing.Process(target=compute, args=(every, burst, os.getpid()), daemon=True).start()
    for _ in range(instances):
        threading.Thread(target=look, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
