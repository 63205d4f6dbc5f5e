"""How many learners a server bears: one lesson in many kernels at once.

`python tools/crowd.py 30 01` runs lesson 01 in 30 kernels, each with one thread, as `OMP_NUM_THREADS=1` on a
shared server has it. It prints how many came to the lesson's end, the seconds, and the memory of all kernels
together at its peak (what they share is counted once). It fails if one of them did.

One start in 40 fails, on a port that another kernel was faster at: it is tried again.
"""

import argparse
import concurrent.futures
import os
import sys
import threading
import time

import nbformat
import psutil
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from course_utils.classroom import lessons
from course_utils.classroom.kernels import Client


def run(path):
    """Run the lesson in a kernel of its own: ("" or why it did not come to its end, how often it started)."""
    notebook = nbformat.read(path, as_version=4)
    client = Client(notebook, timeout=3600, resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"[-300:], client.starts
    return "", client.starts


def memory():
    """The memory of all kernels below this process, in bytes; what processes share is counted once."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            found = process.memory_full_info()
        except psutil.Error:  # it has just ended, or this is not allowed
            continue
        total += getattr(found, "pss", found.uss)
    return total


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", type=int)
    parser.add_argument("lesson", help="its number, such as 01")
    options = parser.parse_args(arguments)
    path = lessons.path(options.lesson)
    os.environ |= {"COURSE_PROGRESS": "off", "OMP_NUM_THREADS": "1"}
    peak, ended = 0, threading.Event()

    def watch():
        nonlocal peak
        while not ended.wait(2):
            peak = max(peak, memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(options.kernels) as pool:
        runs = list(pool.map(run, [path] * options.kernels))
    ended.set()
    watcher.join()
    failed = [why for why, _ in runs if why]
    again = sum(starts - 1 for _, starts in runs)
    print(
        f"{path.name}: {len(runs) - len(failed)} of {len(runs)} kernels came to the end in "
        f"{time.perf_counter() - start:.0f} s; {again} starts repeated; {peak / 1e9:.1f} GB at the peak, "
        f"{peak / 1e9 / len(runs):.2f} GB a kernel"
    )
    print(*failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
