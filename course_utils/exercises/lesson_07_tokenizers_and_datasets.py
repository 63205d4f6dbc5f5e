"""Exercises of lesson 07, tokenizers and datasets: their references, inputs and typical mistakes."""

import string
import unicodedata

import torch

from course_utils.checks.exercise import case, exercise, mistake, shown

# 7.1 ---------------------------------------------------------------------------------------------------


def pieces(word, vocabulary):
    if len(word) > 100:
        return ["[UNK]"]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        found.append(piece)
        start = end
    return found


def cut(word, vocabulary, *, ends=None, prefix="##", shown="##", most=100, lost=None):
    """`pieces` with another order of the ends tried, another prefix, limit, or answer where nothing fits."""
    if most is not None and len(word) > most:
        return ["[UNK]"]
    found, start = [], 0
    while start < len(word):
        for end in (ends or (lambda start, size: range(size, start, -1)))(start, len(word)):
            if (prefix if start else "") + word[start:end] in vocabulary:
                break
        else:
            if lost is None:
                return ["[UNK]"]
            return lost(found, word, start)
        found.append((shown if start else "") + word[start:end])
        start = end
    return found


def cut_by(**changes):
    return lambda word, vocabulary: cut(word, vocabulary, **changes)


def fewest_pieces(word, vocabulary):
    """The cut with the fewest pieces, not the greedy one."""
    if len(word) > 100:
        return ["[UNK]"]
    best = {0: []}
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if start in best and piece in vocabulary:
                longer = [*best[start], piece]
                if end not in best or len(longer) < len(best[end]):
                    best[end] = longer
    return best.get(len(word), ["[UNK]"])


def one_unknown_and_on(word, vocabulary):
    """One character that does not fit becomes [UNK], and the search goes on after it."""
    if len(word) > 100:
        return ["[UNK]"]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            piece, end = "[UNK]", start + 1
        found.append(piece)
        start = end
    return found


def from_the_right(word, vocabulary):
    """The longest piece at the end of the word first."""
    if len(word) > 100:
        return ["[UNK]"]
    found, end = [], len(word)
    while end > 0:
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        found.insert(0, piece)
        end = start
    return found


SMALL = {"un", "##aff", "##afford", "##ord", "##able", "##ably", "a", "afford"}
LETTERS = {"a", "##a", "aa", "##aaa", "b", "##b"}

exercise(
    "7.1",
    "Longest match",
    reference=pieces,
    returns="the list of pieces",
    cases=[
        case("three pieces", "unaffordable", {"un", "##afford", "##able"}),
        case("a whole word inside another", "unable", {"un", "able"}),
        case("a shorter piece fits too", "unaffordable", SMALL),
        case("a whole word", "film", {"film": 5, "fi": 6, "##lm": 7}),
        case("the end does not fit", "unkind", {"un", "##k"}),
        case("nothing fits", "film", {"##film", "##fi", "##lm"}),
        case("the greedy way leads nowhere", "abcd", {"a", "abc", "##bcd", "##b"}),
        case("the greedy way is not the shortest", "abcdef", {"abc", "##d", "##e", "##f", "ab", "##cdef"}),
        case(
            "three ways to cut",
            "abcdef",
            {"abcd", "##e", "##f", "abc", "##def", "##cdef", "a", "##b"},
        ),
        case("a piece twice", "aaaaaa", LETTERS),
        case("# in the vocabulary", "ac", {"a", "#", "##b"}),
        case("100 characters", "a" * 100, LETTERS),
        case("100 characters, a first piece of one", "a" + "b" * 99, {"a", "##b"}),
        case("101 characters", "a" * 101, LETTERS),
        case("a long word that is in the vocabulary", "b" * 130, {"b" * 130: 1}),
        case("a mark", "#", {"#", "##"}),
        case("## typed into a word", "a##b", {"a", "##b", "####b", "###", "##"}),
    ],
    mistakes=[
        mistake(
            "You take the first piece that fits, from short to long. Try the longest candidate first: the "
            "ends run from len(word) *down*.",
            cut_by(ends=lambda start, size: range(start + 1, size + 1)),
        ),
        mistake(
            "A piece that goes on with a word is looked up with ## in front: `##able`, not `able`.",
            cut_by(prefix=""),
            cut_by(prefix="", shown=""),
            cut_by(prefix="", most=None),
        ),
        mistake(
            "The pieces were found, but in the list the ones after the first lost their ##.",
            cut_by(shown=""),
            cut_by(shown="", most=None),
        ),
        mistake(
            'Where nothing fits, the *whole* word is unknown: ["[UNK]"], without the pieces found before.',
            cut_by(lost=lambda found, word, start: [*found, "[UNK]"]),
            cut_by(lost=lambda found, word, start: [*found, "[UNK]"], most=None),
            cut_by(lost=lambda found, word, start: found),
            one_unknown_and_on,
            cut_by(lost=lambda found, word, start: [*found, "##" + word[start:]]),
        ),
        mistake(
            'Words of more than 100 characters are ["[UNK]"] at once, even if their pieces are known.',
            cut_by(most=None),
        ),
        mistake(
            "The limit is one off: 100 characters are still cut into pieces, *more* than 100 are [UNK].",
            cut_by(most=99),
            cut_by(most=101),
        ),
        mistake(
            "This is the cut with the fewest pieces. WordPiece is greedy: the longest piece at each place, "
            "from the left, also where that leads to more pieces or to none.",
            fewest_pieces,
        ),
        mistake(
            "You begin at the end of the word. WordPiece goes from the left.",
            from_the_right,
        ),
        mistake(
            "The search never tries the candidate that reaches the end of the word: `range(len(word), …)` "
            "begins with it, and a slice leaves its end out.",
            cut_by(ends=lambda start, size: range(size - 1, start, -1)),
        ),
        mistake(
            "Pieces of one character are never tried: the last end to try is start + 1.",
            cut_by(ends=lambda start, size: range(size, start + 1, -1)),
        ),
    ],
)

# 7.2 ---------------------------------------------------------------------------------------------------

UNSEEN = ("Cc", "Cf", "Co", "Cs")


def is_chinese(char):
    blocks = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)]
    blocks += [(0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(first <= ord(char) <= last for first, last in blocks)


def normalise(text, is_chinese):
    return normalised(text, is_chinese)


def normalised(
    text,
    is_chinese=is_chinese,
    *,
    space=lambda char, kind: char in "\t\n\r" or kind[0] == "Z",
    dropped=lambda char, kind: kind in UNSEEN or char == "\ufffd",
    apart=lambda char: unicodedata.normalize("NFD", char),
    mark=lambda part: unicodedata.category(part) == "Mn",
    lower=str.lower,
    chinese=None,
    white=" ",
    dropped_first=False,
    split=False,
):
    """`normalise` with one of its rules changed."""
    pairs = []
    for place, char in enumerate(text):
        kind = unicodedata.category(char)
        if space(char, kind) and not (dropped_first and dropped(char, kind)):
            pairs.append((white or char, place))
        elif not dropped(char, kind):
            parts = [part for part in apart(char) if not mark(part)]
            found = [(lower(part), place) for part in parts]
            if split:
                found = [(small, place) for part in parts for small in lower(part)]
            pairs += [(" ", place), *found, (" ", place)] if (chinese or is_chinese)(char) else found
    return pairs


def normalised_by(**changes):
    return lambda text, is_chinese: normalised(text, is_chinese, **changes)


def place_in_the_result(text, is_chinese):
    return [(char, i) for i, (char, _) in enumerate(normalise(text, is_chinese))]


def apart_as_a_whole(text, is_chinese):
    """Takes the whole text apart first, so that the places are those of the longer text."""
    return normalise(unicodedata.normalize("NFD", text), is_chinese)


def lower_as_a_whole(text, is_chinese):
    return normalise(text.lower(), is_chinese)


def chinese_with_one_space(before):
    def answer(text, is_chinese):
        pairs = []
        for place, char in enumerate(text):
            found = [(part, at + place) for part, at in normalise(char, is_chinese)]
            if is_chinese(char):
                found = found[:-1] if before else found[1:]
            pairs += found
        return pairs

    return answer


def single_spaces(text, is_chinese):
    pairs = []
    for char, place in normalise(text, is_chinese):
        if char != " " or (pairs and pairs[-1][0] != " "):
            pairs.append((char, place))
    return pairs


CHINESE = shown("is_chinese", is_chinese)

exercise(
    "7.2",
    "Normalise",
    reference=normalise,
    returns="the list of pairs",
    cases=[
        case("the card's", "Né\t!", CHINESE),
        case("capitals and accents", "Crème BRÛLÉE", CHINESE),
        case("an accent of its own", "e\u0301a\u0300\u0315", CHINESE),
        case("tab, new line, space without break", "a\tb\nc\r\nd\u00a0e", CHINESE),
        case("controls and what nobody sees", "a\x00b\x07c\u200bd\u00ade\ue000\ud800f\x0bg", CHINESE),
        case("the sign for a broken character", "so\ufffd good", CHINESE),
        case("Chinese", "看北京 film", CHINESE),
        case("a Chinese character that comes apart", "\uf902x", CHINESE),
        case("Korean comes apart, Japanese stays", "한が", CHINESE),
        case("a capital with a dot", "İS", CHINESE),
        case("two spaces", "so  good", CHINESE),
        case("ß is a small letter", "Straße", CHINESE),
        case("marks and symbols stay", "¡$5 + ½—👍🏽", CHINESE),
        case("separators of lines and paragraphs", "a\u2028b\u2029c", CHINESE),
        case("a character that is not assigned", "a\u0378b", CHINESE),
        case("marks of other kinds", "का", CHINESE),
        case("a mark without a class", "❤\ufe0f", CHINESE),
        case("nothing", "", CHINESE),
    ],
    mistakes=[
        mistake(
            "Accents are still there: take each character apart with NFD, and leave out the parts of "
            "category Mn.",
            normalised_by(apart=lambda char: char, mark=lambda part: False),
            normalised_by(apart=lambda char: char),
            normalised_by(mark=lambda part: False),
            normalised_by(apart=lambda char: unicodedata.normalize("NFC", char)),
        ),
        mistake(
            "NFKD also rewrites characters that only look alike, such as ½ into 1⁄2. BERT uses NFD.",
            normalised_by(apart=lambda char: unicodedata.normalize("NFKD", char)),
        ),
        mistake(
            "Capitals are still there: the pairs hold `part.lower()`.",
            normalised_by(lower=lambda part: part),
        ),
        mistake(
            "casefold is not lower: it turns some small letters into others, such as ß into ss.",
            normalised_by(lower=str.casefold),
            normalised_by(lower=str.casefold, split=True),
        ),
        mistake(
            "Tab and line ends are of category Cc and get lost in rule 2. Rule 1 comes first: they give a "
            "space.",
            normalised_by(space=lambda char, kind: kind[0] == "Z"),
            normalised_by(dropped_first=True),
        ),
        mistake(
            'A tab, a line end or another space gives a plain space " ", not itself.',
            normalised_by(white=None),
        ),
        mistake(
            "More becomes a space than rule 1 says: the control character \\x0b does not. Only tab, \\n, "
            "\\r and the categories Z… do; `isspace()` takes more.",
            normalised_by(space=lambda char, kind: char.isspace()),
        ),
        mistake(
            "Only category Zs becomes a space. There are two more that begin with Z: the separators of lines "
            "and of paragraphs.",
            normalised_by(space=lambda char, kind: char in "\t\n\r" or kind == "Zs"),
        ),
        mistake(
            "Characters that nobody sees are still there: those of Cc, Cf, Co and Cs give nothing.",
            normalised_by(dropped=lambda char, kind: char == "\ufffd"),
            normalised_by(dropped=lambda char, kind: kind == "Cc" or char == "\ufffd"),
            normalised_by(dropped=lambda char, kind: kind in ("Cc", "Cf") or char == "\ufffd"),
        ),
        mistake(
            "The sign for a broken character, \\ufffd, gives nothing. Its category is So, so the "
            "categories of rule 2 do not catch it: ask for it by itself.",
            normalised_by(dropped=lambda char, kind: kind in UNSEEN),
        ),
        mistake(
            "A Chinese character stands between two pairs with a space, so that it becomes a word by itself.",
            normalised_by(chinese=lambda char: False),
        ),
        mistake(
            "A Chinese character stands between *two* pairs with a space, one before it and one after it.",
            chinese_with_one_space(before=True),
            chinese_with_one_space(before=False),
        ),
        mistake(
            "Rule 3 holds for Chinese characters too: some come apart into another one that looks the same.",
            normalised_by(
                apart=lambda char: char if is_chinese(char) else unicodedata.normalize("NFD", char)
            ),
        ),
        mistake(
            "Characters that Unicode has not assigned yet, of category Cn, stay. Rule 2 names four of the "
            "categories that begin with C.",
            normalised_by(dropped=lambda char, kind: kind[0] == "C" or char == "\ufffd"),
        ),
        mistake(
            "Only marks of category Mn give nothing. Others, such as Mc, stay.",
            normalised_by(mark=lambda part: unicodedata.category(part)[0] == "M"),
        ),
        mistake(
            "`unicodedata.combining` misses some marks of category Mn, such as the one that turns a heart "
            "red. Ask for the category.",
            normalised_by(mark=lambda part: unicodedata.combining(part) != 0),
        ),
        mistake(
            "`place` is where the character stood in `text`. You number the characters of the result.",
            place_in_the_result,
        ),
        mistake(
            "The places are off after a character that came apart or changed its length: you changed the "
            "whole text first, and counted in the changed one. Go through `text` itself.",
            apart_as_a_whole,
            lower_as_a_whole,
        ),
        mistake(
            "Several spaces stay several pairs here; they are dealt with when words are split.",
            single_spaces,
        ),
    ],
)

# 7.3 ---------------------------------------------------------------------------------------------------


def is_mark(char):
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def split_words(pairs):
    return split(pairs)


def split(pairs, *, mark=is_mark, after=True, before=True, keep=True, spaces=False):
    """`split_words` with other marks, or marks that go on with the word after or before them, or get lost."""
    words, inside = [], False
    for char, place in pairs:
        if char == " ":
            inside = False
            if spaces:
                words.append([(char, place)])
        elif mark(char):
            if inside and not before:
                words[-1].append((char, place))
            elif keep:
                words.append([(char, place)])
            inside = not after
        elif inside:
            words[-1].append((char, place))
        else:
            words.append([(char, place)])
            inside = True
    return words


def split_by(**changes):
    return lambda pairs: split(pairs, **changes)


def with_empty_words(pairs):
    words, word = [], []
    for char, place in pairs:
        if char == " ":
            words.append(word)
            word = []
        elif is_mark(char):
            words += [word, [(char, place)]]
            word = []
        else:
            word.append((char, place))
    return [*words, word]


def last_word_forgotten(pairs):
    words, word = [], []
    for char, place in pairs:
        if char == " " or is_mark(char):
            words += [word] if word else []
            word = []
            words += [[(char, place)]] if char != " " else []
        else:
            word.append((char, place))
    return words


def joined(pairs):
    return ["".join(char for char, _ in word) for word in split_words(pairs)]


def places_anew(pairs):
    return split_words([(char, i) for i, (char, _) in enumerate(pairs)])


def marks_together(pairs):
    words, before = [], " "
    for char, place in pairs:
        if char != " " and before != " " and is_mark(char) == is_mark(before):
            words[-1].append((char, place))
        elif char != " ":
            words.append([(char, place)])
        before = char
    return words


exercise(
    "7.3",
    "Split into words",
    reference=split_words,
    returns="the list of words",
    cases=[
        case("the card's", normalised("it's  ok")),
        case("a sentence", normalised("A gripping movie, really!")),
        case("two marks together", normalised('"well..." (no)')),
        case("symbols", normalised("$5+5 €7 a^b 3×2 `x|y~")),
        case("marks beyond ASCII", normalised("¡sí—no… «oui»")),
        case("spaces in front, at the end, and twice", normalised("  so   good ")),
        case("Chinese", normalised("看北京 film")),
        case("places with gaps", [("a", 0), ("b", 7), (" ", 9), ("!", 9), ("c", 20)]),
        case("one mark", normalised("?")),
        case("only spaces", normalised("  \t")),
        case("nothing", []),
    ],
    mistakes=[
        mistake(
            "Your words are strings. Each is to be a list of the pairs (character, place), unchanged.",
            joined,
        ),
        mistake(
            "Marks are not split off: each is a word of its own.",
            split_by(mark=lambda char: False),
        ),
        mistake(
            "You know the marks of `string.punctuation` only. Characters whose category begins with P, such "
            "as — or «, are marks too.",
            split_by(mark=lambda char: char in string.punctuation),
        ),
        mistake(
            "You ask only for the category. $, + and others of `string.punctuation` are symbols to Unicode "
            "(category S…), and marks to BERT.",
            split_by(mark=lambda char: unicodedata.category(char).startswith("P")),
        ),
        mistake(
            "Not everything that is neither a letter nor a digit is a mark: symbols beyond ASCII, such as € "
            "or ×, stay in their word.",
            split_by(mark=lambda char: not char.isalnum()),
            split_by(mark=lambda char: unicodedata.category(char)[0] in "PS"),
        ),
        mistake(
            "After a mark a new word has to begin; yours goes on.",
            split_by(after=False),
        ),
        mistake(
            "A mark ends the word before it; yours is joined to that word.",
            split_by(before=False),
        ),
        mistake(
            "The marks got lost. Each is a word, of one pair.",
            split_by(keep=False),
        ),
        mistake(
            "Marks that stand together are a word each: three dots are three words.",
            marks_together,
        ),
        mistake("There are empty words in the list. Two spaces in a row leave none.", with_empty_words),
        mistake(
            "The last word is missing where the text ends without a space or a mark: nothing tells you that "
            "it is complete.",
            last_word_forgotten,
        ),
        mistake("Spaces are no words: leave them out.", split_by(spaces=True)),
        mistake(
            "The pairs are to stay as they are. Their places come from the original text, and you number "
            "them anew.",
            places_anew,
        ),
    ],
)

# 7.4 ---------------------------------------------------------------------------------------------------


def join_pair(a, b, max_length, cls, sep):
    keep_a, keep_b = len(a), len(b)
    while keep_a + keep_b + 3 > max_length:
        if keep_a > keep_b or (keep_a == keep_b and len(a) <= len(b)):
            keep_a -= 1
        else:
            keep_b -= 1
    return framed(a[:keep_a], b[:keep_b], cls, sep)


def framed(a, b, cls, sep):
    return [cls, *a, sep, *b, sep], [0] * (len(a) + 2) + [1] * (len(b) + 1)


def shortened(drop_from_a, specials=3):
    """`join_pair` with another rule of which list loses its last id, or another count of special ids.

    The rule is asked with the lengths that are left, and with those at first.
    """

    def answer(a, b, max_length, cls, sep):
        keep_a, keep_b = len(a), len(b)
        while keep_a + keep_b + specials > max_length and (keep_a or keep_b):
            if (drop_from_a(keep_a, keep_b, len(a), len(b)) and keep_a) or not keep_b:
                keep_a -= 1
            else:
                keep_b -= 1
        return framed(a[:keep_a], b[:keep_b], cls, sep)

    return answer


def right_one(a, b, first_a, first_b):
    return a > b or (a == b and first_a <= first_b)


def in_place(a, b, max_length, cls, sep):
    first_a, first_b = len(a), len(b)
    while len(a) + len(b) + 3 > max_length:
        (a if right_one(len(a), len(b), first_a, first_b) else b).pop()
    return framed(a, b, cls, sep)


def decided_once(a, b, max_length, cls, sep):
    over = max(0, len(a) + len(b) + 3 - max_length)
    if len(a) > len(b):
        return framed(a[: max(0, len(a) - over)], b, cls, sep)
    return framed(a, b[: max(0, len(b) - over)], cls, sep)


def cut_from_the_front(a, b, max_length, cls, sep):
    ids, _ = join_pair(a[::-1], b[::-1], max_length, cls, sep)
    keep_a = ids.index(sep) - 1
    keep_b = len(ids) - 3 - keep_a
    return framed(a[len(a) - keep_a :], b[len(b) - keep_b :], cls, sep)


def with_types(types):
    """`join_pair` with other segment ids, made from how many of a and of b are left."""

    def answer(a, b, max_length, cls, sep):
        ids, right = join_pair(a, b, max_length, cls, sep)
        keep_b = sum(right) - 1
        return ids, types(len(ids) - keep_b - 3, keep_b)

    return answer


def the_end_cut_off(a, b, max_length, cls, sep):
    ids, types = framed(a, b, cls, sep)
    return ids[:max_length], types[:max_length]


def halves(a, b, max_length, cls, sep):
    if len(a) + len(b) + 3 <= max_length:
        return framed(a, b, cls, sep)
    room = max_length - 3
    return framed(a[: room // 2], b[: (room + 1) // 2], cls, sep)


exercise(
    "7.4",
    "Join a pair",
    reference=join_pair,
    returns=("the ids", "the segment ids"),
    cases=[
        case("the card's", [7, 8, 9], [5], 6, 101, 102),
        case("short enough", [7, 8, 9], [5, 6], 20, 101, 102),
        case("exactly long enough", [7, 8, 9], [5, 6], 8, 101, 102),
        case("the second is longer", [7, 8], [1, 2, 3, 4, 5, 6, 9], 9, 101, 102),
        case("both lose", [1, 2, 3, 4, 5, 6], [11, 12, 13, 14, 15, 16, 17, 18], 9, 101, 102),
        case("equally long, an odd number to spare", [1, 2, 3], [4, 5, 6], 8, 101, 102),
        case("equally long", [1, 2, 3, 4], [5, 6, 7, 8], 7, 1, 2),
        case("the first was longer, an odd number to spare", [1, 2, 3, 4, 5], [6, 7, 8, 9], 10, 101, 102),
        case("the second was longer, an odd number to spare", [1, 2, 3], [6, 7, 8, 9], 8, 101, 102),
        case("room for one each", [1, 2, 3], [4, 5], 5, 101, 102),
        case("the id of [SEP] in a text", [1, 102, 3], [4, 102], 7, 101, 102),
        case("other special ids", [5, 5], [6], 10, 2, 3),
    ],
    mistakes=[
        mistake(
            "Only the first text loses ids. Drop from the longer of the two, again and again.",
            shortened(lambda a, b, *_: True),
        ),
        mistake(
            "Only the second text loses ids (the tokenizer calls that only_second). Drop from the longer of "
            "the two, again and again.",
            shortened(lambda a, b, *_: False),
        ),
        mistake(
            "When both have become equally long, look at how long they were at first: the one that was "
            "longer is spared, and `b` if there was none. You always drop from `b`.",
            shortened(lambda a, b, *_: a > b),
        ),
        mistake(
            "When both have become equally long, look at how long they were at first: the one that was "
            "longer is spared. You always drop from `a`.",
            shortened(lambda a, b, *_: a >= b),
        ),
        mistake(
            "You decide once which text is the longer one, and take everything off that. After each id the "
            "other may be the longer.",
            decided_once,
            shortened(lambda a, b, first_a, first_b: first_a > first_b),
        ),
        mistake(
            "You drop from the shorter list; the longer one is to lose.", shortened(lambda a, b, *_: a < b)
        ),
        mistake(
            "max_length counts the three special ids too: [CLS] and two [SEP].",
            shortened(right_one, specials=0),
            shortened(right_one, specials=2),
        ),
        mistake("Ids are dropped at the end of a list; you drop them in front.", cut_from_the_front),
        mistake(
            "The joined list is cut off at its end, and with it the last [SEP]. First shorten the texts, "
            "then join.",
            the_end_cut_off,
        ),
        mistake(
            "You give each text half of the room. A short text keeps all of its ids as long as the other is "
            "longer.",
            halves,
        ),
        mistake(
            "The [SEP] after the first text belongs to it: its segment id is 0.",
            with_types(lambda a, b: [0] * (a + 1) + [1] * (b + 2)),
        ),
        mistake(
            "The last [SEP] belongs to the second text: its segment id is 1.",
            with_types(lambda a, b: [0] * (a + 2) + [1] * b + [0]),
        ),
        mistake(
            "There is one segment id for each id, those of [CLS] and both [SEP] too.",
            with_types(lambda a, b: [0] * a + [1] * b),
        ),
        mistake(
            "The segment ids are the wrong way round: 0 for the first text.",
            with_types(lambda a, b: [1] * (a + 2) + [0] * (b + 1)),
        ),
        mistake("Your lists given as `a` and `b` are shorter afterwards. Slice instead of pop.", in_place),
        mistake(
            "All segment ids are 0. The second text and its [SEP] have 1.",
            with_types(lambda a, b: [0] * (a + b + 3)),
        ),
    ],
)

# 7.5 ---------------------------------------------------------------------------------------------------


def tokens_of(offsets, first, last):
    return [i for i, (begin, end) in enumerate(offsets) if begin < last and first < end]


def tokens_by(rule):
    return lambda offsets, first, last: [
        i for i, (begin, end) in enumerate(offsets) if rule(begin, end, first, last)
    ]


TEXT = [(0, 0), (0, 5), (6, 9), (9, 12), (12, 13), (14, 20), (0, 0)]

exercise(
    "7.5",
    "The tokens of a name",
    reference=tokens_of,
    returns="the list of positions",
    cases=[
        case("the card's", [(0, 0), (0, 5), (6, 9), (9, 12), (0, 0)], 6, 10),
        case("exactly two tokens", TEXT, 6, 12),
        case("inside one token", TEXT, 15, 17),
        case("from the first character", TEXT, 0, 5),
        case("the first character alone", TEXT, 0, 1),
        case("over everything", TEXT, 0, 20),
        case("the end of one, the beginning of another", TEXT, 8, 10),
        case("a space alone", TEXT, 5, 6),
        case("a name that begins with a space", TEXT, 5, 7),
        case("padding at the end", [(0, 0), (0, 4), (0, 0), (0, 0), (0, 0)], 0, 4),
        case("two tokens of one character", [(0, 0), (0, 1), (0, 1), (1, 3), (0, 0)], 0, 1),
        case("no special tokens", [(0, 5), (6, 9)], 0, 5),
    ],
    mistakes=[
        mistake(
            "You count tokens that only touch the stretch: `end` and `last` are the places *after* the last "
            "character, so compare with < on both sides.",
            tokens_by(lambda begin, end, first, last: begin <= last and first <= end),
            tokens_by(lambda begin, end, first, last: begin < last and first <= end),
            tokens_by(lambda begin, end, first, last: begin <= last and first < end),
            tokens_by(lambda begin, end, first, last: begin <= last and first <= end and end > begin),
            tokens_by(lambda begin, end, first, last: begin < last and first <= end and end > begin),
        ),
        mistake(
            "Only tokens that lie wholly inside are found. A token that shares one character counts too.",
            tokens_by(lambda begin, end, first, last: first <= begin and end <= last),
            tokens_by(lambda begin, end, first, last: first <= begin and end <= last and end > begin),
        ),
        mistake(
            "Only tokens that *begin* inside are found. The stretch may begin in the middle of a token.",
            tokens_by(lambda begin, end, first, last: first <= begin < last),
            tokens_by(lambda begin, end, first, last: first <= begin < last and end > begin),
        ),
        mistake(
            "Only tokens that *end* inside are found. The stretch may end in the middle of a token.",
            tokens_by(lambda begin, end, first, last: first < end <= last),
        ),
        mistake(
            "A token that covers the whole stretch is not found: neither of its ends lies inside.",
            tokens_by(lambda begin, end, first, last: first <= begin < last or first < end <= last),
            tokens_by(
                lambda begin, end, first, last: end > begin and (first <= begin < last or first < end <= last)
            ),
        ),
        mistake(
            "Only a token whose two ends are those of the stretch is found. One character in common is "
            "enough.",
            tokens_by(lambda begin, end, first, last: begin == first and end == last),
        ),
        mistake(
            "Tokens are found only if the stretch begins where one begins and ends where one ends.",
            lambda offsets, first, last: (
                [i for i, (begin, end) in enumerate(offsets) if first <= begin < end <= last]
                if {first, last} <= {place for pair in offsets for place in pair}
                else []
            ),
        ),
        mistake(
            "The first and the last token are left out as if they were always special. Ask each token: the "
            "special ones have (0, 0).",
            lambda offsets, first, last: [
                i for i in tokens_of(offsets, first, last) if 0 < i < len(offsets) - 1
            ],
        ),
        mistake(
            "These are the offsets of the tokens. Asked for are their positions in the list.",
            lambda offsets, first, last: [offsets[i] for i in tokens_of(offsets, first, last)],
        ),
        mistake(
            "Positions count from 0, special tokens included.",
            lambda offsets, first, last: [i + 1 for i in tokens_of(offsets, first, last)],
            lambda offsets, first, last: [i - 1 for i in tokens_of(offsets, first, last)],
        ),
        mistake(
            "This gives the first and the last position. Asked for are all, in a list.",
            lambda offsets, first, last: (lambda found: [found[0], found[-1]] if found else [])(
                tokens_of(offsets, first, last)
            ),
        ),
    ],
)

# 7.6 ---------------------------------------------------------------------------------------------------


def shortest(lengths, share, limit):
    for m in range(1, limit + 1):
        if lengths.clamp(max=m).sum().item() >= share * lengths.sum().item():
            return m
    return limit


def shortest_by(enough, begin=1, fall_back=None):
    """`shortest` with another test of whether m keeps enough."""

    def answer(lengths, share, limit):
        for m in range(begin, limit + 1):
            if enough(lengths, share, m):
                return m
        return limit if fall_back is None else fall_back(lengths, limit)

    return answer


def kept(lengths, m):
    return lengths.clamp(max=m).sum().item()


def by_quantile(lengths, share, limit):
    return min(limit, int(lengths.double().quantile(share).ceil().item()))


exercise(
    "7.6",
    "Choose a max_length",
    reference=shortest,
    returns="the max_length",
    cases=[
        case("the card's", torch.tensor([2, 4]), 0.8, 512),
        case("the limit comes first", torch.tensor([2, 4]), 0.8, 2),
        case("one below the limit", torch.tensor([2, 4]), 0.8, 4),
        case("everything kept", torch.tensor([3, 9, 5]), 1.0, 512),
        case("everything, but for the limit", torch.tensor([3, 90, 5]), 1.0, 64),
        case("many short, one long", torch.tensor([5] * 30 + [150]), 0.9, 512),
        case("exactly the share", torch.tensor([4, 4, 8]), 0.75, 512),
        case("a share that is no whole number", torch.tensor([2, 4]), 0.7, 512),
        case("half of it", torch.tensor([10, 20, 30, 40]), 0.5, 512),
        case("nothing asked for", torch.tensor([10, 20]), 0.0, 512),
        case("one text", torch.tensor([7]), 0.5, 512),
        case("more than the limit in all", torch.tensor([900, 700]), 0.25, 512),
    ],
    mistakes=[
        mistake(
            "This is the share of *texts* that stay whole. Asked for is the share of tokens: a long text "
            "that is cut still keeps its beginning.",
            shortest_by(lambda lengths, share, m: (lengths <= m).double().mean().item() >= share),
            shortest_by(lambda lengths, share, m: (lengths <= m).sum().item() >= share * len(lengths)),
        ),
        mistake(
            "A quantile of the lengths counts texts, not tokens: a long text that is cut still keeps its "
            "beginning.",
            by_quantile,
            lambda lengths, share, limit: min(limit, int(lengths.double().quantile(share).item())),
            lambda lengths, share, limit: min(limit, round(lengths.double().quantile(share).item())),
        ),
        mistake(
            "You count a text's tokens only if it fits as a whole. A text that is cut keeps `m` of them.",
            shortest_by(
                lambda lengths, share, m: lengths[lengths <= m].sum().item() >= share * lengths.sum().item()
            ),
        ),
        mistake(
            "The number of tokens to keep is rounded, so that a little less than the share is enough for "
            "you.",
            shortest_by(lambda lengths, share, m: kept(lengths, m) >= int(share * lengths.sum().item())),
            shortest_by(lambda lengths, share, m: kept(lengths, m) >= round(share * lengths.sum().item())),
        ),
        mistake(
            "*At least* the share: where it is met exactly, m is large enough.",
            shortest_by(lambda lengths, share, m: kept(lengths, m) > share * lengths.sum().item()),
        ),
        mistake(
            "Where even `limit` keeps less, the answer is `limit`.",
            shortest_by(
                lambda lengths, share, m: kept(lengths, m) >= share * lengths.sum().item(),
                fall_back=lambda lengths, limit: None,
            ),
            shortest_by(
                lambda lengths, share, m: kept(lengths, m) >= share * lengths.sum().item(),
                fall_back=lambda lengths, limit: int(lengths.max()),
            ),
            lambda lengths, share, limit: shortest(lengths, share, int(lengths.max())),
        ),
        mistake(
            "The smallest m is 1; a model cannot read texts of 0 tokens.",
            shortest_by(lambda lengths, share, m: kept(lengths, m) >= share * lengths.sum().item(), begin=0),
        ),
        mistake(
            "This is one too many: `m` itself keeps `m` tokens of a longer text.",
            lambda lengths, share, limit: min(limit, shortest(lengths, share, limit) + 1),
        ),
        mistake(
            "The share is taken of the longest text. It is a share of the tokens of all texts.",
            lambda lengths, share, limit: max(1, min(limit, int(share * lengths.max().item()))),
            lambda lengths, share, limit: max(1, min(limit, -int(-share * lengths.max().item() // 1))),
        ),
        mistake(
            "The mean length times the share says nothing about what is kept: try each m, and add up "
            "`lengths.clamp(max=m)`.",
            lambda lengths, share, limit: max(1, min(limit, int(share * lengths.double().mean().item()))),
            lambda lengths, share, limit: max(1, min(limit, round(share * lengths.double().mean().item()))),
        ),
    ],
)

# 7.7 ---------------------------------------------------------------------------------------------------


def merge(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def merge_once(symbols, pair):
    for i in range(len(symbols) - 1):
        if tuple(symbols[i : i + 2]) == pair:
            return [*symbols[:i], symbols[i] + symbols[i + 1], *symbols[i + 2 :]]
    return list(symbols)


def merge_from_the_right(symbols, pair):
    return [s for s in merge_backwards(list(symbols), pair)]


def merge_backwards(symbols, pair):
    i = len(symbols) - 2
    while i >= 0:
        if tuple(symbols[i : i + 2]) == pair:
            symbols[i : i + 2] = [pair[0] + pair[1]]
            i -= 1
        i -= 1
    return symbols


def merge_overlapping(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
        elif i == 0 or tuple(symbols[i - 1 : i + 1]) != pair:
            merged.append(symbol)
    return merged


def merge_either_order(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) in (pair, pair[::-1]):
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def merge_by_text(symbols, pair):
    return "".join(symbols[:1]) and " ".join(symbols).replace(" ".join(pair), "".join(pair)).split(" ")


def merge_by_letters(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if "".join(symbols[i : i + 2]) == "".join(pair) and i + 1 < len(symbols):
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def without_the_last(symbols, pair):
    merged, i = [], 0
    while i < len(symbols) - 1:
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def second_symbol_kept(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        merged.append(pair[0] + pair[1] if tuple(symbols[i : i + 2]) == pair else symbol)
    return merged


def merge_in_place(symbols, pair):
    i = 0
    while i < len(symbols) - 1:
        if tuple(symbols[i : i + 2]) == pair:
            symbols[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return symbols


def anywhere(symbols, pair):
    """Both are somewhere in the word, not side by side."""
    if pair[0] in symbols and pair[1] in symbols:
        rest = [symbol for symbol in symbols if symbol not in pair]
        return [pair[0] + pair[1], *rest]
    return list(symbols)


exercise(
    "7.7",
    "Merge a pair",
    reference=merge,
    returns="the new list",
    cases=[
        case("the card's", ["n", "e", "w", "e", "s", "t"], ("e", "s")),
        case("three alike", ["a", "a", "a"], ("a", "a")),
        case("four alike", ["a", "a", "a", "a"], ("a", "a")),
        case("twice", ["e", "s", "t", "e", "s"], ("e", "s")),
        case("longer symbols", ["un", "for", "get", "t"], ("for", "get")),
        case("the other order", ["s", "e", "x", "e", "s"], ("s", "e")),
        case("not side by side", ["a", "b", "a", "c"], ("a", "c")),
        case("parts of other symbols", ["ta", "t", "at", "a", "t"], ("a", "t")),
        case("the same letters, parted elsewhere", ["a", "bc"], ("ab", "c")),
        case("not there", ["l", "o", "w"], ("e", "s")),
        case("one symbol", ["a"], ("a", "a")),
        case("nothing", [], ("a", "b")),
        case("the last two", ["l", "o", "w"], ("o", "w")),
    ],
    mistakes=[
        mistake(
            "Only the first place is merged. The pair is made one wherever it stands.",
            merge_once,
        ),
        mistake(
            "From left to right: in a, a, a the first two are merged, not the last two.", merge_from_the_right
        ),
        mistake(
            "A symbol is used in two merges: a, a, a is not aa, aa. After a merge go on behind both symbols.",
            merge_overlapping,
        ),
        mistake("The order counts: (e, s) is not (s, e).", merge_either_order),
        mistake(
            "Joined to one text, the ends of other symbols match too: ta t at is no (a, t). Compare whole "
            "symbols.",
            merge_by_text,
        ),
        mistake(
            "The letters match, and the symbols do not: a, bc is no (ab, c). Compare the two symbols.",
            merge_by_letters,
        ),
        mistake("The last symbol is missing if it is in no merge.", without_the_last),
        mistake(
            "After a merge the second symbol of the pair stands in the list once more. Go on by two.",
            second_symbol_kept,
        ),
        mistake("`symbols` itself is changed. Give a new list.", merge_in_place),
        mistake("The two have to stand side by side.", anywhere),
        mistake(
            "Asked for is a list of symbols, and this is one string.",
            lambda symbols, pair: "".join(merge(symbols, pair)),
        ),
    ],
)

# 7.8 ---------------------------------------------------------------------------------------------------


def train_bpe(counts, merges):
    return learned(counts, merges)


def learned(
    counts,
    merges,
    *,
    weight=lambda counts, word: counts[word],
    choose=lambda pairs, place: min(pairs, key=lambda p: (-pairs[p], place[p[0]], place[p[1]])),
    joined=merge,
    append=True,
    recount=True,
    stop=True,
):
    """`train_bpe` with one of its rules changed."""
    words = {word: list(word) for word in counts}
    order, found, pairs = sorted(set("".join(counts))), [], {}
    for step in range(merges):
        if recount or step == 0:
            pairs = {}
            for word, symbols in words.items():
                for pair in zip(symbols, symbols[1:], strict=False):
                    pairs[pair] = pairs.get(pair, 0) + weight(counts, word)
        if not pairs:
            break
        place = {symbol: i for i, symbol in enumerate(order)} if append else None
        best = choose(pairs, place)
        found.append(best)
        order.append(best[0] + best[1])
        words = {word: joined(symbols, best) for word, symbols in words.items()}
        if not recount:
            del pairs[best]
    return found


def learned_by(**changes):
    return lambda counts, merges: learned(counts, merges, **changes)


def once_a_word(counts, merges):
    """A pair that is in a word twice is counted once."""
    words = {word: list(word) for word in counts}
    order, found = sorted(set("".join(counts))), []
    for _ in range(merges):
        pairs = {}
        for word, symbols in words.items():
            for pair in set(zip(symbols, symbols[1:], strict=False)):
                pairs[pair] = pairs.get(pair, 0) + counts[word]
        if not pairs:
            break
        place = {symbol: i for i, symbol in enumerate(order)}
        best = min(pairs, key=lambda p: (-pairs[p], place[p[0]], place[p[1]]))
        found.append(best)
        order.append(best[0] + best[1])
        words = {word: merge(symbols, best) for word, symbols in words.items()}
    return found


exercise(
    "7.8",
    "Train a vocabulary",
    reference=train_bpe,
    returns="the list of merged pairs",
    cases=[
        case("the card's", {"low": 5, "lower": 2, "newest": 6, "widest": 3}, 3),
        case("further", {"low": 5, "lower": 2, "newest": 6, "widest": 3}, 10),
        case("rare and frequent words", {"xy": 1, "xyz": 1, "ab": 5, "xyx": 1, "xya": 1}, 4),
        case("a pair twice in a word", {"xyxy": 2, "pq": 3}, 2),
        case("a pair that overlaps itself", {"aaa": 2, "xy": 3}, 1),
        case("pairs that overlap", {"banana": 3, "nab": 4, "ba": 1}, 5),
        case("all pairs tie", {"cab": 1, "bac": 1}, 4),
        case("a tie with a merged symbol", {"abc": 4, "dabz": 4, "zd": 4}, 6),
        case("more merges than pairs", {"ab": 2, "c": 9}, 10),
        case("four alike", {"aaaa": 2, "b": 1}, 3),
        case("no merges", {"ab": 1}, 0),
        case("film words", {"film": 9, "films": 4, "filmed": 2, "firm": 3, "farm": 3, "slim": 2}, 12),
    ],
    mistakes=[
        mistake(
            "A word counts as often as it occurs: add counts[word] for each of its pairs, not 1.",
            learned_by(weight=lambda counts, word: 1),
        ),
        mistake(
            "A tie goes to the pair whose first symbol comes first in the order, then the second. Yours "
            "takes the pair that it met first.",
            learned_by(choose=lambda pairs, place: max(pairs, key=lambda pair: pairs[pair])),
        ),
        mistake(
            "A tie goes to the pair that comes *first* in the order; yours takes the last.",
            learned_by(
                choose=lambda pairs, place: max(pairs, key=lambda p: (pairs[p], place[p[0]], place[p[1]]))
            ),
            learned_by(choose=lambda pairs, place: max(pairs, key=lambda pair: (pairs[pair], pair))),
        ),
        mistake(
            "Ties are settled by the alphabet. The order is that of the symbols: all single characters, "
            "sorted, then the new symbols as they were made.",
            learned_by(choose=lambda pairs, place: min(pairs, key=lambda pair: (-pairs[pair], pair))),
        ),
        mistake(
            "The pairs are counted once, at the beginning. After each merge there are new neighbours: count "
            "again.",
            learned_by(recount=False),
        ),
        mistake(
            "In some word the pair is merged at its first place only.",
            learned_by(joined=merge_once),
        ),
        mistake(
            "You take the *rarest* pair. The one with the highest count comes first.",
            learned_by(
                choose=lambda pairs, place: min(pairs, key=lambda p: (pairs[p], place[p[0]], place[p[1]]))
            ),
        ),
        mistake(
            "A pair that stands in a word twice counts twice there.",
            once_a_word,
        ),
        mistake(
            "The list holds the new symbols. Asked for are the pairs, as tuples.",
            lambda counts, merges: ["".join(pair) for pair in train_bpe(counts, merges)],
        ),
        mistake(
            "This is one merge too few.",
            lambda counts, merges: train_bpe(counts, merges - 1),
        ),
    ],
)

# 7.9 ---------------------------------------------------------------------------------------------------


def windows(ids, size, stride):
    found, start = [], 0
    while True:
        found.append(ids[start : start + size])
        if start + size >= len(ids):
            return found
        start += size - stride


def every(step, ids, size):
    return [ids[start : start + size] for start in range(0, len(ids), step)]


exercise(
    "7.9",
    "Windows over a long text",
    reference=windows,
    returns="the list of windows",
    cases=[
        case("the card's", [1, 2, 3, 4, 5, 6, 7], 4, 1),
        case("a shorter last one", list(range(10)), 4, 1),
        case("no overlap", list(range(10)), 4, 0),
        case("no overlap, comes out even", list(range(8)), 4, 0),
        case("a large overlap", list(range(9)), 5, 4),
        case("half", list(range(20)), 6, 3),
        case("exactly one window", [1, 2, 3], 3, 1),
        case("shorter than a window", [1, 2], 5, 2),
        case("one more than a window", [1, 2, 3, 4], 3, 2),
        case("nothing", [], 4, 2),
        case("windows of one", [5, 6, 7], 1, 0),
    ],
    mistakes=[
        mistake(
            "You go on by `stride`. Here stride is how many ids two neighbours *share*: the next window "
            "begins `size - stride` later.",
            lambda ids, size, stride: every(stride or size, ids, size),
            lambda ids, size, stride: windows(ids, size, size - stride if stride else 0),
        ),
        mistake(
            "The windows share nothing: the next one begins `size - stride` later, not `size`.",
            lambda ids, size, stride: every(size, ids, size) or [[]],
            lambda ids, size, stride: every(size, ids, size),
        ),
        mistake(
            "There is a window too many at the end: once a window has reached the end of the text, no other "
            "follows.",
            lambda ids, size, stride: every(size - stride, ids, size) or [[]],
            lambda ids, size, stride: every(size - stride, ids, size),
        ),
        mistake(
            "The end of the text is missing: the last window may be shorter.",
            lambda ids, size, stride: [
                ids[start : start + size] for start in range(0, len(ids) - size + 1, size - stride)
            ],
            lambda ids, size, stride: (
                [ids[start : start + size] for start in range(0, len(ids) - size + 1, size - stride)] or [ids]
            ),
            lambda ids, size, stride: [
                ids[start : start + size] for start in range(0, max(1, len(ids) - size), size - stride)
            ],
        ),
        mistake(
            "A text that fits gives a list *of one window*, also if it is empty. You give the ids "
            "themselves.",
            lambda ids, size, stride: ids if len(ids) <= size else windows(ids, size, stride),
        ),
        mistake(
            "An empty text gives one window, which is empty: [[]].",
            lambda ids, size, stride: windows(ids, size, stride) if ids else [],
        ),
        mistake(
            "The last window is filled up backwards, so that it has the full size. It is to begin where its "
            "turn is, and may be shorter.",
            lambda ids, size, stride: [
                window if len(window) == size else ids[-size:] for window in windows(ids, size, stride)
            ],
        ),
        mistake(
            "The last window is filled up with zeros. It may be shorter.",
            lambda ids, size, stride: [
                window + [0] * (size - len(window)) for window in windows(ids, size, stride)
            ],
        ),
        mistake(
            "The next window begins one id too late or too early: `size - stride` after the one before.",
            lambda ids, size, stride: windows(ids, size, min(stride + 1, size - 1)),
            lambda ids, size, stride: windows(ids, size, max(stride - 1, 0)),
        ),
    ],
)

# 7.10 --------------------------------------------------------------------------------------------------


def key(text, *, form="NFKC", fold=str.casefold, keep=str.isalnum):
    text = fold(unicodedata.normalize(form, text) if form else text)
    return "".join(char for char in text if keep(char))


def leaked(train, test):
    keys = {key(text) for text in train}
    return [i for i, text in enumerate(test) if key(text) and key(text) in keys]


def leaked_by(empty=False, **changes):
    """`leaked` with another key, and perhaps with empty keys counted as equal."""

    def answer(train, test):
        keys = {key(text, **changes) for text in train}
        found = [key(text, **changes) for text in test]
        return [i for i, one in enumerate(found) if (one or empty) and one in keys]

    return answer


exercise(
    "7.10",
    "Who leaked?",
    reference=leaked,
    returns="the list of positions",
    cases=[
        case("the card's", ["A gripping movie.", "dull"], ["so-so", "a  gripping movie", "DULL!"]),
        case("exact copies", ["one film", "two films"], ["two films", "no film", "one film"]),
        case("spaces and line ends", ["so good"], ["so\ngood", " sogood ", "so god"]),
        case("accents stay", ["resume"], ["résumé", "resume"]),
        case("two ways to write é", ["cafe\u0301"], ["café", "cafe"]),
        case("other forms of characters", ["film №5, ﬁn"], ["film no5 fin", "ＦＩＬＭ No5 fin"]),
        case("ß and ss", ["Straße"], ["STRASSE", "strase"]),
        case("nothing left", ["?!", "...", ""], ["!!", "", "ok"]),
        case("marks of all kinds", ["so good"], ["so_good", "so—good", "so ’good’…", "so $good"]),
        case("letters beyond a to z", ["北京", "café"], ["北京!", "cafè", "上海", "CAFÉ"]),
        case("digits count", ["top 10"], ["top 11", "Top-10", "top"]),
        case("a copy within test", ["x y"], ["z", "z", "x-y", "X Y"]),
        case("nothing to compare with", [], ["a", "b"]),
    ],
    mistakes=[
        mistake(
            "Only exact copies are found. Make a key of each text first, so that case, spaces and "
            "punctuation do not matter.",
            leaked_by(form=None, fold=lambda text: text, keep=lambda char: True),
        ),
        mistake(
            "Case still matters: fold it with `.casefold()`.",
            leaked_by(fold=lambda text: text),
        ),
        mistake(
            "`lower` leaves ß as it is; `casefold` makes ss of it.",
            leaked_by(fold=str.lower),
        ),
        mistake(
            "The form of characters still matters: normalise with NFKC first.",
            leaked_by(form=None),
            leaked_by(form="NFC"),
        ),
        mistake(
            "Punctuation still matters: leave out everything that is not `isalnum()`.",
            leaked_by(keep=lambda char: not char.isspace()),
            leaked_by(keep=lambda char: True),
        ),
        mistake(
            "`string.punctuation` has the marks of ASCII only; — and ’ are left. `isalnum()` tells letters "
            "and digits from everything else.",
            leaked_by(keep=lambda char: char not in string.punctuation and not char.isspace()),
        ),
        mistake(
            "`\\W` leaves the underscore in, which is neither a letter nor a digit.",
            leaked_by(keep=lambda char: char.isalnum() or char == "_"),
        ),
        mistake(
            "Letters are more than a to z: é and 北 are some, and have to stay.",
            leaked_by(keep=lambda char: char.isascii() and char.isalnum()),
        ),
        mistake(
            "Spaces still matter: leave them out as well.",
            leaked_by(keep=lambda char: char.isalnum() or char == " "),
            leaked_by(keep=lambda char: char.isalnum() or char.isspace()),
        ),
        mistake(
            "Digits are left out, and they count: `isalnum`, not `isalpha`.",
            leaked_by(keep=str.isalpha),
        ),
        mistake(
            "Texts of which nothing is left are the same as no other.",
            leaked_by(empty=True),
        ),
        mistake(
            "These are texts. Asked for are their positions in `test`.",
            lambda train, test: [test[i] for i in leaked(train, test)],
        ),
        mistake(
            "These are the positions in `train`. Asked for are those in `test`.",
            lambda train, test: leaked(test, train),
        ),
        mistake(
            "Accents are dropped, and here they count: résumé is not resume.",
            leaked_by(form="NFKD"),
            leaked_by(form="NFD"),
        ),
    ],
)
