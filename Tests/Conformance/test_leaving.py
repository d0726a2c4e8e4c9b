"""Machines that join, leave and join again, as processes on loopback."""

import subprocess

import pytest

from machine import CLUSTER, COMMAND_SECONDS, Machine
from node import BINARY, READY_SECONDS, STOP_SECONDS, wait_until


@pytest.fixture
def machines(tmp_path):
    made = [Machine(tmp_path / name) for name in ("one", "two")]
    yield made
    for machine in made:
        machine.kill()


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
        lambda: two.members() == {other} and two.leader() == other, READY_SECONDS,
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
        third.kill()


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
