"""A Skein node as a process: start it, look at it, stop it. Every wait has a deadline; none has a fixed length."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SKEIN_BIN") or REPOSITORY / ".build" / "release" / "skein").absolute()
MODEL_NAME = "skein-tiny"
LAYER_COUNT = 8

#: Seconds until a node must be ready, usually less than one; the machine may be busy compiling.
READY_SECONDS = 30
#: Seconds between SIGTERM and the end of the process.
STOP_SECONDS = 10


def wait_until(condition, seconds, what):
    """Polls `condition` until it returns something true, and returns that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)


class Process:
    """What the system says about a process."""

    def __init__(self, pid, parent, state, command):
        self.pid, self.parent, self.state, self.command = pid, parent, state, command

    @property
    def is_runner(self):
        return re.search(r"skein\S*\s+runner\b", self.command) is not None and self.state != "Z"


def processes():
    """Every process of this machine, by id. From /proc where there is one, else from ps."""
    if not Path("/proc/self/stat").exists():
        table = subprocess.run(["ps", "-axo", "pid=,ppid=,stat=,command="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 3) for line in table.stdout.splitlines()]
        return {int(r[0]): Process(int(r[0]), int(r[1]), r[2][0], r[3]) for r in rows if len(r) == 4}
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text()
            command = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # It ended while we looked.
        state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
        found[int(entry)] = Process(int(entry), int(parent), state, command)
    return found


class Node:
    """`skein serve` with folders of its own, on a port the system chooses."""

    def __init__(self, folder, *arguments):
        self.folder = Path(folder)
        self.arguments = [str(argument) for argument in arguments]
        self.process = None
        self.host, self.port = "127.0.0.1", None
        #: Runners seen so far, to look for survivors after the node is gone.
        self.known_runners = set()

    # Life

    def launch(self):
        """Starts the process without waiting for anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = dict(
            os.environ, XDG_CACHE_HOME=str(self.folder / "cache"), SKEIN_HOME=str(self.folder / "data"))
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", "127.0.0.1:0", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        return self

    def wait_for_port(self):
        """Waits for the one line that names the address."""

        def announced():
            assert self.process.poll() is None, f"the node ended with {self.process.returncode}: {self.log}"
            return re.search(r"^skein serves (\S+) at http://([^:]+):(\d+)/v1$", self.output, re.MULTILINE)

        line = wait_until(announced, READY_SECONDS, f"the line with the address ({self.folder})")
        self.host, self.port = line.group(2), int(line.group(3))
        return self

    def wait_until_ready(self, seconds=READY_SECONDS):
        """Waits until /readyz says 200."""
        wait_until(lambda: self.get("/readyz")[0] == 200, seconds, f"readiness (log: {self.log[-2000:]})")
        return self

    def start(self):
        self.launch().wait_for_port().wait_until_ready()
        self.runners()
        return self

    def stop(self):
        """SIGTERM; asserts that the process ends in time and in order, and takes its runners along."""
        if self.process is None:
            return
        self.runners()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.destroy()
            raise AssertionError(f"the node still ran {STOP_SECONDS} s after SIGTERM: {self.log[-2000:]}") from None
        survivors = self.surviving_runners()
        self.destroy()
        assert not survivors, f"runners {survivors} survived their node"
        assert code == 0, f"the node ended with {code}: {self.log[-2000:]}"

    def destroy(self):
        """Ends everything of this node by force, for tests that have failed already."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        table = processes()
        runners = self.surviving_runners()
        # A crashed runner may have a child that describes the crash.
        for pid in runners + [process.pid for process in table.values() if process.parent in runners]:
            os.kill(pid, signal.SIGKILL)

    def stop_and_start_again(self):
        """A fresh process with the same arguments, for tests that left the old one in an unknown state."""
        self.destroy()
        return self.start()

    # Looking at it

    @property
    def output(self):
        return (self.folder / "stdout").read_text()

    @property
    def log(self):
        return (self.folder / "stderr").read_text(errors="replace")

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def runners(self):
        """Process ids of the runners that are children of this node, in the order of their start."""
        found = [p.pid for p in processes().values() if p.parent == self.process.pid and p.is_runner]
        self.known_runners.update(found)
        return sorted(found)

    def sockets(self):
        """Paths of the Unix sockets this node's runners listen on, with the runner's process id. Linux only."""
        listening = {}
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) == 8 and fields[3] == "00010000":
                listening[f"socket:[{fields[6]}]"] = fields[7]
        found = {}
        for pid in self.runners():
            for entry in os.scandir(f"/proc/{pid}/fd"):
                path = listening.get(os.readlink(entry.path))
                if path:
                    found[path] = pid
        return found

    def runner_of_stage(self, stage):
        """Process id of the runner of a stage, told by the socket it listens on: FOLDER/EPOCH-STAGE.sock."""
        [pid] = [pid for path, pid in self.sockets().items() if path.endswith(f"-{stage}.sock")]
        return pid

    def surviving_runners(self):
        """Runners of this node that still run, whoever is their parent now."""
        table = processes()
        return sorted(pid for pid in self.known_runners if pid in table and table[pid].is_runner)

    def get(self, path, seconds=10):
        """(status, body) of a GET; (0, reason) when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=seconds) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name):
        """One number of /metrics."""
        status, text = self.get("/metrics")
        assert status == 200, f"/metrics answers {status}: {text}"
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        assert values, f"/metrics has no {name}: {text}"
        return sum(float(value) for value in values)

    def wait_until_idle(self, seconds=10):
        """Waits until no request owns a lane or waits for one."""
        names = ["skein_lanes_in_use", "skein_requests_active", "skein_requests_queued"]
        wait_until(lambda: all(self.metric(name) == 0 for name in names), seconds, "the end of all requests")
