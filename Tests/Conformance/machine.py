"""A machine of a cluster on loopback: a data directory, and the node that has it at the moment."""

import json
import os
import re
import signal
import subprocess

from node import BINARY, READY_SECONDS, STOP_SECONDS, wait_until

CLUSTER = ["--cluster-listen", "127.0.0.1:0", "--advertise", "127.0.0.1"]
COMMAND_SECONDS = 60


class Machine:
    """A data directory, and the process that has it at the moment."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.process, self.port = None, None
        self.environment = dict(
            os.environ, XDG_CACHE_HOME=str(folder / "cache"), SKEIN_HOME=str(folder / "data"))

    def start(self, *command):
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                [BINARY, *map(str, command), "--listen", "127.0.0.1:0", *CLUSTER], stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, env=self.environment)

        def announced():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log}"
            return re.search(r" at http://127\.0\.0\.1:(\d+)/v1$", (self.folder / "stdout").read_text(), re.MULTILINE)

        self.port = int(wait_until(announced, READY_SECONDS, f"the line with the address: {self.log}").group(1))
        wait_until(self.leader, READY_SECONDS, f"a leader: {self.log}")
        return self

    def leader(self):
        """Who leads as far as this machine knows, or None: it does not know at its start or while voters vote."""
        return self.state()["leadership"].get("leader")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        return (self.folder / "stderr").read_text()

    def run(self, *command):
        return subprocess.run(
            [BINARY, *map(str, command), "--node", self.url], capture_output=True, text=True,
            timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, env=self.environment)

    def state(self):
        done = self.run("status", "--json")
        assert done.returncode == 0, (done.stderr, self.log)
        return json.loads(done.stdout)

    def ticket(self):
        done = self.run("token", "create")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def deployment(self, name):
        return next((d for d in self.state()["deployments"] if d["name"] == name), None)

    def catch_up_with(self, other):
        """Waits until this machine knows what was decided as far as the other one knows it now."""
        index = other.state()["index"]
        wait_until(lambda: self.state()["index"] >= index, READY_SECONDS, f"entry {index} here: {self.log}")

    def members(self):
        return {node["id"] for node in self.state()["nodes"]}

    def kill(self):
        """Ends the node by force, for the end of a test."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)
