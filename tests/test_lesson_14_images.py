"""Lesson 14: its Vision Transformer against transformers, its convolution and patches against torch."""

import ast

import lessons
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import stats
from torch import nn
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil, ViTModel

from course_utils.exercises import lesson_14_images as declared

LESSON = lessons.read(lessons.FOLDER / "14_images.ipynb")
NAMES = ["ViT", "EncoderLayer", "Entrance", "NAMES", "own_name", "convolve", "cut", "to_batch", "new_cnn"]
NAMES += ["shift", "shaken", "shuffle_pixels", "interval", "plan", "PLANS", "train", "BATCH", "RATE"]
NAMES += ["logits_of", "new_vit", "picked", "learn", "measure", "MAKERS", "new_hybrid"]


def wants_the_notebook(node):
    """Assignments such as `MAKERS["quiet"] = …` change what is there; they are no definitions."""
    return isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Subscript) for t in ast.walk(node.targets[0])
    )


@pytest.fixture(scope="module")
def code():
    """What the lesson defines as NAMES: a stub first, then the lesson's own."""
    from course_utils import set_seed

    namespace = {"__name__": "lesson_14", "set_seed": set_seed, "device": torch.device("cpu")}
    torch.manual_seed(0)
    pictures = {name: torch.randn(size, 1, 28, 28) for name, size in (("train", 80), ("validation", 30))}
    labels = {name: torch.arange(len(part)) % 10 for name, part in pictures.items()}
    config = ViTConfig(image_size=28, patch_size=7, num_channels=1, hidden_size=8, intermediate_size=8)
    config.num_attention_heads, config.num_hidden_layers = 2, 1
    namespace |= {"x": pictures, "shuffled": pictures, "y": labels, "config": config, "plotting": None}
    namespace |= {"COUNT": 40, "PASSES": 75, "SEEDS": 2, "nets": {}, "said": {}, "right": {}}
    exec(lessons.imports(LESSON), namespace)
    for node in [node for cell in LESSON.code for node in lessons.tree(cell.source).body]:
        targets = [name for target in getattr(node, "targets", []) for name in ast.walk(target)]
        named = [target.id for target in targets if isinstance(target, ast.Name)]
        if {getattr(node, "name", None), *named} & set(NAMES) and not wants_the_notebook(node):
            exec(ast.unparse(node), namespace)
    return namespace


SIZES = [
    {"image_size": 28, "patch_size": 7, "num_channels": 1, "hidden_size": 48, "num_attention_heads": 4},
    {"image_size": 12, "patch_size": 3, "num_channels": 3, "hidden_size": 20, "num_attention_heads": 5},
    {"image_size": 8, "patch_size": 8, "num_channels": 2, "hidden_size": 6, "num_attention_heads": 1},
    {"image_size": 5, "patch_size": 1, "num_channels": 1, "hidden_size": 8, "num_attention_heads": 8},
    {"image_size": 32, "patch_size": 16, "num_channels": 3, "hidden_size": 96, "layer_norm_eps": 1e-3},
]


def both(code, sizes, attention="sdpa", seed=0):
    """The library's classifier and ours with its weights, in float64; random places, scales and biases."""
    config = ViTConfig(num_hidden_layers=3, intermediate_size=40, num_labels=7, **sizes)
    config._attn_implementation = attention
    torch.manual_seed(seed)
    theirs = ViTForImageClassification(config).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours = code["ViT"](config, classes=7).double()
    ours.load_state_dict({code["own_name"](name): tensor for name, tensor in theirs.state_dict().items()})
    shape = (3, config.num_channels, config.image_size, config.image_size)
    return theirs, ours, torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes['hidden_size']} wide")
def test_the_vision_transformer_is_the_librarys_forward_and_backward(code, sizes):
    theirs, ours, images = both(code, sizes)
    images.requires_grad_()
    tokens = theirs.vit(images).last_hidden_state
    logits = ours(images)
    torch.testing.assert_close(ours.tokens, tokens, rtol=0, atol=1e-11)
    torch.testing.assert_close(logits, theirs(images).logits, rtol=0, atol=1e-11)
    pull = torch.randn_like(tokens)  # a random sum: behind a LayerNorm the sum of squares is constant
    (towards,) = torch.autograd.grad((tokens * pull).sum() + theirs(images).logits[:, 2].sum(), images)
    ((ours.tokens * pull).sum() + logits[:, 2].sum()).backward()
    torch.testing.assert_close(images.grad, towards, rtol=0, atol=1e-9)
    tokens = theirs.vit(images.detach()).last_hidden_state
    ((tokens * pull).sum() + theirs(images.detach()).logits[:, 2].sum()).backward()
    its = {code["own_name"](name): p.grad for name, p in theirs.named_parameters()}
    mine = {name: p.grad for name, p in ours.named_parameters()}
    assert its.keys() == mine.keys()
    for name, gradient in its.items():
        torch.testing.assert_close(mine[name], gradient, rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
        if not name.endswith("key.bias"):  # the same for all scores of a query: softmax does not see it
            assert gradient.abs().max() > 1e-6, name


def test_the_shares_are_the_librarys(code):
    theirs, ours, images = both(code, SIZES[1], attention="eager")
    found = theirs.vit(images, output_attentions=True).attentions
    ours(images)
    assert len(found) == len(ours.shares) == 3
    for mine, its in zip(ours.shares, found, strict=True):  # the library's softmax is float32, always
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-6)


def test_the_learners_parts_make_the_same_transformer(code):
    """The exercises' references, put together, are ViTModel as well."""
    sizes = SIZES[1]
    theirs, ours, images = both(code, sizes)
    entrance = declared.Entrance(3, 12, 3, 20).double()
    entrance.load_state_dict(ours.entrance.state_dict())
    layers = [declared.EncoderLayer(20, 5, 40, 1e-12).double() for _ in ours.layers]
    for layer, own in zip(layers, ours.layers, strict=True):
        layer.load_state_dict(own.state_dict())
    logits, shares = declared.vit(entrance, layers, ours.norm, ours.head, images)
    torch.testing.assert_close(logits, theirs(images).logits, rtol=0, atol=1e-11)
    assert len(shares) == 3


def test_names_of_older_checkpoints_are_understood(code):
    old = {
        "vit.embeddings.cls_token": "entrance.cls",
        "vit.embeddings.position_embeddings": "entrance.places",
        "vit.embeddings.patch_embeddings.projection.weight": "entrance.patches.weight",
        "vit.encoder.layer.10.attention.attention.query.bias": "layers.10.query.bias",
        "vit.encoder.layer.0.attention.attention.key.weight": "layers.0.key.weight",
        "vit.encoder.layer.0.attention.attention.value.weight": "layers.0.value.weight",
        "vit.encoder.layer.0.attention.output.dense.weight": "layers.0.output.weight",
        "vit.encoder.layer.0.intermediate.dense.weight": "layers.0.widen.weight",
        "vit.encoder.layer.0.output.dense.weight": "layers.0.narrow.weight",
        "vit.encoder.layer.0.layernorm_before.weight": "layers.0.attention_norm.weight",
        "vit.encoder.layer.0.layernorm_after.weight": "layers.0.norm.weight",
        "vit.layernorm.weight": "norm.weight",
        "classifier.weight": "head.weight",
    }
    for name, own in old.items():
        assert code["own_name"](name) == own


@pytest.mark.parametrize("stride, padding", [(1, 0), (1, 2), (2, 1), (3, 0), (5, 4)])
def test_the_convolution_is_torchs(code, stride, padding):
    for seed, (height, width, size) in enumerate([(9, 8, 3), (5, 11, 5), (4, 4, 1), (7, 7, 2)]):
        torch.manual_seed(seed)
        leaves = torch.randn(2, 3, height, width), torch.randn(4, 3, size, size), torch.randn(4)
        leaves = [leaf.double().requires_grad_() for leaf in leaves]
        theirs = F.conv2d(*leaves, stride, padding)
        pull = torch.randn_like(theirs)
        wanted = torch.autograd.grad((theirs * pull).sum(), leaves)
        for convolve in (code["convolve"], declared.convolve):
            found = convolve(*leaves, stride, padding)
            torch.testing.assert_close(found, theirs)
            for mine, its in zip(torch.autograd.grad((found * pull).sum(), leaves), wanted, strict=True):
                torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("shape, size", [((2, 1, 28, 28), 7), ((1, 3, 6, 12), 3), ((3, 2, 4, 4), 4)])
def test_patches_are_those_of_unfold(code, shape, size):
    images = torch.randn(shape)
    wanted = F.unfold(images, size, stride=size).transpose(1, 2)
    assert torch.equal(code["cut"](images, size), wanted)
    assert torch.equal(declared.cut(images, size), wanted)


def test_the_batch_is_the_processors_in_colour_too(code):
    colours = torch.randint(0, 256, (4, 9, 9, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    processor = ViTImageProcessorPil(
        size={"height": 9, "width": 9}, image_mean=mean.tolist(), image_std=std.tolist()
    )
    pictures = [Image.fromarray(each.numpy()) for each in colours]
    theirs = processor(pictures, return_tensors="pt")["pixel_values"]
    for to_batch in (code["to_batch"], declared.to_batch):
        torch.testing.assert_close(to_batch(list(colours), mean, std), theirs)


def test_a_shift_moves_every_pixel_or_drops_it(code):
    images = torch.randn(2, 1, 5, 6)
    for shift in (code["shift"], declared.shift):
        for down in range(-6, 7):
            for right in range(-7, 8):
                found = shift(images, down, right)
                for r in range(5):
                    for c in range(6):
                        inside = 0 <= r - down < 5 and 0 <= c - right < 6
                        wanted = images[:, :, r - down, c - right] if inside else torch.zeros(2, 1)
                        assert torch.equal(found[:, :, r, c], wanted)


def test_shaken_pictures_are_shifts_of_themselves(code):
    torch.manual_seed(0)
    images = torch.randn(50, 1, 8, 8)
    shaken = code["shaken"](images)
    assert shaken.shape == images.shape
    steps = range(-2, 3)
    paper = images.min()
    for before, after in zip(images - paper, shaken - paper, strict=True):
        moved = (declared.shift(before[None], down, right)[0] for down in steps for right in steps)
        inner = [m for m in moved if torch.allclose(m[:, 2:-2, 2:-2], after[:, 2:-2, 2:-2], atol=1e-5)]
        assert len(inner) == 1


def test_shuffling_is_undone(code):
    images, order = torch.randn(3, 2, 4, 5), torch.randperm(20)
    for shuffle in (code["shuffle_pixels"], declared.shuffle_pixels):
        mixed = shuffle(images, order)
        assert torch.equal(mixed.flatten(2)[:, :, 3], images.flatten(2)[:, :, order[3]])
        assert torch.equal(shuffle(mixed, order, undo=True), images)


def test_side_and_field_are_those_of_real_convolutions():
    for layers in ([(5, 2, 2), (3, 2, 1)], [(3, 1, 0)] * 3, [(2, 2, 0), (3, 1, 1), (3, 2, 1)]):
        net = nn.Sequential(*[nn.Conv2d(1, 1, k, t, p) for k, t, p in layers]).double()
        for parameter in net.parameters():
            nn.init.constant_(parameter, 1.0)
        images = torch.zeros(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
        maps = net(images)
        side, field = declared.after(64, layers)
        assert maps.shape[2:] == (side, side)
        (seen,) = torch.autograd.grad(maps[0, 0, side // 2, side // 2], images)
        assert (seen[0, 0].abs().sum(dim=0) > 0).sum() == field


@pytest.mark.parametrize("side", [3, 8, 12])
def test_larger_places_are_the_librarys(side):
    config = ViTConfig(image_size=24, patch_size=4, num_channels=1, hidden_size=12, num_attention_heads=2)
    library = ViTModel(config).embeddings
    with torch.no_grad():
        library.position_embeddings.normal_()
    places = library.position_embeddings
    tokens = torch.zeros(1, 1 + side * side, 12)
    wanted = library.interpolate_pos_encoding(tokens, 4 * side, 4 * side)
    torch.testing.assert_close(declared.larger_places(places, side), wanted)


def test_the_plan_takes_what_there_is_and_never_more(code):
    for size, plan in code["PLANS"].items():
        for available in (200, 3000, 55_000):
            images, passes, seeds = code["plan"](size, available)
            assert images <= available and images <= plan[0]
            assert passes % code["BATCH"] == 0 and passes >= images and seeds >= 2
    assert code["plan"]("quick", 3000)[1] < code["plan"]("laptop", 3000)[1] < code["plan"]("colab", 3000)[1]
    with pytest.raises(ValueError, match="SIZE is one of quick, laptop, colab"):
        code["plan"]("huge", 3000)


def test_the_interval_is_students(code):
    values = torch.tensor([0.9, 0.93, 0.92, 0.96], dtype=torch.float64)
    mean, low, high = code["interval"](values.tolist())
    wanted = stats.t.interval(0.95, 3, loc=values.mean().item(), scale=(values.std() / 2).item())
    assert mean == pytest.approx(values.mean().item())
    assert (low, high) == pytest.approx(wanted)


def test_training_uses_its_passes_and_its_seed(code):
    """Every picture as often as any other; the same seed gives the same model."""
    images = torch.arange(60.0).reshape(60, 1, 1, 1)
    labels = torch.arange(60) % 3
    seen = []

    def note(batch):
        seen.append(batch.flatten().tolist())
        return batch / 60

    def make():
        return nn.Sequential(nn.Flatten(), nn.Linear(1, 3))

    models = [code["train"](make, images, labels, seed, 1200, change=note) for seed in (1, 1, 2)]
    assert sum(map(len, seen)) == 3 * 1200 and {len(batch) for batch in seen} == {code["BATCH"]}
    counts = torch.bincount(torch.tensor(sum(seen, [])).long(), minlength=60)
    assert counts.max() - counts.min() <= 3
    assert torch.equal(models[0][1].weight, models[1][1].weight)
    assert not torch.equal(models[0][1].weight, models[2][1].weight)


def test_every_method_is_measured_once_a_seed_on_the_same_pictures(code):
    seen = []
    code["MAKERS"]["hybrid"] = code["new_hybrid"]
    names = ["logistic regression", "CNN", "ViT", "hybrid"]
    code["measure"]("here", names)
    code["measure"]("there", ["CNN"], count=20, change=lambda b: seen.append(len(b)) or b, passes=50, seeds=3)
    assert {key: len(values) for key, values in code["right"].items()} == {
        **{("here", name): 2 for name in names},
        ("there", "CNN"): 3,
    }
    assert seen == [25] * 6
    for (_, name, seed), answers in code["said"].items():
        assert answers.shape == (30, 10), (name, seed)
    for shares in code["right"].values():
        assert all(0 <= share <= 1 for share in shares)
    chosen = code["picked"](1, 40)
    assert torch.equal(chosen, code["picked"](1, 40)) and len(set(chosen.tolist())) == 40
    assert len(code["picked"](1, 500)) == 80, "no more than there are"


@pytest.mark.parametrize(
    ("place", "source"), [("colab", "hub"), ("jupyter", "package"), ("plain", "package")]
)
def test_the_digits_come_from_the_hub_on_colab_alone(place, source):
    (cell,) = [cell for cell in LESSON.code if cell.source.count('SOURCE = "hub"')]
    asked = []

    class Digits:
        def digits(source):
            asked.append(source)
            return {"train": [{"image": Image.new("L", (28, 28)), "label": 3}]}

    class Environment:
        def where():
            return place

    exec(cell.source, {"data": Digits, "environment": Environment})
    assert asked == [source]
