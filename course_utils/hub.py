"""Hugging Face's hub: does it answer, and if a download from it failed, what to type next."""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator

from course_utils.errors import CourseError

OTHERWISE = {
    "models": 'Every lesson also runs without the hub: type  checkpoints.choose("embedded")',
    "datasets": "Every lesson also runs without the hub: type  data.rotten_tomatoes()",
}
# What the system says of a disk that is full or may not be written, and of a folder (or of a socket).
DISK = {errno.ENOSPC, errno.EROFS, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
FOLDER = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}


def reachable(seconds: float = 3.0) -> bool:
    """Whether the hub (or HF_ENDPOINT, if set) answers within `seconds`; False if HF_HUB_OFFLINE is set.

    urllib's own time limit is one for each step, and none for looking a name up. So a thread asks: after
    `seconds` nobody waits for it any more, and at Python's end neither.
    """
    import http.client
    import urllib.error
    import urllib.request

    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode():
        return False
    answered = threading.Event()

    def ask():
        try:
            question = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            urllib.request.urlopen(question, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # it answered, if only with an error
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def unwritable() -> str:
    """Why the hub's downloads cannot be stored in this machine's cache, and what to type; "" if they can.

    A file of 64 kB is written there, or above it where the cache is not made yet, and deleted again.
    """
    from huggingface_hub import constants

    folder = os.path.abspath(constants.HF_HUB_CACHE)
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(65536))
    except OSError as error:
        return _not_stored(folder, error.strerror)
    return ""


@contextlib.contextmanager
def explained(name: str, kind: str, otherwise: str = "") -> Iterator[None]:
    """Turn what `snapshot_download` and `load_dataset` raise about the hub into one `CourseError`.

    `name` is the hub id that was asked for, `kind` is "models" or "datasets". The message says what happened
    and what to type next: `otherwise`, or how lessons with texts do without the hub. Errors that
    have nothing to do with the hub or its cache pass through.

    Left alone, the libraries repeat a refused call (429, 5xx) five times, which takes 23 seconds, or with
    429 as many minutes as the hub says. In here the first refusal counts; and if the hub does not answer at
    all, or a log-in page answers in its place, only the cache is looked at.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import hf_raise_for_status

    refusals, pages = [], []

    def note(response):
        code, url = response.status_code, str(response.url)
        # The libraries ask for much that need not be there: only a refusal about `name` itself counts.
        ours = url.startswith(constants.ENDPOINT) and f"/{name}" in url
        if code >= 400 and ours and response.headers.get("X-Error-Code") != "EntryNotFound":
            refusals.append(code)
        if code == 429 or code >= 500:
            response.read()
            hf_raise_for_status(response)
        if code < 300 and response.headers.get("Content-Type", "").startswith("text/html"):
            pages.append(url)
            raise OfflineModeIsEnabled(f"{url} is a web page, and no answer of the hub")

    def stay_offline(request):
        raise OfflineModeIsEnabled(f"{request.url} does not answer")

    session = get_session()
    before = session.event_hooks
    session.event_hooks = {
        "request": before["request"] + ([] if reachable() else [stay_offline]),
        "response": before["response"] + [note],
    }
    try:
        yield
    except Exception as error:
        explanation = _explanation(name, kind, error, refusals, pages)
        if explanation is None:
            raise
        raise CourseError(f"{explanation} {otherwise or OTHERWISE[kind]}") from None
    finally:
        session.event_hooks = before


def forget(name: str, kind: str) -> None:
    """Delete the hub's `name` from the cache, so that it is fetched anew."""
    from huggingface_hub import constants

    folder = f"{kind}--{name.replace('/', '--')}"
    shutil.rmtree(os.path.join(constants.HF_HUB_CACHE, folder), ignore_errors=True)


def _explanation(name, kind, error, refusals, pages):
    """What happened and what to type, a sentence or two; None if `error` has nothing to do with the hub."""
    from huggingface_hub import constants, is_offline_mode

    kinds, text, codes = set(), "", []
    while error is not None:
        number, file = getattr(error, "errno", None), getattr(error, "filename", None)
        if number in DISK or (number in FOLDER and file) or "No space left on device" in str(error):
            return _not_stored(os.path.dirname(str(file)) if file else constants.HF_HOME, error)
        kinds |= {base.__name__ for base in type(error).__mro__}
        text += str(error)
        response = getattr(error, "response", None)
        if response is not None and response.headers.get("X-Error-Code") != "EntryNotFound":
            codes.append(response.status_code)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    if "HFValidationError" in kinds:
        return f"{name!r} is neither a folder nor a hub id such as google-bert/bert-base-uncased."
    if "RemoteProtocolError" in kinds or "Consistency check failed" in text:
        return f"The download of {name} broke off, and its rest is missing. Run the cell again."
    if kinds & {"ArrowInvalid", "DatasetGenerationError"} and "OSError" not in kinds:
        forget(name, kind)
        return f"What the hub sent as {name} is damaged; it was deleted again. Run the cell again."
    if is_offline_mode() and "OSError" in kinds:
        return f"HF_HUB_OFFLINE is set, and {name} is not in this machine's cache. Unset it, restart Python."
    if pages and "OSError" in kinds:
        return (
            f"Something between you and the hub answered with a web page of its own ({pages[0]}), and {name} "
            "is not in this machine's cache. Is it a Wi-Fi log-in page? Log in with a browser, and run the "
            "cell again."
        )
    if "OSError" in kinds and codes:
        return _refusal(name, codes[0])
    if kinds & {"ConnectionError", "FileNotFoundError"} and refusals:
        return _refusal(name, refusals[-1])
    if kinds & {"ConnectionError", "TransportError", "LocalEntryNotFoundError"}:
        return (
            f"The hub does not answer at {constants.ENDPOINT}, and {name} is not in this machine's cache. "
            "Check the network (type  python -m course_utils doctor ) and run the cell again."
        )
    if "FileNotFoundError" in kinds:
        return f"The hub's {name} has no files that can be loaded."
    return None


def _not_stored(folder, why):
    return (
        f"What comes from the hub cannot be stored in {folder} ({why}). Free some disk space, or set the "
        "variable HF_HOME to a folder that you may write to and restart Python."
    )


def _refusal(name, code):
    if code == 429:
        return (
            f"The hub answered 429 (too many requests) for {name}: it limits each address, and a classroom "
            "shares one. Wait five minutes, or log in with your own token (type  hf auth login )."
        )
    if code in (401, 403, 404):
        return (
            f"The hub has no public {name} (it answered {code}). Look the name up on "
            "https://huggingface.co and type it whole."
        )
    return f"The hub answered {code} for {name}. Run the cell again in a few minutes."
