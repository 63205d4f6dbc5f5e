"""Exercises of lesson 17, privacy: their references, inputs and typical mistakes."""

import math

import torch

from course_utils.checks.exercise import Draw, calls, case, exercise, mistake, no_loops, shown

# 17.1 --------------------------------------------------------------------------------------------------

draw = Draw("17.1")


def attack_auc(members, others):
    higher = members[:, None] > others[None, :]
    equal = members[:, None] == others[None, :]
    return (higher.float() + 0.5 * equal.float()).mean().item()


def wins(members, others):
    return (members[:, None] > others).float()


def best_gap(members, others):
    """The largest difference between right and false alarms over all lines."""
    lines = torch.cat([members, others])
    right = (members[:, None] >= lines).float().mean(dim=0)
    wrong = (others[:, None] >= lines).float().mean(dim=0)
    return (right - wrong).max().item()


def in_order(members, others):
    """Compares the first member with the first other, the second with the second."""
    size = min(len(members), len(others))
    one, other = members[:size], others[:size]
    return ((one > other).float() + 0.5 * (one == other).float()).mean().item()


def nearly_tied(members, others):
    close = torch.isclose(members[:, None], others[None, :])
    return (wins(members, others) + 0.5 * close.float()).mean().item()


def nearly_tied_alone(members, others):
    close = torch.isclose(members[:, None], others[None, :])
    return torch.where(close, 0.5, wins(members, others)).mean().item()


def best_accuracy(members, others):
    lines = torch.cat([members, others])
    right = (members[:, None] >= lines).float().sum(dim=0) + (others[:, None] < lines).float().sum(dim=0)
    return (right / len(lines)).max().item()


exercise(
    "17.1",
    "Attack AUC",
    reference=attack_auc,
    returns="the AUC",
    cases=[
        case("two and two, with a tie", torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0])),
        case("no ties", draw.floats(7) + 0.5, draw.floats(5)),
        case("many ties", draw.integers(4, 30).float(), draw.integers(3, 20).float()),
        case("members score lower", draw.floats(6) - 1, draw.floats(9)),
        case("one and one, tied", torch.tensor([0.3]), torch.tensor([0.3])),
        case("all members higher", draw.floats(4).abs() + 1, -draw.floats(3).abs()),
        case("as many of both", draw.floats(8), draw.floats(8)),
        case(
            "one non-member far off",
            torch.tensor([1.0, 2.0, 3.0, 0.15]),
            torch.tensor([0.0, 0.1, 0.2, 50.0, 2.5]),
        ),
        case("nearly tied is not tied", torch.tensor([1.000001, 2.0]), torch.tensor([1.0, 3.0])),
    ],
    rules=[no_loops()],
    mistakes=[
        mistake(
            "A tie counts nothing with you; it counts one half.",
            lambda members, others: wins(members, others).mean().item(),
        ),
        mistake(
            "A tie counts as a full win with you; it counts one half.",
            lambda members, others: (members[:, None] >= others).float().mean().item(),
        ),
        mistake(
            "You count the pairs in which the non-member scores higher. Higher means a member.",
            lambda members, others: attack_auc(others, members),
            lambda members, others: wins(others, members).mean().item(),
            lambda members, others: attack_auc(-members, -others),
        ),
        mistake(
            "You compare the first member with the first non-member, the second with the second. All pairs "
            "are meant: broadcast one against the other.",
            in_order,
        ),
        mistake(
            "This is the number of pairs won, and their share is asked for: divide by the number of pairs.",
            lambda members, others: attack_auc(members, others) * len(members) * len(others),
            lambda members, others: wins(members, others).sum().item(),
        ),
        mistake(
            "You divide by the number of members and non-members together; there are members times "
            "non-members pairs.",
            lambda members, others: (
                attack_auc(members, others) * len(members) * len(others) / (len(members) + len(others))
            ),
        ),
        mistake(
            "An AUC below 0.5 is turned round with you. It stays: the attack then points the wrong way.",
            lambda members, others: max(attack_auc(members, others), attack_auc(others, members)),
        ),
        mistake(
            "This is twice the AUC less one (Gini's coefficient). A coin gets 0.5 in an AUC.",
            lambda members, others: 2 * attack_auc(members, others) - 1,
            lambda members, others: attack_auc(members, others) - attack_auc(others, members),
        ),
        mistake(
            "You compare each member with the mean of the non-members. Compare with each of them.",
            lambda members, others: (members > others.mean()).float().mean().item(),
        ),
        mistake(
            "You compare each member with the median of the non-members. Compare with each of them.",
            lambda members, others: (members > others.median()).float().mean().item(),
        ),
        mistake(
            "This is the largest gap between right and false alarms, at the best line. The AUC takes all "
            "lines: the share of pairs.",
            best_gap,
        ),
        mistake(
            "This is the accuracy at the best line. The AUC is the share of pairs.",
            best_accuracy,
        ),
        mistake(
            "Scores that are nearly equal count as tied with you. A tie is equality, bit by bit: ==.",
            nearly_tied,
            nearly_tied_alone,
        ),
        mistake(
            "Your comparison is soft: a sigmoid of the difference. A pair is won, tied or lost.",
            lambda members, others: torch.sigmoid(members[:, None] - others).mean().item(),
        ),
    ],
)

# 17.2 --------------------------------------------------------------------------------------------------

draw = Draw("17.2")


def highest_rate(false_rate, epsilon, delta):
    first = math.exp(epsilon) * false_rate + delta
    second = 1 - math.exp(-epsilon) * (1 - false_rate - delta)
    return torch.minimum(first, second).clamp(0, 1)


def rate_with(first=None, second=None, join=torch.minimum, clamp=True):
    """`highest_rate` with another bound, another way of joining the two, or no clamp."""

    def wrong(f, epsilon, delta):
        one = first(f, epsilon, delta) if first else math.exp(epsilon) * f + delta
        two = second(f, epsilon, delta) if second else 1 - math.exp(-epsilon) * (1 - f - delta)
        found = join(one, two)
        return found.clamp(0, 1) if clamp else found

    return wrong


rates = torch.tensor([0.0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.99, 1.0])

exercise(
    "17.2",
    "What ε allows",
    reference=highest_rate,
    returns="the rates",
    cases=[
        case("a factor of 2", torch.tensor([0.0, 0.2, 0.9]), math.log(2), 0.0),
        case("ε = 1 with a δ", rates, 1.0, 0.01),
        case("ε = 0: a coin", rates, 0.0, 0.0),
        case("ε = 0 with a δ", rates, 0.0, 0.1),
        case("a large ε", rates, 8.0, 1e-5),
        case("a table of rates", draw.floats(2, 3).sigmoid(), 0.5, 0.02),
        case("a large δ", rates, 0.3, 0.4),
    ],
    mistakes=[
        mistake(
            "You use the first inequality alone. Near f = 1 the second one is tighter.",
            rate_with(join=lambda one, two: one),
        ),
        mistake(
            "You use the second inequality alone. Near f = 0 the first one is tighter.",
            rate_with(join=lambda one, two: two),
        ),
        mistake(
            "You took the larger of the two bounds. Both hold, so the smaller counts.",
            rate_with(join=torch.maximum),
        ),
        mistake(
            "δ is missing in both of your bounds.",
            lambda f, epsilon, delta: highest_rate(f, epsilon, 0.0),
        ),
        mistake(
            "δ is missing in the second bound: it is added on its right side too.",
            rate_with(second=lambda f, epsilon, delta: 1 - math.exp(-epsilon) * (1 - f)),
        ),
        mistake(
            "δ is missing in the first bound.",
            rate_with(first=lambda f, epsilon, delta: math.exp(epsilon) * f),
        ),
        mistake(
            "δ has the wrong sign in the second bound. Bring it to the left side: 1 - f - δ.",
            rate_with(second=lambda f, epsilon, delta: 1 - math.exp(-epsilon) * (1 - f + delta)),
        ),
        mistake(
            "In the second bound δ is not divided by e^ε. It stands beside 1 - f when you divide.",
            rate_with(second=lambda f, epsilon, delta: 1 - math.exp(-epsilon) * (1 - f) + delta),
        ),
        mistake(
            "In the first bound δ is multiplied by e^ε. It is added afterwards.",
            rate_with(first=lambda f, epsilon, delta: math.exp(epsilon) * (f + delta)),
        ),
        mistake(
            "A rate above 1 came out. No rate is above 1: clamp.",
            rate_with(clamp=False),
            rate_with(join=lambda one, two: one, clamp=False),
        ),
        mistake(
            "You use ε where the inequality has e^ε.",
            rate_with(
                first=lambda f, epsilon, delta: epsilon * f + delta,
                second=lambda f, epsilon, delta: 1 - (1 - f - delta) / max(epsilon, 1e-9),
            ),
            rate_with(
                first=lambda f, epsilon, delta: (1 + epsilon) * f + delta,
                second=lambda f, epsilon, delta: 1 - (1 - epsilon) * (1 - f - delta),
            ),
        ),
        mistake(
            "In the second bound you multiply by e^ε. Divide by it, that is, multiply by e^-ε.",
            rate_with(second=lambda f, epsilon, delta: 1 - math.exp(epsilon) * (1 - f - delta)),
        ),
        mistake(
            "You took 2 to the power of ε; e is the base.",
            lambda f, epsilon, delta: highest_rate(f, epsilon * math.log(2), delta),
        ),
    ],
)

# 17.3 --------------------------------------------------------------------------------------------------

draw = Draw("17.3")


def norms_of(grads):
    return sum(g.reshape(len(g), -1).pow(2).sum(dim=1) for g in grads.values()).sqrt()


def times(grads, factors):
    """Each example's gradients times its factor."""
    return {name: g * factors.reshape(-1, *[1] * (g.ndim - 1)) for name, g in grads.items()}


def clip_each(grads, longest):
    return times(grads, (longest / norms_of(grads)).clamp(max=1))


def clip_with(norms=norms_of, factors=None):
    """Clipping with other norms, or with factors that are another function of (norms, longest)."""

    def wrong(grads, longest):
        found = norms(grads)
        return times(grads, factors(found, longest) if factors else (longest / found).clamp(max=1))

    return wrong


def each_name_alone(grads, longest):
    return {name: clip_each({name: g}, longest)[name] for name, g in grads.items()}


def share_of_each_name(grads, longest):
    return each_name_alone(grads, longest / math.sqrt(len(grads)))


def whole_batch(grads, longest):
    total = math.sqrt(sum(g.pow(2).sum().item() for g in grads.values()))
    return {name: g * min(1.0, longest / max(total, 1e-12)) for name, g in grads.items()}


def by_the_mean(grads, longest):
    """Clips by the length of the mean gradient, as `clip_grad_norm_` on a batch does."""
    total = math.sqrt(sum(g.mean(dim=0).pow(2).sum().item() for g in grads.values()))
    return {name: g * min(1.0, longest / max(total, 1e-12)) for name, g in grads.items()}


def rows(*shapes, spread):
    """Gradients of examples of different lengths: their spread goes from near 0 to `spread`."""
    size = shapes[0][0]
    scale = torch.linspace(0.05, spread, size)
    return {
        f"layer{i}": draw.floats(*shape) * scale.reshape(-1, *[1] * (len(shape) - 1))
        for i, shape in enumerate(shapes)
    }


exercise(
    "17.3",
    "Clip each gradient",
    reference=clip_each,
    returns="the clipped gradients",
    cases=[
        case(
            "a weight and a bias",
            {"w": torch.tensor([[3.0], [0.3]]), "b": torch.tensor([4.0, 0.4])},
            1.0,
        ),
        case("two layers", rows((6, 3, 4), (6, 3), (6, 2, 3), (6, 2), spread=2.0), 1.5),
        case("one parameter", rows((5, 4), spread=3.0), 2.0),
        case("a gradient of zeros", {"w": torch.tensor([[0.0, 0.0], [3.0, 4.0]])}, 0.5),
        case("all are short", rows((4, 2, 2), (4, 2), spread=0.1), 5.0),
        case("longer than 1, shorter than the limit", {"w": torch.tensor([[2.0, 2.0], [4.0, 5.0]])}, 4.0),
        case("one example", rows((1, 3), (1,), spread=2.0), 0.02),
        case("as many examples as numbers", rows((3, 3), (3, 3), spread=4.0), 1.0),
        case("a layer of three dimensions", rows((4, 3, 2, 2), (4, 3), spread=3.0), 1.0),
        case("a layer of four dimensions", rows((3, 2, 2, 1, 2), (3, 2), spread=3.0), 1.0),
    ],
    mistakes=[
        mistake(
            "Each name is clipped by itself, so one example's whole gradient can be longer than the limit. "
            "Its norm is taken over all names together.",
            each_name_alone,
        ),
        mistake(
            "Each name is clipped by itself, with a share of the limit. That keeps the bound, and shortens "
            "gradients that are short enough as a whole. Take one norm over all names.",
            share_of_each_name,
        ),
        mistake(
            "Short gradients are lengthened to the limit. Only those that are too long change.",
            clip_with(factors=lambda norms, longest: longest / norms.clamp(min=1e-12)),
            clip_with(factors=lambda norms, longest: longest / (norms + 1e-6)),
            clip_with(factors=lambda norms, longest: longest / norms),
        ),
        mistake(
            "You clip the batch as one: all examples get the same factor, and one that pulls hard shortens "
            "the others. Each example has its own norm.",
            whole_batch,
        ),
        mistake(
            "You clip by the length of the mean gradient, as in lesson 09. One example can still be as long "
            "as it likes. Each has its own norm.",
            by_the_mean,
        ),
        mistake(
            "You clamp every number. That changes the direction, and a gradient of many numbers stays longer "
            "than the limit. Multiply the whole gradient by one factor.",
            lambda grads, longest: {name: g.clamp(-longest, longest) for name, g in grads.items()},
        ),
        mistake(
            "The square root is missing: you compare the squared norm with the limit.",
            clip_with(norms=lambda grads: norms_of(grads).pow(2)),
        ),
        mistake(
            "You add up the norms of the names. Add up their squares, and take the root of the sum.",
            clip_with(norms=lambda grads: sum(norms_of({name: g}) for name, g in grads.items())),
        ),
        mistake(
            "This is the norm of absolute values. The length is the root of the sum of squares.",
            clip_with(norms=lambda grads: sum(g.reshape(len(g), -1).abs().sum(1) for g in grads.values())),
        ),
        mistake(
            "You take the mean of the squares, not their sum, so the limit grows with the number of numbers.",
            clip_with(
                norms=lambda grads: sum(g.reshape(len(g), -1).pow(2).mean(1) for g in grads.values()).sqrt()
            ),
        ),
        mistake(
            "Your norm is that of the name with the longest gradient. All names count together.",
            clip_with(
                norms=lambda grads: torch.stack([norms_of({name: g}) for name, g in grads.items()]).amax(0)
            ),
        ),
        mistake(
            "Gradients that are too long are dropped. They are shortened, not left out.",
            clip_with(factors=lambda norms, longest: (norms <= longest).float()),
        ),
        mistake(
            "You divide by the norm, so gradients come out with length 1 whatever the limit is. The factor "
            "is the limit over the norm.",
            clip_with(factors=lambda norms, longest: (1 / norms).clamp(max=1)),
            clip_with(
                factors=lambda norms, longest: torch.where(norms > longest, 1 / norms, torch.ones(len(norms)))
            ),
        ),
        mistake(
            "Your factor is upside down: the norm over the limit. Long gradients get longer.",
            clip_with(factors=lambda norms, longest: norms / longest),
            clip_with(factors=lambda norms, longest: (norms / longest).clamp(max=1)),
            clip_with(factors=lambda norms, longest: (norms / longest).clamp(min=1)),
        ),
        mistake(
            "You clip and take the mean over the batch already. The clipped gradients of each example are "
            "asked for.",
            lambda grads, longest: {name: g.mean(dim=0) for name, g in clip_each(grads, longest).items()},
        ),
    ],
)

# 17.4 --------------------------------------------------------------------------------------------------

draw = Draw("17.4")


def noisy_mean(clipped, longest, sigma, size, generator):
    found = {}
    for name, g in clipped.items():
        z = torch.randn(g.shape[1:], generator=generator)
        found[name] = (g.sum(dim=0) + sigma * longest * z) / size
    return found


def mean_with(
    formula,
    noise=lambda g, generator: torch.randn(g.shape[1:], generator=generator),
    order=lambda names: names,
):
    """`noisy_mean` by another formula of (g, z, longest, sigma, size), other noise, or another order."""

    def wrong(clipped, longest, sigma, size, generator):
        found = {}
        for name in order(list(clipped)):
            g = clipped[name]
            found[name] = formula(g, noise(g, generator), longest, sigma, size)
        return found

    return wrong


def right_formula(g, z, longest, sigma, size):
    return (g.sum(dim=0) + sigma * longest * z) / size


def add_up(answer, clipped, longest, sigma, size, seed):
    return answer(clipped, longest, sigma, size, torch.Generator().manual_seed(seed))


def noise_on_each(clipped, longest, sigma, size, generator):
    """Noise of its own on every example."""
    noisy = {n: g + sigma * longest * torch.randn(g.shape, generator=generator) for n, g in clipped.items()}
    return {name: g.sum(dim=0) / size for name, g in noisy.items()}


def short(longest, **shapes):
    """Gradients of these shapes, clipped."""
    return clip_each({name: draw.floats(*shape) for name, shape in shapes.items()}, longest)


def one_draw_for_all(clipped, longest, sigma, size, generator):
    z = torch.randn((), generator=generator)
    return {name: (g.sum(dim=0) + sigma * longest * z) / size for name, g in clipped.items()}


exercise(
    "17.4",
    "The noisy mean",
    reference=noisy_mean,
    use=add_up,
    returns="the noisy mean",
    cases=[
        case("no noise", {"w": torch.tensor([[1.0], [2.0]])}, 3.0, 0.0, 4, 0),
        case("a weight and a bias", short(2.0, w=(5, 2, 3), b=(5, 2)), 2.0, 1.5, 5, 1),
        case("the expected size is another", short(0.5, w=(6, 4)), 0.5, 1.1, 12.5, 2),
        case(
            "names not in alphabetical order",
            short(3.0, z=(3, 2), a=(3, 2)),
            3.0,
            2.0,
            4,
            3,
        ),
        case("no rows", {"w": torch.zeros(0, 2, 2), "b": torch.zeros(0, 2)}, 2.0, 0.7, 8, 4),
        case("one row", short(0.1, w=(1, 3)), 0.1, 4.0, 2, 5),
        case(
            "a parameter that is one number",
            short(1.7, w=(4, 3), scale=(4,)),
            1.7,
            0.6,
            4,
            6,
        ),
    ],
    mistakes=[
        mistake(
            "The noise is added after the division, so it is larger by the batch size. It belongs to "
            "the sum.",
            mean_with(lambda g, z, longest, sigma, size: g.sum(dim=0) / size + sigma * longest * z),
        ),
        mistake(
            "The noise is scaled by σ alone. One example changes the sum by up to C, so it is σ times C.",
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + sigma * z) / size),
        ),
        mistake(
            "The noise is scaled by C alone; σ is missing.",
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + longest * z) / size),
        ),
        mistake(
            "Your noise grows with the batch size. It hides one example, whatever the size.",
            mean_with(
                lambda g, z, longest, sigma, size: (
                    (g.sum(dim=0) + sigma * longest * math.sqrt(size) * z) / size
                )
            ),
        ),
        mistake(
            "Your noise is divided by the batch size twice.",
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + sigma * longest * z / size) / size),
        ),
        mistake(
            "You divide by the number of rows that came up. It is `size`, the expected one, whatever "
            "came up.",
            mean_with(
                lambda g, z, longest, sigma, size: (g.sum(dim=0) + sigma * longest * z) / max(len(g), 1)
            ),
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + sigma * longest * z) / len(g)),
        ),
        mistake(
            "You take the mean over the rows and add the noise of the sum, divided by `size`. Sum, add, then "
            "divide both by `size`.",
            mean_with(lambda g, z, longest, sigma, size: g.mean(dim=0) + sigma * longest * z / size),
            mean_with(
                lambda g, z, longest, sigma, size: g.sum(dim=0) / max(len(g), 1) + sigma * longest * z / size
            ),
        ),
        mistake(
            "This is the noisy sum. Divide it by `size`.",
            mean_with(lambda g, z, longest, sigma, size: g.sum(dim=0) + sigma * longest * z),
        ),
        mistake(
            "There is no noise in it.",
            mean_with(lambda g, z, longest, sigma, size: g.sum(dim=0) / size),
        ),
        mistake(
            "Every example gets noise of its own, so the sum has far more than σC. Noise is added once, to "
            "the sum.",
            noise_on_each,
        ),
        mistake(
            "One draw is used for all numbers. It could be read off one of them and subtracted from the "
            "rest: every number needs its own.",
            one_draw_for_all,
            mean_with(right_formula, noise=lambda g, generator: torch.randn((), generator=generator)),
        ),
        mistake(
            "Your noise is uniform (rand). The normal distribution is asked for (randn).",
            mean_with(right_formula, noise=lambda g, generator: torch.rand(g.shape[1:], generator=generator)),
        ),
        mistake(
            "You go through the names in alphabetical order. The order of the dict is asked for, so that "
            "your draws are those of the check.",
            mean_with(right_formula, order=sorted),
        ),
        mistake(
            "σ is a standard deviation and not a variance: no square, no root.",
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + (sigma * longest) ** 2 * z) / size),
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) + sigma**2 * longest * z) / size),
            mean_with(
                lambda g, z, longest, sigma, size: (g.sum(dim=0) + math.sqrt(sigma) * longest * z) / size
            ),
            mean_with(
                lambda g, z, longest, sigma, size: (g.sum(dim=0) + math.sqrt(sigma * longest) * z) / size
            ),
        ),
        mistake(
            "The noise is subtracted. That hides as much, but your draws are then not those of the "
            "check: add.",
            mean_with(lambda g, z, longest, sigma, size: (g.sum(dim=0) - sigma * longest * z) / size),
        ),
    ],
)

# 17.5 --------------------------------------------------------------------------------------------------

draw = Draw("17.5")


def private_step(parameters, x, y, q, rate, gradients, average, generator):
    chosen = torch.rand(len(x), generator=generator) < q
    grads = gradients(parameters, x[chosen], y[chosen])
    step = average(grads, q * len(x), generator)
    return {name: p - rate * step[name] for name, p in parameters.items()}


def line_gradients(parameters, inputs, labels):
    """The gradients of each example's squared error of a line, also of no examples."""
    error = inputs @ parameters["w"] + parameters["b"] - labels
    return {"w": 2 * error[:, None] * inputs, "b": 2 * error}


def some_average(grads, size, generator):
    """A sum with a little noise over the size."""
    return {
        name: (g.sum(dim=0) + 0.1 * torch.randn(g.shape[1:], generator=generator)) / size
        for name, g in grads.items()
    }


def plain_average(grads, size, generator):
    return {name: g.sum(dim=0) / size for name, g in grads.items()}


def take_step(answer, parameters, x, y, q, rate, gradients, average, seed):
    """The new parameters, and whether the answer's draws were the expected ones."""
    return answer(parameters, x, y, q, rate, gradients, average, torch.Generator().manual_seed(seed))


def step_with(
    chosen=lambda x, q, generator: torch.rand(len(x), generator=generator) < q,
    size=lambda x, q, chosen: q * len(x),
    update=lambda p, step, rate: p - rate * step,
):
    """`private_step` with another choice of rows, another size, or another update."""

    def wrong(parameters, x, y, q, rate, gradients, average, generator):
        rows = chosen(x, q, generator)
        grads = gradients(parameters, x[rows], y[rows])
        step = average(grads, size(x, q, rows), generator)
        return {name: update(p, step[name], rate) for name, p in parameters.items()}

    return wrong


def fixed_size(x, q, generator):
    return torch.randperm(len(x), generator=generator)[: int(q * len(x))]


def skips_empty(parameters, x, y, q, rate, gradients, average, generator):
    chosen = torch.rand(len(x), generator=generator) < q
    if not chosen.any():
        return parameters
    step = average(gradients(parameters, x[chosen], y[chosen]), q * len(x), generator)
    return {name: p - rate * step[name] for name, p in parameters.items()}


def mask_after(parameters, x, y, q, rate, gradients, average, generator):
    """All rows' gradients; those not chosen are set to zero: the right result for a sum."""
    chosen = torch.rand(len(x), generator=generator) < q
    grads = {name: g[chosen] for name, g in gradients(parameters, x, y).items()}
    step = average(grads, len(x), generator)
    return {name: p - rate * step[name] for name, p in parameters.items()}


def everybody(parameters, x, y, q, rate, gradients, average, generator):
    torch.rand(len(x), generator=generator)
    step = average(gradients(parameters, x, y), q * len(x), generator)
    return {name: p - rate * step[name] for name, p in parameters.items()}


def everybody_fully(parameters, x, y, q, rate, gradients, average, generator):
    step = average(gradients(parameters, x, y), len(x), generator)
    return {name: p - rate * step[name] for name, p in parameters.items()}


def step_alone(parameters, x, y, q, rate, gradients, average, generator):
    chosen = torch.rand(len(x), generator=generator) < q
    return average(gradients(parameters, x[chosen], y[chosen]), q * len(x), generator)


def a_line(inputs):
    return {"w": draw.floats(inputs), "b": draw.floats(1)[0]}


GRADIENTS = shown("the gradients of a line's squared error", line_gradients)
NOISY = shown("a sum with noise, over the size", some_average)
PLAIN = shown("a sum without noise, over the size", plain_average)

exercise(
    "17.5",
    "One private step",
    reference=private_step,
    use=take_step,
    returns="the new parameters",
    cases=[
        case(
            "half of twelve rows",
            a_line(3),
            draw.floats(12, 3),
            draw.floats(12),
            0.5,
            0.1,
            GRADIENTS,
            NOISY,
            0,
        ),
        case("all rows", a_line(2), draw.floats(6, 2), draw.floats(6), 1.0, 0.2, GRADIENTS, PLAIN, 1),
        case("few of many", a_line(4), draw.floats(200, 4), draw.floats(200), 0.05, 0.3, GRADIENTS, NOISY, 2),
        case("nobody is drawn", a_line(2), draw.floats(4, 2), draw.floats(4), 0.01, 0.5, GRADIENTS, NOISY, 7),
        case(
            "an expected size that is no whole number",
            a_line(1),
            draw.floats(9, 1),
            draw.floats(9),
            0.37,
            0.1,
            GRADIENTS,
            PLAIN,
            4,
        ),
        case("a large rate", a_line(2), draw.floats(30, 2), draw.floats(30), 0.8, 2.0, GRADIENTS, NOISY, 5),
    ],
    rules=[calls("gradients", most=1, least=1), calls("average", most=1, least=1)],
    mistakes=[
        mistake(
            "You divide by the number of rows that came up. It tells whether somebody took part: give the "
            "expected size, q times n.",
            step_with(size=lambda x, q, chosen: float(chosen.sum())),
            step_with(size=lambda x, q, chosen: max(1.0, float(chosen.sum()))),
            step_with(size=lambda x, q, chosen: max(1, int(chosen.sum()))),
        ),
        mistake(
            "Your batch always has the same size. Every row throws its own coin: torch.rand(n) < q.",
            step_with(chosen=fixed_size),
            step_with(
                chosen=lambda x, q, generator: torch.randperm(len(x), generator=generator)[
                    : round(q * len(x))
                ]
            ),
        ),
        mistake(
            "Your coins are turned round: a row takes part where its number is *below* q.",
            step_with(chosen=lambda x, q, generator: torch.rand(len(x), generator=generator) > q),
            step_with(chosen=lambda x, q, generator: torch.rand(len(x), generator=generator) >= q),
            step_with(chosen=lambda x, q, generator: torch.rand(len(x), generator=generator) < 1 - q),
        ),
        mistake(
            "A batch without rows is skipped. Then everybody sees that nobody took part: noise is added all "
            "the same.",
            skips_empty,
        ),
        mistake(
            "You divide by the number of all rows. The expected size of a batch is q times n.",
            step_with(size=lambda x, q, chosen: float(len(x))),
            mask_after,
        ),
        mistake(
            "The size is q, a probability. The expected number of rows is q times n.",
            step_with(size=lambda x, q, chosen: q),
        ),
        mistake(
            "The size is cut or rounded to a whole number. The expected size is a float: q times n.",
            step_with(size=lambda x, q, chosen: int(q * len(x))),
            step_with(size=lambda x, q, chosen: float(int(q * len(x)))),
            step_with(size=lambda x, q, chosen: round(q * len(x))),
            step_with(size=lambda x, q, chosen: max(1, int(q * len(x)))),
            step_with(size=lambda x, q, chosen: int(q * len(x)) or 1),
            step_with(size=lambda x, q, chosen: max(1, round(q * len(x)))),
            step_with(size=lambda x, q, chosen: math.ceil(q * len(x))),
        ),
        mistake(
            "All rows take part. The coins decide who does: x[mask] and y[mask].",
            everybody,
            everybody_fully,
        ),
        mistake(
            "You go uphill: the average is subtracted, not added.",
            step_with(update=lambda p, step, rate: p + rate * step),
        ),
        mistake(
            "The rate is missing: the average is multiplied by `rate`.",
            step_with(update=lambda p, step, rate: p - step),
        ),
        mistake(
            "The average itself came back. The new parameters are asked for.",
            step_alone,
        ),
        mistake(
            "The step alone came back. Subtract it from the parameters.",
            step_with(update=lambda p, step, rate: rate * step),
            step_with(update=lambda p, step, rate: -rate * step),
        ),
        mistake(
            "One coin decides for all rows. Each row has its own: torch.rand(n).",
            step_with(chosen=lambda x, q, generator: (torch.rand(1, generator=generator) < q).expand(len(x))),
            step_with(
                chosen=lambda x, q, generator: torch.full(
                    (len(x),), torch.rand(1, generator=generator).item() < q
                )
            ),
        ),
        mistake(
            "Your coins are normal draws (randn). A uniform number is below q with probability q: rand.",
            step_with(chosen=lambda x, q, generator: torch.randn(len(x), generator=generator) < q),
        ),
    ],
)

# 17.6 --------------------------------------------------------------------------------------------------


def epsilon_with(
    binomial=True,
    power=lambda k, sigma: (k * k - k) / (2 * sigma**2),
    swapped=False,
    less=1,
    start=0,
    end=1,
    bend=lambda a, delta: math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1),
    total=lambda steps, r, bend: steps * r + bend,
    choose=min,
    dtype=torch.float64,
    root=True,
):
    """The accountant with one place changed; with none, it is the right one."""

    def answer(q, sigma, steps, delta, orders):
        found = []
        for a in orders:
            k = torch.arange(start, a + end, dtype=dtype)
            logs = math.lgamma(a + 1) - torch.lgamma(k + 1) - torch.lgamma(a - k + 1) if binomial else 0
            yes, no = (math.log(1 - q), math.log(q)) if swapped else (math.log(q), math.log(1 - q))
            terms = logs + (a - k) * no + k * yes + power(k, sigma)
            r = torch.logsumexp(terms, dim=0).item() if root else terms.exp().sum().item()
            found.append(total(steps, r / (a - less), bend(a, delta)))
        return choose(found)

    return answer


def epsilon_spent(q, sigma, steps, delta, orders):
    found = []
    for alpha in orders:
        k = torch.arange(alpha + 1, dtype=torch.float64)
        binomials = math.lgamma(alpha + 1) - torch.lgamma(k + 1) - torch.lgamma(alpha - k + 1)
        terms = binomials + (alpha - k) * math.log(1 - q) + k * math.log(q) + (k * k - k) / (2 * sigma**2)
        r = torch.logsumexp(terms, dim=0).item() / (alpha - 1)
        bend = math.log((alpha - 1) / alpha) - (math.log(delta) + math.log(alpha)) / (alpha - 1)
        found.append(steps * r + bend)
    return min(found)


def without_coins(factor):
    """The divergence of the bare Gaussian, α/2σ², times a function of q."""

    def answer(q, sigma, steps, delta, orders):
        found = []
        for a in orders:
            bend = math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1)
            found.append(steps * factor(q) * a / (2 * sigma**2) + bend)
        return min(found)

    return answer


def plainly(q, sigma, steps, delta, orders):
    """Sums the terms themselves, which overflow."""
    found = []
    for a in orders:
        k = torch.arange(a + 1, dtype=torch.float64)
        choices = torch.tensor([float(math.comb(a, i)) for i in range(a + 1)], dtype=torch.float64)
        terms = choices * (1 - q) ** (a - k) * q**k * torch.exp((k * k - k) / (2 * sigma**2))
        bend = math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1)
        found.append(steps * terms.sum().log().item() / (a - 1) + bend)
    return min(found)


exercise(
    "17.6",
    "The accountant",
    reference=epsilon_spent,
    returns="ε",
    cases=[
        case("three orders", 0.2, 1.5, 120, 1e-4, [2, 3, 4]),
        case("one order", 0.1, 1.0, 10, 1e-5, [5]),
        case("one step", 0.5, 2.0, 1, 1e-5, [2, 4, 8, 16, 32]),
        case("large orders, little noise", 0.3, 0.4, 3, 1e-5, [2, 3, 64]),
        case("the best order is the last but one", 0.01, 1.1, 1000, 1e-6, [2, 4, 8, 12, 40]),
        case("much noise", 0.04, 20.0, 50, 1e-5, [2, 16, 64, 256]),
        case("only a very large order", 0.02, 0.5, 2, 1e-5, [200]),
        case("many small steps", 0.001, 5.0, 100_000, 1e-5, [2, 16, 64, 128, 256]),
        case("below 0", 0.001, 50.0, 1, 0.3, [2]),
    ],
    rtol=1e-4,
    mistakes=[
        mistake("The binomial coefficients are missing.", epsilon_with(binomial=False)),
        mistake(
            "The exponent is (k² - k) / 2σ², and yours has another numerator: k - 1 of the k examples count.",
            epsilon_with(power=lambda k, sigma: (k * k + k) / (2 * sigma**2)),
            epsilon_with(power=lambda k, sigma: k * k / (2 * sigma**2)),
        ),
        mistake(
            "The exponent is divided by σ² instead of 2σ².",
            epsilon_with(power=lambda k, sigma: (k * k - k) / sigma**2),
        ),
        mistake(
            "The exponent is divided by 2σ; σ is squared there.",
            epsilon_with(power=lambda k, sigma: (k * k - k) / (2 * sigma)),
        ),
        mistake(
            "The exponent is multiplied by σ² or halved in the wrong place: it is (k² - k) / (2σ²), and "
            "`a / 2 * b` divides by 2 and multiplies by b.",
            epsilon_with(power=lambda k, sigma: (k * k - k) / 2 * sigma**2),
        ),
        mistake("q and 1 - q are swapped: q has the exponent k.", epsilon_with(swapped=True)),
        mistake("The logarithm of the sum is divided by α; it is α - 1.", epsilon_with(less=0)),
        mistake("The sum begins at k = 1. It begins at 0.", epsilon_with(start=1)),
        mistake(
            "You leave out terms of the sum: it begins at 0, and ends with k = α.",
            epsilon_with(start=2),
        ),
        mistake(
            "The last term of the sum is missing: it ends with k = α, and torch.arange leaves its end out.",
            epsilon_with(end=0),
        ),
        mistake(
            "You compute in float32, wholly or in part (lgamma of whole numbers is float32 too). The digits "
            "that are lost are many with small steps: make k float64.",
            epsilon_with(dtype=torch.float32),
            epsilon_with(dtype=torch.int64),
        ),
        mistake(
            "A result below 0 is made 0 with you. Return it as it comes.",
            lambda q, sigma, steps, delta, orders: max(0.0, epsilon_spent(q, sigma, steps, delta, orders)),
        ),
        mistake(
            "The logarithm of the sum is missing.",
            epsilon_with(root=False),
        ),
        mistake(
            "You took the largest ε. Each order's is true, so the smallest counts.", epsilon_with(choose=max)
        ),
        mistake(
            "You took the mean over the orders. Each order's ε is true, so the smallest counts.",
            epsilon_with(choose=lambda found: sum(found) / len(found)),
        ),
        mistake(
            "You took the ε of the last order. The smallest of all counts.",
            epsilon_with(choose=lambda found: found[-1]),
        ),
        mistake(
            "You took the ε of the first order. The smallest of all counts.",
            epsilon_with(choose=lambda found: found[0]),
        ),
        mistake(
            "The steps are missing: divergences add up over them.",
            epsilon_with(total=lambda steps, r, bend: r + bend),
        ),
        mistake(
            "You multiply the whole by the steps. Only r(α) adds up; the way from it to ε is gone once.",
            epsilon_with(total=lambda steps, r, bend: steps * (r + bend)),
            lambda q, sigma, steps, delta, orders: steps * epsilon_spent(q, sigma, 1, delta, orders),
        ),
        mistake(
            "This is the older way from r(α) to ε, with log(1/δ) / (α - 1). True, but larger than needed; "
            "the card has the tighter one.",
            epsilon_with(bend=lambda a, delta: -math.log(delta) / (a - 1)),
        ),
        mistake(
            "The sign of the term with δ is wrong: log δ is negative, and it is subtracted.",
            epsilon_with(
                bend=lambda a, delta: math.log((a - 1) / a) + (math.log(delta) + math.log(a)) / (a - 1)
            ),
            epsilon_with(
                bend=lambda a, delta: math.log((a - 1) / a) + (math.log(delta) - math.log(a)) / (a - 1)
            ),
        ),
        mistake(
            "log α is missing beside log δ.",
            epsilon_with(bend=lambda a, delta: math.log((a - 1) / a) - math.log(delta) / (a - 1)),
        ),
        mistake(
            "log α has the wrong sign: log δ + log α is subtracted, both.",
            epsilon_with(
                bend=lambda a, delta: math.log((a - 1) / a) - (math.log(delta) - math.log(a)) / (a - 1)
            ),
        ),
        mistake(
            "The term log((α - 1) / α) is missing.",
            epsilon_with(bend=lambda a, delta: -(math.log(delta) + math.log(a)) / (a - 1)),
        ),
        mistake(
            "log((α - 1) / α) is upside down.",
            epsilon_with(
                bend=lambda a, delta: math.log(a / (a - 1)) - (math.log(delta) + math.log(a)) / (a - 1)
            ),
        ),
        mistake(
            "You left the coins out: α / 2σ² is the divergence for q = 1.",
            without_coins(lambda q: 1),
        ),
        mistake(
            "q² α / 2σ², or q times, is a rule of thumb for small q. Sum up the exact formula.",
            without_coins(lambda q: q * q),
            without_coins(lambda q: q),
        ),
        mistake(
            "A term overflows, so that an order comes out as infinite or NaN. Add up with logsumexp.",
            plainly,
        ),
    ],
)

# 17.7 --------------------------------------------------------------------------------------------------

draw = Draw("17.7")


def weighted_mean(states, counts):
    total, found = sum(counts), {}
    for name, first in states[0].items():
        mean = sum(
            state[name].double() * (count / total) for state, count in zip(states, counts, strict=True)
        )
        found[name] = (mean if first.is_floating_point() else mean.round()).to(first.dtype)
    return found


def mean_of_states(weights=None, whole=torch.round, kept=True, compute=torch.float64, skip=False):
    """`weighted_mean` with other weights, another way with integers, or another dtype."""

    def wrong(states, counts):
        shares = weights(counts) if weights else [count / sum(counts) for count in counts]
        found = {}
        for name, first in states[0].items():
            if skip and not first.is_floating_point():
                found[name] = first.clone()
                continue
            mean = torch.zeros(first.shape, dtype=compute)
            for state, share in zip(states, shares, strict=True):
                mean = mean + state[name].to(compute) * share
            if not first.is_floating_point():
                mean = whole(mean)
            found[name] = mean.to(first.dtype) if kept else mean
        return found

    return wrong


def floats_alone(states, counts):
    found = weighted_mean(states, counts)
    return {name: value for name, value in found.items() if value.is_floating_point()}


def largest_counter(states, counts):
    found = weighted_mean(states, counts)
    for name, value in found.items():
        if not value.is_floating_point():
            found[name] = torch.stack([state[name] for state in states]).amax(dim=0)
    return found


def in_float32(states, counts):
    """Products with the counts first, all in float32, so that digits are lost."""
    total, found = sum(counts), {}
    for name, first in states[0].items():
        mean = sum(s[name].float() * c for s, c in zip(states, counts, strict=True)) / total
        found[name] = (mean if first.is_floating_point() else mean.round()).to(first.dtype)
    return found


def plain_counters(states, counts):
    """Integers by their unweighted mean."""
    found = weighted_mean(states, counts)
    for name, value in found.items():
        if not value.is_floating_point():
            plain = sum(state[name].double() for state in states) / len(states)
            found[name] = plain.round().to(value.dtype)
    return found


def states_of(clients, **shapes):
    """State dicts with floats of these shapes, a running mean and an integer counter."""
    return [
        {name: draw.floats(*shape) for name, shape in shapes.items()}
        | {"seen": 3 * draw.integers(50, 1)[0] + 1}
        for _ in range(clients)
    ]


spread = [1e8] + 100 * [1.0] + [-1e8]
many = [{"w": torch.tensor([1.0 + 1e-6 * i, 1000.0])} for i in range(40)]

exercise(
    "17.7",
    "The server's mean",
    reference=weighted_mean,
    returns="the mean state",
    cases=[
        case(
            "two clients",
            [
                {"w": torch.tensor([1.0]), "seen": torch.tensor(4)},
                {"w": torch.tensor([5.0]), "seen": torch.tensor(9)},
            ],
            [30, 10],
        ),
        case("three clients, two layers", states_of(3, a=(2, 3), b=(2,)), [10, 200, 35]),
        case("equal counts", states_of(4, w=(3,)), [7, 7, 7, 7]),
        case("one client", states_of(1, w=(2, 2)), [12]),
        case("a client without rows", states_of(3, w=(2,)), [0, 5, 20]),
        case(
            "a mean of 4.9 batches",
            [{"seen": torch.tensor([4, 1])}, {"seen": torch.tensor([5, 2])}],
            [10, 90],
        ),
        case(
            "float64 and float32 beside each other",
            [
                {"fine": torch.tensor([1.5], dtype=torch.float64), "w": torch.tensor([2.0])},
                {"fine": torch.tensor([2.5], dtype=torch.float64), "w": torch.tensor([8.0])},
            ],
            [1, 2],
        ),
        case("forty clients", many, list(range(1, 41))),
        case(
            "a negative number",
            [{"offset": torch.tensor([-3])}, {"offset": torch.tensor([-4])}],
            [9, 1],
        ),
        case("a half", [{"seen": torch.tensor([4, 7])}, {"seen": torch.tensor([5, 8])}], [3, 3]),
        case("a large counter", [{"seen": torch.tensor(16_777_217)}] * 2, [1, 1]),
        case(
            "small ones between two large ones", [{"w": torch.tensor([each])} for each in spread], [1] * 102
        ),
    ],
    mistakes=[
        mistake(
            "Every client counts the same. Weight each by its share of the rows.",
            mean_of_states(weights=lambda counts: [1 / len(counts)] * len(counts)),
        ),
        mistake(
            "The weights do not add up to 1. Divide each count by the sum of all.",
            mean_of_states(weights=lambda counts: counts),
            mean_of_states(weights=lambda counts: [count / max(counts) for count in counts]),
        ),
        mistake(
            "You divide by the number of clients on top of the weights, or in their place: the weighted sum "
            "is divided by the sum of the counts, once.",
            mean_of_states(weights=lambda counts: [count / len(counts) for count in counts]),
            mean_of_states(weights=lambda counts: [count / sum(counts) / len(counts) for count in counts]),
        ),
        mistake(
            "An integer tensor's decimals are cut off, so 4.9 becomes 4. Round before you change the dtype.",
            mean_of_states(whole=torch.trunc),
            mean_of_states(whole=torch.floor),
        ),
        mistake(
            "Integers are rounded up. Round to the nearest whole number.",
            mean_of_states(whole=torch.ceil),
        ),
        mistake(
            "You add a half and cut decimals off, which moves negative numbers the wrong way: torch.round.",
            mean_of_states(whole=lambda mean: (mean + 0.5).trunc()),
        ),
        mistake(
            "A half goes up with you. With torch.round it goes to the even number.",
            mean_of_states(whole=lambda mean: (mean + 0.5).floor()),
        ),
        mistake(
            "You compute in float32, which loses digits of large numbers. Compute in float64.",
            mean_of_states(compute=torch.float32),
            in_float32,
        ),
        mistake(
            "A dtype has changed. Every tensor keeps its own: load_state_dict would cut decimals "
            "off silently.",
            mean_of_states(kept=False, whole=lambda mean: mean),
            mean_of_states(kept=False),
            mean_of_states(kept=False, compute=torch.float32, whole=lambda mean: mean),
        ),
        mistake(
            "Floats are rounded too. Only integer tensors are.",
            lambda states, counts: {
                name: value.round() for name, value in weighted_mean(states, counts).items()
            },
        ),
        mistake(
            "Integer tensors come from the first client alone. They are averaged too.",
            mean_of_states(skip=True),
        ),
        mistake(
            "Integer tensors are missing. A state dict has to hold every name.",
            floats_alone,
        ),
        mistake("Integer tensors are the largest of all clients. Their mean is asked for.", largest_counter),
        mistake(
            "Integer tensors are averaged without the weights.",
            plain_counters,
        ),
        mistake(
            "This is the sum of the states; their weighted mean is asked for.",
            mean_of_states(weights=lambda counts: [1] * len(counts)),
        ),
        mistake(
            "The weights are a softmax of the counts, so the largest client decides alone. Shares are meant.",
            mean_of_states(weights=lambda counts: torch.tensor(counts).double().softmax(0).tolist()),
        ),
        mistake(
            "The weights are turned round: clients with few rows weigh most.",
            mean_of_states(
                weights=lambda counts: [
                    (1 / max(count, 1e-9)) / sum(1 / max(each, 1e-9) for each in counts) for count in counts
                ]
            ),
        ),
        mistake(
            "This is the first client's state. All of them are averaged.",
            lambda states, counts: {name: value.clone() for name, value in states[0].items()},
        ),
    ],
)

# 17.8 --------------------------------------------------------------------------------------------------

draw = Draw("17.8")
RING = 2**32


def fixed_point(values, scale):
    whole = (values.double() * scale).round()
    if (whole < -(2**31)).any() or (whole > 2**31 - 1).any():
        raise OverflowError("a value does not fit into 32 bits at this scale")
    integers = whole.long() % RING
    signed = torch.where(integers >= 2**31, integers - RING, integers)
    return integers, signed.double() / scale


def there_and_back(answer, values, scale):
    """What the answer gives, or that it refuses."""
    try:
        found = answer(values, scale)
    except OverflowError:
        return {"the answer": "OverflowError"}
    if not isinstance(found, tuple) or len(found) != 2:
        return {"the answer": found}
    return {"the integers": found[0], "the values back": found[1]}


def point_with(
    whole=torch.round,
    ring=RING,
    fits=lambda whole: bool(((whole >= -(2**31)) & (whole <= 2**31 - 1)).all()),
    sign=lambda integers: torch.where(integers >= 2**31, integers - RING, integers),
    multiply=lambda values, scale: values.double() * scale,
    divide=True,
    clamp=False,
):
    """`fixed_point` with one place changed."""

    def wrong(values, scale):
        found = whole(multiply(values, scale))
        if clamp:
            found = found.clamp(-(2**31), 2**31 - 1)
        elif not fits(found):
            raise OverflowError
        integers = found.long() % ring if ring else found.long()
        back = sign(integers).double()
        return integers, back / scale if divide else back

    return wrong


def range_before_rounding(values, scale):
    product = values.double() * scale
    if (product < -(2**31)).any() or (product > 2**31 - 1).any():
        raise OverflowError
    return fixed_point(values, scale)


def range_before_rounding_to_the_end(values, scale):
    product = values.double() * scale
    if (product < -(2**31)).any() or (product >= 2**31).any():
        raise OverflowError
    return point_with(fits=lambda whole: True)(values, scale)


def original_back(values, scale):
    return fixed_point(values, scale)[0], values.double()


edge = torch.tensor([2147483647.0, -2147483648.0, 5.0], dtype=torch.float64)

exercise(
    "17.8",
    "Fixed point",
    reference=fixed_point,
    use=there_and_back,
    returns="the pair",
    cases=[
        case("one and a half", torch.tensor([1.5, -0.25]), 4),
        case("small updates", draw.floats(3, 4) / 10, 2**16),
        case("a half is rounded to even", torch.tensor([0.3, 0.7, -0.3, -0.7, 2.5]), 1),
        case("the largest and the smallest that fit", edge, 1),
        case("one too large", torch.tensor([1.0, 40000.0]), 2**16),
        case("one too small", torch.tensor([-40000.0, 1.0]), 2**16),
        case("just too large", torch.tensor([2147483648.0], dtype=torch.float64), 1),
        case("just too small", torch.tensor([-2147483649.0], dtype=torch.float64), 1),
        case(
            "fits once it is rounded", torch.tensor([2**31 - 0.75, -(2**31) - 0.25], dtype=torch.float64), 1
        ),
        case("too large once it is rounded", torch.tensor([2**31 - 0.5], dtype=torch.float64), 1),
        case("no values", torch.zeros(0, 3), 8),
        case("more digits than float32 has", torch.tensor([1.2345678, -987.65432]), 10**6),
        case("zero", torch.zeros(2, 1), 100),
    ],
    rtol=1e-9,
    atol=1e-9,
    mistakes=[
        mistake(
            "Decimals are cut off; 1.7 becomes 1. Round to the nearest.",
            point_with(whole=torch.trunc),
            point_with(whole=lambda x: x),
        ),
        mistake("You round down; round to the nearest.", point_with(whole=torch.floor)),
        mistake(
            "Negative values stay negative. Modulo 2^32 they become the numbers near its end.",
            point_with(ring=None),
            point_with(ring=None, sign=lambda integers: integers),
        ),
        mistake(
            "Your modulus is 2^31: positive and negative values then meet. It is 2^32.",
            point_with(ring=2**31),
            point_with(
                ring=2**31, sign=lambda integers: torch.where(integers >= 2**30, integers - 2**31, integers)
            ),
        ),
        mistake(
            "Your modulus is 2^32 - 1, the largest number. Modulo 2^32 the numbers go from 0 to 2^32 - 1.",
            point_with(
                ring=2**32 - 1,
                sign=lambda integers: torch.where(integers >= 2**31, integers - (2**32 - 1), integers),
            ),
            point_with(ring=2**32 - 1),
        ),
        mistake(
            "A value that does not fit comes back as another one. Raise OverflowError for it.",
            point_with(fits=lambda whole: True),
        ),
        mistake(
            "A value that does not fit is clamped. It would be wrong without anybody knowing: raise "
            "OverflowError.",
            point_with(clamp=True),
        ),
        mistake(
            "Only values that are too large are refused; too small ones do not fit either.",
            point_with(fits=lambda whole: bool((whole <= 2**31 - 1).all())),
        ),
        mistake(
            "The range is off by one at one of its ends: it goes from -2^31 to 2^31 - 1.",
            point_with(fits=lambda whole: bool((whole.abs() <= 2**31 - 1).all())),
            point_with(fits=lambda whole: bool((whole.abs() < 2**31).all())),
            point_with(fits=lambda whole: bool((whole.abs() <= 2**31).all())),
        ),
        mistake(
            "You test the range before you round. What counts is whether the rounded number fits.",
            range_before_rounding,
            range_before_rounding_to_the_end,
        ),
        mistake(
            "You give a list of the two. A pair is asked for: give a tuple.",
            lambda values, scale: list(fixed_point(values, scale)),
        ),
        mistake(
            "You give the two stacked in one tensor. A pair is asked for: give a tuple.",
            lambda values, scale: torch.stack([each.double() for each in fixed_point(values, scale)]),
        ),
        mistake(
            "On the way back large integers stay large: from 2^31 on an integer stands for itself less 2^32.",
            point_with(sign=lambda integers: integers),
        ),
        mistake(
            "On the way back 2^31 itself counts as positive. It stands for -2^31.",
            point_with(sign=lambda integers: torch.where(integers > 2**31, integers - RING, integers)),
        ),
        mistake("On the way back the scale is missing: divide by it.", point_with(divide=False)),
        mistake(
            "You multiply in float32, which has seven digits. Make it float64 first.",
            point_with(multiply=lambda values, scale: (values.float() * scale).double()),
        ),
        mistake(
            "You divide by the scale where you have to multiply.",
            point_with(multiply=lambda v, s: v.double() / s),
        ),
        mistake(
            "The values back are the ones that came in. They are to be made of the integers, rounding "
            "and all.",
            original_back,
        ),
    ],
)

# 17.9 --------------------------------------------------------------------------------------------------

draw = Draw("17.9")


def masked(integers, me, seeds):
    total = integers.clone()
    for other, seed in seeds.items():
        mask = torch.randint(0, RING, integers.shape, generator=torch.Generator().manual_seed(seed))
        total = total + mask if me < other else total - mask
    return total % RING


def a_mask(shape, seed, high=RING, low=0):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def masked_with(
    mask=lambda integers, seed, me, other: a_mask(integers.shape, seed),
    sign=lambda me, other: 1 if me < other else -1,
    end=lambda total: total % RING,
):
    """`masked` with another mask, other signs, or another end."""

    def wrong(integers, me, seeds):
        total = integers.clone()
        for other, seed in seeds.items():
            total = total + sign(me, other) * mask(integers, seed, me, other)
        return end(total)

    return wrong


def one_stream(integers, me, seeds):
    """One generator for all pairs, seeded with the first seed."""
    total, generator = integers.clone(), None
    for other, seed in seeds.items():
        generator = generator or torch.Generator().manual_seed(seed)
        mask = torch.randint(0, RING, integers.shape, generator=generator)
        total = total + mask if me < other else total - mask
    return total % RING


def one_number(integers, seed, me, other):
    return a_mask((1,), seed).item()


def exclusive_or(integers, me, seeds):
    for seed in seeds.values():
        integers = integers ^ a_mask(integers.shape, seed)
    return integers


def only_first(integers, me, seeds):
    for other, seed in list(seeds.items())[:1]:
        return masked(integers, me, {other: seed})
    return integers % RING


def largest(shape):
    return torch.full(shape, RING - 1)


exercise(
    "17.9",
    "Pairwise masks",
    reference=masked,
    returns="what is sent",
    cases=[
        case("the smaller of two", draw.integers(RING, 4), 1, {2: 7}),
        case("the larger of two", draw.integers(RING, 4), 2, {1: 7}),
        case("in the middle of five", draw.integers(RING, 2, 3), 2, {0: 11, 1: 12, 3: 13, 4: 14}),
        case("others not in order", draw.integers(RING, 5), 5, {9: 1, 0: 2, 7: 3}),
        case("nobody else", draw.integers(RING, 3), 0, {}),
        case("the largest update there is", largest((6,)), 0, {1: 5, 2: 6}),
        case("an update of zeros", torch.zeros(4, dtype=torch.int64), 3, {0: 100, 1: 200, 2: 300}),
    ],
    mistakes=[
        mistake(
            "Your signs are turned round: the smaller number adds, the larger one subtracts.",
            masked_with(sign=lambda me, other: -1 if me < other else 1),
            masked_with(sign=lambda me, other: 1 if me > other else -1),
        ),
        mistake(
            "Every mask is added, so that a pair's masks do not cancel. One of the two subtracts.",
            masked_with(sign=lambda me, other: 1),
        ),
        mistake(
            "Every mask is subtracted. The one with the smaller number adds.",
            masked_with(sign=lambda me, other: -1),
        ),
        mistake(
            "The modulo is missing: the result lies outside of 0 to 2^32 - 1, and gives away more than its "
            "rest would.",
            masked_with(end=lambda total: total),
        ),
        mistake(
            "One generator goes on from pair to pair, so only the first pair shares a mask. Make a new one, "
            "with its own seed, for each.",
            one_stream,
        ),
        mistake(
            "The mask is one number for the whole update. Differences between its numbers stay visible: "
            "every number needs its own.",
            masked_with(mask=one_number),
        ),
        mistake(
            "Your masks go up to 2^31 only, so they do not hide: a masked number leans towards its value.",
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed, high=2**31)),
        ),
        mistake(
            "Your masks end before 2^32 - 1: the upper end of randint is left out already.",
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed, high=RING - 1)),
        ),
        mistake(
            "Your masks begin at 1; 0 is a mask like any other.",
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed, low=1)),
        ),
        mistake(
            "The modulus is 2^31, which loses the sign's bit. It is 2^32.",
            masked_with(end=lambda total: total % 2**31),
        ),
        mistake(
            "The modulus is 2^32 - 1. Take 2^32, as the fixed point does.",
            masked_with(end=lambda total: total % (RING - 1)),
        ),
        mistake(
            "An exclusive or hides as well, but it does not cancel in a *sum*. Add and subtract.",
            exclusive_or,
        ),
        mistake(
            "Your generators are seeded with more than the pair's seed, so the other one has another mask.",
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed + me)),
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed + other)),
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, seed * (me + 1))),
        ),
        mistake(
            "Your generators are seeded with the other's number, which everybody knows. The secret seed is "
            "the dict's value.",
            masked_with(mask=lambda integers, seed, me, other: a_mask(integers.shape, other)),
        ),
        mistake("Only one pair's mask is used. Every pair has one.", only_first),
        mistake(
            "The update itself is missing: this is the sum of the masks.",
            lambda integers, me, seeds: masked(torch.zeros_like(integers), me, seeds),
        ),
    ],
)

# 17.10 -------------------------------------------------------------------------------------------------

draw = Draw("17.10")


def exposure(canary, others):
    rank = 1 + (others < canary).sum().item() + 0.5 * (others == canary).sum().item()
    return math.log2(len(others) + 1) - math.log2(rank)


def in_float64(canary, others):
    losses = others.tolist()
    rank = 1 + sum(loss < canary for loss in losses) + 0.5 * losses.count(canary)
    return math.log2(len(losses) + 1) - math.log2(rank)


def exposure_with(rank=None, size=lambda others: len(others) + 1, formula=None):
    """`exposure` with another rank, another number of candidates, or another formula."""

    def wrong(canary, others):
        smaller, equal = (others < canary).sum().item(), (others == canary).sum().item()
        place = rank(smaller, equal, len(others)) if rank else 1 + smaller + 0.5 * equal
        return (formula or (lambda n, r: math.log2(n) - math.log2(r)))(size(others), place)

    return wrong


exercise(
    "17.10",
    "Exposure of a canary",
    reference=exposure,
    returns="the exposure",
    cases=[
        case("rank 2 of 4", 1.0, torch.tensor([2.0, 3.0, 0.5])),
        case("learned by heart", 0.25, 1 + draw.floats(999).abs()),
        case("in the middle", 0.0, draw.floats(100)),
        case("the worst of all", 9.0, draw.floats(31)),
        case("ties", 2.0, draw.integers(5, 40).float()),
        case("two candidates", 1.0, torch.tensor([3.0])),
        case("tied with the only other", 1.0, torch.tensor([1.0])),
        case("tied in float32", 0.1, torch.tensor([0.1, 0.2, 0.3])),
    ],
    mistakes=[
        mistake(
            "N leaves the canary out. It is a candidate too: one more than `others`.",
            exposure_with(size=len),
        ),
        mistake(
            "Your rank begins at 0. The smallest loss has rank 1.",
            exposure_with(rank=lambda smaller, equal, n: max(smaller + 0.5 * equal, 1e-9)),
            exposure_with(rank=lambda smaller, equal, n: max(smaller + 0.5 * equal, 1)),
        ),
        mistake(
            "A tie counts nothing towards the rank; it counts one half.",
            exposure_with(rank=lambda smaller, equal, n: 1 + smaller),
        ),
        mistake(
            "A tie counts as a smaller loss; it counts one half.",
            exposure_with(rank=lambda smaller, equal, n: 1 + smaller + equal),
        ),
        mistake(
            "You compare in float64, where a float32 loss of 0.1 is a little more than 0.1. Compare in the "
            "dtype of `others`: with the tensor itself.",
            in_float64,
            lambda canary, others: exposure(canary, others.double()),
        ),
        mistake(
            "You rank by the largest loss. A sentence learned by heart has the smallest.",
            exposure_with(rank=lambda smaller, equal, n: 1 + (n - smaller - equal) + 0.5 * equal),
        ),
        mistake(
            "These are natural logarithms; exposure is in bits, log₂.",
            exposure_with(formula=lambda n, r: math.log(n) - math.log(r)),
        ),
        mistake(
            "These are logarithms to the base 10; exposure is in bits, log₂.",
            exposure_with(formula=lambda n, r: math.log10(n) - math.log10(r)),
        ),
        mistake(
            "The logarithm is missing: this is N over the rank.",
            exposure_with(formula=lambda n, r: n / r),
        ),
        mistake(
            "You subtract the rank before the logarithm. The two logarithms are subtracted.",
            exposure_with(formula=lambda n, r: math.log2(n - r + 1)),
            exposure_with(formula=lambda n, r: math.log2(max(n - r, 1))),
        ),
        mistake(
            "log₂ N is missing, so all exposures are negative.",
            exposure_with(formula=lambda n, r: -math.log2(r)),
        ),
        mistake(
            "The sign is turned round: a large exposure means learned by heart.",
            exposure_with(formula=lambda n, r: math.log2(r) - math.log2(n)),
        ),
        mistake(
            "This is the share of candidates with a larger loss. Exposure is log₂ of N less log₂ of "
            "the rank.",
            exposure_with(formula=lambda n, r: 1 - r / n),
            exposure_with(formula=lambda n, r: (n - r) / n),
            exposure_with(formula=lambda n, r: r / n),
        ),
    ],
)

# 17.11 -------------------------------------------------------------------------------------------------


def affordable_steps(budget, spent):
    low, high = 0, 2**30
    while high - low > 1:
        middle = (low + high) // 2
        if spent(middle) <= budget:
            low = middle
        else:
            high = middle
    return low


def steps_and_type(answer, budget, spent):
    found = answer(budget, spent)
    return found, type(found).__name__


def up_to(high):
    """`affordable_steps` that never tries `high` steps or more."""

    def wrong(budget, spent):
        low, end = 0, high
        while end - low > 1:
            middle = (low + end) // 2
            low, end = (middle, end) if spent(middle) <= budget else (low, middle)
        return low

    return wrong


def strictly(budget, spent):
    low, high = 0, 2**30
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if spent(middle) < budget else (low, middle)
    return low


def largest_power(budget, spent):
    steps = 1
    if spent(1) > budget:
        return 0
    while steps < 2**30 and spent(2 * steps) <= budget:
        steps *= 2
    return steps


def at_least_one(budget, spent):
    return max(1, affordable_steps(budget, spent))


def until_it_costs_more(budget, spent):
    """Counts on in large strides, so that the last stride is missing."""
    stride, steps = 2**30 // 32, 0
    for _ in range(40):
        if spent(steps + stride) <= budget:
            steps += stride
    return steps


exercise(
    "17.11",
    "How many steps does a budget buy?",
    reference=affordable_steps,
    use=steps_and_type,
    returns=("the number of steps", "its type"),
    cases=[
        case("a quarter a step", 1.0, shown("lambda steps: 0.25 * steps", lambda steps: 0.25 * steps)),
        case("by the root", 3.0, shown("lambda steps: 0.01 * steps**0.5", lambda steps: 0.01 * steps**0.5)),
        case(
            "with a cost at the start",
            2.0,
            shown("lambda steps: 1 + steps / 777", lambda steps: 1 + steps / 777),
        ),
        case("not even one step", 0.5, shown("lambda steps: 0.75 * steps", lambda steps: 0.75 * steps)),
        case("in stairs", 4.0, shown("lambda steps: steps // 100", lambda steps: steps // 100)),
        case("exactly one step", 1.0, shown("lambda steps: 1.0 * steps", lambda steps: 1.0 * steps)),
        case("a very small cost", 1.0, shown("lambda steps: steps / 2**29", lambda steps: steps / 2**29)),
        case(
            "the most there is",
            1.0,
            shown("lambda steps: steps / (2**30 - 1)", lambda steps: steps / (2**30 - 1)),
        ),
        case(
            "not even one, and 0 is no number of steps",
            0.5,
            shown("lambda steps: 1 + math.log2(steps)", lambda steps: 1 + math.log2(steps)),
        ),
        case("three", 3.5, shown("lambda steps: float(steps)", lambda steps: float(steps))),
    ],
    rules=[calls("spent", most=64, least=1)],
    mistakes=[
        mistake(
            "A number of steps that costs exactly the budget is affordable: compare with <=.",
            strictly,
        ),
        mistake(
            "This is the first number of steps that costs too much. The largest affordable one is one less.",
            lambda budget, spent: affordable_steps(budget, spent) + 1,
        ),
        mistake(
            "This is one step too few.",
            lambda budget, spent: max(0, affordable_steps(budget, spent) - 1),
            lambda budget, spent: affordable_steps(budget, spent) - 1,
        ),
        mistake(
            "The interval ends one too early: 2^30 - 1 steps can be affordable, so begin with 2^30.",
            up_to(2**30 - 1),
        ),
        mistake(
            "The interval ends too early. Up to 2^30 - 1 steps can be affordable.",
            up_to(2**29),
            up_to(10**6),
            up_to(10**9),
        ),
        mistake(
            "This is a float. A number of steps is an int.",
            lambda budget, spent: float(affordable_steps(budget, spent)),
        ),
        mistake(
            "You divide the budget by the cost of the first step. ε does not grow in a straight line.",
            lambda budget, spent: int(budget / spent(1)),
            lambda budget, spent: int(budget // max(spent(1), 1e-12)),
        ),
        mistake(
            "You take the cost for a root of the steps. Ask the accountant itself.",
            lambda budget, spent: int((budget / max(spent(1), 1e-12)) ** 2),
        ),
        mistake(
            "You only double, and stop at a power of two. Halve the interval behind it.",
            largest_power,
        ),
        mistake("If not even one step is affordable the answer is 0.", at_least_one),
        mistake(
            "Your strides are too coarse: between two of them are numbers that are affordable.",
            until_it_costs_more,
        ),
        mistake(
            "If not even one step is affordable the answer is 0, and not None or -1.",
            lambda budget, spent: affordable_steps(budget, spent) or None,
            lambda budget, spent: affordable_steps(budget, spent) or -1,
        ),
    ],
)
