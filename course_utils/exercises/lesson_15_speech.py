"""Exercises of lesson 15, speech: their references, inputs and typical mistakes."""

import itertools
import math
import re
import string

import numpy as np
import torch

from course_utils.checks.exercise import Draw, calls, case, exercise, forbid, mistake, shown


def numbers(draw, *shape):
    """A float64 NumPy array out of the standard normal distribution."""
    return draw.floats(*shape).double().numpy()


# 15.1 --------------------------------------------------------------------------------------------------


def alias(frequency, rate):
    left = frequency % rate
    return float(min(left, rate - left))  # a float, so that others are compared with a tolerance


exercise(
    "15.1",
    "Where a tone comes back",
    reference=alias,
    returns="the frequency",
    cases=[
        case("above the Nyquist frequency", 10_000, 16_000),
        case("below it", 5_000, 16_000),
        case("just at it", 8_000, 16_000),
        case("above the rate", 17_000, 16_000),
        case("one and a half turns and more", 27_500, 16_000),
        case("many turns", 100_100, 8_000),
        case("the rate itself", 16_000, 16_000),
        case("nothing", 0, 16_000),
        case("a CD", 30_000, 44_100),
        case("no whole number", 440.5, 600.0),
        case("just below half of an odd rate", 5512.3, 11_025),
    ],
    rtol=0,
    atol=1e-6,
    mistakes=[
        mistake(
            "The whole turns are off, but what is left above half the rate has to be mirrored: it "
            "comes back as "
            "rate minus it.",
            lambda f, r: f % r,
        ),
        mistake(
            "You hold the frequency at half the rate. A fast tone does not stop there: it is "
            "mirrored and comes "
            "down again.",
            lambda f, r: min(f, r / 2),
            lambda f, r: min(f, r // 2),
        ),
        mistake(
            "Every tone comes out as rate minus frequency, those below half the rate too. They stay "
            "as they are.",
            lambda f, r: r - f,
            lambda f, r: abs(r - f),
            lambda f, r: r - f % r,
        ),
        mistake(
            "You mirror once. A tone above the rate itself makes whole turns between two samples: "
            "take those off "
            "first, with %.",
            lambda f, r: r - f if f > r / 2 else f,
            lambda f, r: abs(r - f) if f > r / 2 else f,
            lambda f, r: min(f, r - f),
            lambda f, r: min(f, abs(r - f)),
        ),
        mistake(
            "That starts again at 0 above half the rate. It is mirrored instead: 8,001 Hz comes back "
            "as 7,999.",
            lambda f, r: f % (r / 2),
            lambda f, r: f % (r // 2),
        ),
        mistake("That is the frequency that went in; above half the rate it cannot stay.", lambda f, r: f),
        mistake(
            "Half of an odd rate is no whole number: divide with /, not with //.",
            lambda f, r: f % r if f % r <= r // 2 else r - f % r,
        ),
        mistake(
            "You mirror at the rate what should be mirrored at half of it.",
            lambda f, r: abs(f % r - r / 2),
        ),
        mistake(
            "A frequency is no negative number here: mirrored, it is rate minus what is left.",
            lambda f, r: (f + r / 2) % r - r / 2,
            lambda f, r: f % r if f % r <= r / 2 else f % r - r,
            lambda f, r: f - r * round(f / r),
        ),
    ],
)

# 15.2 --------------------------------------------------------------------------------------------------

draw = Draw("15.2")


def frames(samples, length, step):
    starts = np.arange(0, len(samples) - length + 1, step)
    return samples[starts[:, None] + np.arange(length)]


def frames_padded(samples, length, step):
    count = max(1, math.ceil((len(samples) - length) / step) + 1)
    return frames(np.pad(samples, (0, (count - 1) * step + length - len(samples))), length, step)


def frames_every_start_padded(samples, length, step):
    return frames(np.pad(samples, (0, length)), length, step)[: math.ceil(len(samples) / step)]


exercise(
    "15.2",
    "Cut into frames",
    reference=frames,
    returns="the frames",
    cases=[
        case("six numbers", np.arange(6), 4, 2),
        case("overlap of more than half", numbers(draw, 50), 20, 7),
        case("a last frame that is not full", numbers(draw, 31), 8, 4),
        case("the last frame just fits", numbers(draw, 32), 8, 4),
        case("exactly one frame", numbers(draw, 9), 9, 3),
        case("too short", numbers(draw, 5), 9, 3),
        case("one sample too short", numbers(draw, 8), 9, 3),
        case("frames with gaps", numbers(draw, 40), 4, 10),
        case("float32", draw.floats(25).numpy(), 6, 5),
        case("step 1", numbers(draw, 7), 3, 1),
    ],
    mistakes=[
        mistake(
            "Your frames lie end to end. A new one begins every `step` samples, so they overlap.",
            lambda x, n, step: frames(x, n, n),
            lambda x, n, step: x[: len(x) // n * n].reshape(-1, n),
        ),
        mistake(
            "The last frame is missing. If a frame just fits, it counts: the last start is "
            "len(samples) - length.",
            lambda x, n, step: x[np.arange(0, len(x) - n, step)[:, None] + np.arange(n)],
            lambda x, n, step: frames(x, n, step)[: max(0, (len(x) - n) // step)],
        ),
        mistake(
            "There are frames that are filled up with zeros at the end. Leave out what is not full.",
            frames_padded,
            frames_every_start_padded,
        ),
        mistake(
            "Frames are the columns of your result. A frame is a row: (count, length).",
            lambda x, n, step: frames(x, n, step).T,
        ),
        mistake(
            "Length and step are swapped: `step` samples are taken every `length`.",
            lambda x, n, step: frames(x, step, n),
        ),
        mistake(
            "There is a frame at every sample. One begins every `step` samples.",
            lambda x, n, step: frames(x, n, 1),
        ),
        mistake(
            "Within a frame the samples stand side by side, and you take every `step`-th of them.",
            lambda x, n, step: x[np.arange(max(0, len(x) - (n - 1) * step))[:, None] + step * np.arange(n)],
        ),
        mistake(
            "Your last frame begins at the end of the sound and goes back, out of step with the others.",
            lambda x, n, step: (
                np.concatenate([frames(x, n, step), x[None, len(x) - n :]])
                if len(x) >= n and (len(x) - n) % step
                else frames(x, n, step)
            ),
        ),
        mistake(
            "Your frames have their middle at samples 0, step, …, with the sound mirrored at its "
            "ends. That is "
            "Whisper's padding, and comes later; here frame 0 begins at sample 0.",
            lambda x, n, step: frames(np.pad(x, n // 2, mode="reflect"), n, step) if len(x) > n // 2 else x,
            lambda x, n, step: frames(np.pad(x, n // 2), n, step),
        ),
    ],
)

# 15.3 --------------------------------------------------------------------------------------------------

draw = Draw("15.3")


def hann(length):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def power(cut):
    return np.abs(np.fft.rfft(cut * hann(cut.shape[1]))) ** 2


def power_with(window=hann, end=lambda spectrum: np.abs(spectrum) ** 2, transform=np.fft.rfft):
    """`power` with another window, another transform or another ending."""
    return lambda cut: end(transform(cut * window(cut.shape[1])))


def power_in_place(cut):
    cut *= hann(cut.shape[1])
    return np.abs(np.fft.rfft(cut)) ** 2


exercise(
    "15.3",
    "Window and power",
    reference=power,
    returns="the powers",
    cases=[
        case("four ones", np.ones((1, 4))),
        case("three frames of ten", numbers(draw, 3, 10)),
        case("Whisper's length", numbers(draw, 2, 400)),
        case("as many frames as samples", numbers(draw, 8, 8)),
        case("loud and quiet", numbers(draw, 4, 16) * np.array([[100.0], [1.0], [0.01], [0.0]])),
    ],
    atol=1e-7,
    mistakes=[
        mistake("The window is missing: hard edges put power everywhere.", power_with(window=np.ones)),
        mistake(
            "Your window is 0 at both ends (`np.hanning`, or a division by length - 1). Divide by "
            "the length: the "
            "last weight is then not 0.",
            power_with(window=np.hanning),
        ),
        mistake(
            "That is Hamming's window, which does not fall to 0. Hann's is ½ - ½ cos.",
            power_with(window=np.hamming),
            power_with(window=lambda n: 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n) / n)),
        ),
        mistake(
            "The absolute value is the amplitude. Power is its square.",
            power_with(end=np.abs),
        ),
        mistake(
            "All frequencies are there, and the upper half mirrors the lower. `rfft` gives each once.",
            power_with(transform=np.fft.fft),
        ),
        mistake(
            "You square the complex number. Power is the square of its absolute value: real² + imaginary².",
            power_with(end=lambda x: (x**2).real),
            power_with(end=lambda x: np.abs((x**2).real)),
        ),
        mistake(
            "Only the real part is squared; the sine's share, the imaginary part, is lost.",
            power_with(end=lambda x: x.real**2),
        ),
        mistake(
            "The window is a cosine turned over: it is largest at the edges. It is ½ minus ½ cos.",
            power_with(window=lambda n: 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(n) / n)),
        ),
        mistake(
            "You divide by the length. The lesson's power is not divided.",
            lambda cut: power(cut) / cut.shape[1],
            lambda cut: power(cut) / cut.shape[1] ** 2,
        ),
        mistake(
            "The transform runs down the frames, over their first samples, then their second. It belongs on "
            "the last dimension.",
            power_with(transform=lambda x: np.fft.rfft(x, axis=0)),
        ),
        mistake(
            "There is a logarithm, which comes later; the power itself is asked for.",
            power_with(end=lambda x: np.log10(np.maximum(np.abs(x) ** 2, 1e-10))),
        ),
        mistake(
            "You changed the frames that were given: `cut *= …` works in place. Write `cut * …`.",
            power_in_place,
        ),
    ],
)

# 15.4 --------------------------------------------------------------------------------------------------

draw = Draw("15.4")


def mel_filters(hertz, edges):
    left, top, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    up, down = (hertz - left) / (top - left), (right - hertz) / (right - top)
    return np.maximum(0, np.minimum(up, down)) * 2 / (right - left)


def filters_with(join=np.minimum, clip=True, scale=lambda left, top, right: 2 / (right - left), end=None):
    """`mel_filters` with another way to join the two lines, without the clip, or of another height."""

    def wrong(hertz, edges):
        left, top, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        weights = join((hertz - left) / (top - left), (right - hertz) / (right - top))
        weights = (np.maximum(0, weights) if clip else weights) * scale(left, top, right)
        return end(weights) if end else weights

    return wrong


def filters_side_by_side(hertz, edges):
    shifted = np.stack([edges[:-2:2], edges[1:-1:2], edges[2::2]]) if len(edges) % 2 else None
    return (
        mel_filters(hertz, edges)
        if shifted is None
        else np.concatenate([mel_filters(hertz, e) for e in shifted.T])
    )


exercise(
    "15.4",
    "Mel filters",
    reference=mel_filters,
    returns="the weights",
    cases=[
        case("one triangle", np.array([0.0, 5.0, 10.0, 15.0, 30.0]), np.array([0.0, 10.0, 20.0])),
        case("widths that grow", np.linspace(0, 100, 41), np.array([0.0, 10.0, 22.0, 40.0, 70.0, 95.0])),
        case("a lopsided triangle", np.linspace(0, 12, 13), np.array([1.0, 2.5, 9.0])),
        case(
            "does not begin at 0", np.linspace(0, 8000, 21), np.array([300.0, 900.0, 2000.0, 5000.0, 7900.0])
        ),
        case(
            "as many filters as frequencies", np.linspace(0, 6, 4), np.array([0.0, 1.0, 2.5, 3.0, 4.5, 6.0])
        ),
        case(
            "a filter between two frequencies", np.array([0.0, 10.0, 20.0]), np.array([1.0, 3.0, 6.0, 15.0])
        ),
        case("frequencies on edges", np.array([2.0, 4.0, 8.0]), np.array([2.0, 4.0, 8.0])),
    ],
    atol=1e-9,
    mistakes=[
        mistake(
            "Every top is 1. Lower each triangle to 2 / (right - left), so that its area is 1.",
            filters_with(scale=lambda left, top, right: 1.0),
        ),
        mistake(
            "The tops are 1 / width: the area of a triangle is *half* its width times its height.",
            filters_with(scale=lambda left, top, right: 1 / (right - left)),
        ),
        mistake(
            "Outside their triangle your weights are negative. They are 0 there: take the maximum with 0.",
            filters_with(clip=False),
        ),
        mistake(
            "You join the two lines by their maximum. The triangle is below both: the minimum.",
            filters_with(join=np.maximum),
        ),
        mistake(
            "The two lines are multiplied or added. The triangle is the lower one of them at each frequency.",
            filters_with(join=np.multiply),
            filters_with(join=np.add),
            filters_with(join=lambda up, down: np.maximum(0, up) * np.maximum(0, down)),
        ),
        mistake(
            "Each row is divided by the sum of its weights. The area over *hertz* is to be 1, so "
            "divide by half the "
            "width, whatever frequencies there are.",
            filters_with(
                scale=lambda left, top, right: 1.0,
                end=lambda w: w / np.maximum(w.sum(axis=1, keepdims=True), 1e-12),
            ),
        ),
        mistake(
            "Filters are the columns of your result. Each is a row: (m, bins).",
            lambda hertz, edges: mel_filters(hertz, edges).T,
        ),
        mistake(
            "Only the rising side is there.",
            filters_with(join=lambda up, down: np.where(up <= 1, up, 0)),
        ),
        mistake(
            "Only the falling side is there.",
            filters_with(join=lambda up, down: np.where(down <= 1, down, 0)),
        ),
        mistake(
            "Within its edges your filter is flat. It rises to its top and falls again.",
            filters_with(join=lambda up, down: ((up > 0) & (down > 0)).astype(float)),
            filters_with(
                join=lambda up, down: ((up >= 0) & (down >= 0)).astype(float),
                scale=lambda left, top, right: 1 / (right - left),
            ),
        ),
        mistake(
            "The height uses the distance from an edge to the top, not the whole width from left to right.",
            filters_with(scale=lambda left, top, right: 2 / (right - top)),
            filters_with(scale=lambda left, top, right: 2 / (top - left)),
        ),
        mistake(
            "Your top stands in the middle between left and right. It stands at `edges[j + 1]`, "
            "wherever that is.",
            lambda hertz, edges: np.stack(
                [
                    mel_filters(hertz, np.array([a, (a + b) / 2, b]))[0]
                    for a, b in zip(edges, edges[2:], strict=False)
                ]
            ),
        ),
    ],
)

# 15.5 --------------------------------------------------------------------------------------------------

draw = Draw("15.5")


def log_mel(powers, filters):
    logs = np.log10(np.maximum(filters @ powers.T, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def log_mel_with(
    log=np.log10, floor=lambda logs: logs.max() - 8, least=1e-10, end=lambda x: (x + 4) / 4, sums=None
):
    """`log_mel` with another logarithm, floor or ending."""

    def wrong(powers, filters):
        mel = sums(powers, filters) if sums else filters @ powers.T
        logs = log(np.maximum(mel, least))
        return end(np.maximum(logs, floor(logs)))

    return wrong


def log_mel_added(powers, filters):
    logs = np.log10(filters @ powers.T + 1e-10)
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def loud(draw, frames, bins):
    """Powers over many sizes."""
    return 10.0 ** (2.5 * numbers(draw, frames, bins))


exercise(
    "15.5",
    "The logarithm, as Whisper takes it",
    reference=log_mel,
    returns="the numbers",
    cases=[
        case("logarithms 2, -1 and -9", np.array([[100.0], [0.1], [1e-9]]), np.ones((1, 1))),
        case("five frames", loud(draw, 5, 6), np.abs(numbers(draw, 3, 6))),
        case("as many frames as filters", loud(draw, 4, 4), np.abs(numbers(draw, 4, 4))),
        case("a loud and a silent frame", np.array([[1e6, 1e5], [1e-9, 1e-8], [0.0, 0.0]]), np.eye(2)),
        case("silence", np.zeros((3, 2)), np.eye(2)),
        case("nearly silence", np.array([[3e-10, 1e-11]]), np.eye(2)),
        case("a quiet filter", np.array([[1e4, 1e-7], [1e3, 1e-6]]), np.eye(2)),
        case("silence under a low filter", np.zeros((3, 2)), np.array([[0.02, 0.01]])),
        case("very loud and silent", np.array([[1e25], [0.0]]), np.ones((1, 1))),
    ],
    atol=1e-7,
    mistakes=[
        mistake(
            "That is the natural logarithm. Whisper takes it to the base 10.",
            log_mel_with(log=np.log),
        ),
        mistake(
            "Those are decibels, ten times the logarithm. Whisper takes the logarithm itself.",
            log_mel_with(log=lambda x: 10 * np.log10(x)),
            log_mel_with(log=lambda x: 10 * np.log10(x), floor=lambda logs: logs.max() - 80),
        ),
        mistake(
            "The floor is missing: nothing may be more than 8 below the largest.",
            log_mel_with(floor=lambda logs: logs),
        ),
        mistake(
            "Your floor comes after the division by 4: 8 is then four times too far.",
            log_mel_with(floor=lambda logs: logs.max() - 32),
        ),
        mistake(
            "The least is set on the powers. It is the least of each *weighted sum*.",
            log_mel_with(sums=lambda powers, filters: filters @ np.maximum(powers, 1e-10).T, least=0),
        ),
        mistake(
            "Each frame has its own largest number in your result. One, of the whole array, counts for all.",
            log_mel_with(floor=lambda logs: logs.max(axis=0, keepdims=True) - 8),
        ),
        mistake(
            "Each filter has its own largest number in your result. One, of the whole array, counts for all.",
            log_mel_with(floor=lambda logs: logs.max(axis=1, keepdims=True) - 8),
        ),
        mistake(
            "Your floor is -8. It is 8 below the largest number there is.",
            log_mel_with(floor=lambda logs: -8.0),
        ),
        mistake(
            "The end is missing: add 4 and divide by 4.",
            log_mel_with(end=lambda x: x),
        ),
        mistake(
            "First add 4, then divide by 4: (x + 4) / 4 is not x + 4 / 4.",
            log_mel_with(end=lambda x: x + 1),
            log_mel_with(end=lambda x: x / 4 + 4),
        ),
        mistake(
            "You divide by 4 and do not add, or add and do not divide. Whisper does both.",
            log_mel_with(end=lambda x: x / 4),
            log_mel_with(end=lambda x: x + 4),
        ),
        mistake(
            "Frames are the rows of your result, and filters should be: (m, count).",
            lambda powers, filters: log_mel(powers, filters).T,
        ),
        mistake(
            "10⁻¹⁰ is added to every sum. It is the least that a sum may be: np.maximum.",
            log_mel_added,
        ),
        mistake(
            "The largest is taken off, so that it is 0. Only the floor depends on it.",
            log_mel_with(end=lambda x: (x - x.max() + 4) / 4),
        ),
    ],
)

# 15.6 --------------------------------------------------------------------------------------------------

draw = Draw("15.6")


def greedy(logits_of, start, end, suppressed, most):
    ids = list(start)
    for _ in range(most):
        logits = logits_of(ids).clone()
        logits[suppressed] = -torch.inf
        ids.append(logits.argmax().item())
        if ids[-1] == end:
            break
    return ids


def walk(table):
    """Logits that depend on the last id and on how many there are: row (last + count) of a table."""
    return lambda ids: table[(ids[-1] + len(ids)) % len(table)]


def counts_up(ids):
    """The best id is one more than the last, of 10."""
    return -(torch.arange(10.0) - ids[-1] - 1).abs()


def greedy_with(
    pick=lambda logits: logits.argmax().item(),
    seen=lambda ids: ids,
    hide=True,
    fill=-torch.inf,
    stop=True,
    whole=False,
):
    """`greedy` with another choice, another view of the ids, or without one of its rules."""

    def wrong(logits_of, start, end, suppressed, most):
        ids = list(start)
        while len(ids) < (most if whole else most + len(start)):
            logits = logits_of(seen(ids)).clone()
            if hide:
                logits[suppressed] = fill
            ids.append(pick(logits))
            if stop and ids[-1] == end:
                break
        return ids

    return wrong


def greedy_ends_in_the_start(logits_of, start, end, suppressed, most):
    return list(start) if start[-1] == end else greedy(logits_of, start, end, suppressed, most)


def greedy_hides_at_the_least(logits_of, start, end, suppressed, most):
    def hidden(ids):
        logits = logits_of(ids).clone()
        logits[suppressed] = logits.min()
        return logits

    return greedy(hidden, start, end, [], most)


def greedy_one_more(logits_of, start, end, suppressed, most):
    return greedy(logits_of, start, end, suppressed, most + 1)


def greedy_stops_when_suppressed(logits_of, start, end, suppressed, most):
    ids = list(start)
    for _ in range(most):
        best = logits_of(ids).argmax().item()
        if best in suppressed:
            break
        ids.append(best)
        if best == end:
            break
    return ids


def greedy_skips(logits_of, start, end, suppressed, most):
    ids = list(start)
    for _ in range(most):
        best = logits_of(ids).argmax().item()
        if best in suppressed:
            continue
        ids.append(best)
        if best == end:
            break
    return ids


def greedy_in_place(logits_of, start, end, suppressed, most):
    for _ in range(most):
        logits = logits_of(start).clone()
        logits[suppressed] = -torch.inf
        start.append(logits.argmax().item())
        if start[-1] == end:
            break
    return start


def greedy_spoils(logits_of, start, end, suppressed, most):
    ids = list(start)
    for _ in range(most):
        logits = logits_of(ids)
        logits[suppressed] = -torch.inf
        ids.append(logits.argmax().item())
        if ids[-1] == end:
            break
    return ids


def use_greedy(answer, logits_of, start, end, suppressed, most):
    """The ids, and what became of the list and of the logits that were given."""
    given, untouched = list(start), []

    def watched(ids):
        logits = logits_of(list(ids)).clone()
        untouched.append((logits, logits.clone()))
        return logits

    ids = answer(watched, given, end, suppressed, most)
    return {
        "the ids": ids,
        "the list start afterwards": given,
        "the logits stay as they are": all(torch.equal(*pair) for pair in untouched),
        "the number of calls": len(untouched),
    }


tables = [draw.floats(23, 12) for _ in range(4)]
exercise(
    "15.6",
    "Greedy decoding",
    reference=greedy,
    use=use_greedy,
    cases=[
        case("counts up", shown("counts_up", counts_up), [3], 6, [], 10),
        case("never ends", shown("walk(tables[0])", walk(tables[0])), [1, 2], 99, [], 8),
        case("some are suppressed", shown("walk(tables[1])", walk(tables[1])), [5], 99, [0, 3, 4, 7], 9),
        case("ends early", shown("counts_up", counts_up), [0, 1], 2, [9], 5),
        case("the best would be suppressed", shown("counts_up", counts_up), [3], 7, [5], 10),
        case(
            "suppressed, all logits negative",
            shown("walk(tables[2] - 20)", walk(tables[2] - 20)),
            [4, 4, 4],
            99,
            [1, 2, 8],
            6,
        ),
        case("one only", shown("walk(tables[3])", walk(tables[3])), [2], 99, [6], 1),
        case("a long start", shown("walk(tables[3])", walk(tables[3])), [1, 2, 3, 4, 5, 6], 99, [], 4),
        case("the end stands in the start", shown("counts_up", counts_up), [6, 2], 6, [], 10),
        case("the start ends with the end", shown("counts_up", counts_up), [3, 6], 6, [], 4),
        case("one id only is allowed", shown("counts_up", counts_up), [0], 99, list(range(9)), 3),
        case(
            "all logits far below zero",
            shown("walk(tables[2] - 2000)", walk(tables[2] - 2000)),
            [4],
            99,
            [1, 2, 8],
            6,
        ),
        case(
            "suppressed ids are huge",
            shown("walk(tables[0] + 50 * hidden)", walk(tables[0] + 50.0 * (torch.arange(12) < 4))),
            [7],
            99,
            [0, 1, 2, 3],
            7,
        ),
    ],
    mistakes=[
        mistake(
            "The end is missing from your list. It belongs to it, once it was chosen.",
            lambda f, start, end, hidden, most: [
                i for n, i in enumerate(greedy(f, start, end, hidden, most)) if n < len(start) or i != end
            ],
        ),
        mistake(
            "Your list lacks the start: all ids are asked for.",
            lambda f, start, end, hidden, most: greedy(f, start, end, hidden, most)[len(start) :],
        ),
        mistake(
            "Ids of `suppressed` are in it. Give their logits -∞ before the largest is looked for.",
            greedy_with(hide=False),
        ),
        mistake(
            "A suppressed logit of 0 is still the largest where all others are negative. Use -∞.",
            greedy_with(fill=0.0),
        ),
        mistake(
            "What you write in place of a suppressed logit can still be the largest. Use -∞.",
            greedy_with(fill=-100.0),
            greedy_with(fill=-1000.0),
            greedy_hides_at_the_least,
        ),
        mistake(
            "An `end` that stands last in `start` ends nothing: only one that was added does.",
            greedy_ends_in_the_start,
        ),
        mistake("You go on after the end was chosen. Stop there.", greedy_with(stop=False)),
        mistake(
            "`most` counts what is added; you count the start, too.",
            greedy_with(whole=True),
        ),
        mistake("One id too many is added.", greedy_one_more),
        mistake(
            "`logits_of` is handed only the last id. It needs all so far.",
            greedy_with(seen=lambda ids: ids[-1:]),
        ),
        mistake(
            "`logits_of` is handed the same ids each time. Hand it the list with what was added.",
            lambda f, start, end, hidden, most: greedy(lambda ids: f(start), start, end, hidden, most),
        ),
        mistake(
            "You take the smallest logit; the largest is the most likely.",
            greedy_with(
                pick=lambda logits: logits.masked_fill(logits == -torch.inf, torch.inf).argmin().item()
            ),
        ),
        mistake(
            "You stop where the best id is a suppressed one. Take the best of the others.",
            greedy_stops_when_suppressed,
        ),
        mistake(
            "Where the best id is a suppressed one you add nothing, and ask for the same again. Take "
            "the best of the "
            "others.",
            greedy_skips,
        ),
        mistake("You append to the list that you were given. Copy it first: list(start).", greedy_in_place),
        mistake(
            "You wrote -∞ into the logits that you were given. Clone them first.",
            greedy_spoils,
        ),
    ],
)

# 15.7 --------------------------------------------------------------------------------------------------

draw = Draw("15.7")


def edits(truth, heard):
    above = list(range(len(heard) + 1))
    for i, word in enumerate(truth):
        row = [i + 1]
        for j, other in enumerate(heard):
            row.append(min(above[j] + (word != other), above[j + 1] + 1, row[j] + 1))
        above = row
    return above[-1]


def edits_with(swap=1, delete=1, insert=1, column=True, top=True):
    """`edits` with other costs, or without the first column or row."""

    def wrong(truth, heard):
        above = [insert * j if top else 0 for j in range(len(heard) + 1)]
        for i, word in enumerate(truth):
            row = [delete * (i + 1) if column else 0]
            for j, other in enumerate(heard):
                row.append(min(above[j] + swap * (word != other), above[j + 1] + delete, row[j] + insert))
            above = row
        return above[-1]

    return wrong


def edits_by_identity(truth, heard):
    above = list(range(len(heard) + 1))
    for i, word in enumerate(truth):
        row = [i + 1]
        for j, other in enumerate(heard):
            row.append(min(above[j] + (word is not other), above[j + 1] + 1, row[j] + 1))
        above = row
    return above[-1]


def place_by_place(truth, heard):
    return sum(a != b for a, b in zip(truth, heard, strict=False))


def drawn_words(draw, count, kinds=4):
    return [("it", "was", "the", "best", "worst", "age")[i] for i in draw.integers(kinds, count).tolist()]


def greedy_edits(truth, heard):
    """Walks along both lists and looks one word ahead only."""
    i = j = count = 0
    while i < len(truth) and j < len(heard):
        if truth[i] == heard[j]:
            i, j = i + 1, j + 1
            continue
        count += 1
        if i + 1 < len(truth) and truth[i + 1] == heard[j]:
            i += 1
        elif j + 1 < len(heard) and truth[i] == heard[j + 1]:
            j += 1
        else:
            i, j = i + 1, j + 1
    return count + len(truth) - i + len(heard) - j


exercise(
    "15.7",
    "Count the edits",
    reference=edits,
    returns="the number of edits",
    cases=[
        case("two cups", ["two", "cups", "of", "coffee"], ["two", "cup", "coffee"]),
        case("equal", ["it", "was", "the", "best"], ["it", "was", "the", "best"]),
        case("one word more in front", ["it", "was", "the", "best"], ["so", "it", "was", "the", "best"]),
        case("nothing heard", ["it", "was"], []),
        case("nothing said", [], ["it", "was", "it"]),
        case("nothing at all", [], []),
        case("two words changed places", ["it", "was", "the"], ["was", "it", "the"]),
        case("all other", ["a", "b", "c"], ["x", "y", "z", "u", "v"]),
        case("the same words, other order", ["a", "b", "c", "d", "a"], ["d", "c", "a", "b", "a"]),
        *[case(f"random {i}", drawn_words(draw, 6 + i), drawn_words(draw, 11 - i)) for i in range(5)],
        case("capitals differ", ["It", "was"], ["it", "was"]),
        case("equal, and other objects", ["it", "was"], ["".join("it"), "".join("was")]),
        case("words in one another", ["a", "cat"], ["cat", "category"]),
        case("much more heard than said", ["stop"], ["please", "do", "stop", "now", "and", "here"]),
    ],
    mistakes=[
        mistake(
            "You compare place by place. One word more at the beginning, and all others count as "
            "wrong; find the "
            "cheapest way with the table.",
            place_by_place,
            lambda a, b: place_by_place(a, b) + abs(len(a) - len(b)),
        ),
        mistake(
            "A substitution costs 2 in your count (one deleted, one inserted). It is one edit.",
            edits_with(swap=2),
        ),
        mistake(
            "The first column is 0: words missing at the beginning cost nothing. It counts 0, 1, 2 … "
            "deletions.",
            edits_with(column=False),
        ),
        mistake(
            "The first row is 0: words too many at the beginning cost nothing. It counts 0, 1, 2 … "
            "insertions.",
            edits_with(top=False),
        ),
        mistake(
            "The first row and column are 0. They count 0, 1, 2 … edits from nothing.",
            edits_with(top=False, column=False),
        ),
        mistake(
            "Insertions cost nothing in your count: what was heard too much counts as well.",
            edits_with(insert=0),
        ),
        mistake(
            "Deletions cost nothing in your count: what was not heard counts as well.", edits_with(delete=0)
        ),
        mistake(
            "Words are looked up as in a bag, without their order.",
            lambda a, b: sum(word not in b for word in a),
            lambda a, b: len(set(a) ^ set(b)),
            lambda a, b: len(set(a) - set(b)),
        ),
        mistake(
            "You count edits of letters. The unit is a word.",
            lambda a, b: edits(list(" ".join(a)), list(" ".join(b))),
            lambda a, b: edits(list("".join(a)), list("".join(b))),
        ),
        mistake(
            "That is the rate. The number of edits is asked for.",
            lambda a, b: edits(a, b) / max(1, len(a)),
        ),
        mistake(
            "You walk along both lists and decide at once. The cheapest way may begin with a step "
            "that looks worse: "
            "keep all, in a table.",
            greedy_edits,
        ),
        mistake(
            "That is only the difference in length; words may be wrong as well.",
            lambda a, b: abs(len(a) - len(b)),
        ),
        mistake(
            "You compare with `is`. Two equal strings need not be one object: use == or !=.",
            edits_by_identity,
        ),
        mistake(
            "Capitals make a different word here; normalising comes before.",
            lambda a, b: edits([w.lower() for w in a], [w.lower() for w in b]),
        ),
    ],
)

# 15.8 --------------------------------------------------------------------------------------------------

draw = Draw("15.8")


def collapse(path, blank):
    return [now for now, _ in itertools.groupby(path) if now != blank]


def collapse_after(before):
    """`collapse` that takes `before` for what stands in front of the first class."""

    def wrong(path, blank):
        return [now for now, last in zip(path, [before, *path], strict=False) if now not in (last, blank)]

    return wrong


exercise(
    "15.8",
    "From a path to a text",
    reference=collapse,
    returns="the text",
    cases=[
        case("a blank between", [0, 7, 7, 0, 7, 3], 0),
        case("nothing but blanks", [0, 0, 0], 0),
        case("no blanks", [1, 1, 2, 2, 2, 1], 0),
        case("empty", [], 0),
        case("another blank", [4, 4, 9, 4, 0, 0, 9, 0], 9),
        case("the blank is the last class", [2, 3, 3, 2, 2, 3, 1, 1], 3),
        case("one", [5], 0),
        case("ends in a repeat", [1, 0, 1, 1], 0),
        case("begins with 0, which is no blank", [0, 0, 9, 1], 9),
        *[case(f"random {i}", draw.integers(3, 12).tolist(), i) for i in range(3)],
    ],
    mistakes=[
        mistake(
            "You take out the blanks first. Then equal letters that a blank kept apart are merged: "
            "repeats first.",
            lambda path, blank: [now for now, _ in itertools.groupby(i for i in path if i != blank)],
        ),
        mistake(
            "The repeats are still there: neighbours that are equal become one.",
            lambda path, blank: [i for i in path if i != blank],
        ),
        mistake(
            "The blanks are still there: take them out after the repeats.",
            lambda path, blank: [i for i, _ in itertools.groupby(path)],
        ),
        mistake(
            "Each class is left once. Only *neighbours* that are equal become one.",
            lambda path, blank: list(dict.fromkeys(i for i in path if i != blank)),
            lambda path, blank: sorted(set(path) - {blank}),
        ),
        mistake(
            "The blank is 0 in your answer, whatever `blank` says.",
            lambda path, blank: collapse(path, 0),
        ),
        mistake(
            "Letters that are repeated vanish altogether. One of each run stays.",
            lambda path, blank: [
                i for i, run in itertools.groupby(path) if i != blank and len(list(run)) == 1
            ],
        ),
        mistake(
            "The first class is lost: it has no neighbour before it, and stays.",
            lambda path, blank: [b for a, b in itertools.pairwise(path) if a != b and b != blank],
        ),
        mistake(
            "Your first class is lost if it is 0: nothing stands before it.",
            collapse_after(0),
        ),
        mistake(
            "The last class is lost: it has no neighbour after it, and stays.",
            lambda path, blank: [a for a, b in itertools.pairwise(path) if a != b and a != blank],
        ),
    ],
)

# 15.9 --------------------------------------------------------------------------------------------------

draw = Draw("15.9")


def ctc(logs, target, blank):
    return ctc_with()(logs, target, blank)


def ctc_with(
    skips=lambda z, before, blank: z != blank and z != before,
    first=2,
    last=2,
    read=lambda logs: logs.exp().tolist(),
    end=lambda likely, frames, letters: -math.log(likely) if likely > 0 else math.inf,
    stays=True,
    zero=False,
    framed=True,
):
    """The forward algorithm with another rule for skips, another beginning or end."""

    def answer(logs, target, blank):
        blank = 0 if zero else blank
        places = [blank] if framed else []
        for letter in target:
            places += [letter, blank] if framed else [letter]
        rows = read(logs)
        alpha = [rows[0][z] if s < first else 0.0 for s, z in enumerate(places)]
        for row in rows[1:]:
            new = []
            for s, z in enumerate(places):
                total = alpha[s] if stays else 0.0
                total += alpha[s - 1] if s >= 1 else 0.0
                if framed and s >= 2 and skips(z, places[s - 2], blank):
                    total += alpha[s - 2]
                new.append(total * row[z])
            alpha = new
        likely = sum(alpha[-last:]) if last else alpha[-2] if len(alpha) > 1 else alpha[-1]
        return end(likely, len(rows), len(target))

    return answer


def ctc_best_path(logs, target, blank):
    paths = itertools.product(range(logs.shape[1]), repeat=len(logs))
    best = max(
        (
            sum(logs[t, i].item() for t, i in enumerate(path))
            for path in paths
            if collapse(path, blank) == list(target)
        ),
        default=-math.inf,
    )
    return -best


def logs_of(draw, frames, classes, spread=1.0):
    return (spread * draw.floats(frames, classes).double()).log_softmax(dim=-1)


exercise(
    "15.9",
    "CTC, forward",
    reference=ctc,
    returns="the loss",
    cases=[
        case("one frame", torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log(), [2], 0),
        case("a double letter", logs_of(draw, 5, 3), [1, 1], 0),
        case("two letters", logs_of(draw, 5, 3), [1, 2], 0),
        case("nothing said", logs_of(draw, 4, 3), [], 0),
        case("three alike", logs_of(draw, 6, 3), [2, 2, 2], 0),
        case("too few frames for a double letter", logs_of(draw, 2, 3), [1, 1], 0),
        case("just enough for a double letter", logs_of(draw, 3, 3), [1, 1], 0),
        case("too few frames", logs_of(draw, 2, 4), [1, 2, 3], 0),
        case("as many frames as letters", logs_of(draw, 3, 4), [1, 2, 3], 0),
        case("the blank is the last class", logs_of(draw, 6, 4), [0, 0, 2, 1], 3),
        case("sixty frames", logs_of(draw, 60, 6, 2.0), [1, 2, 2, 5, 3, 3], 0),
        case("one letter", logs_of(draw, 4, 3), [1], 0),
    ],
    rtol=1e-6,
    atol=1e-7,
    rules=[forbid("ctc_loss")],
    mistakes=[
        mistake(
            "The repeat rule is missing: between two equal letters the blank must not be skipped, or "
            "they collapse to "
            "one.",
            ctc_with(skips=lambda z, before, blank: z != blank),
        ),
        mistake(
            "No blank is ever skipped in your sum. Between two letters that differ it may be left out.",
            ctc_with(skips=lambda z, before, blank: False),
        ),
        mistake(
            "Blanks skip a letter in your sum. Only a letter may be reached from two places before.",
            ctc_with(skips=lambda z, before, blank: True),
            ctc_with(skips=lambda z, before, blank: z == blank),
        ),
        mistake(
            "Every path begins with a blank in your sum. It may begin with the first letter, too.",
            ctc_with(first=1),
        ),
        mistake(
            "Paths begin in three or more places in your sum; the first letter cannot be left out.",
            ctc_with(first=3),
            ctc_with(first=10**6),
        ),
        mistake(
            "Every path ends with a blank in your sum. It may end with the last letter, too.",
            ctc_with(last=1),
        ),
        mistake(
            "Every path ends with the last letter in your sum. A blank may follow.",
            ctc_with(last=0),
        ),
        mistake(
            "You add up all places of the last frame, and so texts that are not finished.",
            ctc_with(last=10**6),
        ),
        mistake(
            "That is the probability. Minus its logarithm is asked for.",
            ctc_with(end=lambda p, frames, letters: p),
        ),
        mistake(
            "The sign is missing: it is *minus* the logarithm.",
            ctc_with(end=lambda p, frames, letters: math.log(p) if p > 0 else -math.inf),
        ),
        mistake(
            'The loss is divided by the number of letters or frames. Here it is not (`reduction="none"`).',
            ctc_with(end=lambda p, frames, letters: -math.log(p) / max(1, letters) if p > 0 else math.inf),
            ctc_with(end=lambda p, frames, letters: -math.log(p) / frames if p > 0 else math.inf),
        ),
        mistake("The blank is class 0 in your answer, whatever `blank` says.", ctc_with(zero=True)),
        mistake(
            "A path cannot stay where it is in your sum: a letter may be held for several frames.",
            ctc_with(stays=False),
        ),
        mistake(
            "A target that cannot be reached has the loss infinity, and yours is a number.",
            ctc_with(end=lambda p, frames, letters: -math.log(max(p, 1e-10))),
            ctc_with(end=lambda p, frames, letters: -math.log(p) if p > 0 else 0.0),
            ctc_with(end=lambda p, frames, letters: -math.log(max(p, 1e-300))),
        ),
    ],
)

# 15.10 -------------------------------------------------------------------------------------------------


def words_of(sentence):
    return re.findall(r"[a-z0-9']+", sentence.lower())


def pooled_rate(truths, texts, edits):
    wrong = total = 0
    for truth, text in zip(truths, texts, strict=True):
        words = words_of(truth)
        wrong += edits(words, words_of(text))
        total += len(words)
    return wrong / total


def joined_rate(truths, texts, edits):
    words = words_of(" ".join(truths))
    return edits(words, words_of(" ".join(texts))) / len(words)


def mean_rate(rate_of):
    """The mean over all sentences of `rate_of(edits, words)`."""

    def wrong(truths, texts, edits):
        pairs = [(words_of(a), words_of(b)) for a, b in zip(truths, texts, strict=True)]
        return sum(rate_of(edits(a, b), len(a)) for a, b in pairs) / len(pairs)

    return wrong


def stripped(signs):
    """Words between spaces, without `signs` at their ends."""
    return lambda sentence: [word for w in sentence.lower().split() if (word := w.strip(signs))]


def rate_with(words=words_of, over=lambda truth, text: len(truth), pool=True, cap=None, swap=False):
    """`pooled_rate` with another idea of words, another denominator, or rates that are averaged."""

    def wrong(truths, texts, edits):
        pairs = [(words(a), words(b)) for a, b in zip(truths, texts, strict=True)]
        counts = [edits(b, a) if swap else edits(a, b) for a, b in pairs]
        sizes = [over(a, b) for a, b in pairs]
        if pool:
            rate = sum(counts) / max(1, sum(sizes))
        else:
            rates = [count / size for count, size in zip(counts, sizes, strict=True) if size]
            rate = sum(rates) / len(rates)
        return rate if cap is None else min(cap, rate)

    return wrong


given = shown("edits", edits)
exercise(
    "15.10",
    "The rate of many sentences",
    reference=pooled_rate,
    returns="the rate",
    cases=[
        case(
            "a short and a long one",
            ["yes", "it was the best of times"],
            ["no", "It was the best of times."],
            given,
        ),
        case("one sentence", ["it was the age of wisdom"], ["it was the age of kingdom"], given),
        case("capitals and signs", ["It was – the Season, of LIGHT!"], ["it was the season of light"], given),
        case("signs count in neither", ["Wait... what?!", "go"], ["wait what", "Go, now"], given),
        case("more heard than said", ["stop", "go"], ["please do stop it now", "and we all go there"], given),
        case("nothing heard", ["we had everything before us", "we"], ["", "we"], given),
        case("a truth without words", ["...", "we had nothing"], ["hm", "we had"], given),
        case(
            "hyphens, apostrophes, digits",
            ["it's a well-known 7", "don't"],
            ["its a well known seven", "don't"],
            given,
        ),
        case("lengths differ much", ["a b c d e f g h", "i", "k l"], ["a b c d", "j", "k l m"], given),
        case("a word moved over the border", ["a b", "c"], ["a", "b c"], given),
        case("other signs and letters", ["snake_case café"], ["snake case caf"], given),
        case("line breaks", ["it was\nthe best", "of  times"], ["it was the best", "of time"], given),
    ],
    rules=[calls("edits", least=1)],
    mistakes=[
        mistake(
            "That is the mean of the sentences' rates: one word of a short sentence weighs as much "
            "as a whole long one. "
            "Add up the edits, add up the words, divide once.",
            rate_with(pool=False),
            mean_rate(lambda count, size: count / max(1, size)),
            mean_rate(lambda count, size: count / size if size else 0.0),
        ),
        mistake(
            "You joined all sentences: words are compared across their borders. Call `edits` once for each "
            "pair.",
            joined_rate,
        ),
        mistake(
            "You divide by what was heard. The rate is for each word of the truth.",
            rate_with(over=lambda truth, text: len(text)),
        ),
        mistake(
            "You divide by the longer of the two. The rate is for each word of the truth, and may be "
            "above 1.",
            rate_with(over=lambda truth, text: max(len(truth), len(text))),
        ),
        mistake("You hold the rate at 1. With words inserted it may be larger.", rate_with(cap=1.0)),
        mistake(
            "Capitals count as errors: compare in lower case.",
            rate_with(words=lambda s: re.findall(r"[A-Za-z0-9']+", s)),
        ),
        mistake(
            "Punctuation sticks to your words, or counts as words. Take runs of letters, digits and "
            "apostrophes.",
            rate_with(words=lambda s: s.lower().split()),
            rate_with(words=lambda s: s.lower().split(" ")),
        ),
        mistake(
            "Neither capitals nor punctuation are taken away: normalise first.",
            rate_with(words=str.split),
            rate_with(words=lambda s: s.split(" ")),
        ),
        mistake(
            "You count letters. `edits` takes two lists of *words*.",
            rate_with(words=lambda s: list(s.lower())),
            rate_with(words=lambda s: [c for c in s.lower() if c.isalnum()]),
        ),
        mistake(
            "Apostrophes split your words: *don't* is one.",
            rate_with(words=lambda s: re.findall(r"[a-z0-9]+", s.lower())),
            rate_with(words=lambda s: re.findall(r"\w+", s.lower())),
        ),
        mistake(
            "Apostrophes are removed, so *it's* and *its* count as one word. They belong to a word.",
            rate_with(words=lambda s: re.findall(r"[a-z0-9]+", s.lower().replace("'", ""))),
        ),
        mistake(
            "Digits are lost: a number is a word, too.",
            rate_with(words=lambda s: re.findall(r"[a-z']+", s.lower())),
        ),
        mistake(
            "A sign inside a word stays in your words, or glues two together. A hyphen ends a word.",
            rate_with(words=lambda s: re.sub(r"[^a-z0-9'\s]", "", s.lower()).split()),
            rate_with(words=lambda s: re.sub(r"[^\w'\s]", "", s.lower()).split()),
            rate_with(words=stripped(string.punctuation)),
            rate_with(words=stripped(string.punctuation.replace("'", ""))),
            rate_with(words=stripped(string.punctuation + "–")),
            rate_with(words=stripped(string.punctuation.replace("'", "") + "–")),
        ),
        mistake(
            r"`\w` holds underscores and letters such as é. A word here is made of a to z, digits and "
            "apostrophes.",
            rate_with(words=lambda s: re.findall(r"[\w']+", s.lower())),
        ),
        mistake(
            "You divide by the number of sentences: that is errors for each sentence.",
            rate_with(over=lambda truth, text: 1),
        ),
        mistake(
            "That is the share of sentences with an error. Count edits for each word.",
            lambda truths, texts, edits: (
                sum(edits(words_of(a), words_of(b)) > 0 for a, b in zip(truths, texts, strict=True))
                / len(truths)
            ),
        ),
    ],
)

# 15.11 -------------------------------------------------------------------------------------------------

draw = Draw("15.11")


def pause(samples, window, first, last):
    stretches = np.lib.stride_tricks.sliding_window_view(samples[first:last], window)
    return first + int((stretches**2).sum(axis=1).argmin()) + window // 2


def pause_with(
    score=lambda rows: (rows**2).sum(axis=1),
    pick=lambda scores: int(scores.argmin()),
    add=lambda w: w // 2,
    offset=True,
    end=0,
):
    """`pause` with another measure of quiet, another choice or another place."""

    def wrong(samples, window, first, last):
        rows = np.lib.stride_tricks.sliding_window_view(
            samples[first : max(first + window, last + end)], window
        )
        return (first if offset else 0) + pick(score(rows)) + add(window)

    return wrong


def steps_of_window(samples, window, first, last):
    starts = range(first, last - window + 1, window)
    return min(starts, key=lambda s: (samples[s : s + window] ** 2).sum()) + window // 2


def quiet_in(draw, size, start, end):
    """Noise with a quiet stretch."""
    samples = numbers(draw, size)
    samples[start:end] *= 0.01
    return samples


steady = quiet_in(draw, 80, 60, 72) + 0.02 * (np.arange(80) >= 60)
wave = np.where(np.arange(60) % 2, 1.0, -1.0)
wave[30:36] = 0.3
exercise(
    "15.11",
    "Cut at a pause",
    reference=pause,
    returns="the place",
    cases=[
        case("six samples", np.array([3.0, 0.0, 1.0, 0.0, 0.0, 2.0]), 2, 0, 6),
        case("a pause", quiet_in(draw, 60, 30, 40), 8, 5, 55),
        case("a quieter one outside", quiet_in(draw, 60, 2, 10), 6, 20, 50),
        case("a quieter one behind", quiet_in(draw, 60, 50, 58), 6, 10, 40),
        case("several the same", np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]), 3, 0, 8),
        case("quiet, and all above zero", steady, 10, 0, 80),
        case("a loud wave whose sum is zero", wave, 6, 0, 60),
        case("one stretch only", numbers(draw, 20), 7, 5, 12),
        case("the last stretch", np.array([2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]), 2, 0, 7),
        case("one sample wide", numbers(draw, 15), 1, 3, 14),
        case("one loud click in it", np.array([0.9] * 6 + [0.0, 2.4, 0.0] + [0.8] * 6), 3, 0, 15),
    ],
    mistakes=[
        mistake(
            "Your place counts from `first`. Add it: the place in `samples` is asked for.",
            pause_with(offset=False),
        ),
        mistake(
            "That is the beginning of the stretch; its middle is asked for.", pause_with(add=lambda w: 0)
        ),
        mistake(
            "That is the end of the stretch; its middle is asked for.",
            pause_with(add=lambda w: w),
            pause_with(add=lambda w: w - 1),
        ),
        mistake(
            "You cut where it is loudest: least energy is asked for.",
            pause_with(pick=lambda scores: int(scores.argmax())),
        ),
        mistake(
            "You add up samples with their signs: a loud wave adds up to zero. Square them first.",
            pause_with(score=lambda rows: rows.sum(axis=1)),
            pause_with(score=lambda rows: np.abs(rows.sum(axis=1))),
            pause_with(score=lambda rows: np.abs(rows.mean(axis=1))),
        ),
        mistake(
            "You add up absolute values. Energy is the sum of squares, in which one loud click counts more.",
            pause_with(score=lambda rows: np.abs(rows).sum(axis=1)),
        ),
        mistake(
            "You measure the spread around each stretch's own mean. Energy is the sum of squares as "
            "they are.",
            pause_with(score=lambda rows: rows.var(axis=1)),
            pause_with(score=lambda rows: rows.std(axis=1)),
        ),
        mistake(
            "`first` and `last` are ignored: the quietest stretch of all is no answer if it lies outside.",
            lambda x, w, first, last: pause(x, w, 0, len(x)),
        ),
        mistake(
            "`last` is ignored: a stretch has to end there or earlier.",
            lambda x, w, first, last: pause(x, w, first, len(x)),
        ),
        mistake("The last stretch is missing: it may end at `last`.", pause_with(end=-1)),
        mistake(
            "The stretch may begin before `last` and end behind it in your answer. It has to end there.",
            lambda x, w, first, last: pause(x, w, first, min(len(x), last + w - 1)),
        ),
        mistake("You look at stretches end to end only. One may begin at every sample.", steps_of_window),
        mistake(
            "Of equal ones you took the last. The earliest is asked for.",
            pause_with(pick=lambda scores: len(scores) - 1 - int(scores[::-1].argmin())),
        ),
        mistake(
            "You look for the quietest single sample. A wave crosses zero all the time: look at "
            "whole stretches.",
            lambda x, w, first, last: first + int(np.abs(x[first:last]).argmin()),
        ),
    ],
)
