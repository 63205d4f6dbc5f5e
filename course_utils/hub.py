"""Hugging Face's hub: does it answer, and if a download from it failed, what to type next."""

import contextlib
import os
import shutil

from course_utils.errors import CourseError

OTHERWISE = {
    "models": 'Every lesson also runs without the hub: type  checkpoints.choose("embedded")',
    "datasets": "Every lesson also runs without the hub: type  data.rotten_tomatoes()",
}


def reachable(seconds=3.0):
    """Whether the hub (or HF_ENDPOINT, if set) answers within `seconds`; False if HF_HUB_OFFLINE is set."""
    import http.client
    import urllib.error
    import urllib.request

    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode():
        return False
    try:
        question = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(question, timeout=seconds).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only with an error
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


@contextlib.contextmanager
def explained(name, kind):
    """Turn what `snapshot_download` and `load_dataset` raise about the hub into one `CourseError`.

    `name` is the hub id that was asked for, `kind` is "models" or "datasets". The message says what happened
    and what to type next. Errors that have nothing to do with the hub pass through.

    Left alone, the libraries repeat a refused call (429, 5xx) five times, which takes 23 seconds, or with
    429 as many minutes as the hub says. In here the first refusal counts; and if the hub does not answer at
    all, only the cache is looked at.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import hf_raise_for_status

    refusals = []

    def note_refusal(response):
        code, ours = response.status_code, str(response.url).startswith(constants.ENDPOINT)
        # The libraries ask for files that a repository need not have: their absence is no refusal.
        if code >= 400 and ours and response.headers.get("X-Error-Code") != "EntryNotFound":
            refusals.append(code)
        if code == 429 or code >= 500:
            response.read()
            hf_raise_for_status(response)

    def stay_offline(request):
        raise OfflineModeIsEnabled(f"{request.url} does not answer")

    session = get_session()
    before = session.event_hooks
    session.event_hooks = {
        "request": before["request"] + ([] if reachable() else [stay_offline]),
        "response": before["response"] + [note_refusal],
    }
    try:
        yield
    except Exception as error:
        explanation = _explanation(name, kind, error, refusals)
        if explanation is None:
            raise
        raise CourseError(f"{explanation} {OTHERWISE[kind]}") from None
    finally:
        session.event_hooks = before


def forget(name, kind):
    """Delete the hub's `name` from the cache, so that it is fetched anew."""
    from huggingface_hub import constants

    folder = f"{kind}--{name.replace('/', '--')}"
    shutil.rmtree(os.path.join(constants.HF_HUB_CACHE, folder), ignore_errors=True)


def _explanation(name, kind, error, refusals):
    """What happened and what to type, a sentence or two; None if `error` has nothing to do with the hub."""
    from huggingface_hub import constants, is_offline_mode

    kinds, text, codes = set(), "", []
    while error is not None:
        kinds |= {base.__name__ for base in type(error).__mro__}
        text += str(error)
        codes += [error.response.status_code] if getattr(error, "response", None) is not None else []
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    if "HFValidationError" in kinds:
        return f"{name!r} is neither a folder nor a hub id such as google-bert/bert-base-uncased."
    if "RemoteProtocolError" in kinds or "Consistency check failed" in text:
        return f"The download of {name} broke off, and its rest is missing. Run the cell again."
    if kinds & {"ArrowInvalid", "DatasetGenerationError"} and "OSError" not in kinds:  # a full disk is one
        forget(name, kind)
        return f"What the hub sent as {name} is damaged; it was deleted again. Run the cell again."
    if is_offline_mode() and "OSError" in kinds:
        return f"HF_HUB_OFFLINE is set, and {name} is not in this machine's cache. Unset it, restart Python."
    if "OSError" in kinds and (codes or refusals):
        return _refusal(name, codes[0] if codes else refusals[-1])
    if kinds & {"ConnectionError", "TransportError", "LocalEntryNotFoundError"}:
        return (
            f"The hub does not answer at {constants.ENDPOINT}, and {name} is not in this machine's cache. "
            "Check the network (type  python -m course_utils doctor ) and run the cell again."
        )
    if "FileNotFoundError" in kinds:
        return f"The hub's {name} has no files that can be loaded."
    return None


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
