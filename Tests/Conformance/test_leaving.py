"""Machines that join, leave and join again, as processes on loopback."""

import json
import os
import re
import signal
import subprocess

import pytest

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
                [BINARY, *command, "--listen", "127.0.0.1:0", *CLUSTER], stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, env=self.environment)

        def announced():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log}"
            return re.search(r" at http://127\.0\.0\.1:(\d+)/v1$", (self.folder / "stdout").read_text(), re.MULTILINE)

        self.port = int(wait_until(announced, READY_SECONDS, f"the line with the address: {self.log}").group(1))
        wait_until(lambda: self.state()["leadership"]["leader"], READY_SECONDS, f"a leader: {self.log}")
        return self

    @property
    def log(self):
        return (self.folder / "stderr").read_text()

    def run(self, *command):
        return subprocess.run(
            [BINARY, *command, "--node", f"http://127.0.0.1:{self.port}"], capture_output=True, text=True,
            timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, env=self.environment)

    def state(self):
        done = self.run("status", "--json")
        assert done.returncode == 0, (done.stderr, self.log)
        return json.loads(done.stdout)

    def ticket(self):
        done = self.run("token", "create")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def members(self):
        return {node["id"] for node in self.state()["nodes"]}

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)


@pytest.fixture
def machines(tmp_path):
    made = [Machine(tmp_path / name) for name in ("one", "two")]
    yield made
    for machine in made:
        if machine.process is not None and machine.process.poll() is None:
            machine.process.kill()
            machine.process.wait(STOP_SECONDS)


def test_a_machine_leaves_its_lone_cluster_by_joining_and_leaves_the_other_with_one_command(machines):
    one, two = machines
    one.start("serve")
    two.start("serve")
    lone = two.state()["node"]
    two.stop()

    two.start("join", one.ticket())
    assert "left the cluster of its own" in two.log
    first = two.state()["node"]
    assert first != lone
    wait_until(lambda: one.members() == {one.state()["node"], first}, READY_SECONDS, "two members")

    done = two.run("leave")
    assert done.returncode == 0, (done.stderr, two.log, one.log)
    assert "has left cluster" in done.stdout
    assert two.process.wait(STOP_SECONDS) == 0
    wait_until(lambda: one.members() == {one.state()["node"]}, READY_SECONDS, "one member")

    again = two.run("leave")
    assert again.returncode == 1 and "in no cluster" in again.stderr
    two.start("join", one.ticket())
    second = two.state()["node"]
    assert second not in (lone, first)
    wait_until(lambda: one.members() == {one.state()["node"], second}, READY_SECONDS, "two members again")


def test_the_founder_hands_over_and_leaves(machines):
    one, two = machines
    one.start("serve")
    two.start("join", one.ticket())
    founder, other = one.state()["node"], two.state()["node"]
    wait_until(lambda: two.members() == {founder, other}, READY_SECONDS, "two members")
    done = one.run("leave")
    assert done.returncode == 0, (done.stderr, one.log, two.log)
    wait_until(
        lambda: two.members() == {other} and two.state()["leadership"]["leader"] == other, READY_SECONDS,
        f"the other one alone: {two.log}")


def test_a_machine_that_is_needed_is_told_how_to_leave(machines):
    one, two = machines
    one.start("serve")
    two.start("serve")
    third = Machine(two.folder.parent / "three")
    try:
        third.start("join", two.ticket())
        two.stop()
        ticket = one.ticket()
        done = subprocess.run(
            [BINARY, "join", ticket, "--listen", "127.0.0.1:0", *CLUSTER], capture_output=True, text=True,
            timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, env=two.environment)
        assert done.returncode == 40 and "skein leave" in done.stderr, (done.returncode, done.stderr)
        # Nobody is there to be told; with force it goes all the same.
        done = two.run("leave")
        assert done.returncode == 3 and "--force" in done.stderr, (done.returncode, done.stderr)
        done = two.run("leave", "--force")
        assert done.returncode == 0, done.stderr
        two.start("join", ticket)
        assert two.state()["node"] in one.members()
    finally:
        if third.process is not None:
            third.process.kill()
            third.process.wait(STOP_SECONDS)


def test_a_memory_of_another_identity_is_set_aside(machines):
    one, _ = machines
    one.start("serve")
    old = one.state()["cluster"]
    one.stop()
    for file in (one.folder / "data" / "identity").iterdir():
        file.unlink()
    one.start("serve")
    assert one.state()["cluster"] != old
    assert "memory of another identity" in one.log
    assert (one.folder / "data" / "cluster.sqlite.foreign-1").exists()
