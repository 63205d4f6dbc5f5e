"""Exercises of lesson 12, named entity recognition: their references, inputs and typical mistakes."""

import html
import re

import torch

from course_utils.checks.exercise import Draw, case, exercise, mistake

TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
IDS = {tag: number for number, tag in enumerate(TAGS)}


def words_of(text):
    """The places (start, end) of the words of a text: runs of letters and digits, and single signs."""
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def touching(one, other):
    """Whether two stretches (start, end, …) share a character."""
    return one[0] < other[1] and other[0] < one[1]


# 12.1 --------------------------------------------------------------------------------------------------


def highlight(text, spans):
    parts, at = [], 0
    for start, end, label in sorted(spans):
        parts.append(html.escape(text[at:start]))
        parts.append(f"<mark>{html.escape(text[start:end])} <b>{label}</b></mark>")
        at = end
    return "".join(parts) + html.escape(text[at:])


def marked(
    before=html.escape,
    name=html.escape,
    form="<mark>{name} <b>{label}</b></mark>",
    rest=True,
    order=sorted,
    gaps=True,
):
    """`highlight` with another treatment of the text between, of the names, or of the end."""

    def wrong(text, spans):
        parts, at = [], 0
        for start, end, label in order(spans):
            parts.append(before(text[at:start]) if gaps else "")
            parts.append(form.format(name=name(text[start:end]), label=label))
            at = end
        return "".join(parts) + (before(text[at:]) if rest else "")

    return wrong


def as_it_is(text):
    return text


def marked_by_replacing(text, spans):
    text = html.escape(text)
    for start, end, label in spans:
        name = html.escape(text[start:end])
        text = text.replace(name, f"<mark>{name} <b>{label}</b></mark>")
    return text


def marked_after_escaping(text, spans):
    text = html.escape(text)
    for start, end, label in sorted(spans, reverse=True):
        text = text[:start] + f"<mark>{text[start:end]} <b>{label}</b></mark>" + text[end:]
    return text


def marked_from_the_front(text, spans):
    for start, end, label in sorted(spans):
        name = f"<mark>{html.escape(text[start:end])} <b>{label}</b></mark>"
        text = text[:start] + name + text[end:]
    return text


exercise(
    "12.1",
    "Highlight",
    reference=highlight,
    returns="the HTML",
    cases=[
        case("one name", "Keegan has decided.", [(0, 6, "PER")]),
        case("no name", "Sales climbed & fell.", []),
        case("a sign of HTML before a name", "3 < 4, said Ray <ray@home>.", [(12, 15, "PER")]),
        case("a sign of HTML in a name", "She joined AT&T in Leeds", [(11, 15, "ORG"), (19, 24, "LOC")]),
        case("a name twice, marked once", "Chelsea lives in Chelsea.", [(17, 24, "LOC")]),
        case("in no order", "Ann met Bob & Cy", [(14, 16, "PER"), (0, 3, "PER"), (8, 11, "PER")]),
        case("two names side by side", "ParisFrance", [(0, 5, "LOC"), (5, 11, "LOC")]),
        case("quotation marks", '"It\'s U2"', [(6, 8, "ORG")]),
        case("the whole text", "Rio", [(0, 3, "LOC")]),
        case("spaces at both ends", " Ann left ", [(1, 4, "PER")]),
    ],
    mistakes=[
        mistake(
            "Nothing is escaped: a `<` or `&` of the text is read as HTML. Escape every piece of the text.",
            marked(before=as_it_is, name=as_it_is),
        ),
        mistake("The names are not escaped. A company may be called AT&T.", marked(name=as_it_is)),
        mistake(
            "The text between the names is not escaped; only the names are.",
            marked(before=as_it_is),
            marked(before=as_it_is, order=list),
        ),
        mistake(
            "You escaped at the end, your own <mark> too, so it is shown and marks nothing. Escape the "
            "pieces.",
            lambda text, spans: html.escape(marked(before=as_it_is, name=as_it_is)(text, spans)),
        ),
        mistake(
            "You escaped the text first, and then used the places in the old one. `&amp;` is longer than "
            "`&`.",
            marked_after_escaping,
        ),
        mistake("The text after the last name is missing.", marked(rest=False)),
        mistake("The text between the names is missing.", marked(gaps=False), marked(gaps=False, rest=False)),
        mistake(
            "`replace` marks every place where these letters stand. Go by start and end.",
            marked_by_replacing,
        ),
        mistake(
            "The spans may come in any order: sort them first, or text is repeated.",
            marked(order=list),
        ),
        mistake(
            "You insert from the front, and each insertion moves the places behind it. Build up pieces, or "
            "begin at the back.",
            marked_from_the_front,
        ),
        mistake(
            "The label is missing: colour alone does not tell everybody what kind of name it is.",
            marked(form="<mark>{name}</mark>"),
        ),
        mistake(
            "The label stands before the name; the card puts it behind, after a space.",
            marked(form="<mark><b>{label}</b> {name}</mark>"),
        ),
        mistake(
            "Between the name and its label belongs one space.",
            marked(form="<mark>{name}<b>{label}</b></mark>"),
        ),
    ],
)

# 12.2 --------------------------------------------------------------------------------------------------


def spans_to_bio(words, spans):
    tags = ["O"] * len(words)
    for start, end, label in spans:
        inside = [i for i, (a, b) in enumerate(words) if a < end and start < b]
        for position, i in enumerate(inside):
            tags[i] = ("I-" if position else "B-") + label
    return tags


def tagged(belongs=None, tag=None, pick=lambda inside: inside, spans_of=list):
    """`spans_to_bio` with another test of what belongs to a name, or other tags."""
    belongs = belongs or (lambda a, b, start, end: a < end and start < b)
    tag = tag or (lambda position, count, label: ("I-" if position else "B-") + label)

    def wrong(words, spans):
        tags = ["O"] * len(words)
        for start, end, label in spans_of(spans):
            inside = pick([i for i, (a, b) in enumerate(words) if belongs(a, b, start, end)])
            for position, i in enumerate(inside):
                tags[i] = tag(position, len(inside), label)
        return tags

    return wrong


def tagged_by_neighbour(words, spans):
    """B only where the word before has another tag: two names of a kind side by side run together."""
    kinds = ["O"] * len(words)
    for start, end, label in spans:
        for i, (a, b) in enumerate(words):
            if a < end and start < b:
                kinds[i] = label
    before = ["O", *kinds]
    return [
        "O" if kind == "O" else ("I-" if last == kind else "B-") + kind
        for last, kind in zip(before, kinds, strict=False)
    ]


def tagged_in_one_pass(words, spans):
    """Needs the spans in order."""
    tags, spans = [], list(spans)
    for a, b in words:
        while spans and spans[0][1] <= a:
            spans.pop(0)
        if spans and spans[0][0] < b and a < spans[0][1]:
            start, _, label = spans[0]
            tags.append(("B-" if a <= start < b else "I-") + label)
        else:
            tags.append("O")
    return tags


def begun_in_a_word(words, spans):
    """B- where the name's first character lies in a word: a name that begins at a space has none."""
    tags = ["O"] * len(words)
    for start, end, label in spans:
        for i, (a, b) in enumerate(words):
            if a <= start < b:
                tags[i] = "B-" + label
            elif start < a < end:
                tags[i] = "I-" + label
    return tags


def begun_at_a_word(words, spans):
    """B- only where a word begins exactly with the name."""
    return [
        next(
            (("B-" if a == start else "I-") + kind for start, end, kind in spans if a < end and start < b),
            "O",
        )
        for a, b in words
    ]


def begun_behind_o(words, spans):
    """I- behind any name, whatever its label."""
    tags = []
    for a, b in words:
        kind = next((label for start, end, label in spans if a < end and start < b), None)
        tags.append("O" if kind is None else ("I-" if tags and tags[-1] != "O" else "B-") + kind)
    return tags


def stopping_at_no_words(words, spans):
    tags = ["O"] * len(words)
    for start, end, label in spans:
        inside = [i for i, (a, b) in enumerate(words) if a < end and start < b]
        if not inside:
            return tags
        for position, i in enumerate(inside):
            tags[i] = ("I-" if position else "B-") + label
    return tags


def bioes(position, count, label):
    first, last = position == 0, position == count - 1
    return ("S-" if first and last else "B-" if first else "E-" if last else "I-") + label


exercise(
    "12.2",
    "Spans to tags",
    reference=spans_to_bio,
    returns="the tags",
    cases=[
        case("a name of two words", words_of("Nick Davies said so."), [(0, 11, "PER")]),
        case("no names", words_of("Sales climbed."), []),
        case(
            "three names",
            words_of("Marr met UN staff in Bonn"),
            [(0, 4, "PER"), (9, 11, "ORG"), (21, 25, "LOC")],
        ),
        case(
            "two names of a kind side by side",
            words_of("She showed Ann Lee Bob Ray"),
            [(11, 18, "PER"), (19, 26, "PER")],
        ),
        case("in no order", words_of("Marr met UN staff in Bonn"), [(21, 25, "LOC"), (0, 4, "PER")]),
        case("a name that is a part of a word", [(0, 2), (3, 12), (13, 18)], [(6, 12, "ORG")]),
        case("a name that begins inside a word", [(0, 10), (11, 15)], [(3, 15, "ORG")]),
        case("the first part of a word", [(0, 6), (7, 10)], [(0, 2, "LOC")]),
        case("words without a space between", [(0, 2), (2, 3), (3, 6)], [(2, 3, "LOC")]),
        case("a name of four words", words_of("the House of Commons Committee"), [(4, 30, "ORG")]),
        case("a name between two words", [(0, 3), (5, 9)], [(3, 5, "PER")]),
        case("two kinds side by side", words_of("Arsenal Wenger left"), [(0, 7, "ORG"), (8, 14, "PER")]),
        case("the middle of a word", [(0, 13), (14, 18)], [(3, 10, "MISC")]),
        case("a name that begins at a space", [(0, 4), (5, 11), (12, 15)], [(4, 15, "PER")]),
        case("no word, and then a name", [(0, 3), (5, 9)], [(3, 5, "PER"), (5, 9, "PER")]),
    ],
    mistakes=[
        mistake(
            "Every word of a name has I-. The first one has B-.",
            tagged(tag=lambda position, count, label: "I-" + label),
        ),
        mistake(
            "Every word of a name has B-. Only the first one has; those behind have I-.",
            tagged(tag=lambda position, count, label: "B-" + label),
        ),
        mistake(
            "The label is missing: a tag is B- or I- and the label.",
            tagged(tag=lambda position, count, label: "I" if position else "B"),
        ),
        mistake(
            "The tags lack B- and I-: then two names of a kind, side by side, run together.",
            tagged(tag=lambda position, count, label: label),
        ),
        mistake(
            "Two names of one kind, side by side, have become one. B- goes to the first word of *every* "
            "name.",
            tagged_by_neighbour,
        ),
        mistake(
            "A word that holds a name only in part is left out. It belongs to it if they share a character.",
            tagged(belongs=lambda a, b, start, end: start <= a and b <= end),
        ),
        mistake(
            "You look only where a word begins. A name may begin in the middle of one.",
            tagged(belongs=lambda a, b, start, end: start <= a < end),
        ),
        mistake(
            "You look only where a word ends. A name may end in the middle of one.",
            tagged(belongs=lambda a, b, start, end: start < b <= end),
        ),
        mistake(
            "Words that only touch the name are in it. `end` is the place *after* the last character, so a "
            "word that begins there shares nothing.",
            tagged(belongs=lambda a, b, start, end: a <= end and start < b),
            tagged(belongs=lambda a, b, start, end: a < end and start <= b),
            tagged(belongs=lambda a, b, start, end: a <= end and start <= b),
        ),
        mistake(
            "Only the first word of each name is tagged.",
            tagged(pick=lambda inside: inside[:1]),
        ),
        mistake(
            "The last word of each name is left out.",
            tagged(pick=lambda inside: inside[:-1]),
        ),
        mistake(
            "The spans may come in any order, and your way through them needs them sorted.",
            tagged_in_one_pass,
        ),
        mistake(
            "You ask whether an end of the word lies in the name. A name may lie inside the word.",
            tagged(belongs=lambda a, b, start, end: start <= a < end or start < b <= end),
        ),
        mistake(
            "B- is only where the name's first character stands, or a word begins with the name. A name may "
            "begin at a space or inside a word: the first word that belongs to it has B-.",
            begun_in_a_word,
            begun_at_a_word,
            lambda words, spans: [
                next(
                    (("B-" if s >= a else "I-") + kind for s, end, kind in spans if a < end and s < b),
                    "O",
                )
                for a, b in words
            ],
        ),
        mistake(
            "A word behind any name has I-. Another name begins there, and its first word has B-.",
            begun_behind_o,
        ),
        mistake(
            "A span without a word ends your loop, and the names behind it are lost. Go on with the next.",
            stopping_at_no_words,
        ),
        mistake("These are BIOES tags, another scheme. BIO knows B-, I- and O.", tagged(tag=bioes)),
        mistake(
            "Label and letter are the wrong way round: it is B-PER.",
            tagged(tag=lambda position, count, label: label + ("-I" if position else "-B")),
        ),
    ],
)

# 12.3 --------------------------------------------------------------------------------------------------


def align_labels(tags, word_ids, ids):
    labels, last = [], None
    for word in word_ids:
        labels.append(-100 if word is None or word == last else ids[tags[word]])
        last = word
    return labels


def aligned(special=lambda ids: -100, later=lambda tag, ids: -100, first=lambda tag, ids: ids[tag]):
    """`align_labels` with another label for special tokens, for later pieces, or for first ones."""

    def wrong(tags, word_ids, ids):
        labels, last = [], None
        for word in word_ids:
            if word is None:
                labels.append(special(ids))
            elif word == last:
                labels.append(later(tags[word], ids))
            else:
                labels.append(first(tags[word], ids))
            last = word
        return labels

    return wrong


def aligned_last_piece(tags, word_ids, ids):
    after = [*word_ids[1:], None]
    return [
        -100 if word is None or word == following else ids[tags[word]]
        for word, following in zip(word_ids, after, strict=True)
    ]


def aligned_by_counting(tags, word_ids, ids):
    labels, last, count = [], None, -1
    for word in word_ids:
        if word is None or word == last:
            labels.append(-100)
        else:
            count += 1
            labels.append(ids[tags[count]])
        last = word
    return labels


def aligned_by_truth(tags, word_ids, ids):
    labels, last = [], None
    for word in word_ids:
        labels.append(-100 if not word or word == last else ids[tags[word]])
        last = word
    return labels


def aligned_by_tag(tags, word_ids, ids):
    labels, last = [], None
    for word in word_ids:
        tag = None if word is None else tags[word]
        labels.append(-100 if tag is None or tag == last else ids[tag])
        last = tag
    return labels


def aligned_without_pieces(tags, word_ids, ids):
    labels = [ids[tag] for tag in tags][: max(0, len(word_ids) - 2)]
    return [-100] + labels + [-100] * (len(word_ids) - 1 - len(labels))


def aligned_short(tags, word_ids, ids):
    return [
        label
        for label, word in zip(align_labels(tags, word_ids, ids), word_ids, strict=True)
        if word is not None
    ]


def aligned_round_the_end(tags, word_ids, ids):
    return [
        -100 if word is None or word == word_ids[i - 1] else ids[tags[word]]
        for i, word in enumerate(word_ids)
    ]


def aligned_from_word_0(keep=True):
    """Begins as if word 0 had been before; with `keep` special tokens do not change what was before."""

    def wrong(tags, word_ids, ids):
        labels, last = [], 0
        for word in word_ids:
            labels.append(-100 if word is None or word == last else ids[tags[word]])
            last = word if word is not None or not keep else last
        return labels

    return wrong


def aligned_between_specials(tags, word_ids, ids):
    return [-100, *align_labels(tags, word_ids[1:-1], ids), -100]


def numbers_and_kind(align_labels, tags, word_ids, ids):
    """The labels, and whether all are whole numbers: the engine takes 1.0 for 1."""
    labels = align_labels(tags, word_ids, ids)
    floats = isinstance(labels, list) and any(isinstance(label, float) for label in labels)
    return {"the list": labels, "the type of the numbers": "float" if floats else "int"}


def inside_of(tag, ids):
    return ids["I-" + tag[2:]] if tag != "O" else ids["O"]


exercise(
    "12.3",
    "Labels for pieces",
    reference=align_labels,
    use=numbers_and_kind,
    returns="the labels",
    cases=[
        case("every word one piece", ["O", "B-LOC"], [None, 0, 1, None], IDS),
        case("a word of three pieces", ["B-PER", "O"], [None, 0, 0, 0, 1, None], IDS),
        case(
            "two words of pieces",
            ["O", "B-PER", "I-PER", "O"],
            [None, 0, 1, 1, 2, 2, 2, 3, None],
            IDS,
        ),
        case("padding behind", ["B-ORG", "I-ORG"], [None, 0, 1, 1, None, None, None], IDS),
        case("cut off by truncation", ["O", "B-PER", "I-PER", "O", "B-LOC"], [None, 0, 1, None], IDS),
        case("a word that gave no piece", ["O", "B-LOC", "B-PER"], [None, 0, 2, 2, None], IDS),
        case("neighbours with one tag", ["I-ORG", "I-ORG", "O", "O"], [None, 0, 1, 2, 2, 3, None], IDS),
        case("other numbers", ["B-X", "O"], [None, 0, 0, 1, None], {"B-X": 0, "I-X": 1, "O": 2}),
        case("numbers with gaps", ["B-PER", "O"], [None, 0, 1, None], {"O": 5, "B-PER": 7}),
        case("one word of two pieces, no special tokens", ["B-PER"], [0, 0], IDS),
        case("two words, no special tokens", ["B-PER", "O"], [0, 0, 1], IDS),
    ],
    mistakes=[
        mistake(
            "Special tokens have the label of O, so the model is trained to say O to [CLS] and padding, "
            "and it is counted. Give them -100.",
            aligned(special=lambda ids: ids["O"]),
            aligned(special=lambda ids: 0),
            aligned(special=lambda ids: ids["O"], later=lambda tag, ids: ids[tag]),
            aligned(special=lambda ids: ids["O"], later=inside_of),
        ),
        mistake(
            "Later pieces repeat the label of their word, and one B- has become several names. Give them "
            "-100.",
            aligned(later=lambda tag, ids: ids[tag]),
        ),
        mistake(
            "Later pieces have the I- of their word. That is another convention; here only the first piece "
            "of a word counts, and the others have -100.",
            aligned(later=inside_of),
        ),
        mistake(
            "Later pieces are labelled O: the model is taught that a name ends after its first piece.",
            aligned(later=lambda tag, ids: ids["O"]),
            aligned(later=lambda tag, ids: 0),
            aligned(special=lambda ids: ids["O"], later=lambda tag, ids: ids["O"]),
            aligned(special=lambda ids: 0, later=lambda tag, ids: 0),
        ),
        mistake(
            "-100 is the number that the loss leaves out, and you used another.",
            aligned(special=lambda ids: -1, later=lambda tag, ids: -1),
            aligned(special=lambda ids: 100, later=lambda tag, ids: 100),
            aligned(special=lambda ids: None, later=lambda tag, ids: None),
        ),
        mistake("The *last* piece of each word has the label; the first one should.", aligned_last_piece),
        mistake(
            "You count the words as they come. A word can be without pieces, then the numbers in word_ids "
            "make a jump: use them.",
            aligned_by_counting,
        ),
        mistake(
            "Word 0 never has its label: either you ask `not word`, which is true of None *and* of 0, or you "
            "say that the word before the first token is 0. Ask `word is None`, and start with None.",
            aligned_by_truth,
            aligned_from_word_0(),
        ),
        mistake(
            "You begin as if word 0 had been before: start with None.",
            aligned_from_word_0(keep=False),
        ),
        mistake(
            "Before the first token there is none. `word_ids[i - 1]` is the *last* one where i is 0.",
            aligned_round_the_end,
        ),
        mistake(
            "You take it for granted that the first and the last token are special. Ask `word is None`.",
            aligned_between_specials,
        ),
        mistake(
            "You number the tags yourself; their numbers stand in `ids`.",
            lambda tags, word_ids, ids: align_labels(tags, word_ids, {tag: i for i, tag in enumerate(ids)}),
            lambda tags, word_ids, ids: align_labels(
                tags, word_ids, {tag: i for i, tag in enumerate(sorted(set(tags)))}
            ),
        ),
        mistake(
            "The labels are floats. They are numbers of classes, whole numbers of type int.",
            lambda tags, word_ids, ids: list(map(float, align_labels(tags, word_ids, ids))),
        ),
        mistake(
            "You compare tags with the one before, so a word with the same tag as its neighbour is left out. "
            "Compare the words' numbers.",
            aligned_by_tag,
        ),
        mistake(
            "You ignore that words have several pieces: behind the first split word every label is shifted.",
            aligned_without_pieces,
        ),
        mistake("There is one label for every piece, special tokens too; yours are missing.", aligned_short),
        mistake(
            "These are the tags; the model wants their numbers, `ids[tag]`.",
            aligned(first=lambda tag, ids: tag),
        ),
    ],
)

# 12.4 --------------------------------------------------------------------------------------------------


def bio_to_spans(words, tags):
    spans, last = [], "O"
    for (start, end), tag in zip(words, tags, strict=True):
        if tag[0] == "B" or (tag[0] == "I" and last[1:] not in ("", tag[1:])):
            spans.append((start, end, tag[2:]))
        elif tag[0] == "I":
            spans.append((start, end, tag[2:])) if last == "O" else spans.append(
                (spans.pop()[0], end, tag[2:])
            )
        last = tag
    return spans


def joined(
    begins=lambda tag, last: tag[0] == "B" or last == "O" or last[2:] != tag[2:],
    drop=lambda tag, last: False,
    build=lambda start, end, label: (start, end, label),
    finish=True,
):
    """`bio_to_spans` with another rule for where a name begins, or other places."""

    def wrong(words, tags):
        spans, last, current = [], "O", None
        for (start, end), tag in zip(words, tags, strict=True):
            if tag == "O" or drop(tag, last):
                if current:
                    spans.append(build(*current))
                current, last = None, "O"
                continue
            if current is None or begins(tag, last):
                if current:
                    spans.append(build(*current))
                current = (start, end, tag[2:])
            else:
                current = (current[0], end, current[2])
            last = tag
        if current and finish:
            spans.append(build(*current))
        return spans

    return wrong


def joined_over_gaps(words, tags):
    spans = []
    for (start, end), tag in zip(words, tags, strict=True):
        if tag[0] == "B" or (tag[0] == "I" and not spans):
            spans.append((start, end, tag[2:]))
        elif tag[0] == "I":
            spans.append((spans.pop()[0], end, tag[2:]))
    return spans


def joined_over_gaps_of_a_kind(words, tags):
    spans = []
    for (start, end), tag in zip(words, tags, strict=True):
        if tag == "O":
            continue
        if tag[0] == "B" or not spans or spans[-1][2] != tag[2:]:
            spans.append((start, end, tag[2:]))
        else:
            spans.append((spans.pop()[0], end, tag[2:]))
    return spans


def joined_by_words(words, tags, inclusive=False):
    numbers = [(i, i if inclusive else i + 1) for i in range(len(words))]
    return bio_to_spans(numbers, tags)


def only_first_words(words, tags):
    starts = {start: (start, end) for start, end in words}
    return [(*starts[start], label) for start, _, label in bio_to_spans(words, tags)]


def only_b(words, tags):
    return [(*word, tag[2:]) for word, tag in zip(words, tags, strict=True) if tag[0] == "B"]


def each_word(words, tags):
    return [(*word, tag[2:]) for word, tag in zip(words, tags, strict=True) if tag != "O"]


def last_label(words, tags):
    """An I- of another kind goes on, and the name is called as its last word."""
    spans, last = [], "O"
    for (start, end), tag in zip(words, tags, strict=True):
        if tag[0] == "B" or (tag[0] == "I" and last == "O"):
            spans.append((start, end, tag[2:]))
        elif tag[0] == "I":
            spans.append((spans.pop()[0], end, tag[2:]))
        last = tag
    return spans


def joined_by_places(words, tags):
    """An I- goes on where no more than one character lies between."""
    spans = []
    for (start, end), tag in zip(words, tags, strict=True):
        if tag[0] == "I" and spans and spans[-1][2] == tag[2:] and start - spans[-1][1] <= 1:
            spans.append((spans.pop()[0], end, tag[2:]))
        elif tag != "O":
            spans.append((start, end, tag[2:]))
    return spans


SIX = words_of("Marr met Ann Lee in Bonn")

exercise(
    "12.4",
    "Tags to spans",
    reference=bio_to_spans,
    returns="the spans",
    cases=[
        case("two names", SIX, ["B-PER", "O", "B-PER", "I-PER", "O", "O"]),
        case("a name at the end", SIX, ["O", "O", "O", "O", "O", "B-LOC"]),
        case("no names", SIX, ["O"] * 6),
        case("two names of a kind side by side", SIX, ["O", "O", "B-PER", "B-PER", "O", "O"]),
        case("two kinds side by side", SIX, ["O", "B-ORG", "B-PER", "I-PER", "O", "O"]),
        case("I- behind O", SIX, ["O", "O", "I-PER", "I-PER", "O", "O"]),
        case("I- at the very beginning", SIX, ["I-PER", "O", "O", "O", "O", "B-LOC"]),
        case("I- behind another kind", SIX, ["O", "O", "B-PER", "I-ORG", "I-ORG", "O"]),
        case("I- behind a gap", SIX, ["B-PER", "O", "I-PER", "O", "O", "I-LOC"]),
        case("I- of two kinds", SIX, ["O", "I-LOC", "I-ORG", "I-LOC", "O", "O"]),
        case("everything one name", SIX, ["B-ORG", "I-ORG", "I-ORG", "I-ORG", "I-ORG", "I-ORG"]),
        case("a word without spaces between", [(0, 3), (3, 4), (4, 7)], ["B-PER", "O", "I-PER"]),
        case("two spaces in a name", [(0, 3), (5, 8)], ["B-PER", "I-PER"]),
        case("labels that begin alike", [(0, 3), (4, 9)], ["B-ORG", "I-ORIGIN"]),
        case("no words", [], []),
    ],
    mistakes=[
        mistake(
            "An I- behind O is dropped in your version. By the convention on the card it begins a name.",
            joined(drop=lambda tag, last: tag[0] == "I" and last == "O"),
            joined(drop=lambda tag, last: tag[0] == "I" and last[2:] != tag[2:]),
            joined(
                begins=lambda tag, last: tag[0] == "B",
                drop=lambda tag, last: tag[0] == "I" and last == "O",
            ),
        ),
        mistake(
            "An I- of another kind goes on with the name before it. By the convention it begins a new one.",
            joined(begins=lambda tag, last: tag[0] == "B"),
            last_label,
        ),
        mistake(
            "A B- behind a name of its kind goes on with it. A B- always begins a new name.",
            joined(begins=lambda tag, last: last[2:] != tag[2:]),
        ),
        mistake("A name at the very end is lost: nothing closes it after the loop.", joined(finish=False)),
        mistake(
            "An I- behind a gap of O goes on with the name before the gap. It begins a new one.",
            joined_over_gaps,
            joined_over_gaps_of_a_kind,
        ),
        mistake(
            "You judge by the characters between two words. *Just before* means the word before in the list, "
            "and its tag says whether a name goes on.",
            joined_by_places,
        ),
        mistake(
            "These are numbers of words; places in the text are asked for, which stand in `words`.",
            joined_by_words,
            lambda words, tags: joined_by_words(words, tags, True),
        ),
        mistake(
            "Every span ends with its first word. It ends where its last word does.",
            only_first_words,
        ),
        mistake("Words with I- are left out altogether.", only_b),
        mistake("Every word is a name of its own; an I- goes on with the one before.", each_word),
        mistake(
            "The label is still the tag, B- and all. Cut its first two characters.",
            joined(build=lambda start, end, label: (start, end, "B-" + label)),
        ),
        mistake(
            "Your ends are one too small: `end` is the place *after* the last character.",
            joined(build=lambda start, end, label: (start, end - 1, label)),
        ),
        mistake(
            "The three parts stand in another order. It is (start, end, label).",
            joined(build=lambda start, end, label: (label, start, end)),
        ),
    ],
)

# 12.5 --------------------------------------------------------------------------------------------------


def entity_scores(gold, found):
    right = sum(len(set(a) & set(b)) for a, b in zip(gold, found, strict=True))
    asserted, wanted = sum(map(len, found)), sum(map(len, gold))
    precision = right / asserted if asserted else 0.0
    recall = right / wanted if wanted else 0.0
    f1 = 2 * right / (asserted + wanted) if asserted + wanted else 0.0
    return precision, recall, f1


def ratio(part, whole, empty=0.0):
    return part / whole if whole else empty


def scored(match=None, finish=None, keep=lambda a, b: True, empty=0.0):
    """`entity_scores` with another idea of what is right, or of the three numbers."""
    match = match or (lambda one, other: one == other)
    finish = finish or (lambda p, r, f: (p, r, f))

    def wrong(gold, found):
        pairs = [(a, b) for a, b in zip(gold, found, strict=True) if keep(a, b)]
        right = sum(any(match(one, other) for other in a) for a, b in pairs for one in b)
        asserted, wanted = sum(len(b) for _, b in pairs), sum(len(a) for a, _ in pairs)
        p, r = ratio(right, asserted, empty), ratio(right, wanted, empty)
        return finish(p, r, ratio(2 * right, asserted + wanted, empty))

    return wrong


def scored_in_one_pot(gold, found):
    a, b = {span for row in gold for span in row}, {span for row in found for span in row}
    right = len(a & b)
    return ratio(right, len(b)), ratio(right, len(a)), ratio(2 * right, len(a) + len(b))


def scored_in_one_list(gold, found):
    a, b = [span for row in gold for span in row], [span for row in found for span in row]
    right = sum(span in a for span in b)
    return ratio(right, len(b)), ratio(right, len(a)), ratio(2 * right, len(a) + len(b))


def scored_in_one_set(gold, found):
    a, b = [span for row in gold for span in row], [span for row in found for span in row]
    right = len(set(a) & set(b))
    return ratio(right, len(b)), ratio(right, len(a)), ratio(2 * right, len(a) + len(b))


def scored_by_position(order):
    """The first found name is compared with the first true one, the second with the second."""

    def wrong(gold, found):
        pairs = [zip(order(a), order(b), strict=False) for a, b in zip(gold, found, strict=True)]
        right = sum(one == other for pair in pairs for one, other in pair)
        asserted, wanted = sum(map(len, found)), sum(map(len, gold))
        return ratio(right, asserted), ratio(right, wanted), ratio(2 * right, asserted + wanted)

    return wrong


def mean_of_sentences(gold, found):
    rows = [entity_scores([a], [b]) for a, b in zip(gold, found, strict=True)]
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def mean_of_labels(gold, found):
    labels = sorted({span[2] for row in [*gold, *found] for span in row})
    rows = [
        entity_scores(*[[[s for s in row if s[2] == label] for row in side] for side in (gold, found)])
        for label in labels
    ]
    if not rows:
        return 0.0, 0.0, 0.0
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


GOLD = [[(0, 4, "PER"), (9, 11, "ORG")], [], [(0, 6, "LOC")], [(3, 9, "PER"), (12, 20, "MISC")]]
FOUND = [[(0, 4, "PER"), (8, 11, "ORG")], [(0, 6, "LOC")], [(0, 6, "ORG")], [(3, 9, "PER")]]

exercise(
    "12.5",
    "Precision and recall of names",
    reference=entity_scores,
    returns=("the precision", "the recall", "the F1"),
    cases=[
        case("four sentences", GOLD, FOUND),
        case("all right", GOLD, GOLD),
        case("nothing found", GOLD, [[], [], [], []]),
        case("nothing to find", [[], []], [[(0, 2, "PER")], []]),
        case("nothing at all", [[], []], [[], []]),
        case("a place that is right elsewhere", [[(0, 4, "PER")], [(5, 9, "LOC")]], [[(5, 9, "LOC")], []]),
        case(
            "only the label differs",
            [[(0, 4, "PER"), (6, 8, "ORG"), (9, 12, "ORG")]],
            [[(0, 4, "ORG"), (6, 8, "ORG")]],
        ),
        case(
            "only the end differs",
            [[(0, 4, "PER"), (10, 18, "ORG")]],
            [[(0, 4, "PER"), (10, 15, "ORG"), (20, 24, "LOC")]],
        ),
        case("the same place in two sentences", [[(0, 4, "PER")], [(0, 4, "PER")]], [[(0, 4, "PER")], []]),
        case("a name missed before a right one", [[(0, 4, "PER"), (9, 11, "ORG")]], [[(9, 11, "ORG")]]),
        case(
            "in another order",
            [[(9, 11, "ORG"), (0, 4, "PER")], [(5, 7, "LOC")]],
            [[(0, 4, "PER"), (9, 11, "ORG")], []],
        ),
    ],
    mistakes=[
        mistake(
            "All sentences went into one pot, where (0, 4, PER) of one sentence is that of another. Count "
            "each sentence by itself, then add.",
            scored_in_one_pot,
            scored_in_one_list,
            scored_in_one_set,
        ),
        mistake(
            "You compare the first name with the first, the second with the second. One missed name moves "
            "all behind it: ask whether the name is in the other list.",
            scored_by_position(list),
            scored_by_position(sorted),
        ),
        mistake(
            "This is the mean over the sentences. Add up the counts of all sentences, then divide once.",
            mean_of_sentences,
        ),
        mistake("This is the mean over the labels, called macro. Count all names together.", mean_of_labels),
        mistake(
            "A name with the wrong label counts as right here. Start, end and label have to agree.",
            scored(match=lambda one, other: one[:2] == other[:2]),
        ),
        mistake(
            "A name that only overlaps counts as right here. Start and end have to be the same.",
            scored(match=lambda one, other: touching(one, other) and one[2] == other[2]),
            scored(match=touching),
        ),
        mistake(
            "You compare only where names begin, or only where they end.",
            scored(match=lambda one, other: (one[0], one[2]) == (other[0], other[2])),
            scored(match=lambda one, other: (one[1], one[2]) == (other[1], other[2])),
        ),
        mistake(
            "Precision and recall are swapped: precision divides by what was found, recall by what there is.",
            scored(finish=lambda p, r, f: (r, p, f)),
        ),
        mistake(
            "The F1 is the harmonic mean of the two, and this is the plain one.",
            scored(finish=lambda p, r, f: (p, r, (p + r) / 2)),
        ),
        mistake(
            "The factor 2 is missing in the F1.",
            scored(finish=lambda p, r, f: (p, r, f / 2)),
        ),
        mistake(
            "Sentences without a name are left out, and with them all that was found there by mistake.",
            scored(keep=lambda a, b: a),
            scored(keep=lambda a, b: a and b),
        ),
        mistake(
            "Sentences in which nothing was found are left out, and with them all that was missed there.",
            scored(keep=lambda a, b: b),
        ),
        mistake(
            "Where there is nothing to divide by, the card asks for 0.0.",
            scored(empty=1.0),
        ),
        mistake(
            "These are per cent; shares from 0 to 1 are asked for.",
            scored(finish=lambda p, r, f: (100 * p, 100 * r, 100 * f)),
        ),
    ],
)

# 12.6 --------------------------------------------------------------------------------------------------


def longest_match(words, names):
    longest = max(map(len, names), default=0)
    found, at = [], 0
    while at < len(words):
        for length in range(longest, 0, -1):
            if tuple(words[at : at + length]) in names and at + length <= len(words):
                found.append((at, at + length, names[tuple(words[at : at + length])]))
                at += length
                break
        else:
            at += 1
    return found


def matched(lengths, step=lambda length: length, key=lambda words: tuple(words), end=0):
    """`longest_match` that tries other lengths, goes on elsewhere, or compares something else."""

    def wrong(words, names):
        own = {key(name): label for name, label in names.items()}
        found, at = [], 0
        while at < len(words):
            for length in lengths(list(names), words):
                name = words[at : at + length]
                if len(name) == length and key(name) in own:
                    found.append((at, at + length + end, own[key(name)]))
                    at += step(length)
                    break
            else:
                at += 1
        return found

    return wrong


def down(names, words):
    return range(max(map(len, names), default=0), 0, -1)


def up(names, words):
    return range(1, max(map(len, names), default=0) + 1)


def as_listed(names, words):
    return list(dict.fromkeys(map(len, names)))


def every_place(words, names):
    return [
        (at, at + len(name), label)
        for at in range(len(words))
        for name, label in names.items()
        if tuple(words[at : at + len(name)]) == name
    ]


def longest_anywhere(words, names):
    found, taken = [], set()
    for name in sorted(names, key=len, reverse=True):
        for at in range(len(words) - len(name) + 1):
            places = set(range(at, at + len(name)))
            if tuple(words[at : at + len(name)]) == name and not places & taken:
                found.append((at, at + len(name), names[name]))
                taken |= places
    return sorted(found)


def in_the_lists_order(words, names):
    found, at = [], 0
    while at < len(words):
        for name, label in names.items():
            if tuple(words[at : at + len(name)]) == name:
                found.append((at, at + len(name), label))
                at += len(name)
                break
        else:
            at += 1
    return found


def matched_while(goes_on):
    """`longest_match` that stops its way through the words elsewhere."""

    def wrong(words, names):
        longest = max(map(len, names), default=0)
        found, at = [], 0
        while goes_on(at, len(words), longest):
            for length in range(min(longest, len(words) - at), 0, -1):
                name = tuple(words[at : at + length])
                if name in names:
                    found.append((at, at + length, names[name]))
                    at += length
                    break
            else:
                at += 1
        return found

    return wrong


def longest_room_untried(words, names):
    """The longest length that has room is left out at each place."""
    longest = max(map(len, names), default=0)
    found, at = [], 0
    while at < len(words):
        for length in range(min(longest, len(words) - at) - 1, 0, -1):
            name = tuple(words[at : at + length])
            if name in names:
                found.append((at, at + length, names[name]))
                at += length
                break
        else:
            at += 1
    return found


def once_each(words, names):
    seen, kept = set(), []
    for start, end, label in longest_match(words, names):
        if tuple(words[start:end]) not in seen:
            kept.append((start, end, label))
            seen.add(tuple(words[start:end]))
    return kept


COMMITTEE = ("House", "of", "Commons", "Treasury", "Select", "Committee")
KNOWN = {
    ("New", "York"): "LOC",
    ("York",): "LOC",
    ("New", "York", "Times"): "ORG",
    ("Times",): "ORG",
    ("Marr",): "PER",
    ("Bank", "of", "England"): "ORG",
    ("England",): "LOC",
    ("England", "A"): "ORG",
}

exercise(
    "12.6",
    "The longest name in a list",
    reference=longest_match,
    returns="the names",
    cases=[
        case("a name in a name", "the New York Times said".split(), KNOWN),
        case("short and long", "from York to New York".split(), KNOWN),
        case("one word or two", "the England A team".split(), KNOWN),
        case("none", "sales climbed".split(), KNOWN),
        case("cut off by the end", "he left New".split(), KNOWN),
        case("at both ends", "Marr left England".split(), KNOWN),
        case("two in a row", "Times Marr Marr".split(), KNOWN),
        case("in small letters", "good times in york , Marr".split(), KNOWN),
        case("an overlap", "the Bank of England A team".split(), KNOWN),
        case("the left one first", "a b c d".split(), {("a", "b"): "X", ("b", "c", "d"): "Y", ("c",): "Z"}),
        case("an empty list", "Marr left".split(), {}),
        case("no words", [], KNOWN),
        case("a part of a name", "Bank of".split(), KNOWN | {("of",): "MISC"}),
        case("six words", ["the", *COMMITTEE, "met"], KNOWN | {COMMITTEE: "ORG", ("House",): "LOC"}),
        case(
            "a long name before a short one in the list",
            "the Bank of England".split(),
            {("Bank", "of", "England"): "ORG", ("Bank",): "MISC"},
        ),
        case("words, not letters", "a bc d".split(), {("a", "bc"): "X", ("bc", "d"): "Y", ("a bc",): "Z"}),
    ],
    mistakes=[
        mistake("You take the shortest match at each place. Try the longest first.", matched(up)),
        mistake(
            "You try the names in the order of the list, and the first that fits wins. The longest should.",
            matched(as_listed),
            in_the_lists_order,
        ),
        mistake(
            "Names inside names are found too. Behind a match, go on after its last word.",
            matched(down, step=lambda length: 1),
            every_place,
        ),
        mistake("Only names of one word are found.", matched(lambda names, words: [1])),
        mistake(
            "The longest name of the list is never tried: `range` stops before its second number.",
            matched(lambda names, words: range(max(map(len, names), default=0) - 1, 0, -1)),
            longest_room_untried,
        ),
        mistake(
            "Names of one word are never tried: `range` stops before its second number.",
            matched(lambda names, words: range(max(map(len, names), default=0), 1, -1)),
        ),
        mistake(
            "Names may be longer than you allow: take the length of the longest in the list.",
            matched(lambda names, words: range(3, 0, -1)),
            matched(lambda names, words: range(4, 0, -1)),
            matched(lambda names, words: range(5, 0, -1)),
        ),
        mistake(
            "The last word of the sentence is never looked at.",
            matched_while(lambda at, count, longest: at < count - 1),
        ),
        mistake(
            "You stop where fewer words are left than the longest name has. A shorter one may stand there.",
            matched_while(lambda at, count, longest: at + longest <= count),
            matched_while(lambda at, count, longest: at + longest < count),
        ),
        mistake(
            "Small and capital letters count as the same in your version; *times* is no newspaper.",
            matched(down, key=lambda words: tuple(word.lower() for word in words)),
        ),
        mistake(
            "You take the longest names anywhere in the sentence first. Go from left to right.",
            longest_anywhere,
        ),
        mistake("After a match one word is skipped too many.", matched(down, step=lambda length: length + 1)),
        mistake(
            "The second number is the place of the last word; it should be the place after it.",
            matched(down, end=-1),
        ),
        mistake("A name that stands twice in the sentence is found once only.", once_each),
        mistake("You stop after the first name.", lambda words, names: longest_match(words, names)[:1]),
    ],
)

# 12.7 --------------------------------------------------------------------------------------------------

KINDS = ["right", "label", "boundary", "both", "spurious", "missed"]


def error_types(gold, found):
    counts = dict.fromkeys(["right", "label", "boundary", "both", "spurious", "missed"], 0)
    for span in found:
        near = [other for other in gold if other[0] < span[1] and span[0] < other[1]]
        if span in near:
            counts["right"] += 1
        elif any(other[:2] == span[:2] for other in near):
            counts["label"] += 1
        elif any(other[2] == span[2] for other in near):
            counts["boundary"] += 1
        else:
            counts["both" if near else "spurious"] += 1
    for span in gold:
        counts["missed"] += not any(other[0] < span[1] and span[0] < other[1] for other in found)
    return counts


def verdict_on(span, near):
    if span in near:
        return "right"
    if any(other[:2] == span[:2] for other in near):
        return "label"
    if any(other[2] == span[2] for other in near):
        return "boundary"
    return "both" if near else "spurious"


def sorted_out(kind=None, missed=None, meets=touching, finish=lambda counts: counts):
    """`error_types` with another verdict on a found name, or on a missed one."""

    kind = kind or verdict_on
    missed = missed or (lambda span, found: not any(meets(span, other) for other in found))

    def wrong(gold, found):
        counts = dict.fromkeys(KINDS, 0)
        for span in found:
            near = [other for other in gold if meets(span, other)]
            for each in [kind(span, near)] if isinstance(kind(span, near), str) else kind(span, near):
                counts[each] += 1
        counts["missed"] = sum(missed(span, found) for span in gold)
        return finish(counts)

    return wrong


def by_pairs(span, near):
    if not near:
        return ["spurious"]
    return [
        "right"
        if other == span
        else "label"
        if other[:2] == span[:2]
        else "boundary"
        if other[2] == span[2]
        else "both"
        for other in near
    ]


def by_first(span, near):
    return by_pairs(span, near)[0]


def by_last(span, near):
    return by_pairs(span, near)[-1]


def by_overwriting(span, near):
    """The names from left to right, each overwriting what was said before."""
    return "right" if span in near else by_pairs(span, near)[-1]


def both_before_boundary(span, near):
    if span in near or any(other[:2] == span[:2] for other in near):
        return verdict_on(span, near)
    return "both" if near else "spurious"


def both_if_any_differs(span, near):
    if span in near or any(other[:2] == span[:2] for other in near):
        return verdict_on(span, near)
    if any(other[2] != span[2] for other in near):
        return "both"
    return "boundary" if near else "spurious"


def kind_where(label=None, boundary=None, both="both"):
    def kind(span, near):
        if span in near:
            return "right"
        if any((label or (lambda s, o: o[:2] == s[:2]))(span, other) for other in near):
            return "label"
        if any((boundary or (lambda s, o: o[2] == s[2]))(span, other) for other in near):
            return "boundary"
        return both if near else "spurious"

    return kind


def end_inside(one, other):
    """Whether the first character of `one`, or its last, lies in `other`."""
    return other[0] <= one[0] < other[1] or other[0] < one[1] <= other[1]


TRUE = [(0, 4, "PER"), (9, 11, "ORG"), (15, 24, "LOC"), (30, 36, "MISC"), (40, 44, "PER")]

exercise(
    "12.7",
    "Kinds of errors",
    reference=error_types,
    returns="the counts",
    cases=[
        case(
            "one of each",
            TRUE,
            [(0, 4, "PER"), (9, 11, "LOC"), (15, 20, "LOC"), (33, 36, "PER"), (50, 54, "ORG")],
        ),
        case("all right", TRUE, TRUE),
        case("nothing found", TRUE, []),
        case("nothing to find", [], [(0, 4, "PER")]),
        case("touching, not overlapping", [(0, 4, "PER"), (10, 14, "ORG")], [(4, 10, "PER")]),
        case("one found over two", [(0, 4, "PER"), (5, 9, "PER")], [(0, 9, "PER")]),
        case("one found over two kinds", [(0, 4, "LOC"), (5, 9, "ORG")], [(0, 9, "ORG")]),
        case("one found over two kinds, the first fits", [(0, 4, "ORG"), (5, 9, "LOC")], [(0, 9, "ORG")]),
        case("one found over two kinds, unsorted", [(5, 9, "ORG"), (0, 4, "LOC")], [(0, 9, "ORG")]),
        case("in any order", TRUE[::-1], [(33, 36, "PER"), (9, 11, "LOC"), (0, 4, "PER"), (15, 20, "LOC")]),
        case("a found name around a true one", [(5, 9, "PER")], [(0, 12, "PER")]),
        case("two found in one", [(0, 9, "ORG")], [(0, 4, "ORG"), (5, 9, "LOC")]),
        case("other ends", [(10, 20, "ORG")], [(5, 15, "ORG")]),
        case("inside", [(10, 20, "ORG")], [(12, 18, "ORG")]),
        case("the same beginning, another label", [(10, 20, "ORG")], [(10, 15, "PER")]),
        case("the same end, another label", [(10, 20, "ORG")], [(12, 20, "PER")]),
        case("nothing at all", [], []),
    ],
    mistakes=[
        mistake(
            "Names that were found in part count as missed too. Missed is what no found name overlaps.",
            sorted_out(missed=lambda span, found: span not in found),
            sorted_out(missed=lambda span, found: span[:2] not in [other[:2] for other in found]),
        ),
        mistake(
            "Everything wrong counts as spurious. Spurious is what overlaps no true name.",
            sorted_out(kind=lambda span, near: "right" if span in near else "spurious"),
        ),
        mistake(
            "Names that only touch count as overlapping. `end` is the place after the last character.",
            sorted_out(meets=lambda one, other: one[0] <= other[1] and other[0] <= one[1]),
            sorted_out(meets=lambda one, other: one[0] <= other[1] and other[0] < one[1]),
            sorted_out(meets=lambda one, other: one[0] < other[1] and other[0] <= one[1]),
        ),
        mistake(
            "A found name that reaches beyond a true one on both sides overlaps it too.",
            sorted_out(
                kind=lambda span, near: verdict_on(span, [o for o in near if end_inside(span, o)]),
                missed=lambda span, found: not any(end_inside(other, span) for other in found),
            ),
            sorted_out(kind=lambda span, near: verdict_on(span, [o for o in near if end_inside(span, o)])),
        ),
        mistake(
            "A found name that lies inside a true one overlaps it too.",
            sorted_out(
                kind=lambda span, near: verdict_on(span, [o for o in near if end_inside(o, span)]),
                missed=lambda span, found: not any(end_inside(span, other) for other in found),
            ),
        ),
        mistake(
            "Place and label both wrong is a kind of its own, `both`; you count it as a boundary error.",
            sorted_out(kind=kind_where(both="boundary")),
            sorted_out(kind=kind_where(boundary=lambda s, o: True)),
        ),
        mistake(
            "Place and label both wrong is a kind of its own, `both`; you count it as a wrong label.",
            sorted_out(kind=kind_where(label=lambda s, o: o[2] != s[2])),
            sorted_out(kind=kind_where(both="label")),
        ),
        mistake(
            "A boundary error needs no common beginning or end: sharing one character is enough.",
            sorted_out(
                kind=kind_where(
                    boundary=lambda s, o: o[2] == s[2] and (o[0] == s[0] or o[1] == s[1]), both="both"
                )
            ),
            sorted_out(kind=kind_where(boundary=lambda s, o: o[2] == s[2] and o[0] == s[0])),
        ),
        mistake(
            "A found name that overlaps two true ones is counted twice. Each found name gets one verdict.",
            sorted_out(kind=by_pairs),
        ),
        mistake(
            "You look only at the first true name that overlaps. Another may have the label.",
            sorted_out(kind=by_first),
        ),
        mistake(
            "The last true name that overlaps overwrites what an earlier one said.",
            sorted_out(kind=by_last),
            sorted_out(kind=by_overwriting),
        ),
        mistake(
            "You ask for `both` before `boundary`, so nothing is ever a boundary error.",
            sorted_out(kind=both_before_boundary),
        ),
        mistake(
            "A true name with another label makes it `both` at once. Ask first whether one has its label.",
            sorted_out(kind=both_if_any_differs),
        ),
        mistake(
            "A wrong label counts as right. The same place is not enough.",
            sorted_out(
                kind=lambda span, near: (
                    "right" if any(o[:2] == span[:2] for o in near) else verdict_on(span, near)
                )
            ),
        ),
        mistake(
            "Kinds that did not occur are missing. The dict has all six keys, with 0 where nothing was.",
            sorted_out(finish=lambda counts: {kind: count for kind, count in counts.items() if count}),
        ),
        mistake("Missed names are not counted.", sorted_out(missed=lambda span, found: False)),
        mistake(
            "Missed and spurious are swapped: missed is true and not found, spurious found and not true.",
            sorted_out(
                finish=lambda counts: counts | {"missed": counts["spurious"], "spurious": counts["missed"]}
            ),
        ),
    ],
)


# 12.8 --------------------------------------------------------------------------------------------------


def kappa(first, second):
    total = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    by_chance = sum(first.count(tag) * second.count(tag) for tag in set(first)) / total**2
    return 1.0 if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def kappa_with(chance=None, finish=None, keep=lambda a, b: True, whole=1.0):
    """`kappa` with another agreement by chance, or another formula."""
    chance = chance or (lambda f, s: sum(f.count(tag) * s.count(tag) for tag in set(f)) / len(f) ** 2)
    finish = finish or (lambda agreed, expected: (agreed - expected) / (1 - expected))

    def wrong(first, second):
        pairs = [(a, b) for a, b in zip(first, second, strict=True) if keep(a, b)]
        if not pairs:
            return whole
        f, s = map(list, zip(*pairs, strict=True))
        agreed, expected = sum(a == b for a, b in pairs) / len(pairs), chance(f, s)
        return whole if expected == 1 else finish(agreed, expected)

    return wrong


def tags_like(draw, count, wrong):
    first = [TAGS[i] if i < 4 else "O" for i in draw.integers(12, count).tolist()]
    second = [
        TAGS[i] if at < wrong else tag
        for at, (tag, i) in enumerate(zip(first, draw.integers(5, count).tolist(), strict=True))
    ]
    return first, second


draw = Draw("12.8")

exercise(
    "12.8",
    "Agreement beyond chance",
    reference=kappa,
    returns="kappa",
    cases=[
        case("four words", ["O", "O", "B-PER", "O"], ["O", "O", "B-PER", "B-PER"]),
        case("forty words", *tags_like(draw, 40, 12)),
        case("ninety words", *tags_like(draw, 90, 40)),
        case("the same", ["O", "B-LOC", "O"], ["O", "B-LOC", "O"]),
        case("always opposed", ["O", "B-LOC"], ["B-LOC", "O"]),
        case("both say O to all", ["O", "O", "O"], ["O", "O", "O"]),
        case("one says O to all", ["O"] * 6, ["O", "B-ORG", "I-ORG", "O", "O", "O"]),
        case("a tag that only the second has", ["O", "B-PER", "O", "O"], ["O", "B-ORG", "I-ORG", "O"]),
    ],
    mistakes=[
        mistake(
            "This is the plain share of agreement, which is high by chance wherever most words are O.",
            kappa_with(finish=lambda agreed, expected: agreed),
        ),
        mistake(
            "Agreement by chance is not 1 over the number of tags: readers do not draw tags evenly.",
            kappa_with(chance=lambda f, s: 1 / len({*f, *s})),
        ),
        mistake(
            "You took the shares of one reader twice. By chance the first says a tag *and* the second does.",
            kappa_with(chance=lambda f, s: sum((f.count(t) / len(f)) ** 2 for t in set(f))),
            kappa_with(chance=lambda f, s: sum((s.count(t) / len(s)) ** 2 for t in set(s))),
        ),
        mistake(
            "This is Scott's pi, which pools both readers' tags. Cohen's kappa multiplies their own shares.",
            kappa_with(chance=lambda f, s: sum(((f + s).count(t) / (2 * len(f))) ** 2 for t in {*f, *s})),
        ),
        mistake(
            "The division by 1 − p_e is missing: full agreement has to give 1.",
            kappa_with(finish=lambda agreed, expected: agreed - expected),
        ),
        mistake(
            "You divide by p_e. It is 1 − p_e, what was left to agree on.",
            kappa_with(finish=lambda agreed, expected: (agreed - expected) / (expected or 1)),
        ),
        mistake(
            "Words that both readers leave out of names are left out here. Every word counts.",
            kappa_with(keep=lambda a, b: a != "O" or b != "O"),
        ),
        mistake(
            "Where both use one and the same tag throughout, the card asks for 1.0.",
            kappa_with(whole=0.0),
        ),
        mistake(
            "Your agreement by chance counts pairs and is not divided by the square of the number of words.",
            kappa_with(chance=lambda f, s: sum(f.count(t) * s.count(t) for t in set(f)) / len(f)),
        ),
        mistake(
            "Negative results are cut to 0. Less agreement than by chance is a finding.",
            lambda first, second: max(0.0, kappa(first, second)),
        ),
    ],
)

# 12.9 --------------------------------------------------------------------------------------------------


def viterbi(scores, may, begins):
    best = scores[0].masked_fill(~begins, -torch.inf)  # (tags,)
    came_from = []
    for row in scores[1:]:
        ways = best[:, None].masked_fill(~may, -torch.inf)  # (before, after)
        top = ways.max(dim=0)
        came_from.append(top.indices)
        best = top.values + row
    path = [best.argmax().item()]
    for back in reversed(came_from):
        path.append(back[path[-1]].item())
    return path[::-1]


def finite(forbidden, totals=lambda ways: ways.max(dim=0).values):
    """`viterbi` with another number for what is forbidden, or other totals of the ways."""

    def wrong(scores, may, begins):
        best, came_from = scores[0].masked_fill(~begins, forbidden), []
        for row in scores[1:]:
            ways = best[:, None].masked_fill(~may, forbidden)
            came_from.append(ways.argmax(dim=0))
            best = totals(ways) + row
        path = [best.argmax().item()]
        for back in reversed(came_from):
            path.append(back[path[-1]].item())
        return path[::-1]

    return wrong


def penalty(size):
    """What is forbidden costs `size`, and is allowed."""

    def wrong(scores, may, begins):
        best, came_from = scores[0] - size * (~begins).float(), []
        for row in scores[1:]:
            top = (best[:, None] - size * (~may).float()).max(dim=0)
            came_from.append(top.indices)
            best = top.values + row
        path = [best.argmax().item()]
        for back in reversed(came_from):
            path.append(back[path[-1]].item())
        return path[::-1]

    return wrong


def beam(width):
    """Only the best few paths are kept at each word."""

    def wrong(scores, may, begins):
        values, allowed, first = scores.tolist(), may.tolist(), begins.tolist()
        paths = [([tag], values[0][tag]) for tag in range(len(first)) if first[tag]]
        for row in values[1:]:
            paths = [
                ([*path, tag], total + row[tag])
                for path, total in sorted(paths, key=lambda each: -each[1])[:width]
                for tag in range(len(row))
                if allowed[path[-1]][tag]
            ]
        return max(paths, key=lambda each: each[1])[0]

    return wrong


def greedy_from_the_right(scores, may, begins):
    path = [scores[-1].argmax().item()]
    for number in range(len(scores) - 2, -1, -1):
        row = scores[number].masked_fill(~may[:, path[-1]], -torch.inf)
        path.append((row if number else row.masked_fill(~begins, -torch.inf)).argmax().item())
    return path[::-1]


def greedy(scores, may, begins):
    path = [scores[0].masked_fill(~begins, -torch.inf).argmax().item()]
    for row in scores[1:]:
        path.append(row.masked_fill(~may[path[-1]], -torch.inf).argmax().item())
    return path


def totals_only(scores, may, begins):
    best = scores[0].masked_fill(~begins, -torch.inf)
    path = [best.argmax().item()]
    for row in scores[1:]:
        best = best[:, None].masked_fill(~may, -torch.inf).max(dim=0).values + row
        path.append(best.argmax().item())
    return path


def zero_for_forbidden(scores, may, begins):
    best, came_from = scores[0] * begins, []
    for row in scores[1:]:
        top = (best[:, None] * may).max(dim=0)
        came_from.append(top.indices)
        best = top.values + row
    path = [best.argmax().item()]
    for back in reversed(came_from):
        path.append(back[path[-1]].item())
    return path[::-1]


def not_going_back(scores, may, begins):
    best, path = scores[0].masked_fill(~begins, -torch.inf), []
    for row in scores[1:]:
        top = best[:, None].masked_fill(~may, -torch.inf).max(dim=0)
        best = top.values + row
        path.append(top.indices[best.argmax()].item())
    return [*path, best.argmax().item()]


def without_new_scores(scores, may, begins):
    best, came_from = scores[0].masked_fill(~begins, -torch.inf), []
    for row in scores[1:]:
        top = (best[:, None] + row).masked_fill(~may, -torch.inf).max(dim=0)
        came_from.append(top.indices)
        best = row.masked_fill(top.values == -torch.inf, -torch.inf)
    path = [best.argmax().item()]
    for back in reversed(came_from):
        path.append(back[path[-1]].item())
    return path[::-1]


def may_follow(tags):
    """(before, after): an I- follows B- or I- of its own kind only."""
    return torch.tensor([[after[0] != "I" or before[1:] == after[1:] for after in tags] for before in tags])


draw = Draw("12.9")
FEW = TAGS[:5]
MAY, BEGINS = may_follow(FEW), torch.tensor([tag[0] != "I" for tag in FEW])
TRAP = torch.tensor([[1.0, 0.9, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 0.0]])
ONE_WAY = torch.tensor([[False, True, False], [False, False, True], [True, False, True]])
NINE = [*TAGS, "B-MISC", "I-MISC"]

exercise(
    "12.9",
    "The best allowed path",
    reference=viterbi,
    returns="the path",
    cases=[
        case("an I- that needs another beginning", TRAP, MAY, BEGINS),
        case("six words", 2 * draw.floats(6, 5), MAY, BEGINS),
        case("six other words", 2 * draw.floats(6, 5), MAY, BEGINS),
        case("one word", torch.tensor([[0.0, 1.0, 5.0, 2.0, 0.0]]), MAY, BEGINS),
        case("all scores negative", -1 - 3 * draw.floats(5, 5).abs(), MAY, BEGINS),
        case(
            "everything allowed",
            draw.floats(5, 4),
            torch.ones(4, 4, dtype=torch.bool),
            torch.ones(4, dtype=torch.bool),
        ),
        case("transitions one way", draw.floats(5, 3), ONE_WAY, torch.tensor([True, True, False])),
        case(
            "one tag after itself",
            draw.floats(4, 3),
            torch.eye(3, dtype=torch.bool),
            torch.tensor([True, True, True]),
        ),
        case(
            "twenty words, nine tags",
            2 * draw.floats(20, 9),
            may_follow(NINE),
            torch.tensor([tag[0] != "I" for tag in NINE]),
        ),
        case(
            "nine ways, and the last one pays",
            torch.stack([torch.arange(9.0, 0.0, -1.0), torch.zeros(9), 99.0 * torch.eye(9)[8]]),
            torch.eye(9, dtype=torch.bool),
            torch.ones(9, dtype=torch.bool),
        ),
        case(
            "what is allowed scores low",
            torch.tensor([[-6.0, 4.0], [-6.0, 9.0]]),
            torch.eye(2, dtype=torch.bool),
            torch.tensor([True, False]),
        ),
        case(
            "scores in the thousands",
            torch.tensor([[-6000.0, 4000.0], [-6000.0, 9000.0]]),
            torch.eye(2, dtype=torch.bool),
            torch.tensor([True, False]),
        ),
        case(
            "scores in the trillions",
            torch.tensor([[-6e12, 4e12], [-6e12, 9e12]]),
            torch.eye(2, dtype=torch.bool),
            torch.tensor([True, False]),
        ),
        case(
            "a far-off reward",
            torch.tensor([[0.0, 1.0], [0.0, 1.0], [9.0, 0.0]]),
            torch.eye(2, dtype=torch.bool),
            torch.ones(2, dtype=torch.bool),
        ),
    ],
    mistakes=[
        mistake(
            "This is the best tag of each word alone; what may follow what is not looked at.",
            lambda scores, may, begins: scores.argmax(dim=-1).tolist(),
        ),
        mistake(
            "You go from left to right and never reconsider. An early choice can cost more later than it "
            "gains.",
            greedy,
        ),
        mistake(
            "`may` is read the wrong way round: may[i, j] says whether j may follow i.",
            lambda scores, may, begins: viterbi(scores, may.T, begins),
        ),
        mistake(
            "Which tags may begin is not looked at.",
            lambda scores, may, begins: viterbi(scores, may, torch.ones_like(begins)),
        ),
        mistake(
            "You read the best tag off the running totals at each word. Remember where each total came from, "
            "and go back from the end.",
            totals_only,
            not_going_back,
        ),
        mistake(
            "The path is backwards: going back from the end gives the last tag first.",
            lambda scores, may, begins: viterbi(scores, may, begins)[::-1],
        ),
        mistake(
            "What is forbidden counts 0 in your version, which is better than any negative score. Use -inf.",
            zero_for_forbidden,
        ),
        mistake(
            'Your "forbidden" is a number that a sum can fall below or outweigh. Use -torch.inf.',
            *(finite(-number) for number in (1.0, 10.0, 100.0, 999.0, 1e4, 1e6, 1e9)),
            *(penalty(size) for size in (10.0, 100.0, 1e3, 1e4, 1e6, 1e9)),
        ),
        mistake(
            "You add up all paths (logsumexp). Only the best one counts: max.",
            finite(-torch.inf, totals=lambda ways: ways.logsumexp(dim=0)),
        ),
        mistake(
            "You keep a few best paths at each word, and the best of all may not be among them. Keep the "
            "best path *to each tag*.",
            beam(2),
            beam(3),
            beam(5),
        ),
        mistake(
            "You go from right to left and never reconsider. An early choice can cost more later than it "
            "gains.",
            greedy_from_the_right,
        ),
        mistake(
            "Only the last step is compared: the totals of the words before are not carried on.",
            without_new_scores,
        ),
        mistake(
            "This is the total of the best path; the path itself, a list of tag numbers, is asked for.",
            lambda scores, may, begins: sum(
                row[tag].item() for row, tag in zip(scores, viterbi(scores, may, begins), strict=True)
            ),
        ),
    ],
)

# 12.10 -------------------------------------------------------------------------------------------------


def word_shape(word):
    letters = ["X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c for c in word]
    return "".join(c for i, c in enumerate(letters) if i == 0 or letters[i - 1] != c)


def shape_with(change=None, collapse=True):
    change = change or (lambda c: "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c)

    def wrong(word):
        letters = [change(c) for c in word]
        return "".join(c for i, c in enumerate(letters) if not (collapse and i and letters[i - 1] == c))

    return wrong


def each_kind_once(word):
    return "".join(dict.fromkeys(shape_with(collapse=False)(word)))


def by_replacing(word):
    """The word is changed while it is read: a d that stands for a digit is a small letter."""
    for c in word:
        word = word.replace(c, "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c)
    return "".join(c for i, c in enumerate(word) if i == 0 or word[i - 1] != c)


def by_ranges(word):
    word = re.sub("[A-Z]+", "X", re.sub("[a-z]+", "x", word.replace("X", "A").replace("x", "a")))
    return re.sub("[0-9]+", "d", word)


exercise(
    "12.10",
    "The shape of a word",
    reference=word_shape,
    returns="the shape",
    cases=[
        case("a surname", "Blair"),
        case("initials", "BBC"),
        case("small letters", "sales"),
        case("capitals inside", "McDonald"),
        case("a band", "U2"),
        case("a number", "2004"),
        case("a network", "3G"),
        case("signs", "AT&T--"),
        case("accents", "Élodie"),
        case("an accent inside", "Gérard"),
        case("one letter", "a"),
        case("letters without case", "東京"),
        case("nothing", ""),
        case("signs twice", "Go!!"),
        case("a digit before a small d", "1d"),
        case("a small x before a capital", "xX"),
        case("a raised digit", "m²"),
        case("a fraction", "½m"),
    ],
    mistakes=[
        mistake("Runs of the same sign are one sign: BBC is X.", shape_with(collapse=False)),
        mistake("Each sign stands only once in your shape, and McDonald is XxXx.", each_kind_once),
        mistake(
            "Letters with accents are letters too: use isupper and islower, not ranges from A to Z.",
            by_ranges,
            shape_with(
                lambda c: "X" if "A" <= c <= "Z" else "x" if "a" <= c <= "z" else "d" if c.isdigit() else c
            ),
        ),
        mistake(
            "Your d for a digit is a small letter, and a later replacement turns it into x. Build a new "
            "string.",
            by_replacing,
        ),
        mistake(
            "The card asks `isdigit()`: `isdecimal` leaves out raised digits, and `isnumeric` takes "
            "fractions too.",
            shape_with(lambda c: "X" if c.isupper() else "x" if c.islower() else "d" if c.isdecimal() else c),
            shape_with(lambda c: "X" if c.isupper() else "x" if c.islower() else "d" if c.isnumeric() else c),
        ),
        mistake(
            "Digits are left as they are; they become d.",
            shape_with(lambda c: "X" if c.isupper() else "x" if c.islower() else c),
        ),
        mistake(
            "Other signs stay as they are.",
            shape_with(lambda c: "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else ""),
            shape_with(lambda c: "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else "-"),
        ),
        mistake(
            "Everything that is no capital became x, digits and signs too.",
            shape_with(lambda c: "X" if c.isupper() else "x"),
            shape_with(lambda c: "X" if c.isupper() else "d" if c.isdigit() else "x"),
        ),
        mistake(
            "X and x are swapped: a capital gives X.",
            lambda word: word_shape(word).translate(str.maketrans("Xx", "xX")),
        ),
        mistake("Only the first letter is looked at.", lambda word: word_shape(word[:1])),
    ],
)

# 12.11 -------------------------------------------------------------------------------------------------


def from_conll(lines):
    rows, words, spans, last, at = [], [], [], "O", 0
    for line in [*lines, ""]:
        if not line.strip():
            if words:
                rows.append((" ".join(words), spans))
            words, spans, last, at = [], [], "O", 0
            continue
        word, tag = line.split()
        if tag != "O":
            if tag[0] == "B" or last[2:] != tag[2:]:
                spans.append((at, at + len(word), tag[2:]))
            else:
                spans.append((spans.pop()[0], at + len(word), tag[2:]))
        words.append(word)
        at += len(word) + 1
        last = tag
    return rows


def sentences_of(lines, close=True):
    """The (word, tag) pairs of each sentence; without `close` the last one needs an empty line behind it."""
    groups, pairs = [], []
    for line in lines:
        if line.strip():
            pairs.append(tuple(line.split()))
        else:
            groups.append(pairs)
            pairs = []
    return [*groups, pairs] if close else groups


def table_rows(groups=sentences_of, space=1, spans=bio_to_spans, keep=bool):
    """`from_conll` out of other sentences, other places or other spans."""

    def wrong(lines):
        rows = []
        for pairs in groups(lines):
            if not keep(pairs):
                continue
            at, places = 0, []
            for word, _ in pairs:
                places.append((at, at + len(word)))
                at += len(word) + space
            rows.append((" ".join(word for word, _ in pairs), spans(places, [tag for _, tag in pairs])))
        return rows

    return wrong


def one_sentence(lines):
    return [[tuple(line.split()) for line in lines if line.strip()]]


def running_on(lines):
    """The places go on from sentence to sentence."""
    rows, start = [], 0
    for text, spans in from_conll(lines):
        rows.append((text, [(a + start, b + start, label) for a, b, label in spans]))
        start += len(text) + 1
    return rows


def found_again(lines):
    """The place of a name is the first where its letters stand."""
    return [
        (text, [(text.find(text[a:b]), text.find(text[a:b]) + b - a, label) for a, b, label in spans])
        for text, spans in from_conll(lines)
    ]


def carried_over(lines):
    """The tag before is not forgotten behind an empty line."""
    rows, words, spans, last, at = [], [], [], "O", 0
    for line in [*lines, ""]:
        if not line.strip():
            if words:
                rows.append((" ".join(words), spans))
            words, spans, at = [], [], 0
            continue
        word, tag = line.split()
        if tag[0] == "I" and last[2:] == tag[2:] and spans:
            spans.append((spans.pop()[0], at + len(word), tag[2:]))
        elif tag != "O":
            spans.append((at, at + len(word), tag[2:]))
        words.append(word)
        at += len(word) + 1
        last = tag
    return rows


TABLE = ["Nick B-PER", "Davies I-PER", "left O", ". O", "", "Bonn B-LOC", "slept O", ""]

exercise(
    "12.11",
    "From a tagged table",
    reference=from_conll,
    returns="the rows",
    cases=[
        case("two sentences", TABLE),
        case("no empty line at the end", TABLE[:-1]),
        case("two empty lines", ["Ann B-PER", "", "", "Bob B-PER", "ran O"]),
        case("a line of spaces between", ["Ann B-PER", "   ", "I-Net B-ORG", "ran O"]),
        case("tabs", ["the\tO", "House\tB-ORG", "of\tI-ORG", "Lords\tI-ORG"]),
        case("neighbours of a kind", ["Ann B-PER", "Bob B-PER", "Ray I-PER"]),
        case("I- behind O", ["in O", "New I-LOC", "York I-LOC", "now O"]),
        case("I- behind another kind", ["Ann B-PER", "York I-LOC"]),
        case("a name at both sides of a gap", ["ran O", "Ann B-PER", "", "Bob I-PER", "ran O"]),
        case("a gap between", ["Ann B-PER", "met O", "Bob I-PER"]),
        case("a name twice", ["Ann B-PER", "met O", "Ann B-PER"]),
        case("letters of a word before", ["He O", "hit O", "I O", "H B-PER"]),
        case("a sign for a number", ["# O", "10 O", "Downing B-LOC", "Street I-LOC"]),
        case("no names", ["it O", "rained O"]),
        case("nothing", []),
    ],
    mistakes=[
        mistake(
            "The last sentence is lost where no empty line follows it.",
            table_rows(groups=lambda lines: sentences_of(lines, close=False)),
        ),
        mistake("Empty lines end a sentence, and yours run together.", table_rows(groups=one_sentence)),
        mistake(
            "Two empty lines give an empty sentence in your version. Leave such sentences out.",
            table_rows(keep=lambda pairs: True),
        ),
        mistake(
            "The places forget the spaces between the words.",
            table_rows(space=0),
        ),
        mistake(
            "`find` gives the first place where these letters stand. Keep count of where the word begins.",
            found_again,
        ),
        mistake(
            "An I- behind a gap of O goes on with the name before the gap. It begins a new one.",
            table_rows(spans=joined_over_gaps),
            table_rows(spans=joined_over_gaps_of_a_kind),
        ),
        mistake(
            "Lines that begin with # are left out; here # is a word like any other.",
            lambda lines: from_conll([line for line in lines if not line.startswith("#")]),
        ),
        mistake("The places go on from one sentence to the next. Each text begins at 0.", running_on),
        mistake(
            "These are numbers of words; places in the text, in characters, are asked for.",
            table_rows(spans=joined_by_words),
        ),
        mistake(
            "An I- behind O, or behind another kind, begins a name, as in exercise 12.4.",
            table_rows(spans=joined(drop=lambda tag, last: tag[0] == "I" and last[2:] != tag[2:])),
            table_rows(spans=joined(begins=lambda tag, last: tag[0] == "B")),
            table_rows(spans=last_label),
            table_rows(spans=joined(drop=lambda tag, last: tag[0] == "I" and last == "O")),
        ),
        mistake(
            "Two names of a kind side by side have become one: a B- always begins a name.",
            table_rows(spans=joined(begins=lambda tag, last: last[2:] != tag[2:])),
        ),
        mistake(
            "Each word is a name of its own; I- goes on with the one before.", table_rows(spans=each_word)
        ),
        mistake(
            "Names that end a sentence are lost.",
            table_rows(spans=joined(finish=False)),
        ),
    ],
)
