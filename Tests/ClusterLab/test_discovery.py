"""Machines that find each other by multicast DNS-SD; every test leaves the cluster as it was."""

import subprocess

import pytest

from conftest import ids_of, settle
from lab import CLUSTER_PORT, Machine, run
from node import BINARY, wait_until

WRONG_ADDRESS = "10.77.0.200"


def command(machine, *arguments, code=0):
    done = subprocess.run(
        ["ip", "netns", "exec", machine.name, str(BINARY), *arguments], capture_output=True, text=True, check=False,
        timeout=30, env={"SKEIN_HOME": str(machine.folder / "data"), "PATH": "/usr/bin:/bin",
                         "XDG_CACHE_HOME": str(machine.folder / "cache"),
                         "SKEIN_NODE": machine.url})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def newcomer(switch, cluster, tmp_path):
    machine = Machine(9, tmp_path / "m9")
    yield machine
    machine.destroy()
    # The kernel takes the links of a namespace away some time after it; the next test makes them anew at once.
    for prefix in "dk":
        run("ip", "link", "delete", f"{prefix}{machine.number}")
    run("ip", "netns", "delete", machine.name)


def test_a_ticket_with_wrong_addresses_leads_to_its_cluster(cluster, newcomer):
    parts = cluster[0].create_ticket().split(":")
    ticket = ":".join([parts[0], WRONG_ADDRESS, str(CLUSTER_PORT), parts[-2], parts[-1]])
    newcomer.launch("join", ticket).wait_for_api()
    wait_until(lambda: newcomer.state.get("node") in ids_of(cluster[0]), 30, "the newcomer is a member")
    assert "seen elsewhere on this network" in newcomer.log
    own = newcomer.id
    newcomer.stop()
    assert cluster[0].ask("DELETE", f"/cluster/v1/nodes/{own}")[0] == 200


def test_without_discovery_such_a_ticket_leads_nowhere(cluster, newcomer):
    parts = cluster[0].create_ticket().split(":")
    ticket = ":".join([parts[0], WRONG_ADDRESS, str(CLUSTER_PORT), parts[-2], parts[-1]])
    newcomer.launch("join", ticket, "--no-discovery")
    assert newcomer.process.wait(30) == 21


def test_a_machine_in_no_cluster_is_told_which_there_are(cluster, newcomer):
    newcomer.launch("join")
    assert newcomer.process.wait(30) != 0
    for word in ("Clusters on this machine's networks", "skein token create", cluster[0].state["cluster"], "m1"):
        assert word in newcomer.log


def test_nodes_are_listed_by_who_is_no_member(cluster, newcomer):
    text = command(newcomer, "nodes", "--discovered")
    for machine in cluster:
        assert machine.id in text and f"{machine.data_address}:{CLUSTER_PORT}" in text
    assert command(cluster[0], "nodes", "--discovered").count("yes") == len(cluster)


def test_members_that_all_changed_their_addresses_find_each_other(cluster):
    """Nobody remembers an address that is good for anything."""

    def move(offset):
        for machine in cluster:
            machine.stop()
        for machine in cluster:
            before, machine.data_address = machine.data_address, f"10.77.0.{offset + machine.number}"
            machine.ip("address", "del", f"{before}/24", "dev", f"d{machine.number}i")
            machine.ip("address", "add", f"{machine.data_address}/24", "dev", f"d{machine.number}i")
        for machine in cluster:
            machine.launch("join").wait_for_api()
        settle(cluster)

    move(100)
    wait_until(
        lambda: all(
            any(f"10.77.0.{100 + m.number}:{CLUSTER_PORT}" in n["addresses"] for n in cluster[0].state["nodes"])
            for m in cluster),
        30, "the new addresses in the log")
    move(0)


def test_another_implementation_sees_our_nodes_and_is_seen(cluster):
    zeroconf = pytest.importorskip("zeroconf", reason="the environment has no zeroconf")
    settle(cluster)
    run("ip", "address", "add", "10.77.0.254/24", "dev", "left")
    try:
        peer = zeroconf.Zeroconf(interfaces=["10.77.0.254"])
        try:
            found = {}

            class Listener(zeroconf.ServiceListener):
                def add_service(self, browser, kind, name):
                    info = peer.get_service_info(kind, name, 3000)
                    if info is not None:
                        found[info.properties[b"node"].decode()] = info

                update_service = add_service

                def remove_service(self, browser, kind, name):
                    pass

            zeroconf.ServiceBrowser(peer, "_skein._tcp.local.", Listener())
            wait_until(lambda: {m.id for m in cluster} <= set(found), 20, f"our nodes in {list(found)}")
            for machine in cluster:
                info = found[machine.id]
                assert info.port == CLUSTER_PORT
                assert machine.data_address in info.parsed_addresses()
                assert info.properties[b"cluster"].decode() == machine.state["cluster"]
            strange = "00000000000000ab"
            peer.register_service(
                zeroconf.ServiceInfo(
                    "_skein._tcp.local.", "stranger._skein._tcp.local.", port=7777,
                    parsed_addresses=["10.77.0.254"], server="stranger.local.",
                    properties={
                        "txtvers": "1", "cluster": strange, "ca": "ab" * 32, "node": strange, "name": "stranger",
                        "proto": "1"}))
            text = command(cluster[0], "nodes", "--discovered")
            assert strange in text and "10.77.0.254:7777" in text
        finally:
            peer.close()
    finally:
        run("ip", "address", "del", "10.77.0.254/24", "dev", "left")
