"""Exercises of lesson 13, deployment: their references, inputs and typical mistakes."""

import hashlib
import json
import math
import queue
import threading
import time
from concurrent.futures import Future

import torch

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, shown

# 13.1 --------------------------------------------------------------------------------------------------


def fingerprint(files):
    lines = [f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def hashed(line, order=sorted, digits=12, method=hashlib.sha256):
    """A fingerprint of other lines (`line(name, content)`), in another order or of another length."""

    def wrong(files):
        text = "".join(line(name, files[name]) for name in order(files))
        return method(text.encode()).hexdigest()[:digits]

    return wrong


def right_line(name, content):
    return f"{name} {hashlib.sha256(content).hexdigest()}\n"


def contents_alone(files):
    return hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()[:12]


def names_and_contents(files):
    whole = b"".join(name.encode() + files[name] for name in sorted(files))
    return hashlib.sha256(whole).hexdigest()[:12]


exercise(
    "13.1",
    "A release's fingerprint",
    reference=fingerprint,
    returns="the fingerprint",
    cases=[
        case("two files", {"config.json": b'{"num_labels": 2}', "model.safetensors": bytes(range(200))}),
        case("the same, in the other order", {"model.safetensors": bytes(range(200)), "config.json": b"{}"}),
        case("two files that swapped their contents", {"a": b"one", "b": b"two"}),
        case("swapped back", {"a": b"two", "b": b"one"}),
        case("an empty file", {"vocab.txt": b"", "a.bin": b"\xff\x00"}),
        case("no file", {}),
        case("a folder in a name", {"onnx/model.onnx": b"abc", "a": b"onnx"}),
    ],
    mistakes=[
        mistake(
            "The names have to be sorted: a dict keeps the order in which it was filled, and the same files "
            "would have two fingerprints.",
            hashed(right_line, order=list),
        ),
        mistake(
            "Names count as well: two files that swap their contents are another release.",
            contents_alone,
            hashed(lambda name, content: hashlib.sha256(content).hexdigest() + "\n"),
            hashed(lambda name, content: hashlib.sha256(content).hexdigest()),
        ),
        mistake(
            "Names and contents run into one another: a byte can move from one file to the next unseen. "
            "Hash each content by itself, and hash the lines.",
            names_and_contents,
        ),
        mistake(
            "The line is not the card's: name, one space, 64 digits, and a line feed after every line.",
            hashed(lambda name, content: f"{name} {hashlib.sha256(content).hexdigest()}"),
            hashed(lambda name, content: f"{name}{hashlib.sha256(content).hexdigest()}\n"),
            hashed(lambda name, content: f"{hashlib.sha256(content).hexdigest()} {name}\n"),
            hashed(lambda name, content: f"{hashlib.sha256(content).hexdigest()}  {name}\n"),
        ),
        mistake("These are all 64 digits; the first 12 are asked for.", hashed(right_line, digits=64)),
        mistake(
            "The outer hash is another than SHA-256.",
            hashed(right_line, method=hashlib.md5),
            hashed(right_line, method=hashlib.sha1),
        ),
    ],
)

# 13.2 --------------------------------------------------------------------------------------------------

draw = Draw("13.2")


def quantise(x):
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = (high - low) / 255 or 1.0
    zero = round(-low / scale)
    q = ((x / scale).round() + zero).clamp(0, 255).to(torch.uint8)
    return q, scale, zero


def quantise_with(steps=255, with_zero=True, whole=torch.round, rounded=True, clamped=True, kind=torch.uint8):
    """`quantise` with other steps, another range, another way to whole numbers."""

    def wrong(x):
        low, high = x.min().item(), x.max().item()
        if with_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / steps or 1.0
        zero = round(-low / scale) if rounded else int(-low / scale)
        q = whole(x / scale) + zero
        return (q.clamp(0, 255) if clamped else q).to(torch.int64).to(kind), scale, zero

    return wrong


def quantise_symmetric(x):
    scale = x.abs().max().item() / 127 or 1.0
    return (x / scale).round().clamp(-127, 127).to(torch.int8), scale, 0


def quantise_shifted(x):
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = (high - low) / 255 or 1.0
    return ((x - low) / scale).floor().clamp(0, 255).to(torch.uint8), scale, round(-low / scale)


exercise(
    "13.2",
    "Eight bits for a float",
    reference=quantise,
    returns=("q", "scale", "zero"),
    cases=[
        case("both signs", torch.tensor([-1.0, 0.0, 0.5, 1.55])),
        case("a row of a normal distribution", draw.floats(40)),
        case("a matrix", 3 * draw.floats(6, 5) - 1),
        case("all positive", draw.floats(9).abs() + 2),
        case("all negative", -draw.floats(9).abs() - 0.5),
        case("all zero", torch.zeros(3)),
        case("small numbers", 0.002 * draw.floats(12)),
        case("both ends half way between two steps", torch.tensor([-127.5, 0.0, 3.0, 127.5])),
    ],
    mistakes=[
        mistake(
            "Your range leaves out 0. It has to hold 0, or no step stands for it exactly: take "
            "min(smallest, 0) and max(largest, 0).",
            quantise_with(with_zero=False),
        ),
        mistake(
            "From 0 to 255 there are 255 steps between 256 numbers: divide the range by 255.",
            quantise_with(steps=256),
            quantise_with(steps=254),
        ),
        mistake(
            "You cut decimals off. Round to the nearest whole number: it halves the largest error.",
            quantise_with(whole=torch.trunc),
            quantise_with(whole=torch.floor),
            quantise_shifted,
        ),
        mistake(
            "The zero point is cut off, not rounded: 0 then lies between two steps.",
            quantise_with(rounded=False),
        ),
        mistake(
            "This is symmetric quantisation to int8, with the zero point 0. The card wants the affine one: "
            "uint8, with a zero point.",
            quantise_symmetric,
        ),
        mistake(
            "What does not fit into 0 to 255 wraps round: 256 becomes 0. Hold it inside by clamp.",
            quantise_with(clamped=False),
        ),
        mistake(
            "q is not uint8; 8 bits are what this is for.",
            quantise_with(kind=torch.int32),
            quantise_with(kind=torch.int64),
        ),
    ],
)

# 13.3 --------------------------------------------------------------------------------------------------

draw = Draw("13.3")


def int_linear(q, scale, zero, weight, scales):
    whole = (q.to(torch.int32) - zero) @ weight.to(torch.int32).T
    return whole * (scale * scales)


def int_linear_with(widen=torch.int32, take=True, turned=True, scaled=lambda scale, scales: scale * scales):
    """`int_linear` in another type, without the zero point, not transposed, or scaled otherwise."""

    def wrong(q, scale, zero, weight, scales):
        a = q.to(widen) - (zero if take else 0)
        b = weight.to(torch.int32)
        return (a.to(torch.int32) @ (b.T if turned else b)) * scaled(scale, scales)

    return wrong


def quantised_input(*shape):
    return draw.integers(256, *shape).to(torch.uint8)


def quantised_weight(*shape):
    return (draw.integers(255, *shape) - 127).to(torch.int8)


exercise(
    "13.3",
    "A linear layer of whole numbers",
    reference=int_linear,
    returns="the outputs",
    cases=[
        case(
            "by hand",
            torch.tensor([[130, 126]], dtype=torch.uint8),
            0.5,
            128,
            torch.tensor([[10, 20]], dtype=torch.int8),
            torch.tensor([0.1]),
        ),
        case(
            "two rows, three outputs",
            quantised_input(2, 5),
            0.02,
            117,
            quantised_weight(3, 5),
            draw.floats(3).abs() + 0.1,
        ),
        case("square", quantised_input(4, 4), 0.1, 3, quantised_weight(4, 4), draw.floats(4).abs() + 0.1),
        case("long rows", quantised_input(3, 300), 0.01, 200, quantised_weight(6, 300), draw.floats(6).abs()),
        case("zero point 0", quantised_input(2, 3), 1.0, 0, quantised_weight(2, 3), torch.tensor([1.0, 2.0])),
    ],
    mistakes=[
        mistake(
            "Subtracting in uint8 wraps round: 3 − 5 is 254 there. Widen to int32 first.",
            int_linear_with(widen=torch.uint8),
        ),
        mistake(
            "The sums do not fit into 8 bits and wrap round: the product has to be taken in int32.",
            lambda q, scale, zero, weight, scales: (
                ((q.to(torch.int32) - zero) @ weight.to(torch.int32).T).to(torch.int8) * (scale * scales)
            ),
        ),
        mistake(
            "The zero point is missing: q stands for scale · (q − zero).",
            int_linear_with(take=False),
        ),
        mistake(
            "The weights are not transposed; a linear layer keeps them as (out, in).",
            int_linear_with(turned=False),
        ),
        mistake(
            "The scale of the input is missing: whole numbers have to be brought back on both sides.",
            int_linear_with(scaled=lambda scale, scales: scales),
        ),
        mistake(
            "The scales of the weights are missing: whole numbers have to be brought back on both sides.",
            int_linear_with(scaled=lambda scale, scales: scale),
        ),
        mistake(
            "All outputs got one scale. Each output has its own, `scales[i]`.",
            int_linear_with(scaled=lambda scale, scales: scale * scales[0]),
            int_linear_with(scaled=lambda scale, scales: scale * scales.mean()),
            int_linear_with(scaled=lambda scale, scales: scale * scales.max()),
        ),
    ],
    rules=[forbid("dequantize", "quantize_per_tensor", "quantize_per_channel")],
)

# 13.4 --------------------------------------------------------------------------------------------------


def percentile(times, p):
    return sorted(times)[-(-p * len(times) // 100) - 1]


def at_rank(rank, order=sorted):
    """The time of another rank, counted from 0 and held inside the list."""

    def wrong(times, p):
        place = int(rank(p, len(times)))
        return order(times)[min(max(place, 0), len(times) - 1)]

    return wrong


def interpolated(times, p):
    place = p / 100 * (len(times) - 1)
    low, ordered = int(place), sorted(times)
    high = min(low + 1, len(times) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


TIMES = [12.5, 11.0, 250.0, 12.0, 13.5, 11.5, 14.0, 12.25, 90.0, 13.0]
draw = Draw("13.4")

exercise(
    "13.4",
    "p50 and p95",
    reference=percentile,
    returns="the time",
    cases=[
        case("ten times, p50", TIMES, 50),
        case("ten times, p95", TIMES, 95),
        case("ten times, p90", TIMES, 90),
        case("ten times, p91", TIMES, 91),
        case("p100 is the largest", TIMES, 100),
        case("p1 is the smallest", TIMES, 1),
        case("seven times, p50", TIMES[:7], 50),
        case("one time", [5.0], 95),
        case("forty times, p95", [round(t, 3) for t in draw.floats(40).exp().tolist()], 95),
        case("two hundred times, p95", [round(t, 3) for t in draw.floats(200).exp().tolist()], 95),
        case("a hundred times, p7", [round(t, 3) for t in draw.floats(100).exp().tolist()], 7),
    ],
    mistakes=[
        mistake(
            "The times have to be sorted first; as they come, the place says nothing.",
            at_rank(lambda p, n: -(-p * n // 100) - 1, order=list),
        ),
        mistake(
            "They are sorted from the slowest to the fastest: your p95 is what 95 % exceed.",
            at_rank(lambda p, n: -(-p * n // 100) - 1, order=lambda times: sorted(times)[::-1]),
        ),
        mistake(
            "This interpolates between two times, as torch.quantile does. The card wants a time that was "
            "really measured.",
            interpolated,
            lambda times, p: torch.tensor(times, dtype=torch.float64).quantile(p / 100).item(),
        ),
        mistake(
            "One place too far: ranks count from 1, a list's places from 0.",
            at_rank(lambda p, n: -(-p * n // 100)),
            at_rank(lambda p, n: p * n // 100),
            at_rank(lambda p, n: p / 100 * n),
        ),
        mistake(
            "The rank is rounded down or to the nearest. At least p % of the times must not exceed the "
            "result, so it is rounded up.",
            at_rank(lambda p, n: p * n // 100 - 1),
            at_rank(lambda p, n: round(p / 100 * n) - 1),
            at_rank(lambda p, n: round(p / 100 * (n - 1))),
            at_rank(lambda p, n: p * (n - 1) // 100),
        ),
        mistake(
            "p / 100 · n in floats can come out a hair above a whole number (0.07 · 100), and is then "
            "rounded up once too often. Stay with whole numbers.",
            at_rank(lambda p, n: math.ceil(p / 100 * n) - 1),
        ),
        mistake(
            "That is the mean, which one slow request pulls up.",
            lambda times, p: sum(times) / len(times),
        ),
    ],
    rules=[forbid("quantile", "nanquantile", "kthvalue")],
)

# 13.5 --------------------------------------------------------------------------------------------------


def status_of(body, most_bytes, most_texts):
    if len(body) > most_bytes:
        return 413
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return 400
    if not isinstance(request, dict) or set(request) != {"texts"}:
        return 422
    texts = request["texts"]
    if not isinstance(texts, list) or not 1 <= len(texts) <= most_texts:
        return 422
    return 200 if all(isinstance(text, str) and text.strip() for text in texts) else 422


def status_with(
    size=lambda body, most: len(body) > most,
    first="size",
    keys=lambda request: set(request) == {"texts"},
    counts=lambda texts, most: 1 <= len(texts) <= most,
    usable=lambda text: isinstance(text, str) and bool(text.strip()),
    kinds=list,
    no_json=400,
):
    """`status_of` with one of its tests done otherwise."""

    def wrong(body, most_bytes, most_texts):
        too_large = size(body, most_bytes)
        if too_large and first == "size":
            return 413
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return no_json
        if too_large:
            return 413
        if not isinstance(request, dict) or not keys(request) or not isinstance(request.get("texts"), kinds):
            return 422
        texts = request["texts"]
        return 200 if counts(texts, most_texts) and all(map(usable, texts)) else 422

    return wrong


BODIES = {
    "a good one": b'{"texts": ["a gripping movie", "dull"]}',
    "as many texts as are taken": b'{"texts": ["a", "b", "c"]}',
    "one text too many": b'{"texts": ["a", "b", "c", "d"]}',
    "no text": b'{"texts": []}',
    "a blank text": b'{"texts": ["a", " \\n"]}',
    "an empty text": b'{"texts": [""]}',
    "a number": b'{"texts": [3]}',
    "a text, not a list": b'{"texts": "abc"}',
    "a list": b'["abc"]',
    "null": b"null",
    "no texts": b"{}",
    "a key too many": b'{"texts": ["a"], "model": "b"}',
    "no JSON": b"texts=abc",
    "empty": b"",
    "not UTF-8": b'{"texts": ["\xff\xfe"]}',
    "as many bytes as are taken": b'{"texts": ["' + b"a" * 45 + b'"]}',
    "too many bytes": b'{"texts": ["' + b"a" * 46 + b'"]}',
    "too many bytes, and no JSON": b"a" * 61,
    "few characters, many bytes": b'{"texts": ["' + "ä".encode() * 24 + b'"]}',
}

exercise(
    "13.5",
    "Which status?",
    reference=status_of,
    returns="the status",
    cases=[case(name, body, 60, 3) for name, body in BODIES.items()]
    + [case("other limits", BODIES["a good one"], 100, 1), case("smaller limits", BODIES["no text"], 5, 9)],
    mistakes=[
        mistake(
            "You count characters. The limit is in bytes, which is what costs memory: ä is two.",
            status_with(size=lambda body, most: len(body.decode("utf8", "replace")) > most),
        ),
        mistake(
            "Too large and no JSON at once is 413: look at the size before you parse anything, or somebody's "
            "gigabyte is parsed first.",
            status_with(first="json"),
        ),
        mistake(
            "The size is never looked at, and one request can fill the memory.",
            status_with(size=lambda body, most: False),
        ),
        mistake(
            "Exactly as many as the limit are taken; only more are refused.",
            status_with(size=lambda body, most: len(body) >= most),
            status_with(counts=lambda texts, most: 1 <= len(texts) < most),
        ),
        mistake(
            "An empty list has nothing to answer, and is 422.",
            status_with(counts=lambda texts, most: len(texts) <= most),
        ),
        mistake(
            "The number of texts has a limit, too.",
            status_with(counts=lambda texts, most: len(texts) >= 1),
        ),
        mistake(
            'White space alone is no text: `" \\n"` is 422. Look at `text.strip()`.',
            status_with(usable=lambda text: isinstance(text, str) and text != ""),
            status_with(usable=lambda text: isinstance(text, str)),
        ),
        mistake(
            "A number is no text, and the tokenizer would fail on it. Every item has to be a str.",
            status_with(usable=lambda text: bool(str(text).strip())),
        ),
        mistake(
            'A string has a length and items as well: `"abc"` would be three texts. Ask for a list.',
            status_with(kinds=list | str),
        ),
        mistake(
            "A key that you do not know is 422: the client means something that the service does not do.",
            status_with(keys=lambda request: "texts" in request),
        ),
        mistake(
            "What is no JSON is 400; 422 is for JSON that says something else than the service takes.",
            status_with(no_json=422),
        ),
    ],
)

# 13.6 --------------------------------------------------------------------------------------------------


def take(waiting, most):
    batch = [waiting.get()]
    while len(batch) < most and not waiting.empty():
        batch.append(waiting.get_nowait())
    return batch


def drained(waiting):
    found = []
    while not waiting.empty():
        found.append(waiting.get_nowait())
    return found


def taken(answer, texts, most):
    """What `answer` takes out of a queue of `texts`, and what it leaves."""
    waiting = queue.Queue()
    for text in texts:
        waiting.put(text)
    batch = answer(waiting, most)
    if batch is None:
        return None
    return {"the batch": batch, "what is still waiting": drained(waiting)}


def take_all(waiting, most):
    return drained(waiting)


def take_and_lose(waiting, most):
    return drained(waiting)[:most]


def take_the_last(waiting, most):
    found = drained(waiting)
    for text in found[:-most]:
        waiting.put(text)
    return found[-most:]


def take_with(first=1, limit=lambda most: most, turned=False):
    def wrong(waiting, most):
        batch = [waiting.get() for _ in range(first)]
        while len(batch) < limit(most) and not waiting.empty():
            batch.append(waiting.get_nowait())
        return batch[::-1] if turned else batch

    return wrong


def look_at(waiting, most):
    return list(waiting.queue)[:most]


WAITING = ["a gripping movie", "dull", "too long", "funny", "a mess", "moving", "fine"]

exercise(
    "13.6",
    "Take what waits",
    reference=take,
    use=taken,
    cases=[
        case("more than fit", WAITING, 4),
        case("fewer than fit", WAITING[:3], 8),
        case("exactly as many", WAITING[:4], 4),
        case("one", WAITING[:1], 4),
        case("a batch of one", WAITING, 1),
        case("one more than fit", WAITING[:3], 2),
    ],
    mistakes=[
        mistake("There is a limit: at most `most` texts make a batch.", take_all),
        mistake(
            "What does not fit was taken out as well, and is lost: nobody will ever answer it.",
            take_and_lose,
        ),
        mistake("Who came last is served first. Take from the queue's front.", take_the_last),
        mistake("The texts are in the wrong order: first come, first in the batch.", take_with(turned=True)),
        mistake(
            "One text too many: look at the length before you take another.",
            take_with(limit=lambda most: most + 1),
        ),
        mistake("One text too few fits into your batch.", take_with(limit=lambda most: max(1, most - 1))),
        mistake(
            "The texts are looked at and not taken: they are still waiting, and would be answered again.",
            look_at,
        ),
        mistake(
            "Only one text is taken, and the others wait for a batch of their own.",
            take_with(limit=lambda most: 1),
        ),
    ],
    seconds=4,
)

# 13.7 --------------------------------------------------------------------------------------------------


def answer_batch(batch, predict):
    wanted = [(text, future) for text, future in batch if not future.cancelled()]
    if not wanted:
        return
    try:
        answers = predict([text for text, _ in wanted])
    except Exception as error:
        for _, future in wanted:
            future.set_exception(error)
        return
    for (_, future), answer in zip(wanted, answers, strict=True):
        future.set_result(answer)


def outcome(future):
    if future.cancelled():
        return "cancelled"
    if not future.done():
        return "no answer"
    error = future.exception()
    return f"raises {type(error).__name__}: {error}" if error else future.result()


def answered(answer, texts, left, fails):
    """What becomes of each text, and what `predict` was called with; the clients at `left` have gone."""
    batch = [(text, Future()) for text in texts]
    for place in left:
        batch[place][1].cancel()
    asked = []

    def predict(texts):
        asked.append(list(texts))
        if fails:
            raise ValueError("a text that the model cannot read")
        return [text.upper() for text in texts]

    answer(batch, predict)
    return {"the outcomes": [outcome(future) for _, future in batch], "what predict was given": asked}


def answer_with(pick=lambda batch: batch, order=lambda answers: answers, failing="all", one_by_one=False):
    """`answer_batch` with other texts, other answers, or failures that go elsewhere."""

    def wrong(batch, predict):
        wanted = [(text, future) for text, future in pick(batch) if not future.cancelled()]
        if not wanted:
            return
        try:
            if one_by_one:
                answers = [predict([text])[0] for text, _ in wanted]
            else:
                answers = predict([text for text, _ in wanted])
        except Exception as error:
            for _, future in wanted[: 1 if failing == "first" else None]:
                if failing == "none":
                    future.set_result(None)
                elif failing == "text":
                    future.set_result(f"{type(error).__name__}: {error}")
                elif failing == "other":
                    future.set_exception(RuntimeError(str(error)))
                elif failing != "nobody":
                    future.set_exception(error)
            return
        for (_, future), answer in zip(wanted, order(answers), strict=True):
            future.set_result(answer)

    return wrong


def answer_the_cancelled_too(batch, predict):
    try:
        answers = predict([text for text, _ in batch])
    except Exception as error:
        answers = [error] * len(batch)
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.cancelled():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def shift_after_cancelled(batch, predict):
    wanted = [(text, future) for text, future in batch if not future.cancelled()]
    if not wanted:
        return
    try:
        answers = predict([text for text, _ in wanted])
    except Exception as error:
        answers = [error] * len(batch)
    for (_, future), answer in zip(batch, answers, strict=False):
        if future.cancelled():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


exercise(
    "13.7",
    "To each their own answer",
    reference=answer_batch,
    use=answered,
    cases=[
        case("three texts", WAITING[:3], [], False),
        case("one text", WAITING[:1], [], False),
        case("the model fails", WAITING[:3], [], True),
        case("one client has left", WAITING[:4], [1], False),
        case("the first has left", WAITING[:3], [0], False),
        case("all have left", WAITING[:2], [0, 1], False),
        case("one has left, and the model fails", WAITING[:3], [2], True),
    ],
    mistakes=[
        mistake(
            "The model is called once for each text. One call for the whole batch is what this is about.",
            answer_with(one_by_one=True),
        ),
        mistake(
            "The answers go to the wrong people: the first answer belongs to the first future.",
            answer_with(order=lambda answers: answers[::-1]),
        ),
        mistake(
            "After a client that left, everybody gets the next one's answer. Leave such texts out of the "
            "batch once, and use that list for texts and answers alike.",
            shift_after_cancelled,
        ),
        mistake(
            "Texts whose client has left are still put to the model; if all have left, it need not run.",
            answer_the_cancelled_too,
        ),
        mistake("When the model fails, only the first client hears of it.", answer_with(failing="first")),
        mistake(
            "When the model fails, nobody hears of it: their futures are never done, and they wait for ever.",
            answer_with(failing="nobody"),
        ),
        mistake(
            "A failure is given as if it were an answer. `future.set_exception(error)` raises it where "
            "somebody waits.",
            answer_with(failing="none"),
            answer_with(failing="text"),
        ),
    ],
    seconds=4,
)

# 13.8 --------------------------------------------------------------------------------------------------


class MicroBatcher:
    def __init__(self, predict, most, take, answer):
        self.predict, self.most, self.take, self.answer = predict, most, take, answer
        self.waiting = queue.Queue()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def ask(self, text):
        future = Future()
        self.waiting.put((text, future))
        return future

    def work(self):
        while True:
            batch = self.take(self.waiting, self.most)
            self.answer([item for item in batch if item], self.predict)
            if None in batch:
                return

    def close(self):
        self.waiting.put(None)
        self.thread.join()


class Gate:
    """A model whose first batch takes until `open` is set; it notes its batches and who called it."""

    def __init__(self):
        self.open, self.begun, self.batches, self.callers = threading.Event(), threading.Event(), [], set()
        self.maker = threading.get_ident()

    def __call__(self, texts):
        self.begun.set()
        self.callers.add(threading.get_ident())
        if threading.get_ident() != self.maker:
            self.open.wait(3)
        self.batches.append(list(texts))
        return [text.upper() for text in texts]


def batched(answer, texts, most, closes_early):
    """Ask for the first text; while the model has it, for the others; let it go, and close."""
    model = Gate()
    batcher = answer(model, most, take, answer_batch)
    first = batcher.ask(texts[0])
    seen = {"the first text goes to the model at once": model.begun.wait(1)}
    futures = [first] + [batcher.ask(text) for text in texts[1:]]
    seen["asking waits for no answer"] = not first.done()
    if closes_early:
        threading.Timer(0.2, model.open.set).start()
    else:
        model.open.set()
        _wait(futures)
    batcher.close()
    seen["the outcomes after close"] = [outcome(future) for future in futures]
    seen["the batches"] = model.batches
    seen["the model runs in another thread"] = threading.get_ident() not in model.callers
    return seen


def _wait(futures):
    """Up to half a second; what is not done then is told by its outcome."""
    end = time.monotonic() + 0.5
    while not all(future.done() for future in futures) and time.monotonic() < end:
        time.sleep(0.005)


class AtOnce(MicroBatcher):
    """No queue: whoever asks runs the model."""

    def __init__(self, predict, most, take, answer):
        self.predict, self.answer = predict, answer

    def ask(self, text):
        future = Future()
        self.answer([(text, future)], self.predict)
        return future

    def close(self):
        pass


class OneByOne(MicroBatcher):
    def work(self):
        while True:
            item = self.waiting.get()
            if item is None:
                return
            self.answer([item], self.predict)


class NoLimit(MicroBatcher):
    def work(self):
        while True:
            batch = self.take(self.waiting, 10**6)
            self.answer([item for item in batch if item], self.predict)
            if None in batch:
                return


class Full(MicroBatcher):
    """Waits until a batch is full."""

    def work(self):
        last = False
        while not last:
            batch = []
            while len(batch) < self.most and not last:
                item = self.waiting.get()
                last = item is None
                batch += [item] if item else []
            self.answer(batch, self.predict)


class DropsAtTheEnd(MicroBatcher):
    """Closing throws away what waits."""

    def close(self):
        while not self.waiting.empty():
            self.waiting.get_nowait()
        super().close()


class DoesNotWait(MicroBatcher):
    def close(self):
        self.waiting.put(None)


class Once(MicroBatcher):
    """Works off one batch and ends."""

    def work(self):
        batch = self.take(self.waiting, self.most)
        self.answer([item for item in batch if item], self.predict)


class LosesTheLast(MicroBatcher):
    def work(self):
        while True:
            batch = self.take(self.waiting, self.most)
            if None in batch:
                return
            self.answer(batch, self.predict)


exercise(
    "13.8",
    "The micro-batcher",
    reference=MicroBatcher,
    kind="class",
    use=batched,
    cases=[
        case("seven texts, batches of up to four", WAITING, 4, False),
        case("closed while five are waiting", WAITING[:6], 4, True),
        case("one text", WAITING[:1], 4, False),
    ],
    mistakes=[
        mistake(
            "Whoever asks waits for the model, so no second text can come in meanwhile. `ask` only puts the "
            "text into the queue; a thread of its own works.",
            AtOnce,
        ),
        mistake("The texts go to the model one by one. Use `take`.", OneByOne),
        mistake("A batch may have at most `most` texts.", NoLimit),
        mistake(
            "The first text waits until a batch is full. A text that comes while the model is idle goes at "
            "once.",
            Full,
        ),
        mistake("Closing throws away what is waiting. It has to be answered first.", DropsAtTheEnd),
        mistake(
            "The last batch came together with the sign to end, and was dropped.",
            LosesTheLast,
        ),
        mistake(
            "`close` comes back while the model still works: wait for the thread (`join`).",
            DoesNotWait,
        ),
        mistake("The thread ends after its first batch: it needs a loop.", Once),
    ],
    seconds=8,
)

# 13.9 --------------------------------------------------------------------------------------------------


def numbers(version):
    return tuple(map(int, version.split(".")))


def roll_back(releases, bad, labels):
    fit = [
        name
        for name, release in releases.items()
        if numbers(name) < numbers(bad) and release["healthy"] and release["labels"] == labels
    ]
    return max(fit, key=numbers, default=None)


def roll_back_with(key=numbers, before=True, healthy=True, labels=True, best=max):
    """`roll_back` by another order, or with a condition left out."""

    def wrong(releases, bad, wanted):
        fit = [
            name
            for name, release in releases.items()
            if (key(name) < key(bad) if before else name != bad)
            and (release["healthy"] or not healthy)
            and (not labels or release["labels"] == wanted)
        ]
        return best(fit, key=key, default=None)

    return wrong


def roll_back_sorted_labels(releases, bad, labels):
    alike = {name: release | {"labels": sorted(release["labels"])} for name, release in releases.items()}
    return roll_back(alike, bad, sorted(labels))


def the_one_before(releases, bad, labels):
    names = sorted(releases, key=numbers)
    place = names.index(bad)
    return names[place - 1] if place else None


def last_entered(releases, bad, labels):
    fit = [name for name in releases if roll_back({name: releases[name]}, bad, labels)]
    return fit[-1] if fit else None


TWO, THREE = ["negative", "positive"], ["negative", "neutral", "positive"]


def released(**kinds):
    """{"1.2.0": {...}} of v1_2_0="+" (healthy, two labels), "-" (ill), "3" (three labels), "r" (reversed)."""
    labels = {"3": THREE, "r": TWO[::-1]}
    return {
        name[1:].replace("_", "."): {"healthy": kind != "-", "labels": labels.get(kind, TWO)}
        for name, kind in kinds.items()
    }


exercise(
    "13.9",
    "Back to which release?",
    reference=roll_back,
    returns="the version",
    cases=[
        case("the one before is fine", released(v1_0_0="+", v1_1_0="+", v1_2_0="+"), "1.2.0", TWO),
        case("the one before is ill", released(v1_0_0="+", v1_1_0="-", v1_2_0="+"), "1.2.0", TWO),
        case("ten comes after nine", released(v1_9_0="+", v1_10_0="+", v1_11_0="-"), "1.11.0", TWO),
        case("ten is the bad one", released(v1_9_0="+", v1_8_0="+", v1_10_0="-"), "1.10.0", TWO),
        case("other labels", released(v1_0_0="+", v1_1_0="3", v1_2_0="+"), "1.2.0", TWO),
        case("the labels in another order", released(v1_0_0="+", v1_1_0="r", v1_2_0="+"), "1.2.0", TWO),
        case("a newer one is no way back", released(v1_0_0="+", v1_1_0="-", v2_0_0="+"), "1.1.0", TWO),
        case("the very first", released(v1_0_0="-", v1_1_0="+"), "1.0.0", TWO),
        case("none is fit", released(v1_0_0="-", v1_1_0="3", v1_2_0="+"), "1.2.0", TWO),
        case("entered in any order", released(v1_1_0="+", v1_3_0="-", v1_0_0="+"), "1.3.0", TWO),
    ],
    mistakes=[
        mistake(
            'Versions are compared as text: there "1.10.0" comes before "1.9.0". Compare their numbers.',
            roll_back_with(key=str),
        ),
        mistake("A release that was not healthy is no way out.", roll_back_with(healthy=False)),
        mistake(
            "A release with other labels answers another question: its clients would break.",
            roll_back_with(labels=False),
        ),
        mistake(
            "The labels in another order are other ids: class 0 would be another. Compare the lists as they "
            "are.",
            roll_back_sorted_labels,
        ),
        mistake("Back means to an earlier release, never to a newer one.", roll_back_with(before=False)),
        mistake("That is the oldest that is fit; the newest is asked for.", roll_back_with(best=min)),
        mistake(
            "The release just before may be unfit as well: look at health and labels.",
            the_one_before,
        ),
        mistake(
            "The last one entered need not be the newest: go by the versions.",
            last_entered,
        ),
    ],
)

# 13.10 -------------------------------------------------------------------------------------------------


def ask_patiently(ask, sleep, tries):
    for attempt in range(tries):
        status, answer, wait = ask()
        if status < 500 or attempt == tries - 1:
            return status, answer
        sleep(2**attempt if wait is None else wait)


class Script:
    """Answers one after another, each (status, answer, seconds to wait or None)."""

    def __init__(self, *answers):
        self.answers, self.asked = answers, 0

    def __call__(self):
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def asked(answer, ask, tries):
    ask, slept = Script(*ask.answers), []
    found = answer(ask, slept.append, tries)
    return {"the result": found, "how often it asked": ask.asked, "the pauses": slept}


def patient_with(
    stops=lambda status: status < 500,
    pause=lambda attempt, wait: 2**attempt if wait is None else wait,
    rest=0,
    more=0,
):
    """`ask_patiently` with another idea of when to stop, of pauses, of how many tries."""

    def wrong(ask, sleep, tries):
        last = tries - 1 + more
        for attempt in range(last + 1):
            status, answer, wait = ask()
            if stops(status) or (attempt == last and not rest):
                return status, answer
            sleep(pause(attempt, wait))
        return status, answer

    return wrong


def impatient(ask, sleep, tries):
    return ask()[:2]


GOOD, BUSY, BROKEN = (200, "positive", None), (503, "too much waiting", 1), (500, "it failed", None)


def script(*answers):
    return shown(f"a service that answers {[status for status, *_ in answers]}", Script(*answers))


exercise(
    "13.10",
    "A patient client",
    reference=ask_patiently,
    use=asked,
    cases=[
        case("right at once", script(GOOD), 3),
        case("busy once", script(BUSY, GOOD), 3),
        case("broken twice", script(BROKEN, BROKEN, GOOD), 5),
        case("broken three times, then busy", script(BROKEN, BROKEN, BROKEN, BUSY, GOOD), 6),
        case("it never recovers", script(BROKEN), 4),
        case("the client's own fault", script((422, "text 0 is blank", None), GOOD), 3),
        case("too large", script((413, "too large", None), GOOD), 3),
        case("one try", script(BUSY, GOOD), 1),
        case("come back at once", script((503, "again", 0), GOOD), 3),
        case("a long wait", script((503, "later", 30), BUSY, GOOD), 3),
    ],
    mistakes=[
        mistake(
            "A 4xx says that the request is wrong: it will be wrong the second time as well. Give it back.",
            patient_with(stops=lambda status: status == 200),
            patient_with(stops=lambda status: status < 400),
        ),
        mistake(
            "Only 503 is tried again; every status from 500 on may be gone a moment later.",
            patient_with(stops=lambda status: status != 503),
        ),
        mistake(
            "The service said how long to wait, and you did not listen.",
            patient_with(pause=lambda attempt, wait: 2**attempt),
        ),
        mistake(
            "0 seconds is an answer too: test `wait is None`, not whether it is true.",
            patient_with(pause=lambda attempt, wait: wait or 2**attempt),
        ),
        mistake(
            "The pauses do not double. A service that is down needs them to grow.",
            patient_with(pause=lambda attempt, wait: 1 if wait is None else wait),
            patient_with(pause=lambda attempt, wait: attempt + 1 if wait is None else wait),
        ),
        mistake(
            "The first pause is 1 second, then 2, 4: the first attempt counts as 0.",
            patient_with(pause=lambda attempt, wait: 2 ** (attempt + 1) if wait is None else wait),
        ),
        mistake(
            "After the last try there is nothing to wait for: give the answer back at once.",
            patient_with(rest=1),
        ),
        mistake(
            "`tries` counts all calls, the first included.",
            patient_with(more=1),
        ),
        mistake("You ask once. A busy service is asked again.", impatient),
    ],
    rules=[],
)
