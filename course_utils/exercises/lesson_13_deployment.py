"""Exercises of lesson 13, deployment: their references, inputs and typical mistakes."""

import builtins
import contextlib
import hashlib
import json
import math
import queue
import sys
import threading
import time
from concurrent.futures import Future, InvalidStateError

import numpy
import torch

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, shown

# 13.1 --------------------------------------------------------------------------------------------------


def fingerprint(files):
    lines = [f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def hashed(line, order=sorted, digits=12, method=hashlib.sha256, between="", encoding="utf8"):
    """A fingerprint of other lines (`line(name, content)`), in another order or of another length."""

    def wrong(files):
        text = between.join(line(name, files[name]) for name in order(files))
        return method(text.encode(encoding)).hexdigest()[:digits]

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
        case("a capital, an umlaut, blanks", {"config.json": b"{}\n", "README.md": b"x", "Größe.txt": b" "}),
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
            "Each line ends with a line feed, the last one too.",
            hashed(lambda name, content: f"{name} {hashlib.sha256(content).hexdigest()}", between="\n"),
        ),
        mistake(
            "Sort the names as `sorted` does, every capital before every small letter: README.md comes "
            "before config.json.",
            hashed(right_line, order=lambda files: sorted(files, key=str.lower)),
        ),
        mistake(
            "The lines become bytes as UTF-8; in another encoding a name with ö has other bytes.",
            hashed(right_line, encoding="latin-1"),
        ),
        mistake(
            "White space belongs to the contents: hash the bytes as they are.",
            hashed(lambda name, content: right_line(name, content.strip())),
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


def quantised(answer, x):
    """What `answer` gives; a zero point that is a float, equal to the int, is told apart."""
    found = answer(x)
    if isinstance(found, tuple) and len(found) == 3 and isinstance(found[2], float | numpy.floating):
        return *found[:2], f"{found[2]}, a float"
    return found


def quantise_with(
    steps=255,
    with_zero=True,
    whole=torch.round,
    rounded=True,
    clamped=True,
    kind=torch.uint8,
    narrow=0,
    number=int,
):
    """`quantise` with other steps, another range, another way to whole numbers."""

    def wrong(x):
        low, high = x.min().item(), x.max().item()
        if with_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / steps if high - low > narrow else 1.0
        zero = number(round(-low / scale) if rounded else int(-low / scale))
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
    use=quantised,
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
        case("a very narrow range", torch.tensor([-1e-5, 2e-5])),
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
            "Exactly half way between two steps you round up, and `torch.round` goes to the even number: "
            "-127.5 becomes -128.",
            quantise_with(whole=lambda steps: (steps + 0.5).floor()),
        ),
        mistake(
            "`zero` is a float. It counts steps: the card asks for an int.",
            quantise_with(number=float),
        ),
        mistake(
            "Only a width of 0 gets the scale 1.0; a narrow range is divided like any other.",
            quantise_with(narrow=1e-3),
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
        case(
            "large sums that nearly cancel out, which floats lose",
            torch.full((1, 2050), 255, dtype=torch.uint8),
            0.1,
            0,
            torch.tensor([[127] * 1025 + [-126] + [-127] * 1024], dtype=torch.int8),
            torch.tensor([0.37]),
        ),
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
    over=all,
    looked_at=lambda texts: texts,
):
    """`status_of` with one of its tests done otherwise."""

    def wrong(body, most_bytes, most_texts):
        too_large = size(body, most_bytes)
        if too_large and first == "size":
            return 413
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return 413 if too_large and first == "both" else no_json
        if too_large:
            return 413
        if not isinstance(request, dict) or not keys(request) or not isinstance(request.get("texts"), kinds):
            return 422
        texts = request["texts"]
        return 200 if counts(texts, most_texts) and over(map(usable, looked_at(texts))) else 422

    return wrong


def one_that_is_not_blank(texts):
    """What `any(text.strip() for text in texts)` looks at; a number is found all the same."""
    if not all(isinstance(text, str) for text in texts):
        return texts
    return ([text for text in texts if text.strip()] or texts)[:1]


class Body(bytes):
    """Bytes that note whether `json.loads` has read them: it alone decodes in this way."""

    parsed = False

    def decode(self, encoding="utf-8", errors="strict"):
        self.parsed = self.parsed or errors == "surrogatepass"
        return super().decode(encoding, errors)


def status_given(answer, body, most_bytes, most_texts):
    """The status, or what is wrong about how it was found."""
    body = Body(body)
    status = answer(body, most_bytes, most_texts)
    return "413, but the body was parsed" if status == 413 and body.parsed else status


BODIES = {
    "a good one": b'{"texts": ["a gripping movie", "dull"]}',
    "as many texts as are taken": b'{"texts": ["a", "b", "c"]}',
    "one text too many": b'{"texts": ["a", "b", "c", "d"]}',
    "no text": b'{"texts": []}',
    "a blank text": b'{"texts": ["a", " \\n"]}',
    "an empty text": b'{"texts": [""]}',
    "white space alone": b'{"texts": [" "]}',
    "a blank text in front": b'{"texts": ["\\t", "a"]}',
    "a number": b'{"texts": [3]}',
    "a number behind a text": b'{"texts": ["a", 3]}',
    "a text, not a list": b'{"texts": "abc"}',
    "a list": b'["abc"]',
    "a list that holds the key": b'["texts"]',
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
    use=status_given,
    returns="the status",
    cases=[case(name, body, 60, 3) for name, body in BODIES.items()]
    + [case("other limits", BODIES["a good one"], 100, 1), case("smaller limits", BODIES["no text"], 5, 9)]
    + [case("lists nested too deep", shown('b"[" * 200_000', b"[" * 200_000), 300_000, 3)],
    mistakes=[
        mistake(
            "You count characters. The limit is in bytes, which is what costs memory: ä is two.",
            status_with(size=lambda body, most: len(body.decode("utf8", "replace")) > most),
        ),
        mistake(
            "Too large and no JSON at once is 413: look at the size before you parse anything, or somebody's "
            "gigabyte is parsed first.",
            status_with(first="json"),
            status_with(first="both"),
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
            "Every text has to be looked at, not one: a single bad one makes the request 422.",
            status_with(over=any),
            status_with(looked_at=lambda texts: texts[:1]),
            status_with(looked_at=one_that_is_not_blank),
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


class Told(Exception):
    """`take` did what it must not; the text says what."""


class Coming(queue.Queue):
    """A queue without a clock: what comes later comes when somebody waits for a first item."""

    def __init__(self, items, later):
        super().__init__()
        self.later, self.taken, self.asked, self.told = later, 0, 0, ""
        for item in items:
            self.put(item)

    def get(self, block=True, timeout=None):
        if block and timeout != 0 and not super().qsize():
            if self.taken:
                self.tell("it waits for one more")
            self.asked += 1
            if timeout is None or self.asked == 3:
                while self.later:
                    self.put(self.later.pop(0))
        item = super().get(block=False)
        self.taken += 1
        return item

    def empty(self):
        return self.qsize() == 0

    def qsize(self):
        found = super().qsize()
        if not self.taken and not found:
            self.asked += 1
            if self.asked > 1000:
                self.tell("it asks over and over")
        return found

    def tell(self, what):
        self.told = self.told or what
        raise Told(what)

    def no_sleep(self, frame, event, what):
        """A profile function, called before any function in C is."""
        if event == "c_call" and what is time.sleep:
            self.tell("it sleeps")


def taken(answer, texts, most, later):
    """What `answer` takes out of a queue of `texts`, and what it leaves; `later` comes while it waits."""
    waiting, before = Coming(texts, list(later)), sys.getprofile()
    sys.setprofile(waiting.no_sleep)
    try:
        batch = answer(waiting, most)
    except Told:
        pass
    except queue.Empty:
        waiting.told = "queue.Empty is raised"
    finally:
        sys.setprofile(before)
    if waiting.told:
        return {"the batch": waiting.told, "what is still waiting": []}
    if batch is None:
        return None
    return {"the batch": batch, "what is still waiting": drained(waiting) + waiting.later}


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


def take_without_waiting(waiting, most):
    batch = []
    while len(batch) < most and not waiting.empty():
        batch.append(waiting.get())
    return batch


def take_at_once(waiting, most):
    batch = [waiting.get_nowait()]
    while len(batch) < most and not waiting.empty():
        batch.append(waiting.get_nowait())
    return batch


def take_over_and_over(waiting, most):
    while waiting.empty():
        pass
    return take(waiting, most)


def take_until_full(waiting, most):
    return [waiting.get() for _ in range(most)]


def take_after_sleep(waiting, most):
    batch = [waiting.get()]
    time.sleep(0.01)
    while len(batch) < most and not waiting.empty():
        batch.append(waiting.get_nowait())
    return batch


def take_after_naps(waiting, most):
    while waiting.empty():
        time.sleep(0.01)
    return take(waiting, most)


def take_up_to_nothing(waiting, most):
    batch = [waiting.get()]
    while len(batch) < most and not waiting.empty():
        item = waiting.get_nowait()
        if not item:
            break
        batch.append(item)
    return batch


def take_what_is_something(waiting, most):
    return [item for item in take(waiting, most) if item]


WAITING = ["a gripping movie", "dull", "too long", "funny", "a mess", "moving", "fine"]

exercise(
    "13.6",
    "Take what waits",
    reference=take,
    use=taken,
    cases=[
        case("more than fit", WAITING, 4, []),
        case("fewer than fit", WAITING[:3], 8, []),
        case("exactly as many", WAITING[:4], 4, []),
        case("one", WAITING[:1], 4, []),
        case("a batch of one", WAITING, 1, []),
        case("one more than fit", WAITING[:3], 2, []),
        case("empty at first", [], 4, ["dull"]),
        case("any items, not only texts", ["", None, "dull", 0], 3, []),
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
        mistake(
            "The queue was empty, and you did not wait for the first text: `get()` waits.",
            take_without_waiting,
            take_at_once,
        ),
        mistake(
            "You ask over and over whether the queue is empty, which keeps a core busy. `get()` sleeps until "
            "an item comes.",
            take_over_and_over,
        ),
        mistake(
            "Only the first `get` may wait: fewer texts than `most` are there, and more may never come.",
            take_until_full,
        ),
        mistake(
            "No `time.sleep`: `get()` wakes up as soon as an item comes, and the texts that are there "
            "should not wait for others.",
            take_after_sleep,
            take_after_naps,
        ),
        mistake(
            "An item may be anything, None and an empty text too: look at the queue, not at the item.",
            take_up_to_nothing,
            take_what_is_something,
        ),
    ],
    seconds=4,
)

# 13.7 --------------------------------------------------------------------------------------------------


def answer_batch(batch, predict):
    wanted = [(text, future) for text, future in batch if future.set_running_or_notify_cancel()]
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


def answered(answer, texts, left, leaving, fails):
    """What becomes of each text, and what `predict` was given.

    The clients at `left` have gone before; those at `leaving` try to go while the model works. `fails` is the
    name of the exception that the model raises, or "".
    """
    futures = [Future() for _ in texts]
    batch = list(zip(texts, futures, strict=True))
    for place in left:
        futures[place].cancel()
    failure = getattr(builtins, fails)("a text that the model cannot read") if fails else None
    before, asked = list(batch), []

    def predict(texts):
        asked.append(list(texts) if isinstance(texts, list) else f"a {type(texts).__name__}, not a list")
        answers = [text.upper() for text in texts]
        for place in leaving:
            futures[place].cancel()
        if failure:
            raise failure
        return answers

    try:
        returned = answer(batch, predict)
    except Exception as error:
        if error is not failure and not isinstance(error, InvalidStateError):
            raise
        returned = f"{type(error).__name__} was raised"
    return {
        "the outcomes": [outcome(future) for future in futures],
        "what predict was given": asked,
        "what is returned": returned,
        "the list batch is as it was": batch == before,
    }


def answer_with(
    here=lambda future: future.set_running_or_notify_cancel(),
    order=lambda answers: answers,
    failing="all",
    one_by_one=False,
    kind=list,
    caught=Exception,
    raises=False,
    returns=False,
):
    """`answer_batch` with other texts, other answers, or failures that go elsewhere."""

    def wrong(batch, predict):
        wanted = [(text, future) for text, future in batch if here(future)]
        if not wanted:
            return None
        try:
            if one_by_one:
                answers = [predict([text])[0] for text, _ in wanted]
            else:
                answers = predict(kind(text for text, _ in wanted))
        except caught as error:
            for _, future in wanted[: 1 if failing == "first" else None]:
                if failing == "none":
                    future.set_result(None)
                elif failing == "text":
                    future.set_result(f"{type(error).__name__}: {error}")
                elif failing == "other":
                    future.set_exception(RuntimeError(str(error)))
                elif failing != "nobody":
                    future.set_exception(error)
            if raises:
                raise
            return None
        for (_, future), answer in zip(wanted, order(answers), strict=True):
            future.set_result(answer)
        return answers if returns else None

    return wrong


def stays(future):
    """Whether a client is still there, as most people ask for it; they may leave a moment later."""
    return not future.cancelled()


def answer_one_by_one(here=lambda future: future.set_running_or_notify_cancel()):
    def wrong(batch, predict):
        for text, future in batch:
            if here(future):
                try:
                    future.set_result(predict([text])[0])
                except Exception as error:
                    future.set_exception(error)

    return wrong


def answer_each_text_once(batch, predict):
    wanted = {text: future for text, future in batch if future.set_running_or_notify_cancel()}
    answer_batch_running(wanted.items(), predict)


def answer_in_place(batch, predict):
    for pair in list(batch):
        if not pair[1].set_running_or_notify_cancel():
            batch.remove(pair)
    answer_batch_running(batch, predict)


def answer_batch_running(wanted, predict):
    """`answer_batch` for futures that are known to be running."""
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


def answer_who_is_still_there(batch, predict):
    """Looks a second time when the answers are there, and may still come too late."""
    wanted = [(text, future) for text, future in batch if not future.cancelled()]
    if not wanted:
        return
    try:
        answers = predict([text for text, _ in wanted])
    except Exception as error:
        for _, future in wanted:
            if not future.cancelled():
                future.set_exception(error)
        return
    for (_, future), answer in zip(wanted, answers, strict=True):
        if not future.cancelled():
            future.set_result(answer)


def deliver(batch, answers):
    """The answers, in order, to those of the batch who have not left."""
    for (_, future), answer in zip(batch, answers, strict=False):
        if future.cancelled():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def answer_the_cancelled_too(here=lambda future: future.set_running_or_notify_cancel()):
    def wrong(batch, predict):
        for _, future in batch:
            here(future)
        try:
            answers = predict([text for text, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        deliver(batch, answers)

    return wrong


def shift_after_cancelled(here=lambda future: future.set_running_or_notify_cancel()):
    def wrong(batch, predict):
        texts = [text for text, future in batch if here(future)]
        if not texts:
            return
        try:
            answers = predict(texts)
        except Exception as error:
            answers = [error] * len(batch)
        deliver(batch, answers)

    return wrong


exercise(
    "13.7",
    "To each their own answer",
    reference=answer_batch,
    use=answered,
    cases=[
        case("three texts", WAITING[:3], [], [], ""),
        case("one text", WAITING[:1], [], [], ""),
        case("the model fails", WAITING[:3], [], [], "ValueError"),
        case("one client has left", WAITING[:4], [1], [], ""),
        case("the first has left", WAITING[:3], [0], [], ""),
        case("all have left", WAITING[:2], [0, 1], [], ""),
        case("one has left, and the model fails", WAITING[:3], [2], [], "ValueError"),
        case("the model fails otherwise", WAITING[:2], [], [], "RuntimeError"),
        case("two clients with the same text", ["dull", "funny", "dull"], [], [], ""),
        case("one wants to leave while the model works", WAITING[:3], [], [0], ""),
        case("one wants to leave, and the model fails", WAITING[:3], [1], [0], "ValueError"),
    ],
    mistakes=[
        mistake(
            "The model is called once for each text. One call for the whole batch is what this is about.",
            answer_with(one_by_one=True),
            answer_with(here=stays, one_by_one=True),
            answer_one_by_one(),
            answer_one_by_one(stays),
        ),
        mistake(
            "The answers go to the wrong people: the first answer belongs to the first future.",
            answer_with(order=lambda answers: answers[::-1]),
            answer_with(here=stays, order=lambda answers: answers[::-1]),
        ),
        mistake(
            "After a client that left, everybody gets the next one's answer. Leave such texts out of the "
            "batch once, and use that list for texts and answers alike.",
            shift_after_cancelled(),
            shift_after_cancelled(stays),
        ),
        mistake(
            "Texts whose client has left are still put to the model; if all have left, it need not run.",
            answer_the_cancelled_too(),
            answer_the_cancelled_too(stays),
            answer_with(here=lambda future: True),
        ),
        mistake(
            "When the model fails, only the first client hears of it.",
            answer_with(failing="first"),
            answer_with(here=stays, failing="first"),
        ),
        mistake(
            "When the model fails, nobody hears of it: their futures are never done, and they wait for ever.",
            answer_with(failing="nobody"),
            answer_with(here=stays, failing="nobody"),
        ),
        mistake(
            "A failure is given as if it were an answer. `future.set_exception(error)` raises it where "
            "somebody waits.",
            answer_with(failing="none"),
            answer_with(here=stays, failing="none"),
            answer_with(failing="text"),
            answer_with(here=stays, failing="text"),
        ),
        mistake(
            "You set another exception than the one that `predict` raised, and its kind is lost.",
            answer_with(failing="other"),
            answer_with(here=stays, failing="other"),
        ),
        mistake(
            "`predict` may raise any `Exception`; what you do not catch ends the thread, and nobody is "
            "answered.",
            answer_with(caught=ValueError),
            answer_with(here=stays, caught=ValueError),
            answer_with(caught=RuntimeError),
            answer_with(here=stays, caught=RuntimeError),
        ),
        mistake(
            "The exception is raised once more: it would end the thread. It is for those who wait.",
            answer_with(raises=True),
            answer_with(here=stays, raises=True),
        ),
        mistake(
            "`answer` returns nothing: the futures hold the answers.",
            answer_with(returns=True),
            answer_with(here=stays, returns=True),
        ),
        mistake(
            "Two clients may ask for the same text, and each has a future: a dict by text keeps one of them.",
            answer_each_text_once,
        ),
        mistake(
            "`predict` takes a list of texts; give it no other kind.",
            answer_with(kind=tuple),
            answer_with(here=stays, kind=tuple),
        ),
        mistake("Your code changed the list `batch`: make a new one.", answer_in_place),
        mistake(
            "A client may also leave while the model works, after you looked at `cancelled()`; setting a "
            "future then raises, and those behind it get nothing. After `set_running_or_notify_cancel()` "
            "nobody can leave.",
            answer_with(here=stays),
            answer_who_is_still_there,
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
            self.open.set()
        self.batches.append(list(texts))
        return [text.upper() for text in texts]


SEEN = [
    "how many threads making one starts",
    "the first text goes to the model at once",
    "asking waits for no answer",
    "close comes back",
    "the outcomes after close",
    "the batches",
    "the model runs in another thread",
    "the thread has ended after close",
]


def batched(answer, texts, most, closes_early):
    """Ask for the first text; while the model has it, for the others; let it go, and close."""
    model, before = Gate(), set(threading.enumerate())
    batcher = answer(model, most, take, answer_batch)
    threads = set(threading.enumerate()) - before
    seen = {"how many threads making one starts": len(threads)}
    if len(threads) != 1:
        return _given_up(batcher, model, seen)
    futures = [batcher.ask(text) for text in texts[:1]]
    seen["the first text goes to the model at once"] = not texts or model.begun.wait(1)
    if not seen["the first text goes to the model at once"]:
        return _given_up(batcher, model, seen)
    seen["asking waits for no answer"] = not any(_answered(future) for future in futures)
    if not seen["asking waits for no answer"]:
        return _given_up(batcher, model, seen)
    futures += [batcher.ask(text) for text in texts[1:]]
    seen["asking waits for no answer"] = not any(_answered(future) for future in futures)
    if not seen["asking waits for no answer"]:
        return _given_up(batcher, model, seen)
    if closes_early:
        threading.Timer(0.2, model.open.set).start()
    else:
        model.open.set()
        _wait(futures)
    failed = []

    def end():
        try:
            batcher.close()
        except Exception as error:
            failed.append(error)

    # In a thread of its own: a `close` that waits for ever hears of no time limit.
    closing = threading.Thread(target=end, daemon=True)
    closing.start()
    closing.join(4)
    if failed:
        raise failed[0]
    seen["close comes back"] = not closing.is_alive()
    seen["the outcomes after close"] = [outcome(future) for future in futures]
    seen["the batches"] = list(model.batches)
    seen["the model runs in another thread"] = threading.get_ident() not in model.callers
    for thread in threads:
        thread.join(0.5)  # for an answer that did not wait; the outcomes above tell it
    seen["the thread has ended after close"] = not any(thread.is_alive() for thread in threads)
    return seen


def _answered(future):
    """Whether what `ask` gave is a future that is done, or the answer itself."""
    return isinstance(future, str) or future.done()


def _given_up(batcher, model, seen):
    """`seen`; the threads of a batcher that is wrong already are asked to end, and not waited for."""

    def end():
        with contextlib.suppress(Exception):
            batcher.close()

    model.open.set()
    threading.Thread(target=end, daemon=True).start()
    return dict.fromkeys(SEEN, "not tried") | seen


def _wait(futures):
    """Up to half a second; what is not done then is told by its outcome."""
    end = time.monotonic() + 0.5
    while not all(future.done() for future in futures) and time.monotonic() < end:
        time.sleep(0.005)


class AtOnce(MicroBatcher):
    """Whoever asks runs the model."""

    def ask(self, text):
        future = Future()
        self.answer([(text, future)], self.predict)
        return future


class NoThread(AtOnce):
    """No queue and no thread."""

    def __init__(self, predict, most, take, answer):
        self.predict, self.answer = predict, answer

    def close(self):
        pass


class LateThread(MicroBatcher):
    """Starts its thread when the first text comes."""

    def __init__(self, predict, most, take, answer):
        self.predict, self.most, self.take, self.answer = predict, most, take, answer
        self.waiting, self.thread = queue.Queue(), None

    def ask(self, text):
        if self.thread is None:
            self.thread = threading.Thread(target=self.work, daemon=True)
            self.thread.start()
        return super().ask(text)

    def close(self):
        if self.thread:
            super().close()


class TwoThreads(MicroBatcher):
    def __init__(self, predict, most, take, answer):
        super().__init__(predict, most, take, answer)
        self.second = threading.Thread(target=self.work, daemon=True)
        self.second.start()

    def close(self):
        self.waiting.put(None)
        super().close()


class NeverEnds(MicroBatcher):
    """Closing waits for the answers, and leaves the thread waiting for more."""

    def __init__(self, predict, most, take, answer):
        self.asked = []
        super().__init__(predict, most, take, answer)

    def ask(self, text):
        self.asked.append(super().ask(text))
        return self.asked[-1]

    def close(self):
        for future in self.asked:
            future.exception()
        last = threading.Timer(5, self.waiting.put, [None])  # a check leaves no thread behind for long
        last.daemon = True
        last.start()


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
        case("closed, and nobody asked", [], 4, False),
    ],
    mistakes=[
        mistake(
            "After making one, exactly one thread of it has to be running, before anybody asks.",
            NoThread,
            LateThread,
            TwoThreads,
        ),
        mistake(
            "The thread is still running after `close`: it has to end, also if nobody ever asked.",
            NeverEnds,
        ),
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


def roll_back_with(
    key=numbers, before=True, healthy=True, labels=lambda found, wanted: found == wanted, best=max
):
    """`roll_back` by another order, or with a condition left out."""

    def wrong(releases, bad, wanted):
        fit = [
            name
            for name, release in releases.items()
            if (key(name) < key(bad) if before else name != bad)
            and (release["healthy"] or not healthy)
            and labels(release["labels"], wanted)
        ]
        return best(fit, key=key, default=None)

    return wrong


def roll_back_the_bad_ones_labels(releases, bad, labels):
    return roll_back(releases, bad, releases[bad]["labels"])


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
    """{"1.2.0": {...}} of v1_2_0="+" (healthy, two labels), "-" (ill), or "+" with other labels.

    "3": three, "r": reversed, "m": one more at the end, "l": the last one missing.
    """
    labels = {"3": THREE, "r": TWO[::-1], "m": [*TWO, "unsure"], "l": TWO[:-1]}
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
        case("back over a major number", released(v1_9_0="+", v1_10_0="+", v2_0_0="-"), "2.0.0", TWO),
        case("the third number counts", released(v1_2_9="+", v1_2_10="+", v1_2_11="-"), "1.2.11", TWO),
        case("two majors", released(v2_1_0="+", v1_7_3="+", v2_0_5="-", v1_8_0="-"), "2.0.5", TWO),
        case("a hundred after 99", released(v1_99_0="+", v1_100_0="+", v2_0_0="-"), "2.0.0", TWO),
        case("a hundred on two places", released(v1_2_100="+", v1_3_0="+", v1_3_1="-"), "1.3.1", TWO),
        case("one label more", released(v1_0_0="+", v1_1_0="m", v1_2_0="-"), "1.2.0", TWO),
        case("one label fewer", released(v1_0_0="+", v1_1_0="l", v1_2_0="-"), "1.2.0", TWO),
        case("the bad one has other labels", released(v1_0_0="+", v1_1_0="3", v1_2_0="3"), "1.2.0", TWO),
    ],
    mistakes=[
        mistake(
            'Versions are compared as text: there "1.10.0" comes before "1.9.0". Compare their numbers.',
            roll_back_with(key=str),
        ),
        mistake(
            "A version is three numbers, compared one after another: the first decides, then the second, "
            "then the third. Keep them apart, however large they are.",
            roll_back_with(key=lambda version: int(version.replace(".", ""))),
            roll_back_with(key=lambda version: numbers(version)[:2]),
            roll_back_with(key=lambda version: numbers(version)[1:]),
            roll_back_with(key=lambda version: sum(n * 100**i for i, n in enumerate(numbers(version)[::-1]))),
            roll_back_with(key=lambda version: [part.zfill(2) for part in version.split(".")]),
        ),
        mistake(
            "One label more or fewer is another list: compare the whole lists.",
            roll_back_with(labels=lambda found, wanted: found[: len(wanted)] == wanted),
            roll_back_with(labels=lambda found, wanted: wanted[: len(found)] == found),
            roll_back_with(
                labels=lambda found, wanted: all(a == b for a, b in zip(wanted, found, strict=False))
            ),
        ),
        mistake(
            "Compare with the argument `labels`, which the clients expect; the bad release may have others.",
            roll_back_the_bad_ones_labels,
        ),
        mistake("A release that was not healthy is no way out.", roll_back_with(healthy=False)),
        mistake(
            "A release with other labels answers another question: its clients would break.",
            roll_back_with(labels=lambda found, wanted: True),
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


def doubling_with(after):
    """A client that keeps the next pause: `after(pause, wait)` gives (what it sleeps, the next pause)."""

    def wrong(ask, sleep, tries):
        pause = 1
        for attempt in range(tries):
            status, answer, wait = ask()
            if status < 500 or attempt == tries - 1:
                return status, answer
            slept, pause = after(pause, wait)
            sleep(slept)

    return wrong


def only_503_names_seconds(ask, sleep, tries):
    for attempt in range(tries):
        status, answer, wait = ask()
        if status < 500 or attempt == tries - 1:
            return status, answer
        sleep(wait if status == 503 and wait is not None else 2**attempt)


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
        case("a gateway that is down", script((502, "no answer", None), GOOD), 3),
        case("a long wait", script((503, "later", 30), BUSY, GOOD), 3),
        case(
            "some name seconds, some do not",
            script(BROKEN, (503, "", 5), BROKEN, (502, "", 3), BROKEN, BROKEN, GOOD),
            8,
        ),
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
            "500 is tried again too: only a status below 500 ends it.", patient_with(stops=lambda s: s <= 500)
        ),
        mistake(
            "If the service names seconds, take exactly these, even if they are fewer.",
            patient_with(pause=lambda attempt, wait: max(2**attempt, wait or 0)),
        ),
        mistake(
            "The third pause is 4 seconds whatever the second was: every request doubles it, also one after "
            "which the service named the seconds.",
            doubling_with(lambda pause, wait: (pause, 2 * pause) if wait is None else (wait, pause)),
        ),
        mistake(
            "The seconds that the service names hold for one pause; the others double from 1 as if it had "
            "said nothing.",
            doubling_with(lambda pause, wait: (pause, 2 * pause) if wait is None else (wait, 2 * wait)),
        ),
        mistake(
            "The pauses go on doubling: the card sets no upper limit.",
            patient_with(pause=lambda attempt, wait: min(2**attempt, 8) if wait is None else wait),
        ),
        mistake(
            "Whatever the status, seconds that the service names are obeyed, not with 503 alone.",
            only_503_names_seconds,
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
