"""What claims, captions and checks say, in the language that the variable COURSE_LANG names.

The texts lie in `locale/`, one compiled catalogue for each language: `tools/translate.py` makes it out of
what translators write. Without COURSE_LANG, or where nobody has translated a text, the English one stands.
"""

import functools
import os
import pathlib

FOLDER = pathlib.Path(__file__).parent / "locale"
ENGLISH = ("", "en")


def languages() -> list[str]:
    """The languages that there is a catalogue for, such as `["zh_CN"]`."""
    return sorted(path.stem for path in FOLDER.glob("*.mo"))


def translate(text: str, /, **values: object) -> str:
    """`text` in the language of COURSE_LANG; then, if there are `values`, its `{fields}` filled with them."""
    language = os.environ.get("COURSE_LANG", "")
    if text and language not in ENGLISH:
        text = _catalogue(language)(text)
    return text.format(**values) if values else text


def message(text: str) -> str:
    """`text` as it is: marks one that is translated later, where it is shown."""
    return text


def missing_language() -> str:
    """A line that says so if COURSE_LANG names a language without a catalogue, else ""."""
    language = os.environ.get("COURSE_LANG", "")
    if language in ENGLISH or language in languages():
        return ""
    return f"COURSE_LANG={language}: no such translation, there is {', '.join(languages())}; so in English"


@functools.cache
def _catalogue(language):
    """The function that looks a text up."""
    import gettext

    if language not in languages():  # compared, not opened: the variable may hold anything
        return str
    with open(FOLDER / f"{language}.mo", "rb") as file:
        return gettext.GNUTranslations(file).gettext
