"""Fixtures: four machines on a switch, and a cluster of them that lives as long as the run."""

import time

import pytest

from lab import Machine, Switch, leader_of
from node import BINARY, wait_until

MACHINES = 4


def pytest_sessionstart(session):
    if not BINARY.is_file():
        pytest.exit(f"there is no binary at {BINARY}; build it or name one with SKEIN_BIN", returncode=2)


@pytest.fixture(scope="session")
def figures():
    """Numbers worth telling, printed at the end of the run."""
    told = {}
    yield told
    print("\n" + "\n".join(f"  {name}: {value}" for name, value in told.items()))


@pytest.fixture(scope="session")
def switch():
    return Switch()


@pytest.fixture(scope="session")
def machines(switch, tmp_path_factory):
    made = [Machine(number, tmp_path_factory.mktemp(f"m{number}")) for number in range(1, MACHINES + 1)]
    yield made
    for machine in made:
        machine.destroy()


@pytest.fixture(scope="session")
def cluster(machines, figures):
    """The machines as one cluster: the first founds it, the others join by one ticket."""
    first, others = machines[0], machines[1:]
    first.launch("serve").wait_for_api()
    ticket = first.create_ticket(uses=len(others))
    times = []
    for machine in others:
        began = time.monotonic()
        machine.launch("join", ticket).wait_for_api()
        wait_until(lambda m=machine: m.state.get("node") in ids_of(first), 30, f"{machine.name} is a member")
        times.append(time.monotonic() - began)
    figures["join, seconds from starting the process to being a member (target 2)"] = (
        f"median {sorted(times)[len(times) // 2]:.2f}, worst {max(times):.2f}")
    settle(machines)
    return machines


def ids_of(machine):
    return [node["id"] for node in machine.state["nodes"]]


def settle(machines, seconds=60):
    """Waits until all of these agree on a leader and see each other alive."""

    def is_settled():
        if leader_of(machines) is None:
            return False
        own = {machine.state.get("node") for machine in machines}
        return all(
            own <= {node["id"] for node in machine.state["nodes"] if node["liveness"] == "alive"}
            for machine in machines)

    wait_until(is_settled, seconds, f"agreement: {[machine.state['leadership'] for machine in machines]}")
