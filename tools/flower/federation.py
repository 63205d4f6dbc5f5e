"""Run lesson 17's federation on Flower, for real: a superlink and two supernodes on this machine's loopback.

`make flower` starts it: it makes the environment (.venv-flower, about 300 MB, once), writes each client's
articles into a file of its own, starts the programs, runs three rounds of FedAvg, compares the final weights
with those of the lesson's own FedAvg, and stops everything, also when something fails. It opens ports on
127.0.0.1 alone, and needs the network only to install.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
APP = ROOT / "tools" / "flower"
ENVIRONMENT = ROOT / ".venv-flower"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
STAMP = ENVIRONMENT / "flower.stamp"
SECONDS = 300  # for the rounds; two of them took about 30 on two cores
FARTHEST = 1e-4  # float32 on both sides, float64 in between on one


def make_environment():
    """Make .venv-flower with what requirements.txt says, unless it is there."""
    wanted = (APP / "requirements.txt").read_text(encoding="utf8")
    if STAMP.exists() and STAMP.read_text(encoding="utf8") == wanted:
        return
    print("installing Flower into .venv-flower (a few minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "-r", str(APP / "requirements.txt")]
    subprocess.run(pip, check=True)
    STAMP.write_text(wanted, encoding="utf8")


def free_ports(count):
    """So many ports of the loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def lesson():
    """(the articles' vectors, their topics, the lesson's two clients, its FedAvg), out of the notebook."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import lessons

    from course_utils import data

    stored = lessons.read(lessons.FOLDER / "17_privacy.ipynb")
    own = lessons.definitions(stored, "as_vectors", "two_clients", "federation")
    x, y, *_ = own["as_vectors"](data.bbc_articles())
    return x, y, own["two_clients"](y), own["federation"]


def write_clients(x, y, clients, folder):
    """A file with its articles for each client; their paths."""
    import numpy

    paths = []
    for number, rows in enumerate(clients):
        paths.append(folder / f"client_{number}.npz")
        numpy.savez(paths[-1], x=x[rows].numpy(), y=y[rows].numpy())
    return paths


def start(name, command, folder, running):
    """Start a program in a process group of its own; what it says goes into a file."""
    environment = {
        **os.environ,
        "FLWR_HOME": str(folder / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",  # the programs start each other by name
    }
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [str(BIN / command[0]), *map(str, command[1:])],
            cwd=APP,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running[name] = process
    return process


def stop(running):
    """End every program and what it started: politely, then after ten seconds for good."""
    for how, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        for process in running.values():
            try:
                os.killpg(process.pid, how)
            except (ProcessLookupError, PermissionError):
                pass  # its whole group has ended
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and any(alive(process) for process in running.values()):
            time.sleep(0.2)


def alive(process):
    """Whether anything of the program's group is left."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wait_for(port, process, name, seconds=60):
    """Wait until somebody listens on a port of the loopback."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{name} does not listen after {seconds} s")


def federate(paths, folder, running):
    """Start superlink and supernodes, run the app, and give the path of the final weights."""
    port, *node_ports = free_ports(3)
    home = folder / "flower"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n',
        encoding="utf8",
    )
    link = ["flower-superlink", "--insecure", "--disable-runtime-dependency-installation"]
    superlink = start("superlink", [*link, "--host", "127.0.0.1", "--port", port], folder, running)
    wait_for(port, superlink, "the superlink")
    for number, (path, own_port) in enumerate(zip(paths, node_ports, strict=True)):
        node = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}"]
        node += ["--host", "127.0.0.1", "--port", own_port, "--node-config", f"articles='{path}'"]
        start(f"supernode_{number}", node, folder, running)
    print("a superlink and two supernodes are running; three rounds of FedAvg", flush=True)
    result = folder / "result.npz"
    app = start("run", ["flwr", "run", ".", "here", "--run-config", f"result='{result}'"], folder, running)
    limit = time.monotonic() + SECONDS
    while not result.exists():
        if app.poll():
            raise RuntimeError(f"flwr run ended with {app.returncode}")
        if time.monotonic() > limit:
            raise RuntimeError(f"no result after {SECONDS} s")
        for name, process in running.items():
            if name != "run" and process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}")
        time.sleep(0.5)
    time.sleep(1)  # so that the file is whole
    return result


def compare(result, model):
    """The largest difference between Flower's weights and the lesson's, and how large the lesson's are."""
    import numpy

    with numpy.load(result, allow_pickle=False) as found:
        pairs = [(found["weight"], model.weight), (found["bias"], model.bias)]
        apart = max(float(abs(ours.detach().numpy() - theirs).max()) for theirs, ours in pairs)
    return apart, float(model.weight.detach().abs().max())


def main():
    """Make the environment, federate, compare; 0 if the weights agree."""
    if os.name == "nt":
        print("this needs Linux or macOS")
        return 1
    make_environment()
    x, y, clients, federation = lesson()
    running = {}
    with tempfile.TemporaryDirectory(prefix="federation_") as name:
        folder = pathlib.Path(name)
        began = time.monotonic()
        try:
            result = federate(write_clients(x, y, clients, folder), folder, running)
            apart, largest = compare(result, federation(x, y))
        except Exception as error:
            print(f"failed: {error}")
            for log in sorted(folder.glob("*.log")):
                tail = log.read_text(encoding="utf8", errors="replace").splitlines()[-15:]
                print(f"--- {log.stem}", *tail, sep="\n")
            return 1
        finally:
            stop(running)
    agrees = apart < FARTHEST
    print(f"Flower's weights and the lesson's differ by {apart:.1e} at most, of {largest:.2f}: ", end="")
    print("equal but for rounding" if agrees else "NOT EQUAL")
    print(f"all programs are stopped, after {time.monotonic() - began:.0f} s")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
