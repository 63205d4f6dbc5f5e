"""The network is off for every process of a test run, and who asks for it is written down."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, start_new_kernel

ELSEWHERE = "192.0.2.1"  # TEST-NET-1: belongs to nobody
TESTS = pathlib.Path(__file__).parent


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log of the test's own, so that what it provokes does not fail the run."""
    path = tmp_path / "network.log"
    monkeypatch.setenv("COURSE_NETWORK_LOG", str(path))
    return path


def run(source):
    """What a Python started as a test would start it prints for `source`, line by line."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


ATTEMPTS = {
    "connect": f'socket.socket().connect(("{ELSEWHERE}", 80))',
    "connect_ex": f'socket.socket().connect_ex(("{ELSEWHERE}", 80))',
    "getaddrinfo of an IPv6 address": 'socket.getaddrinfo("2001:db8::1", 80)',
    "sendto": f'socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("{ELSEWHERE}", 53))',
    "sendmsg": f'socket.socket(type=socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("{ELSEWHERE}", 53))',
    "create_connection": f'socket.create_connection(("{ELSEWHERE}", 80))',
    "getaddrinfo": 'socket.getaddrinfo("huggingface.co", 443)',
    "gethostbyname": 'socket.gethostbyname("huggingface.co")',
    "a name that only begins like loopback": 'socket.getaddrinfo("127.0.0.1.example.org", 443)',
    "urllib": f'urllib.request.urlopen("http://{ELSEWHERE}/", timeout=5)',
}


def test_a_subprocess_is_refused_and_written_down(log):
    attempts = "\n".join(
        f"try:\n    {code}\n    print('reached')\nexcept OSError as error:\n    print('refused:', error)"
        for code in ATTEMPTS.values()
    )
    lines = run(f"import socket, urllib.request\n{attempts}")
    assert len(lines) == len(ATTEMPTS)
    for name, line in zip(ATTEMPTS, lines, strict=True):
        assert line.startswith("refused:") and "network off" in line, f"{name}: {line}"
    written = log.read_text(encoding="utf8").splitlines()
    assert len(written) == len(ATTEMPTS)
    assert sum(ELSEWHERE in line for line in written) == 6
    assert sum("huggingface.co" in line for line in written) == 2
    assert all(line.startswith("-c: ") for line in written), "each line begins with the program"


def test_loopback_works_in_a_subprocess(log):
    source = """
import os, socket, tempfile
server = socket.create_server(("127.0.0.1", 0))
for host in ("127.0.0.1", "localhost"):
    client = socket.create_connection((host, server.getsockname()[1]), timeout=10)
    peer, _ = server.accept()
    client.sendall(host.encode())
    print(peer.recv(20).decode())
print(len(socket.getaddrinfo("127.0.0.1", 80)) > 0, len(socket.getaddrinfo(None, 80)) > 0)
if hasattr(socket, "AF_UNIX"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        socket.socket(socket.AF_UNIX).connect(path)
"""
    assert run(source) == ["127.0.0.1", "localhost", "True True"]
    assert not log.exists()


def test_this_process_is_refused(log):
    with pytest.raises(OSError, match="network off"):
        socket.create_connection((ELSEWHERE, 80))
    assert ELSEWHERE in log.read_text(encoding="utf8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=10).close()


def test_a_kernel_of_nbval_is_refused(log):
    manager, client = start_new_kernel(kernel_name=CURRENT_ENV_KERNEL_NAME, stderr=subprocess.DEVNULL)
    printed = []
    try:
        client.execute_interactive(
            f"import socket\ntry:\n    socket.create_connection(('{ELSEWHERE}', 80))\n"
            "except OSError as error:\n    print('refused:', error)",
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
            timeout=60,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "refused:" in "".join(printed)
    assert ELSEWHERE in log.read_text(encoding="utf8")
    assert "ipykernel" in log.read_text(encoding="utf8")


def run_of_pytest(folder, test, parts):
    """A run of pytest of its own, in `folder`, under this folder's conftest: (exit code, output)."""
    (folder / "test_one.py").write_text(test, encoding="utf8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(TESTS)])}
    environment.pop("PYTEST_XDIST_WORKER", None)  # it is a run of its own, and no part of this one
    command = [sys.executable, "-B", "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", *parts]
    done = subprocess.run(
        [*command, f"--rootdir={folder}", "test_one.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout


@pytest.fixture(params=["0", "2"], ids=["alone", "two workers"])
def parts(request):
    """The options of a run in one process, and of one whose work two processes share."""
    return ["-n", request.param]


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "test_one.py").touch()
    return tmp_path


def test_a_run_fails_that_swallowed_the_refusal(repository, parts):
    swallow = f'socket.create_connection(("{ELSEWHERE}", 80))'
    test = (
        f"import contextlib, socket\ndef test():\n    with contextlib.suppress(OSError):\n        {swallow}\n"
    )
    code, output = run_of_pytest(repository, test, parts)
    assert "1 passed" in output
    assert code == 1 and "FAILED the network was asked for by" in output and ELSEWHERE in output


def test_a_run_fails_that_leaves_a_file(repository, parts):
    code, output = run_of_pytest(repository, "def test():\n    open('left.txt', 'w').close()\n", parts)
    assert "1 passed" in output
    assert code == 1 and "FAILED a new file was left in the repository: left.txt" in output


def test_a_run_passes_that_does_neither(repository, parts):
    code, output = run_of_pytest(repository, "def test():\n    assert True\n", parts)
    assert code == 0 and "1 passed" in output
