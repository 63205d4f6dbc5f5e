"""One run of lesson 10's ladder, for `tools/bench.py`: `bench_training.py RUNG ROWS SEED [FOLDER]`.

The rungs and all that trains them are the lesson's own, taken out of its notebook.
"""

import contextlib
import io
import sys
import time

from bench_child import ROOT, peak, say

TOP = "frozen lower half computed once, two epochs"
NAMES = (
    "RUNGS TOP Upper arguments freeze half hits kept logits_of new_model pad_states tokenizer train".split()
)


def lesson() -> dict:
    """What lesson 10 defines, and its rows."""
    from course_utils import setup

    setup()
    sys.path.insert(0, str(ROOT / "tests"))
    import lessons

    ten = lessons.read(lessons.FOLDER / "10_trainer_and_scaling.ipynb")
    return lessons.definitions(ten, "trainer_of", "validation", *NAMES)


def run(rung: str, rows: int, seed: int, folder: str = "") -> dict:
    """Train on `rows` rows and measure on validation: rows a second, by both clocks, and accuracy.

    All is timed that the rung needs: for the top rung the lower half's vectors, too. The trained model is
    saved to `folder` if one is named. Raises `KeyError` for a rung that there is not.
    """
    own = lesson()
    from transformers import set_seed

    some, validation, half = own["train"].select(range(rows)), own["validation"], own["half"]
    set_seed(seed)
    model = own["new_model"]()
    begin, used = time.perf_counter(), time.process_time()
    if rung == TOP:
        more = {"train_sampling_strategy": "group_by_length", "remove_unused_columns": False}
        args = own["arguments"](seed=seed, **own["TOP"] | more)
        states = own["kept"](model, some, half)
        trained = own["Upper"](model, half)
        trainer, _ = own["trainer_of"](trained, args, states, data_collator=own["pad_states"])
    else:
        depth, changes = own["RUNGS"][rung]
        args = own["arguments"](seed=seed, num_train_epochs=1, **changes)
        trainer, _ = own["trainer_of"](own["freeze"](model, depth), args, some)
    trainer.train()
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    asked = own["kept"](model, validation, half) if rung == TOP else validation
    right = own["hits"](own["logits_of"](trainer, asked), validation["label"][:])
    if folder:
        model.save_pretrained(folder)
        own["tokenizer"].save_pretrained(folder)
    return {
        "rung": rung,
        "seed": seed,
        "rows/s": rows / wall,
        "rows/CPU s": rows / cpu,
        "accuracy": float(right.mean()),
        "precision": "bfloat16" if args.bf16 else "float32",
        "peak MB": peak(),
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):  # what the libraries print is no answer
        found = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    say(found)
