"""The movie reviews' splits and their ledger, and the embedded checkpoint as the libraries load it."""

import collections
import csv
import hashlib
import os
import random

import pytest
import torch
from transformers import BertModel, BertTokenizer

from course_utils import checkpoints, data
from course_utils.errors import CourseError

SIZES = {"train": 6730, "validation": 600, "test": 1200}
# SHA-256 of the splits' texts, a line each: other rows, or another order, would change the lessons' numbers.
TEXTS = {
    "train": "cdc441336f9409b98da1354d687acaecce1fafc4646e3629a30e6cfaaff79044",
    "validation": "d797646693f6c227fdcd94c8797cb46b0ee7d7a12bfddd5d473d2b47edef6830",
    "test": "f5f95b0b0455f731a5bb67b64dc3669876addc29305c68476a09ced5c66e2ea1",
}


@pytest.fixture(scope="module")
def splits():
    return data.rotten_tomatoes(with_test=True)


def test_sizes_and_columns(splits):
    assert splits.num_rows == SIZES
    for rows in splits.values():
        assert rows.column_names == ["text", "label"]
        assert rows.features["text"].dtype == "string"
        assert rows.features["label"].dtype == "int64"


@pytest.mark.parametrize("name", SIZES)
def test_the_texts_of_a_split_never_change(splits, name):
    assert hashlib.sha256("\n".join(splits[name]["text"]).encode()).hexdigest() == TEXTS[name]


def test_no_text_is_in_two_splits_not_even_in_other_spelling(splits):
    texts = [" ".join(text.lower().split()) for rows in splits.values() for text in rows["text"]]
    assert len(set(texts)) == len(texts) == sum(SIZES.values())


def test_both_labels_are_about_as_frequent_in_every_split(splits):
    for rows in splits.values():
        labels = list(rows["label"])
        assert set(labels) == {0, 1}
        assert 0.46 < sum(labels) / len(labels) < 0.54


def test_no_split_is_sorted_by_label(splits):
    for rows in splits.values():
        labels = list(rows["label"])
        changes = sum(one != other for one, other in zip(labels, labels[1:], strict=False))
        assert changes > len(labels) / 3


def test_the_ledger_agrees_with_the_file(splits):
    with open(data.reviews_file(), encoding="utf8", newline="") as file:
        rows = {
            row["text"]: int(row["label"])
            for row in csv.DictReader(file)
            if row["source"] == "rotten_tomatoes"
        }
    assert len(rows) == data.LEDGER["rotten_tomatoes"].rows
    loaded = {
        text: label
        for part in splits.values()
        for text, label in zip(part["text"], part["label"], strict=True)
    }
    assert loaded == rows


def test_without_being_asked_for_the_test_split_is_not_there(splits, capsys):
    before = random.getstate()
    found = data.rotten_tomatoes()
    assert random.getstate() == before
    assert list(found) == ["train", "validation"]
    assert found["validation"].to_dict() == splits["validation"].to_dict()
    expected = "Rotten Tomatoes sentences from the package: 6,730 train, 600 validation\n"
    assert capsys.readouterr().out == expected


def test_the_line_counts_the_test_split_if_it_is_there(capsys):
    data.rotten_tomatoes(with_test=True)
    expected = "Rotten Tomatoes sentences from the package: 6,730 train, 600 validation, 1,200 test\n"
    assert capsys.readouterr().out == expected


def test_an_unknown_source():
    with pytest.raises(CourseError, match="source is 'package' or 'hub', and got 'web'"):
        data.rotten_tomatoes(source="web")


def test_the_articles_are_split_once_and_no_text_stands_twice(capsys):
    splits = data.bbc_articles(with_test=True)
    assert capsys.readouterr().out == "BBC articles from the package: 1,289 train, 300 validation, 500 test\n"
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [1289, 300, 500]
    texts = [" ".join(row["text"].split()) for rows in splits.values() for row in rows]
    assert len(set(texts)) == len(texts)
    for rows in splits.values():
        assert rows.features["label"].names == data.TOPICS
        counts = collections.Counter(rows["label"][:])
        assert len(counts) == 5 and min(counts.values()) > len(rows) / 8
    without = data.bbc_articles()
    assert list(without) == ["train", "validation"]
    assert without["validation"].to_dict() == splits["validation"].to_dict()


def test_every_article_is_its_file_with_its_folder_as_the_label():
    rows = data.bbc_files()
    assert len(rows) == data.LEDGER["bbc_articles"].rows
    for row in rows:
        content = data.articles_folder()[row["document"] + ".txt"]
        text = content.decode("cp1252" if row["document"] == "sports/199" else "utf8")
        assert text.split() == f"{row['title']} {row['text']}".split()
        assert data.TOPICS[row["label"]] == row["document"].split("/")[0].replace("sports", "sport")


@pytest.fixture(scope="module")
def named():
    marks = ("names", "first_pass", "second_pass")
    return {marked: data.bbc_names(marked, with_test=True) for marked in marks}


def test_the_sentences_with_names_are_split_once_and_of_different_articles(named, capsys):
    assert {name: len(rows) for name, rows in named["names"].items()} == {
        "train": 500,
        "validation": 100,
        "test": 200,
    }
    documents = [row["document"] for rows in named["names"].values() for row in rows]
    assert len(set(documents)) == 800
    topics = collections.Counter(document.split("/")[0] for document in documents)
    assert set(topics.values()) == {160}
    assert list(data.bbc_names()) == ["train", "validation"]
    assert capsys.readouterr().out == "BBC sentences with their names: 500 train, 100 validation\n"
    for split, rows in named["names"].items():
        assert named["first_pass"][split]["text"][:] == rows["text"][:]


@pytest.mark.parametrize("marked", ["names", "first_pass", "second_pass"])
def test_every_name_is_whole_words_and_none_lies_in_another(named, marked):
    for rows in named[marked].values():
        for row in rows:
            text, end = row["text"], 0
            for name in row["names"]:
                assert end <= name["start"] < name["end"] <= len(text)
                assert name["label"] in ("PER", "ORG", "LOC", "MISC")
                around = text[name["start"] - 1 : name["start"]], text[name["end"] : name["end"] + 1]
                assert not any(sign.isalnum() for sign in around), row
                assert text[name["start"] : name["end"]].strip(" '") == text[name["start"] : name["end"]]
                end = name["end"]


def test_the_two_readings_differ_where_the_guidelines_say(named):
    def spans(marked):
        return {
            (row["document"], name["start"], name["end"], name["label"])
            for rows in named[marked].values()
            for row in rows
            for name in row["names"]
        }

    first, second, decided = spans("first_pass"), spans("second_pass"), spans("names")
    assert len({span[0] for span in first ^ second}) == 4
    assert len({span[0] for span in first ^ decided}) == 2
    assert len(decided) == 1316


def test_names_of_a_reading_that_there_is_not():
    with pytest.raises(CourseError, match="marked is 'names', .* and got 'third'"):
        data.bbc_names("third")


def test_the_embedded_checkpoint_is_a_bert_with_the_vocabulary_of_bert_base_uncased():
    from transformers import BertForSequenceClassification, BertModel, BertTokenizer

    folder = os.path.dirname(checkpoints.embedded())
    tokenizer = BertTokenizer.from_pretrained(folder)
    assert len(tokenizer) == 30_522
    assert tokenizer.tokenize("An unforgettable film.") == [
        "an",
        "un",
        "##for",
        "##get",
        "##table",
        "film",
        ".",
    ]
    model = BertModel.from_pretrained(folder)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 22.7
    classifier = BertForSequenceClassification.from_pretrained(folder)
    assert classifier.bert.embeddings.word_embeddings.weight.equal(model.embeddings.word_embeddings.weight)


def test_review_vectors_are_standardised_means_of_word_embeddings(splits):
    vectors = data.review_vectors()
    assert {name: tuple(x.shape) for name, (x, _) in vectors.items()} == {
        "train": (SIZES["train"], 384),
        "validation": (SIZES["validation"], 384),
    }
    for name, (x, labels) in vectors.items():
        assert x.dtype == torch.float32 and labels.tolist() == list(splits[name]["label"])
    train = vectors["train"][0]
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(384), rtol=0, atol=1e-4)
    torch.testing.assert_close(train.std(dim=0), torch.ones(384))

    folder = os.path.dirname(checkpoints.embedded())
    table = BertModel.from_pretrained(folder, dtype=torch.float32).embeddings.word_embeddings.weight.detach()
    tokenizer = BertTokenizer.from_pretrained(folder)

    def mean(text):
        return table[tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"][0]].mean(
            dim=0
        )

    # Scaling and shifting keep each feature's differences between sentences in proportion.
    texts = splits["train"]["text"][:3]
    scale = (mean(texts[1]) - mean(texts[0])) / (train[1] - train[0])
    torch.testing.assert_close(
        (train[2] - train[0]) * scale, mean(texts[2]) - mean(texts[0]), rtol=1e-3, atol=1e-6
    )


def test_the_ratings_are_those_of_the_file_and_only_of_words():
    ratings = data.word_ratings()
    assert len(ratings) == 7209
    assert (ratings["wonderful"], ratings["good"], ratings["dull"], ratings["worst"]) == (
        2.7,
        1.9,
        -1.7,
        -3.1,
    )
    assert all(word.isalpha() and word == word.lower() and word.isascii() for word in ratings)
    assert min(ratings.values()) >= -4 and max(ratings.values()) <= 4
    assert ":)" not in ratings and "the" not in ratings


def test_the_ledger_of_the_ratings_counts_every_line():
    with open(data.ratings_file(), encoding="utf8") as file:
        lines = [line for line in file if line.strip()]
    assert len(lines) == data.LEDGER["word_ratings"].rows
    means = {line.split("\t")[0]: float(line.split("\t")[1]) for line in lines}
    assert all(means[word] == rating for word, rating in data.word_ratings().items())
