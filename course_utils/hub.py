"""Hugging Face's hub: is it there, and if a call to it failed, what to type next."""

import contextlib
import os

from course_utils.environment import CourseError

OTHERWISE = "Every lesson runs without the hub: leave out the name, and unset COURSE_CHECKPOINT."


def reachable(seconds=3.0):
    """Whether the hub (or HF_ENDPOINT, if set) answers within `seconds`; False if HF_HUB_OFFLINE is set."""
    import urllib.error
    import urllib.request

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:
        return True  # it answered, if only with an error
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def explained(name):
    """Turn what `from_pretrained`, `load_dataset` and `snapshot_download` raise into one `CourseError`.

    `name` is the hub id that was asked for. The message says what happened and what to type next. Errors
    that have nothing to do with the hub pass through.
    """
    try:
        yield
    except Exception as error:
        explanation = _explanation(name, error)
        if explanation is None:
            raise
        raise CourseError(f"{explanation} {OTHERWISE}") from error


def _explanation(name, error):
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    codes = {getattr(getattr(link, "response", None), "status_code", None) for link in chain}
    if 429 in codes:
        return (
            f"The hub answered 429 (too many requests) for {name}: it limits each address, and a classroom "
            "shares one. Wait five minutes, or log in with your own token (type  hf auth login )."
        )
    if codes & {401, 403, 404} or kinds & {"RepositoryNotFoundError", "DatasetNotFoundError"}:
        return f"The hub has no public {name}. Look the name up on https://huggingface.co and type it whole."
    if codes - {None}:
        return f"The hub answered {max(codes - {None})} for {name}. Try again in a few minutes."
    if kinds & {"OfflineModeIsEnabled", "OfflineModeEnabled"}:
        return f"HF_HUB_OFFLINE is set, and {name} is not in this machine's cache. Unset HF_HUB_OFFLINE."
    if kinds & {"ConnectionError", "NetworkError", "TimeoutException", "LocalEntryNotFoundError"}:
        return (
            f"The hub cannot be reached for {name}. Check the network (type  python -m course_utils doctor )."
        )
    return None
