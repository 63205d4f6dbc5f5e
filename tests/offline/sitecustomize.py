"""Refuse every socket outside loopback, and write down who tried.

`tests/conftest.py` puts this folder on PYTHONPATH, so every Python that a test starts imports this file
before anything else: nbval's kernels too. A library that swallows the error is found out by the line in the
file that COURSE_NETWORK_LOG names. Only Python's own sockets are seen: ZeroMQ's (loopback) go their way.
"""

import errno
import os
import sys

THIS_MACHINE = {None, "", "localhost", "::1", "0.0.0.0", "::"}


def is_local(host):
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    return host in THIS_MACHINE or (host.startswith("127.") and host.replace(".", "").isdigit())


def refuse(event, args):
    """An audit hook: raise `OSError` if `event` would reach, or look up, another machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if not isinstance(address, tuple) or is_local(address[0]):
            return  # not a tuple: a UNIX socket's path, or a socket that is connected already
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = args[0]
        if is_local(address):
            return
    else:
        return
    program = " ".join(getattr(sys, "argv", [])) or sys.executable
    log = os.environ.get("COURSE_NETWORK_LOG")
    if log:
        with open(log, "a", encoding="utf8") as file:
            file.write(f"{program}: {event} {address!r}\n")
    raise OSError(errno.ENETUNREACH, f"the tests run with the network off: {event} {address!r} was refused")


sys.addaudithook(refuse)
