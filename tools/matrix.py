"""Run nbval under several instruction sets and thread counts: stored outputs must be equal on any CPU.

`make test-matrix` runs every notebook; `python tools/matrix.py notebooks/01_tensors.ipynb` only that one.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS")  # what is not named is unset
SETTINGS = [
    {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "2"},
    {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"},
    {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2"},
    {"OMP_NUM_THREADS": "1"},
    {"OMP_NUM_THREADS": "2"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "2"},
]


def run(setting, notebooks):
    """Run nbval on `notebooks` under `setting`: (all passed, counts, seconds, what pytest printed)."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | setting
    # The conftest of the tests is named so that this run, too, has the network and progress off.
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "tests/conftest.py", *notebooks]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf8")
    counts = re.findall(r"\d+ (?:passed|failed|errors?|xfailed)", done.stdout)
    outcome = ", ".join(counts[-4:]) or f"exit code {done.returncode}"
    return done.returncode == 0, outcome, time.perf_counter() - start, done.stdout + done.stderr


def main(arguments):
    notebooks = [os.path.abspath(path) for path in arguments] or ["notebooks"]
    rows = []
    for number, setting in enumerate(SETTINGS, 1):
        name = " ".join(f"{variable}={setting[variable]}" for variable in VARIABLES if variable in setting)
        print(f"{number} of {len(SETTINGS)}: {name} ...", flush=True)
        passed, outcome, seconds, output = run(setting, notebooks)
        rows.append((name, "ok" if passed else "FAILED", outcome, seconds))
        print(f"    {rows[-1][1]}, {outcome}, {seconds:.0f} seconds", flush=True)
        if not passed:
            print(output, flush=True)
    width = max(len(name) for name, *_ in rows)
    print(f"\n{'setting':{width}}  {'':6}  seconds  tests")
    for name, verdict, outcome, seconds in rows:
        print(f"{name:{width}}  {verdict:6}  {seconds:7.0f}  {outcome}")
    slowest = max(rows, key=lambda row: row[-1])
    print(f"\nThe slowest: {slowest[0]}, {slowest[-1]:.0f} seconds")
    return int(any(verdict != "ok" for _, verdict, *_ in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
