"""Exercises of lesson 14, images: their references, inputs and typical mistakes."""

import math

import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, layer_norm, pad, relu

from course_utils.checks.exercise import Draw, case, exercise, forbid, mistake, shown, tensors_up_to

FUSED = forbid("scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention")

# 14.1 --------------------------------------------------------------------------------------------------

draw = Draw("14.1")


def stacked(images):
    return torch.stack(list(images)).permute(0, 3, 1, 2)


def per_channel(numbers):
    return numbers[:, None, None]


def to_batch(images, mean, std):
    return (stacked(images).float() / 255 - per_channel(mean)) / per_channel(std)


def batch_with(scale=lambda x: x.float() / 255, stack=stacked, end=None):
    """`to_batch` with another scale, another order of the axes, or another last step."""
    end = end or (lambda x, mean, std: (x - per_channel(mean)) / per_channel(std))
    return lambda images, mean, std: end(scale(stack(images)), mean, std)


def poured(images):
    height, width, channels = images[0].shape
    return torch.stack(list(images)).reshape(len(images), channels, height, width)


def turned(images):
    return torch.stack(list(images)).permute(0, 3, 2, 1)


def last_axis(images, mean, std):
    return (torch.stack(list(images)).float() / 255 - mean) / std


def own_numbers(x, mean, std):
    return (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True)


def pixels(*shape):
    """A list of uint8 images."""
    return list(draw.integers(256, *shape).to(torch.uint8))


exercise(
    "14.1",
    "From pictures to a batch",
    reference=to_batch,
    returns="the batch",
    cases=[
        case(
            "two colour pictures",
            pixels(2, 4, 5, 3),
            torch.tensor([0.5, 0.4, 0.3]),
            torch.tensor([0.2, 0.3, 0.4]),
        ),
        case("grey", pixels(3, 6, 6, 1), torch.tensor([0.13]), torch.tensor([0.3])),
        case(
            "as high as wide as deep",
            pixels(1, 3, 3, 3),
            torch.tensor([0.1, 0.5, 0.9]),
            torch.tensor([0.5, 0.2, 0.1]),
        ),
        case("nothing to subtract", pixels(2, 2, 4, 2), torch.zeros(2), torch.ones(2)),
        case(
            "black and white",
            list(torch.tensor([[[0], [255]], [[255], [0]]], dtype=torch.uint8)[None]),
            torch.tensor([0.5]),
            torch.tensor([0.5]),
        ),
    ],
    mistakes=[
        mistake(
            "The pixels are still 0 to 255. Divide by 255 first: mean and std are those of numbers "
            "from 0 to 1.",
            batch_with(lambda x: x.float()),
        ),
        mistake(
            "You divide by 256. White is 255, and is to become 1.",
            batch_with(lambda x: x.float() / 256),
        ),
        mistake(
            "You normalise first and divide by 255 afterwards. Mean and std are those of pixels from 0 to 1, "
            "so the division comes first.",
            batch_with(
                lambda x: x.float(), end=lambda x, mean, std: (x - per_channel(mean)) / per_channel(std) / 255
            ),
        ),
        mistake(
            "The numbers are poured into the new shape, so each lands at a wrong place. `permute` "
            "moves axes; "
            "`reshape` and `view` do not.",
            batch_with(stack=poured),
        ),
        mistake(
            "Height and width have changed places: the pictures lie on their side.",
            batch_with(stack=turned),
        ),
        mistake(
            "The channels are still the last axis. PyTorch wants them second: (batch, channels, "
            "height, width).",
            last_axis,
        ),
        mistake(
            "You subtract the mean, and the division by std is missing.",
            batch_with(end=lambda x, mean, std: x - per_channel(mean)),
        ),
        mistake(
            "You divide by std, and the mean is not subtracted.",
            batch_with(end=lambda x, mean, std: x / per_channel(std)),
        ),
        mistake(
            "You multiply by std. Divide by it: the spread is to become 1.",
            batch_with(end=lambda x, mean, std: (x - per_channel(mean)) * per_channel(std)),
        ),
        mistake(
            "You add the mean. Subtract it.",
            batch_with(end=lambda x, mean, std: (x + per_channel(mean)) / per_channel(std)),
        ),
        mistake(
            "The division takes mean alone: x − mean / std. Brackets around x − mean.",
            batch_with(end=lambda x, mean, std: x - per_channel(mean) / per_channel(std)),
        ),
        mistake(
            "You divide first and subtract the mean afterwards. Brackets around x − mean: the mean is taken "
            "away before the division.",
            batch_with(end=lambda x, mean, std: x / per_channel(std) - per_channel(mean)),
        ),
        mistake(
            "These are the batch's own mean and spread. The given ones are asked for: those of the training "
            "images, the same for every batch.",
            batch_with(end=own_numbers),
        ),
        mistake(
            "All channels got the same numbers. Each has its own mean and its own std.",
            batch_with(end=lambda x, mean, std: (x - mean.mean()) / std.mean()),
            batch_with(end=lambda x, mean, std: (x - mean[0]) / std[0]),
        ),
        mistake(
            "std is taken as a variance, or squared. Divide by std itself.",
            batch_with(end=lambda x, mean, std: (x - per_channel(mean)) / per_channel(std).sqrt()),
            batch_with(end=lambda x, mean, std: (x - per_channel(mean)) / per_channel(std) ** 2),
        ),
        mistake(
            "Whole numbers are divided by `//`, which leaves only 0 and 1.",
            batch_with(lambda x: x // 255),
        ),
        mistake(
            "Normalising is missing: these are the pixels from 0 to 1.",
            batch_with(end=lambda x, mean, std: x),
        ),
        mistake(
            "The result is float64. Models hold float32, and a batch of another dtype stops them.",
            batch_with(lambda x: x.double() / 255),
        ),
        mistake(
            "The channels are in the opposite order.",
            batch_with(stack=lambda images: stacked(images).flip(1)),
        ),
    ],
)

# 14.2 --------------------------------------------------------------------------------------------------

draw = Draw("14.2")


def windows(images, size, step_down, step_right):
    """Every window: (batch, channels, rows, columns, size, size)."""
    return images.unfold(2, size, step_down).unfold(3, size, step_right)


def weighed(found, kernels):
    return torch.einsum("bcxyij,ocij->boxy", found, kernels)


def zeros_around(images, padding):
    return pad(images, (padding,) * 4)


def convolve(images, kernels, bias, stride, padding):
    found = windows(zeros_around(images, padding), kernels.shape[-1], stride, stride)
    return weighed(found, kernels) + bias[:, None, None]


def convolved(frame=zeros_around, kernel=lambda k: k, steps=lambda s, k: (s, s), end=lambda x: x, shift=None):
    """`convolve` with another frame, other kernels, other steps, or another end."""

    def wrong(images, kernels, bias, stride, padding):
        size = kernels.shape[-1]
        found = weighed(windows(frame(images, padding), size, *steps(stride, size)), kernel(kernels))
        return end(found + (shift(bias, kernels) if shift else bias)[:, None, None])

    return wrong


def around(mode):
    return lambda images, padding: pad(images, (padding,) * 4, mode=mode) if padding else images


def one_less(images, kernels, bias, stride, padding):
    found = convolve(images, kernels, bias, 1, padding)[:, :, :-1, :-1]
    return found[:, :, ::stride, ::stride]


def late_start(images, kernels, bias, stride, padding):
    return convolve(images, kernels, bias, 1, padding)[:, :, stride - 1 :: stride, stride - 1 :: stride]


def first_channel(images, kernels, bias, stride, padding):
    return convolve(images[:, :1], kernels[:, :1], bias, stride, padding)


def channel_mean(images, kernels, bias, stride, padding):
    return convolve(images / images.shape[1], kernels, bias, stride, padding)


def window_mean(images, kernels, bias, stride, padding):
    return convolve(images / kernels[0].numel(), kernels, bias, stride, padding)


def window_area_mean(images, kernels, bias, stride, padding):
    return convolve(images / kernels[0, 0].numel(), kernels, bias, stride, padding)


def all_to_one(images, kernels, bias, stride, padding):
    return convolve(images, kernels.sum(dim=0, keepdim=True).expand_as(kernels), bias, stride, padding)


def channels_meet(images, kernels, bias, stride, padding):
    """The first channel of each kernel works on all channels."""
    return convolve(images, kernels[:, :1].expand_as(kernels), bias, stride, padding)


def kernels_turned(kernels):
    if kernels.shape[0] != kernels.shape[1]:
        raise ValueError("only kernels with as many inputs as outputs can be exchanged")
    return kernels.transpose(0, 1)


def conv_case(name, batch, channels, height, width, outputs, size, stride, padding):
    kernels = draw.floats(outputs, channels, size, size)
    return case(
        name, draw.floats(batch, channels, height, width), kernels, draw.floats(outputs), stride, padding
    )


exercise(
    "14.2",
    "Convolution by hand",
    reference=convolve,
    returns="the maps",
    gradients=["images", "kernels", "bias"],
    rules=[forbid("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose2d")],
    cases=[
        conv_case("one channel, one kernel", 1, 1, 5, 5, 1, 3, 1, 0),
        conv_case("with a frame of zeros", 2, 1, 4, 6, 2, 3, 1, 1),
        conv_case("three channels", 2, 3, 5, 7, 4, 3, 1, 0),
        conv_case("stride 2", 1, 2, 7, 9, 2, 3, 2, 1),
        conv_case("patches: the stride is the size", 2, 1, 8, 8, 3, 4, 4, 0),
        conv_case("one pixel", 2, 3, 3, 3, 3, 1, 1, 0),
        conv_case("a wide frame", 1, 2, 3, 4, 2, 2, 1, 2),
        conv_case("the last column is left over", 1, 1, 6, 8, 2, 3, 2, 0),
    ],
    mistakes=[
        mistake(
            "The kernel is turned by 180 degrees, as in mathematics. A convolution layer does not turn it.",
            convolved(kernel=lambda k: k.flip(2, 3)),
        ),
        mistake(
            "The kernel lies on its side: its first axis runs down, its second to the right.",
            convolved(kernel=lambda k: k.transpose(2, 3)),
        ),
        mistake("The bias is missing: one number for each kernel.", convolved(shift=lambda b, k: 0 * b)),
        mistake("The frame of zeros is missing: padding on all four sides.", convolved(lambda x, p: x)),
        mistake(
            "The frame is on two sides only. `pad` takes left, right, top and bottom: four numbers.",
            convolved(lambda x, p: pad(x, (p, p))),
            convolved(lambda x, p: pad(x, (0, 0, p, p))),
            convolved(lambda x, p: pad(x, (0, p, 0, p))),
            convolved(lambda x, p: pad(x, (p, 0, p, 0))),
        ),
        mistake(
            "The frame repeats the pixels of the edge. It is made of zeros.",
            convolved(around("replicate")),
        ),
        mistake(
            "The frame is made of ones, and zeros are asked for.",
            convolved(lambda x, p: pad(x, (p,) * 4, value=1.0)),
        ),
        mistake(
            "The frame is twice as wide: `padding` is its width on each side.",
            convolved(lambda x, p: pad(x, (2 * p,) * 4)),
        ),
        mistake(
            "The stride is ignored: the window moves by one pixel.", convolved(steps=lambda s, k: (1, 1))
        ),
        mistake(
            "The stride acts in one direction only; it is for rows and columns.",
            convolved(steps=lambda s, k: (s, 1)),
            convolved(steps=lambda s, k: (1, s)),
        ),
        mistake(
            "Your windows lie side by side: they move by their own size and not by `stride`.",
            convolved(steps=lambda s, k: (k, k)),
        ),
        mistake(
            "The last row and the last column of windows are missing: there are "
            "(height + 2 · padding − size) // stride + 1 rows of them.",
            one_less,
        ),
        mistake("The first window stands at the top left corner; yours begins later.", late_start),
        mistake("Only the first channel is read. The products of all channels are added up.", first_channel),
        mistake(
            "The products are averaged. A convolution adds them up.",
            channel_mean,
            window_mean,
            window_area_mean,
        ),
        mistake(
            "The bias is added more than once: once for each channel, or for each place in the window.",
            convolved(shift=lambda b, k: k.shape[1] * b),
            convolved(shift=lambda b, k: k[0].numel() * b),
            convolved(shift=lambda b, k: k[0, 0].numel() * b),
        ),
        mistake("All outputs are the same but for the bias: each kernel makes a map of its own.", all_to_one),
        mistake(
            "One slice of the kernel serves all channels. A kernel has one slice for each.", channels_meet
        ),
        mistake(
            "Inputs and outputs of the kernels are exchanged: the first axis is the output.",
            convolved(kernel=kernels_turned),
        ),
        mistake("A ReLU is in your maps. It comes later.", convolved(end=relu)),
    ],
)

# 14.3 --------------------------------------------------------------------------------------------------

draw = Draw("14.3")


def folded(images, size):
    """(batch, channels, rows, size, columns, size)."""
    return images.unflatten(2, (-1, size)).unflatten(4, (-1, size))


def cut(images, size):
    return folded(images, size).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def cut_in(order):
    return lambda images, size: folded(images, size).permute(order).flatten(3).flatten(1, 2)


def scattered(images, size):
    fold = images.unflatten(2, (size, -1)).unflatten(4, (size, -1))
    return fold.permute(0, 3, 5, 1, 2, 4).flatten(3).flatten(1, 2)


def poured_patches(images, size):
    return images.reshape(len(images), -1, images.shape[1] * size * size)


def sliding(images, size):
    return windows(images, size, 1, 1).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def strips(images, size):
    return images.unflatten(2, (-1, size)).transpose(1, 2).flatten(2)


def each_channel(images, size):
    return folded(images, size).permute(0, 1, 2, 4, 3, 5).flatten(4).flatten(1, 3)


exercise(
    "14.3",
    "Cut into patches",
    reference=cut,
    returns="the patches",
    rules=[forbid("unfold", "im2col", "pixel_unshuffle", "conv2d", "space_to_depth")],
    cases=[
        case("four patches", torch.arange(16.0).reshape(1, 1, 4, 4), 2),
        case("a digit's size", draw.floats(2, 1, 28, 28), 7),
        case("wider than high", draw.floats(1, 1, 4, 8), 2),
        case("three channels", draw.floats(2, 3, 6, 6), 3),
        case("one patch", draw.floats(3, 2, 4, 4), 4),
        case("every pixel a patch", draw.floats(1, 2, 3, 3), 1),
        case("whole numbers", draw.integers(256, 2, 1, 4, 4), 2),
    ],
    mistakes=[
        mistake(
            "The pixels are poured into the new shape: your patches are stretches of rows, not "
            "squares. Split "
            "height and width first, then move the axes, then flatten.",
            poured_patches,
        ),
        mistake(
            "The patches go column by column. They go row by row, as you read.",
            cut_in((0, 4, 2, 1, 3, 5)),
        ),
        mistake(
            "In a patch, the channels come last. They come first, as in a convolution's kernel.",
            cut_in((0, 2, 4, 3, 5, 1)),
        ),
        mistake(
            "Each patch lies on its side: within a patch, rows come before columns.",
            cut_in((0, 2, 4, 1, 5, 3)),
        ),
        mistake(
            "Your patches take every n-th pixel from all over the image. Neighbours belong together: split "
            "the height into (rows of patches, size), not the other way round.",
            scattered,
        ),
        mistake(
            "Your windows overlap. Patches lie side by side: they move by their own size.",
            sliding,
        ),
        mistake("Only the height is cut: these are strips as wide as the image.", strips),
        mistake(
            "Only one channel is left. A patch holds the pixels of all channels.",
            lambda images, size: cut(images[:, :1], size),
        ),
        mistake(
            "The channels are averaged, or added up. A patch holds the pixels of all of them.",
            lambda images, size: cut(images.mean(dim=1, keepdim=True), size),
            lambda images, size: cut(images.sum(dim=1, keepdim=True), size),
        ),
        mistake(
            "Each channel is cut by itself. A patch is one vector for all channels.",
            each_channel,
        ),
        mistake(
            "The patches stand in columns: their pixels are the last axis.",
            lambda images, size: cut(images, size).transpose(1, 2),
        ),
        mistake(
            "The patches are still squares. Each is to be one vector.",
            lambda images, size: folded(images, size).permute(0, 2, 4, 1, 3, 5).flatten(1, 2),
        ),
        mistake(
            "The grid of patches is still there. Make one row of patches of it.",
            lambda images, size: folded(images, size).permute(0, 2, 4, 1, 3, 5).flatten(3),
        ),
        mistake(
            "The pixels have become floats. The patches have the dtype of the images.",
            lambda images, size: cut(images, size).float(),
        ),
        mistake(
            "The image is turned: rows have become columns.",
            lambda images, size: cut(images.transpose(2, 3), size),
        ),
    ],
)

# 14.4 --------------------------------------------------------------------------------------------------

draw = Draw("14.4")


class Entrance(nn.Module):
    def __init__(self, channels, side, size, hidden):
        super().__init__()
        self.patches = nn.Conv2d(channels, hidden, size, stride=size)
        self.cls = nn.Parameter(torch.randn(1, 1, hidden))
        self.places = nn.Parameter(torch.randn(1, 1 + (side // size) ** 2, hidden))

    def tokens(self, images):
        return self.patches(images).flatten(2).transpose(1, 2)

    def forward(self, images):
        return torch.cat([self.cls.expand(len(images), -1, -1), self.tokens(images)], dim=1) + self.places


def entrance(join=None, tokens=Entrance.tokens, end=lambda self, x: x):
    """`Entrance` with other tokens, another way to join them with [CLS] and the places, or another end."""

    class Wrong(Entrance):
        def forward(self, images):
            found = tokens(self, images)
            cls = self.cls.expand(len(images), -1, -1)
            joined = join(cls, found, self.places) if join else torch.cat([cls, found], dim=1) + self.places
            return end(self, joined)

    return Wrong


def poured_tokens(self, images):
    maps = self.patches(images)
    return maps.reshape(len(images), -1, maps.shape[1])


def without_bias(self, images):
    maps = nn.functional.conv2d(images, self.patches.weight, stride=self.patches.stride)
    return maps.flatten(2).transpose(1, 2)


exercise(
    "14.4",
    "What enters",
    reference=Entrance,
    kind="module",
    returns="the tokens",
    gradients=["images", "parameters"],
    cases=[
        case("a digit", (1, 28, 7, 6), draw.floats(2, 1, 28, 28)),
        case("three channels", (3, 8, 4, 5), draw.floats(3, 3, 8, 8)),
        case("as many patches as numbers", (1, 4, 2, 4), draw.floats(2, 1, 4, 4)),
        case("one patch", (2, 4, 4, 3), draw.floats(1, 2, 4, 4)),
        case("every pixel a patch", (1, 3, 1, 4), draw.floats(1, 1, 3, 3)),
    ],
    mistakes=[
        mistake(
            "[CLS] stands at the end. It comes first.",
            entrance(lambda cls, x, places: torch.cat([x, cls], dim=1) + places),
        ),
        mistake(
            "The places are missing: no patch knows where it stood.",
            entrance(lambda cls, x, places: torch.cat([cls, x], dim=1)),
        ),
        mistake(
            "[CLS] got no place. The first row of `places` is its own.",
            entrance(lambda cls, x, places: torch.cat([cls, x + places[:, 1:]], dim=1)),
        ),
        mistake(
            "The places are off by one: the first row belongs to [CLS], the second to the first patch.",
            entrance(lambda cls, x, places: torch.cat([cls, x + places[:, :-1]], dim=1)),
            entrance(lambda cls, x, places: torch.cat([cls + places[:, -1:], x + places[:, :-1]], dim=1)),
        ),
        mistake(
            "The maps are poured into the new shape, so a token mixes numbers of many patches. Flatten the "
            "grid, then exchange the last two axes.",
            entrance(tokens=poured_tokens),
        ),
        mistake(
            "The patches go column by column. They go row by row.",
            entrance(
                tokens=lambda self, images: self.patches(images).transpose(2, 3).flatten(2).transpose(1, 2)
            ),
        ),
        mistake(
            "[CLS] is missing: it is one more token, in front of the patches.",
            entrance(lambda cls, x, places: x + places[:, 1:]),
        ),
        mistake(
            "[CLS] is added to the patches. It is a token of its own.",
            entrance(lambda cls, x, places: x + cls + places[:, 1:]),
            entrance(lambda cls, x, places: torch.cat([cls, x + cls], dim=1) + places),
        ),
        mistake(
            "The first token is the mean of the patches. [CLS] is learned, and the same for every image.",
            entrance(lambda cls, x, places: torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + places),
        ),
        mistake(
            "There is a LayerNorm behind the sum, as in BERT. A ViT has none here: its layers begin "
            "with one.",
            entrance(end=lambda self, x: layer_norm(x, x.shape[-1:])),
        ),
        mistake(
            "All tokens got the same place. There is a row for each.",
            entrance(lambda cls, x, places: torch.cat([cls, x], dim=1) + places[:, :1]),
        ),
        mistake(
            "The sum is multiplied by the root of `hidden`, as in the first Transformer. A ViT does not.",
            entrance(lambda cls, x, places: torch.cat([cls, x], dim=1) * x.shape[-1] ** 0.5 + places),
        ),
        mistake(
            "The places are multiplied. They are added.",
            entrance(lambda cls, x, places: torch.cat([cls, x], dim=1) * places),
        ),
        mistake("The convolution's bias is left out.", entrance(tokens=without_bias)),
        mistake(
            "The numbers are right, and `.detach()` or `.data` cuts the way back: `cls`, `places` or the "
            "patches would learn nothing. Use them as they are.",
            entrance(lambda cls, x, places: torch.cat([cls.detach(), x], dim=1) + places),
            entrance(lambda cls, x, places: torch.cat([cls, x], dim=1) + places.detach()),
            entrance(lambda cls, x, places: torch.cat([cls, x.detach()], dim=1) + places),
            entrance(tokens=lambda self, images: Entrance.tokens(self, images.detach())),
        ),
        mistake(
            "[CLS] is 0 in your tokens. It is the learned vector `cls`.",
            entrance(lambda cls, x, places: torch.cat([0 * cls, x], dim=1) + places),
        ),
    ],
)

# 14.5 --------------------------------------------------------------------------------------------------

draw = Draw("14.5")


def uneven(norm):
    """A LayerNorm whose scale and shift differ from feature to feature, so that leaving it out shows."""
    nn.init.normal_(norm.weight, 1.0, 0.3)
    nn.init.normal_(norm.bias, 0.0, 0.3)
    return norm


def dealt(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def gathered(x):
    return x.transpose(1, 2).flatten(2)


def scaled(q, k):
    return q @ k.transpose(2, 3) / q.shape[3] ** 0.5


class EncoderLayer(nn.Module):
    deal, gather, score, share = map(staticmethod, (dealt, gathered, scaled, lambda s: s.softmax(dim=-1)))
    bend = staticmethod(gelu)

    def __init__(self, hidden, heads, inner, eps):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = uneven(nn.LayerNorm(hidden, eps)), uneven(nn.LayerNorm(hidden, eps))
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.value, self.output = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.widen, self.narrow = nn.Linear(hidden, inner), nn.Linear(inner, hidden)

    def three(self, x):
        return self.query(x), self.key(x), self.value(x)

    def attend(self, x):
        q, k, v = (self.deal(part, self.heads) for part in self.three(x))
        self.scores = self.score(q, k)
        self.shares = self.share(self.scores)
        return self.output(self.gather(self.shares @ v))

    def inside(self, x):
        return self.narrow(self.bend(self.widen(x)))

    def road(self, x):
        x = x + self.attend(self.attention_norm(x))
        return x + self.inside(self.norm(x))

    def forward(self, x):
        return self.road(x), self.shares


def layer(**changed):
    """`EncoderLayer` with other methods."""
    plain = {"deal", "gather", "score", "share", "bend"}
    return type(
        "Wrong", (EncoderLayer,), {n: staticmethod(f) if n in plain else f for n, f in changed.items()}
    )


def normed_on_the_road(self, x):
    x = self.attention_norm(x)
    x = x + self.attend(x)
    x = self.norm(x)
    return x + self.inside(x)


def first_half_normed_on_the_road(self, x):
    x = self.attention_norm(x)
    x = x + self.attend(x)
    return x + self.inside(self.norm(x))


def second_half_normed_on_the_road(self, x):
    x = x + self.attend(self.attention_norm(x))
    x = self.norm(x)
    return x + self.inside(x)


def norm_behind(self, x):
    x = self.attention_norm(x + self.attend(x))
    return self.norm(x + self.inside(x))


def from_the_start(self, x):
    return x + self.inside(self.norm(x + self.attend(self.attention_norm(x))))


def side_by_side(self, x):
    return x + self.attend(self.attention_norm(x)) + self.inside(self.norm(x))


def one_norm_for_both(self, x):
    x = x + self.attend(self.attention_norm(x))
    return x + self.inside(self.attention_norm(x))


def norms_exchanged(self, x):
    x = x + self.attend(self.norm(x))
    return x + self.inside(self.attention_norm(x))


def first_norm_missing(self, x):
    x = x + self.attend(x)
    return x + self.inside(self.norm(x))


def second_norm_missing(self, x):
    x = x + self.attend(self.attention_norm(x))
    return x + self.inside(x)


def both_norms_missing(self, x):
    x = x + self.attend(x)
    return x + self.inside(x)


def no_roads(self, x):
    return self.inside(self.norm(self.attend(self.attention_norm(x))))


def first_road_missing(self, x):
    x = self.attend(self.attention_norm(x))
    return x + self.inside(self.norm(x))


def second_road_missing(self, x):
    x = x + self.attend(self.attention_norm(x))
    return self.inside(self.norm(x))


def linear_first(self, x):
    x = x + self.inside(self.norm(x))
    return x + self.attend(self.attention_norm(x))


def first_road_cut(self, x):
    x = x.detach() + self.attend(self.attention_norm(x))
    return x + self.inside(self.norm(x))


def second_road_cut(self, x):
    x = x + self.attend(self.attention_norm(x))
    return x.detach() + self.inside(self.norm(x))


def attention_cut(self, x):
    x = x + self.attend(self.attention_norm(x).detach())
    return x + self.inside(self.norm(x))


def linear_layers_cut(self, x):
    x = x + self.attend(self.attention_norm(x))
    return x + self.inside(self.norm(x).detach())


def shares_cut(self, x):
    q, k, v = (dealt(part, self.heads) for part in self.three(x))
    self.shares = scaled(q, k).softmax(dim=-1)
    return self.output(gathered(self.shares.detach() @ v))


def only_queries_normed(self, x):
    q = self.query(self.attention_norm(x))
    q, k, v = (dealt(part, self.heads) for part in (q, self.key(x), self.value(x)))
    self.shares = scaled(q, k).softmax(dim=-1)
    x = x + self.output(gathered(self.shares @ v))
    return x + self.inside(self.norm(x))


def interleaved(x, heads):
    """Head 0 takes the numbers 0, heads, 2 · heads …"""
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


class UsualEps(EncoderLayer):
    def __init__(self, hidden, heads, inner, eps):
        super().__init__(hidden, heads, inner, 1e-5)


def without_output(self, x):
    q, k, v = (dealt(part, self.heads) for part in self.three(x))
    self.shares = scaled(q, k).softmax(dim=-1)
    return gathered(self.shares @ v)


exercise(
    "14.5",
    "The encoder layer",
    reference=EncoderLayer,
    kind="module",
    returns=("the tokens", "the shares"),
    gradients=["x", "parameters"],
    rules=[FUSED],
    cases=[
        case("two images", (8, 2, 12, 1e-6), draw.floats(2, 5, 8)),
        case("one head", (6, 1, 24, 1e-6), draw.floats(1, 4, 6)),
        case("as many heads as tokens", (12, 3, 6, 1e-6), draw.floats(2, 3, 12)),
        case("a large eps", (4, 2, 8, 0.5), draw.floats(3, 2, 4)),
        case("large numbers", (8, 4, 8, 1e-6), 50 * draw.floats(1, 6, 8)),
    ],
    mistakes=[
        mistake(
            "The LayerNorms stand behind the sums: that is BERT's order. A ViT has one in front of "
            "each part.",
            layer(road=norm_behind),
        ),
        mistake(
            "The sum begins with the normalised tokens. The road carries `x` itself: x + attention(LN(x)), "
            "and in the second half likewise.",
            layer(road=normed_on_the_road),
            layer(road=first_half_normed_on_the_road),
            layer(road=second_half_normed_on_the_road),
        ),
        mistake(
            "The second sum begins with the very first x. It begins with what the first sum gave.",
            layer(road=from_the_start),
        ),
        mistake(
            "Both parts read the same x. The linear layers read what the first sum gave.",
            layer(road=side_by_side),
        ),
        mistake(
            "`attention_norm` stands in front of both parts. `norm` belongs in front of the linear layers.",
            layer(road=one_norm_for_both),
        ),
        mistake("The two LayerNorms are exchanged.", layer(road=norms_exchanged)),
        mistake(
            "A LayerNorm is missing: one stands in front of the attention, one in front of the "
            "linear layers.",
            layer(road=first_norm_missing),
            layer(road=second_norm_missing),
            layer(road=both_norms_missing),
        ),
        mistake(
            "A residual road is missing: what goes into a part is added to what comes out of it.",
            layer(road=no_roads),
            layer(road=first_road_missing),
            layer(road=second_road_missing),
        ),
        mistake("Attention comes first, then the linear layers.", layer(road=linear_first)),
        mistake("Between the two linear layers stands a ReLU. It is to be GELU.", layer(bend=relu)),
        mistake(
            "GELU is asked for in its exact form, and this is the approximation by tanh.",
            layer(bend=lambda x: gelu(x, approximate="tanh")),
        ),
        mistake("GELU is missing between the two linear layers.", layer(bend=lambda x: x)),
        mistake(
            "The scores are not divided by the root of the size of a head.",
            layer(score=lambda q, k: q @ k.transpose(2, 3)),
        ),
        mistake(
            "You divide by the root of `hidden`. Each head computes its own scores: hidden // heads.",
            layer(score=lambda q, k: q @ k.transpose(2, 3) / (q.shape[3] * q.shape[1]) ** 0.5),
        ),
        mistake(
            "Softmax runs over the queries. Each query shares itself out among the keys, the last axis.",
            layer(share=lambda scores: scores.softmax(dim=-2)),
        ),
        mistake(
            "Softmax runs over the heads. Each query shares itself out among the keys, the last axis.",
            layer(share=lambda scores: scores.softmax(dim=1)),
        ),
        mistake(
            "The numbers are poured into heads, so that a head mixes tokens. Split the last axis, then move "
            "the heads in front of the tokens.",
            layer(deal=lambda x, heads: x.reshape(x.shape[0], heads, x.shape[1], -1)),
        ),
        mistake(
            "The heads' answers are joined before heads and tokens have changed places back.",
            layer(gather=lambda x: x.reshape(x.shape[0], x.shape[2], -1)),
        ),
        mistake(
            "A head's numbers are not neighbours. Head 0 takes the first hidden // heads of them, head 1 the "
            "next: the heads come before their numbers in `unflatten`, and in front of them when joined.",
            layer(deal=interleaved),
            layer(deal=interleaved, gather=lambda x: x.permute(0, 2, 3, 1).flatten(2)),
            layer(gather=lambda x: x.permute(0, 2, 3, 1).flatten(2)),
        ),
        mistake(
            "Only the queries are made of the normalised tokens. Keys and values are, too.",
            layer(road=only_queries_normed),
        ),
        mistake(
            "`eps` is forgotten: `nn.LayerNorm` takes 1e-5 of itself. Hand it over.",
            UsualEps,
        ),
        mistake(
            "The numbers are right, and `.detach()` stands on the way back: some of the gradients are not "
            "those of the formulas.",
            layer(road=first_road_cut),
            layer(road=second_road_cut),
            layer(road=attention_cut),
            layer(road=linear_layers_cut),
            layer(attend=shares_cut),
        ),
        mistake(
            "The shares that you give are cut off by `.detach()`. Gradients flow back from them as well.",
            layer(forward=lambda self, x: (self.road(x), self.shares.detach())),
        ),
        mistake("The layer `output` is missing behind the joined heads.", layer(attend=without_output)),
        mistake(
            "Queries and keys are exchanged: a row of shares is what *that* token asks for.",
            layer(three=lambda self, x: (self.key(x), self.query(x), self.value(x))),
        ),
        mistake(
            "The second of the two is the scores. The shares are asked for, after the softmax.",
            layer(forward=lambda self, x: (self.road(x), self.scores)),
        ),
        mistake(
            "The shares are averaged over the heads. Give those of each head.",
            layer(forward=lambda self, x: (self.road(x), self.shares.mean(dim=1))),
        ),
        mistake(
            "This is the first of the two alone. Give a tuple: the tokens and the shares.",
            layer(forward=lambda self, x: self.road(x)),
        ),
        mistake(
            "The two are exchanged: first the tokens, then the shares.",
            layer(forward=lambda self, x: (self.road(x), self.shares)[::-1]),
        ),
    ],
)

# 14.6 --------------------------------------------------------------------------------------------------

draw = Draw("14.6")


def vit(entrance, layers, norm, head, images):
    x, all_shares = entrance(images), []
    for each in layers:
        x, shares = each(x)
        all_shares.append(shares)
    return head(norm(x)[:, 0]), all_shares


def vit_with(
    end=lambda norm, head, x: head(norm(x)[:, 0]), keep=lambda s: s, go=lambda layers: layers, each=None
):
    """`vit` with another end, other layers, another result of a layer, or other shares."""

    def wrong(entrance, layers, norm, head, images):
        x, all_shares = entrance(images), []
        for one in go(layers):
            new, shares = one(x)
            x = each(x, new, norm) if each else new
            all_shares.append(shares)
        return end(norm, head, x), keep(all_shares)

    return wrong


def all_read_the_entrance(entrance, layers, norm, head, images):
    first = entrance(images)
    found = [each(first) for each in layers]
    return head(norm(found[-1][0] if found else first)[:, 0]), [shares for _, shares in found]


def norm_in_front(entrance, layers, norm, head, images):
    return vit(lambda images: norm(entrance(images)), layers, lambda x: x, head, images)


def normed_before_each(entrance, layers, norm, head, images):
    x, all_shares = entrance(images), []
    for each in layers:
        x, shares = each(norm(x))
        all_shares.append(shares)
    return head(x[:, 0]), all_shares


def made_entrance(hidden):
    weight = draw.floats(4, hidden)

    def entrance(images):
        return torch.cat([images[:, :1] * 0 + 0.5, images], dim=1) @ weight

    return shown("entrance", entrance)


def made_layers(count, hidden):
    def one(weight):
        def layer(x):
            shares = (x @ x.transpose(1, 2)).softmax(dim=-1)[:, None]
            return x + torch.tanh(shares[:, 0] @ x @ weight), shares

        return layer

    return shown(f"{count} layers", [one(draw.floats(hidden, hidden)) for _ in range(count)])


def made_norm(hidden):
    scale, shift = 1 + 0.3 * draw.floats(hidden), draw.floats(hidden)
    return shown("norm", lambda x: layer_norm(x, (hidden,), scale, shift))


def made_head(hidden, classes):
    weight = draw.floats(hidden, classes)
    return shown("head", lambda x: x @ weight)


def whole_case(name, layers, batch, patches, hidden, classes):
    parts = made_entrance(hidden), made_layers(layers, hidden), made_norm(hidden), made_head(hidden, classes)
    return case(name, *parts, draw.floats(batch, patches, 4))


exercise(
    "14.6",
    "The whole",
    reference=vit,
    returns=("the logits", "the shares"),
    cases=[
        whole_case("two layers", 2, 3, 4, 6, 5),
        whole_case("one layer", 1, 2, 3, 4, 2),
        whole_case("no layer", 0, 2, 3, 4, 3),
        whole_case("three layers, one patch", 3, 1, 1, 5, 10),
    ],
    mistakes=[
        mistake(
            "The LayerNorm behind the last layer is missing: on the open road the numbers have grown.",
            vit_with(lambda norm, head, x: head(x[:, 0])),
        ),
        mistake(
            "The head reads the mean of all tokens. It reads [CLS] alone, the first.",
            vit_with(lambda norm, head, x: head(norm(x).mean(dim=1))),
        ),
        mistake(
            "The head reads the mean of the patches. It reads [CLS] alone, the first.",
            vit_with(lambda norm, head, x: head(norm(x)[:, 1:].mean(dim=1))),
        ),
        mistake(
            "The head reads the last token. [CLS] stands first.",
            vit_with(lambda norm, head, x: head(norm(x)[:, -1])),
        ),
        mistake(
            "The head reads the first patch. [CLS] stands before it, at 0.",
            vit_with(lambda norm, head, x: head(norm(x)[:, 1])),
        ),
        mistake(
            "There are logits for every token. Only [CLS] goes to the head.",
            vit_with(lambda norm, head, x: head(norm(x))),
        ),
        mistake(
            "All layers read the entrance. Each reads what the one before it gave.", all_read_the_entrance
        ),
        mistake("The layers run from the last to the first.", vit_with(go=lambda layers: layers[::-1])),
        mistake(
            "A layer is left out, the first or the last.",
            vit_with(go=lambda layers: layers[1:]),
            vit_with(go=lambda layers: layers[:-1]),
        ),
        mistake(
            "What goes into a layer is added to what comes out. The roads around the parts are inside it.",
            vit_with(each=lambda old, new, norm: old + new),
        ),
        mistake(
            "`norm` stands behind every layer. It comes once, behind the last.",
            vit_with(each=lambda old, new, norm: norm(new)),
            vit_with(each=lambda old, new, norm: norm(new), end=lambda norm, head, x: head(x[:, 0])),
        ),
        mistake("`norm` stands in front of the layers. It comes behind the last.", norm_in_front),
        mistake(
            "`norm` stands in front of every layer. It comes once, behind the last.",
            normed_before_each,
            lambda entrance, layers, norm, head, images: normed_before_each(
                entrance, layers, norm, lambda x: head(norm(x)), images
            ),
        ),
        mistake(
            "The head reads all tokens of the first image: `norm(x)[0]`. `norm(x)[:, 0]` is the first token "
            "of every image.",
            vit_with(lambda norm, head, x: head(norm(x)[0])),
        ),
        mistake(
            "The shares stand in the opposite order. The first layer's come first.",
            vit_with(keep=lambda shares: shares[::-1]),
        ),
        mistake(
            "These are probabilities. Logits are asked for: cross-entropy does the softmax.",
            vit_with(lambda norm, head, x: head(norm(x)[:, 0]).softmax(dim=-1)),
        ),
        mistake(
            "These are the classes. The logits are asked for.",
            vit_with(lambda norm, head, x: head(norm(x)[:, 0]).argmax(dim=-1)),
        ),
        mistake(
            "Of the shares only the last layer's are left. Give a list with those of every layer.",
            vit_with(keep=lambda shares: shares[-1:]),
            vit_with(keep=lambda shares: shares[-1] if shares else None),
        ),
        mistake(
            "The two are exchanged: first the logits, then the shares.",
            lambda *arguments: vit(*arguments)[::-1],
        ),
        mistake(
            "These are the logits alone. Give a tuple, with the shares.",
            lambda *arguments: vit(*arguments)[0],
        ),
    ],
)

# 14.7 --------------------------------------------------------------------------------------------------

draw = Draw("14.7")


def reordered(images, index):
    return images.flatten(2)[:, :, index].view(images.shape)


def shuffle_pixels(images, order, undo=False):
    return reordered(images, order.argsort() if undo else order)


def shuffled_with(forth=lambda order: order, back=lambda order: order.argsort()):
    return lambda images, order, undo=False: reordered(images, (back if undo else forth)(order))


def columns_first(images, order, undo=False):
    return (
        shuffle_pixels(images.transpose(2, 3), order, undo)
        .reshape(images.transpose(2, 3).shape)
        .transpose(2, 3)
    )


def still_flat(images, order, undo=False):
    return shuffle_pixels(images, order, undo).flatten(2)


def first_channel_only(images, order, undo=False):
    return torch.cat([shuffle_pixels(images[:, :1], order, undo), images[:, 1:]], dim=1)


def first_image_only(images, order, undo=False):
    return torch.cat([shuffle_pixels(images[:1], order, undo), images[1:]])


def rolled(images, order, undo=False):
    """Image i gets an order of its own: the given one, moved on by i."""
    moved = [shuffle_pixels(image[None], order.roll(i), undo) for i, image in enumerate(images)]
    return torch.cat(moved)


def turned_places(images, order, undo=False):
    found = shuffle_pixels(images, order, undo)
    return found.transpose(2, 3).reshape(images.shape)


def mixing(number):
    return torch.randperm(number, generator=torch.Generator().manual_seed(number))


exercise(
    "14.7",
    "Shuffle the pixels, and undo it",
    reference=shuffle_pixels,
    returns="the images",
    cases=[
        case("four pixels", torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([2, 0, 3, 1])),
        case("four pixels, undone", torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([2, 0, 3, 1]), True),
        case("digits", draw.floats(3, 1, 5, 5), mixing(25)),
        case("digits, undone", draw.floats(3, 1, 5, 5), mixing(25), True),
        case("three channels, wider than high", draw.floats(2, 3, 2, 4), mixing(8)),
        case("three channels, undone", draw.floats(2, 3, 2, 4), mixing(8), True),
        case("nothing moves", draw.floats(1, 1, 2, 3), torch.arange(6)),
        case("whole numbers", draw.integers(256, 2, 1, 3, 3), mixing(9)),
    ],
    mistakes=[
        mistake(
            "Undoing shuffles once more. The way back is the inverse permutation: `order.argsort()`.",
            shuffled_with(back=lambda order: order),
        ),
        mistake(
            "The two directions are exchanged: pixel i of the shuffled image is the old one's "
            "pixel order[i].",
            shuffled_with(lambda order: order.argsort(), lambda order: order),
        ),
        mistake(
            "Undoing reads the order backwards. That is not the inverse: `order.argsort()` is.",
            shuffled_with(back=lambda order: order.flip(0)),
            shuffled_with(back=lambda order: len(order) - 1 - order),
        ),
        mistake(
            "Undoing does nothing: a sorted order is 0, 1, 2 … The inverse is its `argsort`.",
            shuffled_with(back=lambda order: order.sort().values),
        ),
        mistake(
            "The inverse is used in both directions. Only undoing needs it.",
            shuffled_with(lambda order: order.argsort()),
        ),
        mistake("The pixels are numbered column by column. They are numbered row by row.", columns_first),
        mistake("The pixels are still one row. The images are to have their old shape.", still_flat),
        mistake("Only the first channel is shuffled. All channels move together.", first_channel_only),
        mistake("Only the first image is shuffled. All images get the same order.", first_image_only),
        mistake("Each image gets an order of its own. One order serves all images.", rolled),
        mistake("On the way back into the old shape rows and columns are mixed up.", turned_places),
        mistake(
            "The pixels have become floats. Shuffling changes no pixel: the dtype stays that of the images.",
            lambda images, order, undo=False: shuffle_pixels(images.float(), order, undo),
        ),
    ],
)

# 14.8 --------------------------------------------------------------------------------------------------

draw = Draw("14.8")


def shift(images, down, right):
    height, width = images.shape[-2:]
    frame = pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    return frame[..., max(-down, 0) :, max(-right, 0) :][..., :height, :width]


def roll(images, down, right):
    return images.roll((down, right), dims=(-2, -1))


def edges_repeated(images, down, right):
    height, width = images.shape[-2:]
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    return images[..., rows, :][..., columns]


def wraps_in_one(images, down, right):
    return shift(images.roll(right, dims=-1), down, 0)


def wraps_in_other(images, down, right):
    return shift(images.roll(down, dims=-2), 0, right)


def filled(images, down, right, value):
    return shift(images - value, down, right) + value


def rolled_and_zeroed(images, down, right):
    height, width = images.shape[-2:]
    moved = images.roll((down, right), dims=(-2, -1))
    if down > 0:
        moved[..., :down, :] = 0
    elif down < 0:
        moved[..., height + down :, :] = 0
    if right > 0:
        moved[..., :right] = 0
    elif right < 0:
        moved[..., width + right :] = 0
    return moved


def cut_and_padded(images, down, right):
    height, width = images.shape[-2:]
    left = images[..., max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    return pad(left, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))


def zeros_on_one_side(images, down, right):
    moved = images.roll((down, right), dims=(-2, -1))
    moved[..., : abs(down), :] = 0
    moved[..., : abs(right)] = 0
    return moved


def negatives_go_round(images, down, right):
    moved = images.roll((down, right), dims=(-2, -1))
    moved[..., : max(down, 0), :] = 0
    moved[..., : max(right, 0)] = 0
    return moved


def pad_exchanged(images, down, right):
    height, width = images.shape[-2:]
    frame = pad(images, (max(down, 0), max(-down, 0), max(right, 0), max(-right, 0)))
    return frame[..., max(-down, 0) :, max(-right, 0) :][..., :height, :width]


def uncropped(images, down, right):
    return pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))


def cropped_away(images, down, right):
    height, width = images.shape[-2:]
    return images[..., max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]


exercise(
    "14.8",
    "A shift that does not wrap around",
    reference=shift,
    returns="the shifted images",
    cases=[
        case("down", torch.arange(1.0, 10).reshape(1, 1, 3, 3), 1, 0),
        case("right", torch.arange(1.0, 10).reshape(1, 1, 3, 3), 0, 1),
        case("up and left", torch.arange(1.0, 13).reshape(1, 1, 3, 4), -1, -2),
        case("down and left", draw.floats(2, 3, 5, 6) + 3, 2, -1),
        case("up and right", draw.floats(2, 1, 5, 6) - 3, -3, 2),
        case("nowhere", draw.floats(1, 2, 3, 3), 0, 0),
        case("out of the picture", draw.floats(1, 1, 3, 3) + 2, 0, 3),
        case("far out of the picture", draw.floats(1, 1, 3, 4) + 2, -7, 1),
        case("one row further than its height", draw.floats(1, 1, 3, 4) + 2, 4, 0),
        case("one row further, upwards", draw.floats(1, 1, 3, 4) + 2, -4, 0),
        case("one column further than its width", draw.floats(1, 1, 3, 4) + 2, 0, 5),
        case("one column further, to the left", draw.floats(1, 1, 3, 4) + 2, 0, -5),
    ],
    mistakes=[
        mistake(
            "What leaves on one side comes back on the other: `roll` goes round. What comes in is to be 0.",
            roll,
        ),
        mistake("In one direction the image still goes round.", wraps_in_one, wraps_in_other),
        mistake(
            "`down` and `right` are exchanged: height is the last axis but one, width the last.",
            lambda images, down, right: shift(images, right, down),
        ),
        mistake(
            "The image moves the opposite way: up for a positive `down`, left for a positive `right`.",
            lambda images, down, right: shift(images, -down, -right),
        ),
        mistake(
            "One of the two directions is the wrong way round.",
            lambda images, down, right: shift(images, -down, right),
            lambda images, down, right: shift(images, down, -right),
        ),
        mistake(
            "A little beyond the side, height + down or height − down is negative, and Python counts it from "
            "the end (width and `right` likewise). Then nothing of the picture is left.",
            rolled_and_zeroed,
            cut_and_padded,
        ),
        mistake(
            "The zeros of a negative shift stand on the wrong side: it moves up or left, so they come in at "
            "the bottom or on the right.",
            zeros_on_one_side,
        ),
        mistake(
            "Where a shift is negative, what leaves still comes back on the other side.",
            negatives_go_round,
        ),
        mistake(
            "`pad` begins with the last axis: left, right, top, bottom. `right` comes first, then `down`.",
            pad_exchanged,
        ),
        mistake("What comes in repeats the edge. It is to be 0.", edges_repeated),
        mistake(
            "What comes in is not 0: it is 1, or the darkest pixel of the image.",
            lambda images, down, right: filled(images, down, right, 1.0),
            lambda images, down, right: filled(images, down, right, images.min()),
        ),
        mistake("The images have grown: cut off what has left the frame.", uncropped),
        mistake("The images have shrunk: zeros come in where the picture has moved away.", cropped_away),
        mistake(
            "A negative shift moves the wrong way, or not at all. Negative numbers go up and left.",
            lambda images, down, right: shift(images, abs(down), abs(right)),
            lambda images, down, right: shift(images, max(down, 0), max(right, 0)),
        ),
        mistake("Nothing moves down or up.", lambda images, down, right: shift(images, 0, right)),
        mistake("Nothing moves right or left.", lambda images, down, right: shift(images, down, 0)),
        mistake(
            "The image moves twice as far.", lambda images, down, right: shift(images, 2 * down, 2 * right)
        ),
        mistake(
            "A shift larger than the image starts again from the other side. Then nothing of it is left.",
            lambda images, down, right: shift(
                images, int(math.fmod(down, images.shape[-2])), int(math.fmod(right, images.shape[-1]))
            ),
        ),
    ],
)

# 14.9 --------------------------------------------------------------------------------------------------


def after(side, layers):
    field, jump = 1, 1
    for kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
        field += (kernel - 1) * jump
        jump *= stride
    return side, field


def after_with(
    new_side=lambda s, k, t, p: (s + 2 * p - k) // t + 1,
    see=lambda f, k, j, t: f + (k - 1) * j,
    first=1,
    step=lambda j, t: j * t,
    end=lambda side, field, start: (side, field),
):
    """`after` with another rule for the side, the field, or the jump between neighbours."""

    def wrong(side, layers):
        start, field, jump = side, first, 1
        for kernel, stride, padding in layers:
            side = new_side(side, kernel, stride, padding)
            field = see(field, kernel, jump, stride)
            jump = step(jump, stride)
        return end(side, field, start)

    return wrong


def padding_in_the_field(side, layers):
    side, field = after(side, layers)
    return side, field + sum(2 * padding for *_, padding in layers)


exercise(
    "14.9",
    "What is left, and what it sees",
    reference=after,
    returns=("the side", "the receptive field"),
    rules=[tensors_up_to(0)],
    cases=[
        case("the lesson's network", 28, [(5, 2, 2), (3, 2, 1)]),
        case("one layer", 5, [(3, 1, 0)]),
        case("no layer", 9, []),
        case("three alike", 32, [(3, 1, 1), (3, 1, 1), (3, 1, 1)]),
        case("patches", 28, [(7, 7, 0)]),
        case("it sees more than there is", 8, [(5, 1, 2), (5, 1, 2), (5, 1, 2)]),
        case("something is left over", 10, [(3, 2, 0), (2, 2, 0)]),
        case("strides behind each other", 224, [(7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 2, 1)]),
    ],
    mistakes=[
        mistake(
            "The padding counts once in your side. It lies on both sides: 2 · padding.",
            after_with(lambda s, k, t, p: (s + p - k) // t + 1),
        ),
        mistake("The padding is missing in your side.", after_with(lambda s, k, t, p: (s - k) // t + 1)),
        mistake(
            "Your side is one too small: a window fits at the start, and then once for each step.",
            after_with(lambda s, k, t, p: (s + 2 * p - k) // t),
        ),
        mistake(
            "The 1 is divided as well. It is added after the division.",
            after_with(lambda s, k, t, p: (s + 2 * p - k + 1) // t),
        ),
        mistake(
            "You round, up or to the nearest. A window that does not fit whole is not there.",
            after_with(lambda s, k, t, p: -(-(s + 2 * p - k) // t) + 1),
            after_with(lambda s, k, t, p: round((s + 2 * p - k) / t) + 1),
        ),
        mistake("The stride is ignored in your side.", after_with(lambda s, k, t, p: s + 2 * p - k + 1)),
        mistake(
            "The side is divided by the stride alone; kernel and padding count too.",
            after_with(lambda s, k, t, p: s // t),
        ),
        mistake(
            "The side has a fraction: `//`, not `/`.", after_with(lambda s, k, t, p: (s + 2 * p - k) / t + 1)
        ),
        mistake(
            "The strides are missing in your receptive field. Behind a stride of 2, neighbours stand two "
            "pixels apart, so "
            "each further step of a window sees two more.",
            after_with(see=lambda f, k, j, t: f + k - 1),
        ),
        mistake(
            "A layer's own stride counts in its receptive field. It only moves the *next* layer's windows "
            "apart.",
            after_with(see=lambda f, k, j, t: f + (k - 1) * j * t),
        ),
        mistake(
            "Only the last stride counts in your receptive field. The distances multiply from layer to "
            "layer.",
            after_with(step=lambda j, t: t),
        ),
        mistake("The strides are added up. They multiply.", after_with(step=lambda j, t: j + t)),
        mistake(
            "Your receptive field multiplies the kernels. It grows by (kernel − 1) times the distance of "
            "neighbours.",
            after_with(see=lambda f, k, j, t: f * k),
        ),
        mistake(
            "Your receptive field adds up whole kernels. Each window shares a pixel with what was seen: "
            "kernel − 1.",
            after_with(see=lambda f, k, j, t: f + k * j),
            after_with(see=lambda f, k, j, t: f + k * j, first=0),
        ),
        mistake(
            "Your receptive field begins with 0. Without a layer, a pixel sees itself.", after_with(first=0)
        ),
        mistake(
            "The stride multiplies kernel − 1 of its own layer alone. The distance between neighbours is the "
            "product of the strides of all layers *before* it.",
            after_with(see=lambda f, k, j, t: f + (k - 1) * t),
        ),
        mistake(
            "f = (f − 1) · stride + kernel is right from the last layer back to the first, and you go "
            "forward.",
            after_with(see=lambda f, k, j, t: (f - 1) * t + k),
        ),
        mistake(
            "Padding adds nothing to the receptive field. It only gives the windows room.",
            padding_in_the_field,
        ),
        mistake(
            "The receptive field is cut off at the side of the picture. Count the padding, too.",
            after_with(end=lambda side, field, start: (side, min(field, start))),
            after_with(end=lambda side, field, start: (side, min(field, side))),
        ),
        mistake(
            "The two are exchanged: first the side, then the receptive field.",
            after_with(end=lambda s, f, start: (f, s)),
        ),
        mistake(
            "This is the side alone. Give a tuple, with the receptive field.",
            after_with(end=lambda s, f, start: s),
        ),
    ],
)

# 14.10 -------------------------------------------------------------------------------------------------

draw = Draw("14.10")


def grid_of(rows):
    """(1, n · n, hidden) → (1, hidden, n, n)."""
    return rows.transpose(1, 2).unflatten(2, (math.isqrt(rows.shape[1]), -1))


def row_of(grid):
    return grid.flatten(2).transpose(1, 2)


def bicubic(grid, side):
    return interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)


def larger_places(places, side):
    return torch.cat([places[:, :1], row_of(bicubic(grid_of(places[:, 1:]), side))], dim=1)


def enlarged(grid=grid_of, stretch=bicubic, row=row_of, cls=lambda places: places[:, :1]):
    return lambda places, side: torch.cat([cls(places), row(stretch(grid(places[:, 1:]), side))], dim=1)


def poured_grid(rows):
    side = math.isqrt(rows.shape[1])
    return rows.reshape(1, rows.shape[2], side, side)


def in_one_row(places, side):
    long = interpolate(places.transpose(1, 2), size=1 + side * side, mode="linear", align_corners=False)
    return long.transpose(1, 2)


def patches_in_one_row(places, side):
    long = interpolate(places[:, 1:].transpose(1, 2), size=side * side, mode="linear", align_corners=False)
    return torch.cat([places[:, :1], long.transpose(1, 2)], dim=1)


def repeated(places, side):
    order = torch.arange(side * side) % (places.shape[1] - 1)
    return torch.cat([places[:, :1], places[:, 1:][:, order]], dim=1)


def corner(places, side):
    grid = grid_of(places[:, 1:])
    old = grid.shape[-1]
    if side >= old:
        grid = pad(grid, (0, side - old, 0, side - old))
    return torch.cat([places[:, :1], row_of(grid[..., :side, :side])], dim=1)


exercise(
    "14.10",
    "A larger image",
    reference=larger_places,
    returns="the places",
    cases=[
        case("from 4 × 4 to 8 × 8", draw.floats(1, 17, 5), 8),
        case("from 7 × 7 to 9 × 9", draw.floats(1, 50, 4), 9),
        case("smaller", draw.floats(1, 26, 3), 3),
        case("the same", draw.floats(1, 10, 9), 3),
        case("from 2 × 2 to 3 × 3", draw.floats(1, 5, 4), 3),
        case("from 11 × 11 to 15 × 15", draw.floats(1, 122, 2), 15),
    ],
    mistakes=[
        mistake(
            "The vector of [CLS] is missing in front. It has no place in the grid, and stays as it is.",
            lambda places, side: larger_places(places, side)[:, 1:],
        ),
        mistake(
            "[CLS] stands at the end. It is the first row.",
            lambda places, side: larger_places(places, side).roll(-1, dims=1),
        ),
        mistake(
            "The rows are stretched as one long line, [CLS] among them. Patches stand in a grid: make one of "
            "them first, without [CLS].",
            in_one_row,
        ),
        mistake(
            "The patches are stretched as one long line. They stand in a grid of n × n.", patches_in_one_row
        ),
        mistake(
            "The numbers are poured into the grid, so a place holds numbers of many. Exchange the "
            "axes first: "
            "`interpolate` wants (batch, hidden, rows, columns).",
            enlarged(grid=poured_grid),
        ),
        mistake(
            "On the way back the numbers are poured into rows. Flatten the grid, then exchange the axes.",
            enlarged(row=lambda grid: grid.reshape(1, -1, grid.shape[1])),
        ),
        mistake(
            "The numbers are poured into the grid and back, so a place holds numbers of many. `reshape` "
            "moves no axes: exchange them, both ways.",
            enlarged(grid=poured_grid, row=lambda grid: grid.reshape(1, -1, grid.shape[1])),
        ),
        mistake(
            "A factor is rounded: 11 · (15 / 11) falls short of 15. Give `size=(side, side)`.",
            enlarged(
                stretch=lambda grid, side: interpolate(
                    grid, scale_factor=side / grid.shape[-1], mode="bicubic", align_corners=False
                )
            ),
        ),
        mistake(
            "Rows and columns of the grid are exchanged on one of the two ways.",
            enlarged(grid=lambda rows: grid_of(rows).transpose(2, 3)),
            enlarged(row=lambda grid: row_of(grid.transpose(2, 3))),
        ),
        mistake(
            'The grid is stretched by copying the nearest place. `mode="bicubic"` is asked for.',
            enlarged(stretch=lambda grid, side: interpolate(grid, size=(side, side))),
        ),
        mistake(
            'The grid is stretched in straight lines. `mode="bicubic"` is asked for.',
            enlarged(stretch=lambda grid, side: interpolate(grid, size=(side, side), mode="bilinear")),
        ),
        mistake(
            "The corners are held in place. `align_corners=False` is asked for.",
            enlarged(
                stretch=lambda grid, side: interpolate(
                    grid, size=(side, side), mode="bicubic", align_corners=True
                )
            ),
        ),
        mistake(
            "The grid is smoothed: leave `antialias` off.",
            enlarged(
                stretch=lambda grid, side: interpolate(
                    grid, size=(side, side), mode="bicubic", antialias=True
                )
            ),
        ),
        mistake("The old places are repeated, one after the other. They are to be stretched.", repeated),
        mistake("The old places fill a corner. They are to be stretched over the whole image.", corner),
        mistake(
            "[CLS] became the mean of the places, or 0. It stays as it is.",
            enlarged(cls=lambda places: places.mean(dim=1, keepdim=True)),
            enlarged(cls=lambda places: 0 * places[:, :1]),
        ),
    ],
)
