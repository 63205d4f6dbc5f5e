"""How fast training, answering and serving are on this machine, each beside what it is compared with.

`make bench` takes about a quarter of an hour on two slow idle cores, `tools/bench.py --quick` five minutes.
Every ratio is of two measurements that took turns in this run; a busy machine still moves them.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import bench_inference
import bench_service
import bench_training
from bench_child import once

BEGIN = time.perf_counter()
# What each ratio should be at least; of the top rung, the second where bfloat16 was chosen.
TARGETS = {
    "training: top rung / standard recipe": (1.7, 3.5),
    "batch 1 × length 16: int8 / eager": (3.0, 3.0),
    "batch 1 × length 128: int8 / eager": (1.7, 1.7),
    "service / plain loop, torch": (0.8, 0.8),
    "service / plain loop, onnx": (0.8, 0.8),
}
RUNGS = [
    "standard recipe",
    "+ fused AdamW",
    "+ by length",
    "+ frozen embeddings",
    "+ lower layers frozen, batch 16",
    bench_training.TOP,
]
SHAPES = [(batch, length) for batch in (1, 16, 32) for length in (16, 64, 128)]
QUICK_SHAPES = [(1, 16), (1, 64), (1, 128), (32, 64)]


def table(rows: list[dict]) -> str:
    """Rows of the same keys as lines of text: names to the left, numbers to the right."""
    if not rows:
        return "(nothing)"
    cells = [list(rows[0])] + [[_text(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [isinstance(value, str) for value in rows[0].values()]
    lines = []
    for line in cells:
        parts = zip(line, widths, left, strict=True)
        lines.append("  ".join(c.ljust(w) if on_left else c.rjust(w) for c, w, on_left in parts).rstrip())
    return "\n".join(lines)


def _text(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    return str(value)


def ratios(training: list[dict], inference: list[dict], service: list[dict]) -> list[dict]:
    """The measured ratios, each beside its target: the median over the times that it was measured."""
    found = {}
    speeds = {(row["rung"], row["seed"]): row["rows/s"] for row in training}
    top = [speeds[RUNGS[-1], s] / speeds[RUNGS[0], s] for name, s in speeds if name == RUNGS[-1]]
    if top:
        found["training: top rung / standard recipe"] = statistics.median(top)
    p50 = {(row["way"], row["batch"], row["length"]): row["p50 ms"] for row in inference}
    for way, batch, length in p50:
        if way == "int8" and batch == 1:
            name = f"batch 1 × length {length}: int8 / eager"
            found[name] = p50["eager", 1, length] / p50["int8", 1, length]
    for engine in dict.fromkeys(row["engine"] for row in service):
        each = [row["ratio"] for row in service if row["engine"] == engine]
        found[f"service / plain loop, {engine}"] = statistics.median(each)
    fast = any(row["precision"] == "bfloat16" for row in training)
    rows = []
    for name, value in found.items():
        target = TARGETS[name][fast] if name in TARGETS else None
        verdict = "" if target is None else "reached" if value >= target else "missed"
        rows.append({"ratio": name, "measured": value, "target": target or "", "": verdict})
    return rows


def measure(rows: int, seeds: int, quick: bool, folder: str) -> dict:
    """Everything, with a line of progress for each measurement."""
    found = {"training": [], "inference": [], "ways": [], "service": []}
    for seed in range(seeds):
        for rung in RUNGS if seed == 0 and not quick else (RUNGS[0], RUNGS[-1]):
            save = folder if rung == RUNGS[-1] and seed == 0 else ""
            row = once("bench_training.py", rung, rows, seed, *filter(None, [save]))
            found["training"].append(row)
            tell(f"seed {seed}, {rung}: {row['rows/s']:.1f} rows a second, accuracy {row['accuracy']:.3f}")
    sizes = bench_inference.files(folder)
    tell("exported, converted to ONNX and quantised")
    texts, labels = once("bench_inference.py", "texts", folder).values()
    ways = bench_inference.start(folder)
    shapes, seconds = (QUICK_SHAPES, 0.5) if quick else (SHAPES, 1.0)
    for batch, length in shapes:
        new = bench_inference.durations(ways, batch, length, seconds)
        found["inference"] += new
        tell(
            f"batch {batch} × length {length}: " + ", ".join(f"{r['way']} {r['p50 ms']:.1f} ms" for r in new)
        )
    asked = 200 if quick else len(texts)
    for row in bench_inference.answers(ways, texts[:asked], labels[:asked]):
        found["ways"].append({**row, "file MB": sizes[row["way"]]})
    tell("accuracy and flips")
    for engine in ("torch", "onnx"):
        for row in bench_service.measure(folder, engine, texts[: 300 if quick else 600], 1 if quick else 3):
            found["service"].append(row)
            tell(
                f"service, {engine}: {row['ratio']:.2f} of the plain loop's {row['plain rows/s']:.1f} rows/s"
            )
    found["ratios"] = ratios(found["training"], found["inference"], found["service"])
    return found


def tell(what: str) -> None:
    """A line of progress, at once."""
    print(f"{time.perf_counter() - BEGIN:6.0f} s  {what}", flush=True)


def report(found: dict) -> str:
    """What was measured, as tables."""
    titles = {
        "training": "Training: the rungs of lesson 10",
        "inference": "Answering: milliseconds of a batch",
        "ways": "Answering: accuracy, flips against eager, memory, file",
        "service": "Serving 200 requests at once, beside a plain loop over the same batches",
        "ratios": "Ratios and their targets",
    }
    return "\n\n".join(f"{title}\n{table(found[key])}" for key, title in titles.items())


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables and, if asked, write JSON; 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="rows to train on (default: 1,024; with --quick 128)")
    parser.add_argument(
        "--seeds", type=int, help="seeds of the ladder's two ends (default: 3; with --quick 1)"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, the ladder's ends only")
    parser.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write what was measured there, too"
    )
    given = parser.parse_args(arguments)
    rows, seeds = given.rows or (128 if given.quick else 1024), given.seeds or (1 if given.quick else 3)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(rows, seeds, given.quick, folder)
    print("\n" + report(found))
    if given.json:
        about = {"rows": rows, "seeds": seeds, "quick": given.quick}
        given.json.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
