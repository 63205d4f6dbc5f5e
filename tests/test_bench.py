"""The benchmark's words: its help, its tables, its ratios and its JSON, from made-up measurements."""

import json
import pathlib
import subprocess
import sys

import bench
import bench_training
import lessons
import pytest

ROOT = pathlib.Path(__file__).parent.parent
SPEEDS = {0: (20.0, 42.0), 1: (10.0, 16.0), 2: (30.0, 54.0)}  # seed: standard, top; the ratios 2.1, 1.6, 1.8
MS = {"eager": 12.0, "inference mode": 11.0, "export": 10.0, "onnx": 6.0, "int8": 3.0}


def trained(rung, seed, speed, precision="float32"):
    row = {"rung": rung, "seed": seed, "rows/s": speed, "rows/CPU s": speed / 2, "accuracy": 0.75}
    return row | {"precision": precision, "peak MB": 900.0}


def a_run(precision="float32"):
    """What `measure` gives, made up."""
    training = [
        trained(rung, seed, speed, precision)
        for seed, pair in SPEEDS.items()
        for rung, speed in zip((bench.RUNGS[0], bench.RUNGS[-1]), pair, strict=True)
    ]
    inference = [
        {"way": way, "batch": batch, "length": 16, "p50 ms": ms, "p95 ms": 2 * ms, "rows/s": 1e3 * batch / ms}
        for batch in (1, 32)
        for way, ms in MS.items()
    ]
    service = [
        {"engine": engine, "service rows/s": 10 * ratio, "plain rows/s": 10.0, "ratio": ratio}
        for engine, ratio in [("torch", 0.9), ("torch", 0.5), ("torch", 0.85), ("onnx", 0.7)]
    ]
    ways = [{"way": way, "accuracy": 0.75, "flips": 0, "peak MB": 500.0, "file MB": 90.9} for way in MS]
    found = {"training": training, "inference": inference, "ways": ways, "service": service}
    return found | {"ratios": bench.ratios(training, inference, service)}


def test_a_table_has_names_to_the_left_and_numbers_to_the_right():
    rows = [{"way": "eager", "ms": 12.34, "n": 1}, {"way": "int8", "ms": 1234.5, "n": 20}]
    assert bench.table(rows) == "way       ms   n\neager   12.3   1\nint8   1,234  20"
    assert bench.table([]) == "(nothing)"


def test_ratios_are_medians_beside_their_targets():
    found = {row["ratio"]: row for row in a_run()["ratios"]}
    top = found["training: top rung / standard recipe"]
    assert (top["measured"], top["target"], top[""]) == (pytest.approx(1.8), 1.7, "reached")
    assert found["batch 1 × length 16: int8 / eager"]["measured"] == pytest.approx(4)
    assert found["service / plain loop, torch"]["measured"] == 0.85
    assert found["service / plain loop, onnx"][""] == "missed"
    assert not [name for name in found if "32" in name]


def test_with_bfloat16_the_ladder_has_a_higher_target():
    (top,) = [row for row in a_run("bfloat16")["ratios"] if row["ratio"].startswith("training")]
    assert (top["target"], top[""]) == (3.5, "missed")


def test_the_rungs_are_the_lessons():
    ten = lessons.read(lessons.FOLDER / "10_trainer_and_scaling.ipynb")
    rungs = lessons.definitions(ten, "RUNGS")["RUNGS"]
    assert [*rungs, bench_training.TOP] == bench.RUNGS


def test_the_report_and_the_json_hold_what_was_measured(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(bench, "measure", lambda *given: asked.append(given[:3]) or a_run())
    assert bench.main(["--quick", "--json", str(tmp_path / "found.json")]) == 0
    printed = capsys.readouterr().out
    assert asked == [(128, 1, True)]
    for part in ("Training:", "Answering:", "Serving", "Ratios", "int8 / eager", "reached", "missed"):
        assert part in printed
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf8"))
    assert found == {"rows": 128, "seeds": 1, "quick": True} | a_run()
    assert bench.main(["--seeds", "2", "--rows", "64"]) == 0 and asked[-1] == (64, 2, False)


def test_it_says_what_it_can_do():
    line = [sys.executable, str(ROOT / "tools" / "bench.py"), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, encoding="utf8", timeout=120)
    assert done.returncode == 0, done.stderr
    for option in ("--rows", "--seeds", "--quick", "--json"):
        assert option in done.stdout


def test_a_process_that_fails_is_an_error_and_not_a_silence(tmp_path):
    from bench_child import once

    with pytest.raises(RuntimeError, match=r"bench_inference\.py.* ended with 1"):
        once("bench_inference.py", "no such way", tmp_path)
