"""Exercises of lesson 18, capstone: their references, inputs and typical mistakes."""

import csv
import html
import io
import math
import random
import re
from collections import Counter

from course_utils.checks.exercise import Draw, case, exercise, mistake

# 18.1 --------------------------------------------------------------------------------------------------


def messages_of(raw):
    labels = {}
    for row in csv.reader(io.StringIO(raw.decode("utf8"), newline=""), delimiter="\t"):
        text = " ".join(html.unescape(row[1]).split()) if row else ""
        if text:
            labels.setdefault(text, set()).add(row[0] == "spam")
    return [(text, found.pop()) for text, found in labels.items() if len(found) == 1]


def table(text, **changed):
    return csv.reader(io.StringIO(text, newline=""), delimiter="\t", **changed)


def read(
    rows=table,
    entities=html.unescape,
    spaces=lambda text: " ".join(text.split()),
    blank=True,
    copies="drop both",
    encoding="utf8",
    is_spam=lambda label: label == "spam",
    before=lambda text: text,
):
    """`messages_of` with one step done otherwise."""

    def wrong(raw):
        found = []
        for row in rows(raw.decode(encoding)):
            if not row:
                continue
            text = spaces(entities(before(row[1])))
            if text or not blank:
                found.append((text, is_spam(row[0])))
        if copies == "keep":
            return found
        if copies == "pairs":
            return list(dict.fromkeys(found))
        if copies == "last":
            return list({text: (text, label) for text, label in found}.values())
        if copies == "first":
            return list({text: (text, label) for text, label in found[::-1]}.values())[::-1]
        labels = {}
        for text, label in found:
            labels.setdefault(text, set()).add(label)
        if copies == "sorted":
            return sorted((text, min(one)) for text, one in labels.items() if len(one) == 1)
        if copies == "alone":
            count = Counter(text for text, _ in found)
            return [(text, label) for text, label in found if count[text] == 1]
        return [(text, min(one)) for text, one in labels.items() if len(one) == 1]

    return wrong


def first_of_equals(raw):
    found = {}
    for row in table(raw.decode("utf8")):
        text = " ".join(html.unescape(row[1]).split()) if row else ""
        if text:
            found.setdefault(text, row[0] == "spam")
    return list(found.items())


def copies_before_cleaning(raw):
    found = {}
    for row in table(raw.decode("utf8")):
        if row:
            found.setdefault(row[1], set()).add(row[0] == "spam")
    cleaned = [(" ".join(html.unescape(text).split()), one) for text, one in found.items()]
    return [(text, min(one)) for text, one in cleaned if text and len(one) == 1]


def labels_as_words(raw):
    return [(text, "spam" if label else "ham") for text, label in messages_of(raw)]


def labels_as_numbers(raw):
    return [(text, int(label)) for text, label in messages_of(raw)]


def told_apart(answer, raw):
    """What `answer` gives; a label that is a number is told apart from a bool."""
    found = answer(raw)
    if isinstance(found, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in found):
        return [(text, one if isinstance(one, bool | str) else f"{one}, no bool") for text, one in found]
    return found


def cut_at_the_tab(line):
    return line.partition("\t")[::2]


exercise(
    "18.1",
    "Clean it",
    reference=messages_of,
    use=told_apart,
    returns="the messages",
    cases=[
        case("two messages", b"ham\tsee you at 5\nspam\tWIN a prize, call 0900\n"),
        case("no line feed at the end", b"ham\tone\nspam\ttwo"),
        case("a quoted text", b'ham\t"say ""yes"" now"\nspam\tbuy, buy\n'),
        case("a text that is quoted as a whole", b'ham\t"""ok"""\nham\ttea\n'),
        case("a quotation mark in the middle", b'ham\t5" wide\nspam\tcall "now"\n'),
        case("a tab in a quoted text", b'spam\t"call\tnow"\nham\tno tab\n'),
        case("a line end in a quoted text", b'ham\t"two\nlines"\nspam\tone\n'),
        case("an entity", b"ham\tyou &amp; me &lt;3\nham\ttea\n"),
        case("an entity of an entity", b"ham\tsay &amp;lt; and mean it\n"),
        case("an entity for a quotation mark", b"ham\tsay &quot;yes&quot; now\nspam\t&pound;5\n"),
        case("white space", b"ham\t  two   blanks  and more \nspam\tx\n"),
        case("copies", b"ham\tok\nspam\tWIN\nham\tok\nham\tlater\nspam\tWIN\n"),
        case("copies once they are clean", b"ham\tme &amp; you\nham\tme  & you\nspam\tx\n"),
        case("copies that disagree", b"ham\tcall me\nham\ttea?\nspam\tcall me\nspam\tcall  me\n"),
        case("copies that disagree, spam first", b"spam\tfree\nham\tfree\nham\tbird\nham\tfree\n"),
        case("a copy in capitals is none", b"ham\tOk\nham\tok\n"),
        case("lines without text", b"ham\t\nham\t   \n\nspam\tx\nham\t&nbsp;\n"),
        case("signs that look like line ends", "ham\tone\u2028two\nspam\tfive\x0bsix\n".encode()),
        case("a pound, an umlaut", "spam\t£1,000 für dich\nham\tcafé\n".encode()),
        case("carriage returns", b"ham\tone\r\nspam\ttwo\r\n"),
        case("texts that pandas takes for gaps", b"ham\tNA\nham\tnull\nspam\tWIN\n"),
        case("an entity that begins like quoting", b"ham\t&quot;a &quot;b\nham\tc\n"),
        case("nothing", b""),
    ],
    mistakes=[
        mistake("Copies are still there: of equal texts only the first stays.", read(copies="keep")),
        mistake(
            "Texts whose labels disagree are still there. Nobody knows what they are: drop all of them.",
            read(copies="pairs"),
            read(copies="first"),
            read(copies="last"),
            first_of_equals,
        ),
        mistake(
            "You drop every text that occurs twice. Only where the labels disagree does none stay; else the "
            "first one does.",
            read(copies="alone"),
        ),
        mistake(
            "You look for copies before the texts are clean: two that differ by blanks or an entity are "
            "equal afterwards.",
            copies_before_cleaning,
        ),
        mistake(
            "The quotation marks of the file are still there: a quoted text has one at either end and "
            "doubled ones inside. A CSV reader undoes that.",
            read(rows=lambda text: table(text, quoting=csv.QUOTE_NONE)),
            read(rows=lambda text: map(cut_at_the_tab, text.split("\n"))),
            read(rows=lambda text: map(cut_at_the_tab, text.splitlines())),
        ),
        mistake(
            "Quotation marks are stripped from the ends of every text, also where they belong to the "
            "message, or the doubled ones inside stay doubled.",
            read(
                rows=lambda text: map(cut_at_the_tab, text.split("\n")), before=lambda text: text.strip('"')
            ),
            read(
                rows=lambda text: map(cut_at_the_tab, text.split("\n")),
                before=lambda text: text.replace('""', '"').strip('"'),
            ),
            read(
                rows=lambda text: map(cut_at_the_tab, text.split("\n")),
                before=lambda text: text.replace('"', ""),
            ),
        ),
        mistake(
            "The text is cut into lines before the CSV reader sees it, so that a line end inside quotation "
            "marks is lost. Give it a stream: io.StringIO(text, newline='').",
            read(rows=lambda text: csv.reader(text.split("\n"), delimiter="\t")),
            read(rows=lambda text: csv.reader(text.splitlines(), delimiter="\t")),
        ),
        mistake("HTML's entities are still there: &amp; stands for &.", read(entities=lambda text: text)),
        mistake(
            "You undo entities more than once. What was written as &amp;lt; means the four signs &lt;.",
            read(entities=lambda text: html.unescape(html.unescape(text))),
        ),
        mistake(
            "Only some of the entities are undone; html.unescape knows all of them.",
            read(entities=lambda text: text.replace("&amp;", "&")),
            read(entities=lambda text: text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")),
        ),
        mistake(
            "White space is not treated as asked: every run becomes one space, and the ends have none.",
            read(spaces=lambda text: text.strip()),
            read(spaces=lambda text: text),
            read(spaces=lambda text: re.sub(r"\s+", " ", text)),
            read(spaces=lambda text: re.sub(r" +", " ", text).strip()),
        ),
        mistake(
            "The white space goes before the entities are undone; an entity can be white space (&nbsp;).",
            read(before=lambda text: " ".join(text.split()), spaces=lambda text: text),
        ),
        mistake(
            "The entities are undone in the whole file before it is read; &quot; then looks like the file's "
            "own quoting.",
            read(rows=lambda text: table(html.unescape(text)), entities=str),
        ),
        mistake(
            "Messages such as NA and null are gone: a table reader took them for missing values "
            "(keep_default_na=False).",
            read(
                rows=lambda text: [row for row in table(text) if row and row[1] not in ("NA", "null", "nan")]
            ),
        ),
        mistake("Lines without text are still there.", read(blank=False)),
        mistake(
            "The bytes are UTF-8; in another encoding £ and é become other signs.",
            read(encoding="latin-1"),
            read(encoding="cp1252"),
        ),
        mistake("The labels should be True for spam and False for ham.", labels_as_words, labels_as_numbers),
        mistake(
            "True and False are the wrong way round: True is for spam.",
            read(is_spam=lambda label: label == "ham"),
            read(is_spam=lambda label: label != "spam"),
        ),
        mistake("The order should be the file's.", read(copies="sorted")),
        mistake(
            "The messages' capitals belong to them: nobody asked for small letters.",
            read(spaces=lambda text: " ".join(text.lower().split())),
        ),
    ],
)

# 18.2 --------------------------------------------------------------------------------------------------


def split_groups(keys, sizes, seed):
    groups = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    order = list(groups)
    random.Random(seed).shuffle(order)
    parts = [[] for _ in range(len(sizes) + 1)]
    for key in order:
        open_parts = (i for i, size in enumerate(sizes) if len(parts[i]) < size)
        parts[next(open_parts, len(sizes))].extend(groups[key])
    return parts


def dealt(
    shuffled=lambda order, seed: random.Random(seed).shuffle(order),
    first=list,
    room=lambda part, size, group: len(part) < size,
    ascending=lambda rows: rows,
    count_groups=False,
    last=True,
):
    """`split_groups` with one step done otherwise."""

    def wrong(keys, sizes, seed):
        groups = {}
        for row, key in enumerate(keys):
            groups.setdefault(key, []).append(row)
        order = first(groups)
        shuffled(order, seed)
        parts = [[] for _ in range(len(sizes) + 1)]
        taken = [0] * (len(sizes) + 1)
        for key in order:
            full = taken if count_groups else parts
            open_parts = (
                i
                for i, size in enumerate(sizes)
                if (full[i] < size if count_groups else room(parts[i], size, groups[key]))
            )
            part = next(open_parts, len(sizes))
            parts[part].extend(groups[key])
            taken[part] += 1
        return [ascending(part) for part in (parts if last else parts[:-1])]

    return wrong


def by_rows(keys, sizes, seed):
    order = list(range(len(keys)))
    random.Random(seed).shuffle(order)
    parts, at = [], 0
    for size in sizes:
        parts.append(order[at : at + size])
        at += size
    return [*parts, order[at:]]


def rows_shuffled(keys, sizes, seed):
    order = list(range(len(keys)))
    random.Random(seed).shuffle(order)
    groups = {keys[row]: [other for other, key in enumerate(keys) if key == keys[row]] for row in order}
    parts = [[] for _ in range(len(sizes) + 1)]
    for rows in groups.values():
        open_parts = (i for i, size in enumerate(sizes) if len(parts[i]) < size)
        parts[next(open_parts, len(sizes))].extend(rows)
    return parts


def keys_not_rows(keys, sizes, seed):
    parts = split_groups(keys, sizes, seed)
    return [list(dict.fromkeys(keys[row] for row in part)) for part in parts]


def shuffled_groups(keys, seed):
    """The rows of each key, and the keys in the order of dealing."""
    groups = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    order = list(groups)
    random.Random(seed).shuffle(order)
    return groups, order


def one_of_each(keys, sizes, seed):
    groups, order = shuffled_groups(keys, seed)
    parts = [[] for _ in range(len(sizes) + 1)]
    for key in order:
        open_parts = (i for i, size in enumerate(sizes) if len(parts[i]) < size)
        parts[next(open_parts, len(sizes))].append(groups[key][0])
    return parts


def moves_on(keys, sizes, seed):
    groups, order = shuffled_groups(keys, seed)
    parts, at = [[] for _ in range(len(sizes) + 1)], 0
    for key in order:
        while at < len(sizes) and len(parts[at]) + len(groups[key]) > sizes[at]:
            at += 1
        parts[at].extend(groups[key])
    return parts


def round_robin(keys, sizes, seed):
    groups, order = shuffled_groups(keys, seed)
    parts = [[] for _ in range(len(sizes) + 1)]
    for turn, key in enumerate(order):
        parts[turn % len(parts)].extend(groups[key])
    return parts


def cut_groups(keys, sizes, seed):
    flat = [row for part in split_groups(keys, [], seed) for row in part]
    parts, at = [], 0
    for size in sizes:
        parts.append(flat[at : at + size])
        at += size
    return [*parts, flat[at:]]


draw = Draw("18.2")
MANY = [f"t{i}" for i in draw.integers(25, 40).tolist()]

exercise(
    "18.2",
    "Split by groups",
    reference=split_groups,
    returns="the parts",
    cases=[
        case("pairs", list("aabbccddee"), [2, 2], 0),
        case("groups of several sizes", list("abbcccddddeeeeef"), [4, 4], 1),
        case("groups that are apart", list("abcabcabdde"), [3, 3], 2),
        case("a large group after a nearly full part", list("aaaaabbbbbcccccd"), [4, 6], 3),
        case("every row its own group", list("qwertzuiop"), [3, 3], 4),
        case("one group", ["x"] * 5, [2, 2], 5),
        case("no sizes", list("abcab"), [], 6),
        case("a size of 0", list("abcdaab"), [0, 3], 7),
        case("three parts and the rest", MANY, [8, 8, 8], 8),
        case("another seed", MANY, [8, 8, 8], 9),
        case("more room than rows", list("abca"), [10, 10], 10),
        case("no rows", [], [2, 2], 11),
        case("keys that sort otherwise", ["b", "B", "10", "9", "a", "b", "10"], [2, 2], 12),
    ],
    mistakes=[
        mistake(
            "Rows are dealt one by one, so that equal keys end up in different parts. Deal whole groups.",
            by_rows,
            cut_groups,
        ),
        mistake("Only one row of each group is dealt; all of its rows go to the same part.", one_of_each),
        mistake(
            "A part takes a group only if it fits in whole. By the card it takes groups while it has fewer "
            "rows than its size, and may end with more.",
            dealt(room=lambda part, size, group: len(part) + len(group) <= size),
            moves_on,
        ),
        mistake(
            "You count groups, not rows: a size is a number of rows.",
            dealt(count_groups=True),
        ),
        mistake(
            "A part that has just reached its size takes one group more: fewer than, not at most.",
            dealt(room=lambda part, size, group: len(part) <= size),
        ),
        mistake(
            "The keys are not shuffled.",
            dealt(shuffled=lambda order, seed: None),
        ),
        mistake(
            "Shuffle by random.Random(seed): another source gives another order each time, or on each "
            "machine.",
            dealt(shuffled=lambda order, seed: random.Random(0).shuffle(order)),
            dealt(shuffled=lambda order, seed: random.Random(str(seed)).shuffle(order)),
        ),
        mistake(
            "The keys are shuffled from another order than that of their first appearance (sorted, a set).",
            dealt(first=sorted),
            dealt(first=lambda groups: sorted(set(groups), reverse=True)),
            dealt(first=lambda groups: list(groups)[::-1]),
        ),
        mistake(
            "The row numbers of a part stand in the order of dealing, not sorted.",
            dealt(ascending=sorted),
        ),
        mistake("The last part, with what is left over, is missing.", dealt(last=False)),
        mistake("Shuffle the list of different keys, not the list of rows.", rows_shuffled),
        mistake("A part lists row numbers, not keys.", keys_not_rows),
        mistake(
            "The groups are dealt to the parts in turn. Fill the first part, then the second.",
            round_robin,
        ),
    ],
)

# 18.3 --------------------------------------------------------------------------------------------------


def pieces_of(text, low, high):
    found = Counter()
    for word in text.split():
        word = f" {word} "
        for n in range(low, high + 1):
            found.update(word[i : i + n] for i in range(max(1, len(word) - n + 1)))
            if n >= len(word):
                break
    return found


def cut_into(
    pad=lambda word: f" {word} ",
    words=str.split,
    lengths=lambda low, high: range(low, high + 1),
    stop=lambda n, word: n >= len(word),
    short=True,
    starts=lambda word, n: len(word) - n + 1,
    change=lambda text: text,
    kind=Counter,
):
    """`pieces_of` with one step done otherwise."""

    def wrong(text, low, high):
        found = []
        for word in words(change(text)):
            word = pad(word)
            for n in lengths(low, high):
                if len(word) < n and not short:
                    break
                found += [word[i : i + n] for i in range(max(1 if short else 0, starts(word, n)))]
                if stop(n, word):
                    break
        return kind(found)

    return wrong


def over_the_ends(text, low, high):
    text = f" {' '.join(text.split())} "
    return Counter(text[i : i + n] for n in range(low, high + 1) for i in range(len(text) - n + 1))


def over_the_ends_bare(text, low, high):
    return Counter(text[i : i + n] for n in range(low, high + 1) for i in range(len(text) - n + 1))


exercise(
    "18.3",
    "Pieces of words",
    reference=pieces_of,
    returns="the counts of the pieces",
    cases=[
        case("one word", "call", 2, 3),
        case("two words", "call me", 2, 3),
        case("a piece that comes twice", "banana", 2, 3),
        case("the same word twice", "win win", 2, 4),
        case("a word of one letter", "u 2", 2, 5),
        case("a word of two letters", "ok", 2, 5),
        case("short beside long", "u won 1000", 3, 5),
        case("capitals and digits", "WIN £1,000 now!", 2, 5),
        case("white space", "  two   blanks\tand a tab ", 2, 3),
        case("one length", "hello", 3, 3),
        case("longer than the word", "hi you", 5, 6),
        case("single signs", "abca", 1, 2),
        case("nothing", "", 2, 5),
        case("blanks alone", "   ", 2, 5),
    ],
    mistakes=[
        mistake(
            "A word gets one space at each end before it is cut: that is how a piece knows where it stood.",
            cut_into(pad=lambda word: word),
        ),
        mistake(
            "A space stands at one end only.",
            cut_into(pad=lambda word: f" {word}"),
            cut_into(pad=lambda word: f"{word} "),
        ),
        mistake(
            "Your pieces run over the ends of words. Cut each word by itself.",
            over_the_ends,
            over_the_ends_bare,
            cut_into(words=lambda text: [text]),
        ),
        mistake(
            "The lengths go from low to high, high included.",
            cut_into(lengths=lambda low, high: range(low, high)),
        ),
        mistake(
            "Only one of the lengths is taken.",
            cut_into(lengths=lambda low, high: [low]),
            cut_into(lengths=lambda low, high: [high]),
        ),
        mistake(
            "A padded word that is shorter than a length counts once, whole.",
            cut_into(short=False),
        ),
        mistake(
            "A word that is shorter than several lengths is counted for each of them; once is enough.",
            cut_into(stop=lambda n, word: False),
        ),
        mistake(
            "When a length equals that of the padded word, the word has been counted whole; longer lengths "
            "do not count it again.",
            cut_into(stop=lambda n, word: n > len(word)),
        ),
        mistake(
            "The last piece of each word is missing.",
            cut_into(starts=lambda word, n: len(word) - n),
        ),
        mistake("The capitals are gone; here they count.", cut_into(change=str.lower)),
        mistake(
            "Count how often each piece occurs: you give each once.",
            cut_into(kind=lambda found: Counter(set(found))),
        ),
        mistake(
            "Digits and signs are pieces as well: words are what white space separates.",
            cut_into(words=lambda text: re.findall(r"\w+", text)),
            cut_into(words=lambda text: re.findall(r"\w\w+", text)),
        ),
    ],
)

# 18.4 --------------------------------------------------------------------------------------------------


def spam_score(counts, idf, weight, bias):
    values = {piece: (1 + math.log(n)) * idf[piece] for piece, n in counts.items() if piece in idf}
    length = math.sqrt(sum(value**2 for value in values.values())) or 1.0
    return sum(weight[piece] * value for piece, value in values.items()) / length + bias


def scored(
    tf=lambda n: 1 + math.log(n),
    with_idf=lambda idf: idf,
    norm=lambda values: math.sqrt(sum(value**2 for value in values)),
    end=lambda total, length, bias: total / length + bias,
    known=True,
):
    """`spam_score` with one step done otherwise."""

    def wrong(counts, idf, weight, bias):
        values = {p: tf(n) * with_idf(idf[p]) for p, n in counts.items() if p in idf}
        every = [tf(n) * with_idf(idf.get(p, 1.0)) for p, n in counts.items()]
        length = norm(list(values.values()) if known else every) or 1.0
        return end(sum(weight[p] * value for p, value in values.items()), length, bias)

    return wrong


draw = Draw("18.4")
PIECES = ["ca", "al", "ll", " c", "l ", "00", "£1", "wi", "in", "n "]
IDF = dict(zip(PIECES, (1 + draw.floats(10).abs()).tolist(), strict=True))
WEIGHT = dict(zip(PIECES, draw.floats(10).tolist(), strict=True))


def counts_of(*numbers):
    return Counter({piece: n for piece, n in zip(PIECES, numbers, strict=False) if n})


exercise(
    "18.4",
    "The score by hand",
    reference=spam_score,
    returns="the score",
    rtol=1e-6,
    cases=[
        case("one piece", counts_of(1), IDF, WEIGHT, 0.0),
        case("one piece twice", counts_of(2, 1), IDF, WEIGHT, 0.0),
        case("three pieces", counts_of(1, 2, 3), IDF, WEIGHT, -0.5),
        case("all of them", counts_of(3, 1, 4, 1, 5, 9, 2, 6, 5, 3), IDF, WEIGHT, 0.25),
        case("an unknown piece", counts_of(1, 1) + Counter({"zz": 7}), IDF, WEIGHT, 0.1),
        case("unknown pieces alone", Counter({"zz": 2, "yy": 1}), IDF, WEIGHT, -1.5),
        case("no pieces", Counter(), IDF, WEIGHT, 0.75),
        case("large counts", counts_of(50, 1, 1, 20), IDF, WEIGHT, 0.0),
        case("a small idf", Counter({"ca": 1}), {"ca": 0.3}, {"ca": 1.5}, 0.2),
    ],
    mistakes=[
        mistake(
            "The count enters as it is. It should be 1 + ln(count): the tenth time tells less than the "
            "first.",
            scored(tf=lambda n: n),
        ),
        mistake(
            "The logarithm is the natural one, and 1 is added after it.",
            scored(tf=lambda n: math.log(1 + n)),
            scored(tf=lambda n: 1 + math.log2(n)),
            scored(tf=lambda n: 1 + math.log10(n)),
            scored(tf=lambda n: math.log(n)),
            scored(tf=lambda n: 1 + math.log1p(n)),
        ),
        mistake("How often a piece occurs in the message does not count with you.", scored(tf=lambda n: 1.0)),
        mistake("The idf is missing: a value is (1 + ln c) times idf.", scored(with_idf=lambda idf: 1.0)),
        mistake(
            "The values are not divided by their length, so that long messages have large scores.",
            scored(norm=lambda values: 1.0),
        ),
        mistake(
            "The length of a vector is the root of the sum of squares.",
            scored(norm=lambda values: sum(abs(value) for value in values)),
            scored(norm=lambda values: sum(value**2 for value in values)),
            scored(norm=lambda values: max(values, default=0.0)),
            scored(norm=lambda values: math.sqrt(len(values))),
        ),
        mistake(
            "Pieces that the vocabulary lacks are left out before the length is taken.",
            scored(known=False),
        ),
        mistake(
            "The bias is missing: it is added at the end.",
            scored(end=lambda total, length, bias: total / length),
        ),
        mistake(
            "The bias is divided by the length as well; add it at the end.",
            scored(end=lambda total, length, bias: (total + bias) / length),
        ),
        mistake(
            "The bias is added, not taken away.",
            scored(end=lambda total, length, bias: total / length - bias),
        ),
        mistake(
            "This is a probability; the score before the sigmoid is asked for.",
            scored(end=lambda total, length, bias: 1 / (1 + math.exp(-total / length - bias))),
        ),
    ],
)

# 18.5 --------------------------------------------------------------------------------------------------


def problems(report):
    low, high = report["difference"]
    decimals = len(report["card_score"].partition(".")[2])
    found = {
        "seeds": len(report["seeds"]) < 3,
        "difference": low > high,
        "choice": (report["chosen"] == "large") != (low > 0),
        "test": report["test_measured"] != 1,
        "card": f"{report['test_score']:.{decimals}f}" != report["card_score"],
    }
    return sorted(name for name, wrong in found.items() if wrong)


def reviewed(order=sorted, **changed):
    """`problems` with some of the five questions asked otherwise."""

    def wrong(report):
        low, high = report["difference"]
        decimals = len(report["card_score"].partition(".")[2])
        found = {
            "seeds": len(report["seeds"]) < 3,
            "difference": low > high,
            "choice": (report["chosen"] == "large") != (low > 0),
            "test": report["test_measured"] != 1,
            "card": f"{report['test_score']:.{decimals}f}" != report["card_score"],
        } | {name: question(report) for name, question in changed.items()}
        return order(name for name, bad in found.items() if bad)

    return wrong


def report(**changed):
    return {
        "seeds": [0.91, 0.93, 0.92],
        "baseline": 0.95,
        "difference": (-0.05, 0.01),
        "chosen": "baseline",
        "test_measured": 1,
        "test_score": 0.9472,
        "card_score": "0.947",
    } | changed


def backwards(names):
    return sorted(names, reverse=True)


exercise(
    "18.5",
    "A reviewer of reports",
    reference=problems,
    returns="the list of problems",
    cases=[
        case("a good report", report()),
        case("the larger model, with reason", report(difference=(0.01, 0.06), chosen="large", baseline=0.88)),
        case("two seeds", report(seeds=[0.9, 0.92])),
        case("four seeds", report(seeds=[0.9, 0.92, 0.91, 0.93])),
        case("the same score three times", report(seeds=[0.9, 0.9, 0.9])),
        case("the larger number wins", report(difference=(-0.01, 0.05), chosen="large", baseline=0.9)),
        case("clearly better, and not taken", report(difference=(0.02, 0.05), baseline=0.88)),
        case("an interval that begins at 0", report(difference=(0.0, 0.04), chosen="large")),
        case("begins at 0, and the baseline stays", report(difference=(0.0, 0.04))),
        case("an interval turned round", report(difference=(0.03, -0.02))),
        case("tested twice", report(test_measured=2)),
        case("never tested", report(test_measured=0)),
        case("the card says more", report(card_score="0.95", test_score=0.9449)),
        case("the card rounds", report(card_score="0.95", test_score=0.9472)),
        case("the card cuts", report(card_score="0.94", test_score=0.9472)),
        case("a whole number on the card", report(card_score="1", test_score=0.9472)),
        case("a zero at the end", report(card_score="0.950", test_score=0.95)),
        case("everything", report(seeds=[], difference=(0.5, 0.1), test_measured=3, card_score="0.99")),
        case("worse, and taken", report(difference=(-0.08, -0.02), chosen="large")),
        case("an interval of one point", report(difference=(0.02, 0.02), chosen="large")),
        case("no zero before the point", report(test_score=0.947, card_score=".947")),
    ],
    mistakes=[
        mistake(
            "The larger model is taken only if the whole interval lies above 0: its lower end decides.",
            reviewed(choice=lambda r: (r["chosen"] == "large") != (r["difference"][1] > 0)),
            reviewed(choice=lambda r: (r["chosen"] == "large") != (sum(r["difference"]) > 0)),
            reviewed(
                choice=lambda r: (r["chosen"] == "large") != (max(r["seeds"], default=0) > r["baseline"])
            ),
            reviewed(
                choice=lambda r: (
                    (r["chosen"] == "large") != (sum(r["seeds"]) / max(1, len(r["seeds"])) > r["baseline"])
                )
            ),
        ),
        mistake(
            "An interval that begins at 0 does not lie above 0.",
            reviewed(choice=lambda r: (r["chosen"] == "large") != (r["difference"][0] >= 0)),
        ),
        mistake(
            "A choice can be wrong in two ways: the larger model without reason, and the baseline against a "
            "clear gain.",
            reviewed(choice=lambda r: r["chosen"] == "large" and r["difference"][0] <= 0),
            reviewed(choice=lambda r: r["chosen"] == "baseline" and r["difference"][0] > 0),
        ),
        mistake(
            "Three seeds are enough; fewer than three are not.",
            reviewed(seeds=lambda r: len(r["seeds"]) <= 3),
            reviewed(seeds=lambda r: len(r["seeds"]) < 2),
            reviewed(seeds=lambda r: len(r["seeds"]) != 3),
        ),
        mistake(
            "Two seeds may give the same score: count the scores, not the different ones.",
            reviewed(seeds=lambda r: len(set(r["seeds"])) < 3),
        ),
        mistake(
            "The test is measured exactly once: never is a problem, too.",
            reviewed(test=lambda r: r["test_measured"] > 1),
            reviewed(test=lambda r: r["test_measured"] < 1),
        ),
        mistake(
            "The card's number is the score rounded to the card's own decimals.",
            reviewed(card=lambda r: r["card_score"] != str(r["test_score"])),
            reviewed(card=lambda r: float(r["card_score"]) != r["test_score"]),
            reviewed(card=lambda r: f"{r['test_score']:.3f}" != r["card_score"]),
            reviewed(card=lambda r: not str(r["test_score"]).startswith(r["card_score"])),
            reviewed(card=lambda r: abs(float(r["card_score"]) - r["test_score"]) > 0.01),
        ),
        mistake(
            "An interval whose lower end is above its upper end is a problem of its own.",
            reviewed(difference=lambda r: False),
            reviewed(difference=lambda r: r["difference"][0] < r["difference"][1]),
        ),
        mistake("The list should be sorted.", reviewed(order=list), reviewed(order=backwards)),
    ],
)

# 18.6 --------------------------------------------------------------------------------------------------


def per_thousand(caught, hidden, share, cost):
    spam, ham = 1000 * share, 1000 * (1 - share)
    right, wrong = spam * caught, ham * hidden
    precision = right / (right + wrong) if right + wrong else None
    return precision, (spam - right) + cost * wrong


def expected(
    spam=lambda share: 1000 * share,
    ham=lambda share: 1000 * (1 - share),
    precision=lambda right, wrong, caught, hidden: right / (right + wrong) if right + wrong else None,
    price=lambda missed, wrong, cost, right: missed + cost * wrong,
    turned=False,
):
    """`per_thousand` with one step done otherwise."""

    def other(caught, hidden, share, cost):
        right, wrong = spam(share) * caught, ham(share) * hidden
        missed = spam(share) - right
        pair = precision(right, wrong, caught, hidden), price(missed, wrong, cost, right)
        return pair[::-1] if turned else pair

    return other


def zero_for_none(right, wrong, caught, hidden):
    return right / (right + wrong) if right + wrong else 0.0


def one_for_none(right, wrong, caught, hidden):
    return right / (right + wrong) if right + wrong else 1.0


exercise(
    "18.6",
    "Another phone",
    reference=per_thousand,
    returns="the precision and the cost",
    rtol=1e-9,
    cases=[
        case("one in eight is spam", 0.9, 0.002, 0.125, 20),
        case("one in fifty", 0.9, 0.002, 0.02, 20),
        case("one in a thousand", 0.9, 0.002, 0.001, 20),
        case("half and half", 0.8, 0.01, 0.5, 5),
        case("nothing is put aside", 0.0, 0.0, 0.1, 20),
        case("no spam at all", 0.9, 0.01, 0.0, 20),
        case("spam alone", 0.75, 0.01, 1.0, 20),
        case("a message costs no more than spam", 0.95, 0.05, 0.2, 1),
        case("perfect", 1.0, 0.0, 0.3, 20),
        case("only ham is put aside", 0.0, 0.1, 0.1, 20),
        case("as much ham as spam is put aside", 0.5, 0.5, 0.5, 20),
        case("a share that gives no whole number", 0.5, 0.0, 0.0125, 20),
        case("no spam, and no ham put aside", 0.5, 0.0, 0.0, 20),
        case("spam alone, none caught", 0.0, 0.1, 1.0, 20),
    ],
    mistakes=[
        mistake(
            "The share of spam does not enter your precision. Count both kinds among 1,000 messages first.",
            expected(
                precision=lambda right, wrong, caught, hidden: caught / (caught + hidden) if caught else None
            ),
        ),
        mistake(
            "Precision is asked for: of those put aside, the share that is spam. Yours is the share of spam "
            "that is put aside.",
            expected(precision=lambda right, wrong, caught, hidden: caught if right + wrong else None),
        ),
        mistake(
            "`hidden` is a share of the ham, so it is multiplied by the ham, not by all messages.",
            expected(ham=lambda share: 1000.0),
        ),
        mistake(
            "`hidden` is a share of the ham; you multiply it by the spam.",
            expected(ham=lambda share: 1000 * share),
        ),
        mistake(
            "`caught` is a share of the spam, so it is multiplied by the spam, not by all messages.",
            expected(spam=lambda share: 1000.0),
        ),
        mistake(
            "If nothing is put aside there is no precision: None.",
            expected(precision=zero_for_none),
            expected(precision=one_for_none),
        ),
        mistake(
            "Spam that comes through costs 1 each: it is missing from your cost.",
            expected(price=lambda missed, wrong, cost, right: cost * wrong),
        ),
        mistake(
            "A ham that is put aside costs `cost`: yours is free, or costs as little as spam.",
            expected(price=lambda missed, wrong, cost, right: missed),
            expected(price=lambda missed, wrong, cost, right: missed + wrong),
        ),
        mistake(
            "The two costs are exchanged: spam that comes through costs 1, a ham that is put aside `cost`.",
            expected(price=lambda missed, wrong, cost, right: cost * missed + wrong),
        ),
        mistake(
            "Spam that was caught costs nothing; what costs is the spam that came through.",
            expected(price=lambda missed, wrong, cost, right: right + cost * wrong),
        ),
        mistake(
            "Count among 1,000 messages, not one, a hundred or a million.",
            expected(spam=lambda share: share, ham=lambda share: 1 - share),
            expected(spam=lambda share: 100 * share, ham=lambda share: 100 * (1 - share)),
        ),
        mistake("First the precision, then the cost.", expected(turned=True)),
    ],
)
