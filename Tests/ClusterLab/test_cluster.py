"""One cluster through its life, in the order of this file: each test leaves all machines running and joined."""

import contextlib
import hashlib
import re
import shutil
import subprocess
import threading
import time

import pytest

from conftest import ids_of, settle
from lab import CLUSTER_PORT, Load, agreed_leader_of, leader_of, picture
from node import BINARY, wait_until
from questions import CAPITAL, CAPITAL_ANSWER, GOLDEN, STORY

COUNT = "Count from 3 to 12."

SPLIT = "split"
READY_SECONDS = 60


def wait_until_ready(machine, name=SPLIT, seconds=READY_SECONDS):
    wait_until(
        lambda: machine.deployment(name)["state"] == "ready", seconds,
        f"'{name}' ready on {machine.name}: {machine.deployment(name)}")


def nodes_of(machine, name=SPLIT):
    """Ids of the nodes that serve a deployment which is ready, in the order of its stages; none while it is not."""
    deployment = machine.deployment(name)
    active = [p for p in deployment["placements"] if p["phase"] == "active"]
    return [stage["node"] for stage in active[-1]["stages"]] if deployment["state"] == "ready" and active else []


def stage_machines(machines, asked, name=SPLIT):
    """The machines that serve a deployment, in the order of its stages, as one of them knows it once it is ready."""
    nodes = wait_until(lambda: nodes_of(asked, name), READY_SECONDS, f"'{name}' ready on {asked.name}")
    ids = {machine.id: machine for machine in machines}
    return [ids[node] for node in nodes]


def test_every_machine_is_a_member_and_sees_the_others(cluster):
    for machine in cluster:
        assert sorted(ids_of(machine)) == sorted(ids_of(cluster[0]))


def test_a_model_runs_in_three_stages_on_three_machines(cluster, figures):
    began = time.monotonic()
    cluster[1].deploy(name=SPLIT, model="skein-tiny", stages=3, context_tokens=1024)
    figures["plan to ready of the built-in model in 3 stages, seconds (target 3)"] = f"{time.monotonic() - began:.2f}"
    stages = cluster[1].deployment(SPLIT)["placements"][-1]["stages"]
    assert len({stage["node"] for stage in stages}) == 3
    assert [(s["first_layer"], s["end_layer"]) for s in stages] == [
        (a, b) for a, b in zip([0] + [s["end_layer"] for s in stages][:-1], [s["end_layer"] for s in stages])]


def test_every_machine_answers(cluster):
    for machine in cluster:
        wait_until_ready(machine)
        assert machine.chat(SPLIT, CAPITAL, max_tokens=40) == CAPITAL_ANSWER


def test_the_split_model_answers_as_the_whole_one(cluster):
    """The founder serves the whole model beside it."""
    whole = cluster[0].chat("skein-tiny", STORY, max_tokens=64, seed=1)
    for machine in cluster:
        assert machine.chat(SPLIT, STORY, max_tokens=64, seed=1) == whole


def test_every_machine_tells_what_a_model_makes_of_a_text(cluster):
    """Also those that hold none of its stages."""
    asked = [
        ("/tokenize", {"content": "你好 world", "with_pieces": True}), ("/detokenize", {"tokens": [300, 301]}),
        ("/apply-template", {"messages": [{"role": "user", "content": CAPITAL}]})]
    for path, body in asked:
        status, whole = cluster[0].ask("POST", path, body | {"model": "skein-tiny"})
        assert status == 200, whole
        for machine in cluster:
            assert machine.ask("POST", path, body | {"model": SPLIT}) == (200, whole), (machine.name, path)


def test_a_model_file_of_one_machine_runs_on_the_others(cluster, tmp_path):
    """The others fetch the layers they need, and only those."""
    owner, others = cluster[3], cluster[:3]
    path = tmp_path / "deep.gguf"
    subprocess.run([str(BINARY), "gguf", "synth", str(path), "--shape", "qwen3", "--layers", "6"], check=True)
    others_ids = [machine.id for machine in others]
    owner.deploy(name="fetched", model=str(path), stages=3, pinned=others_ids, context_tokens=512)
    for machine in cluster:
        wait_until_ready(machine, "fetched")
    texts = {machine.chat("fetched", CAPITAL, max_tokens=8, seed=1) for machine in cluster}
    assert len(texts) == 1
    assert set(nodes_of(owner, "fetched")) == set(others_ids)
    assert owner.ask("DELETE", "/cluster/v1/deployments/fetched")[0] == 200
    wait_until(lambda: owner.deployment("fetched")["state"] == "gone", 30, "the deployment is gone")


def test_a_model_sees_wherever_its_first_stage_runs(cluster, tmp_path):
    """One machine has the projector; the one that runs the first stage fetches it, and so does the next one."""
    owner, others = cluster[3], cluster[:3]
    path = tmp_path / "mmproj.gguf"
    subprocess.run([str(BINARY), "gguf", "synth", "--projector", "--width", "256", str(path)], check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ids = {machine.id: machine for machine in others}
    owner.deploy(
        name="seeing", model="skein-tiny", stages=2, pinned=list(ids), context_tokens=1024, projector=str(path),
        draft="off")
    for machine in cluster:
        wait_until_ready(machine, "seeing")
    answers = {machine.look("seeing", picture()) for machine in cluster}
    assert len(answers) == 1, answers
    entry = stage_machines(others, owner, "seeing")[0]
    assert entry.has_fetched(digest) and not owner.has_fetched(digest)
    # Its machine dies: another one fetches the projector, and sees the same.
    entry.kill()
    rest = [machine for machine in cluster if machine is not entry]

    def goes_on(machine):
        nodes = nodes_of(machine, "seeing")
        return nodes and entry is not ids[nodes[0]]

    wait_until(lambda: all(goes_on(machine) for machine in rest), READY_SECONDS, "another placement")
    assert {machine.look("seeing", picture()) for machine in rest} == answers
    assert ids[nodes_of(owner, "seeing")[0]].has_fetched(digest)
    entry.launch("join").wait_for_api()
    settle(cluster)
    assert owner.ask("DELETE", "/cluster/v1/deployments/seeing")[0] == 200
    wait_until(lambda: owner.deployment("seeing")["state"] == "gone", 30, "the deployment is gone")


def test_the_death_of_the_leader_disturbs_nobody(cluster, figures):
    leader = agreed_leader_of(cluster)
    others = [machine for machine in cluster if machine is not leader]
    pinned = [machine.id for machine in others]
    others[0].deploy(name=SPLIT, model="skein-tiny", stages=3, context_tokens=1024, pinned=pinned)
    wait_until(
        lambda: all(set(nodes_of(m)) == set(pinned) for m in others), READY_SECONDS, "the split model on the others")
    loads = [Load(machine, SPLIT, COUNT, max_tokens=60) for machine in others]
    with contextlib.ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        wait_until(lambda: all(len(load.answers) >= 2 for load in loads), 60, "answers before the leader is killed")
        leader.kill()
        began = time.monotonic()
        wait_until(lambda: leader_of(others) is not None, 30, "another leader")
        figures["failover of the leader, seconds (target 2)"] = f"{time.monotonic() - began:.2f}"
        before = [len(load.answers) for load in loads]
        wait_until(lambda: all(len(l.answers) >= b + 2 for l, b in zip(loads, before)), 60, "answers after it")
    leader.launch("join").wait_for_api()
    assert [load.failures for load in loads] == [[], [], []]
    assert {text for load in loads for text in load.answers} == {GOLDEN[COUNT]}
    settle(cluster)


def test_a_killed_worker_is_replaced(cluster, figures):
    leader = agreed_leader_of(cluster)
    leader.deploy(name=SPLIT, model="skein-tiny", stages=3, context_tokens=1024)
    victim = next(machine for machine in stage_machines(cluster, leader) if machine is not leader)
    others = [machine for machine in cluster if machine is not victim]
    dead = victim.id
    victim.kill()
    began = time.monotonic()
    wait_until(
        lambda: any(n["id"] == dead and n["liveness"] == "dead" for n in leader.state["nodes"]), 10, "its death known")
    figures["death of a process known, seconds (target 0.25)"] = f"{time.monotonic() - began:.2f}"
    wait_until(
        lambda: (nodes := nodes_of(leader)) and dead not in nodes, READY_SECONDS, "another placement")
    figures["killed worker replaced, seconds"] = f"{time.monotonic() - began:.2f}"
    for machine in others:
        wait_until_ready(machine)
        assert machine.chat(SPLIT, CAPITAL, max_tokens=40) == CAPITAL_ANSWER
    victim.launch("join").wait_for_api()
    settle(cluster)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_an_answer_goes_on_when_a_machine_dies(cluster, figures, stage):
    """Whichever stage is lost, the client sees a pause, and then the rest of the answer."""
    victim = stage_machines(cluster, cluster[0])[stage]
    asked = next(machine for machine in cluster if machine is not victim)
    stream = asked.client.chat.completions.create(
        model=SPLIT, messages=[{"role": "user", "content": STORY}], temperature=0, max_tokens=400, stream=True,
        extra_body={"ignore_eos": True})
    text, began, paused, finish = "", None, 0.0, None
    for chunk in stream:
        if began is not None:
            paused = max(paused, time.monotonic() - began)
            began = time.monotonic()
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
        if began is None and len(text) > 100:
            victim.kill()
            began = time.monotonic()
    assert text.startswith("Once upon a time") and finish == "length", (finish, text)
    assert len(text) > 400
    figures[f"pause of an answer whose stage {stage} died, seconds"] = f"{paused:.2f}"
    victim.launch("join").wait_for_api()
    settle(cluster)
    wait_until_ready(asked)


def test_a_pulled_cable_is_noticed(cluster, figures):
    leader = agreed_leader_of(cluster)
    victim = next(machine for machine in cluster if machine is not leader)
    dead = victim.id
    victim.unplug()
    began = time.monotonic()
    wait_until(
        lambda: any(n["id"] == dead and n["liveness"] == "dead" for n in leader.state["nodes"]), 20, "its death known")
    figures["pulled cable known, seconds (target 3)"] = f"{time.monotonic() - began:.2f}"
    victim.plug_in()
    settle(cluster)
    wait_until_ready(leader)


def test_a_partition_heals(cluster, switch):
    leader = agreed_leader_of(cluster)

    def voters():
        """Who votes, when it is as many as a cluster of four wants: two of them are a majority."""
        known = leader.state["leadership"].get("voters", [])
        return known if len(known) == 3 else None

    ids = wait_until(voters, 30, "three voters")
    friend = next(m for m in cluster if m is not leader and m.id in ids)
    far = [m for m in cluster if m is not leader and m is not friend]
    switch.part(far)
    try:
        wait_until(
            lambda: all(
                any(n["id"] == m.state.get("node") and n["liveness"] == "dead" for n in leader.state["nodes"])
                for m in far), 30, "the far side dead for the near one")
        # The side with most of the voters decides; the other one says that it does so alone, or not at all.
        status, body = leader.ask("POST", "/cluster/v1/deployments", {"name": "during", "model": "skein-tiny",
            "context_tokens": 512})
        assert status in (200, 202), body
        wait_until_ready(leader, "during")
        assert leader.chat("during", CAPITAL, max_tokens=40) == CAPITAL_ANSWER
        for machine in far:
            assert machine.get("/healthz") is not None
    finally:
        switch.heal(far)
    settle(cluster)
    for machine in cluster:
        wait_until_ready(machine, "during")
        wait_until_ready(machine)
        assert machine.chat(SPLIT, CAPITAL, max_tokens=40) == CAPITAL_ANSWER
    wait_until(lambda: len({m.state["index"] for m in cluster}) == 1, 30, "the same state everywhere")
    assert leader.ask("DELETE", "/cluster/v1/deployments/during")[0] == 200


def test_a_full_restart_restores_what_was_deployed(cluster):
    stoppers = [threading.Thread(target=machine.stop) for machine in cluster]
    for thread in stoppers:
        thread.start()
    for thread in stoppers:
        thread.join()
    for machine in cluster:
        machine.launch("join")
    for machine in cluster:
        machine.wait_for_api()
    settle(cluster)
    for machine in cluster:
        wait_until_ready(machine)
        assert machine.chat(SPLIT, CAPITAL, max_tokens=40) == CAPITAL_ANSWER


def test_a_rolling_restart_keeps_answering(cluster, figures):
    """Whoever is asked answers all the time; a placement on the machine that restarts is made anew meanwhile."""
    asked = cluster[0]
    failures = []
    for machine in cluster[1:]:
        with Load(asked, SPLIT, CAPITAL, max_tokens=12) as load:
            wait_until(lambda: load.answers, 30, "an answer before")
            machine.stop()
            machine.launch("join").wait_for_api()
            settle(cluster)
            wait_until_ready(asked)
            before = len(load.answers)
            wait_until(lambda: len(load.answers) > before, 60, "an answer after")
        failures += load.failures
    figures["rolling restart of three machines: requests that failed"] = len(failures)
    for failure in failures:
        assert "stage_lost" in failure or "not_ready" in failure or "InternalServerError" in failure, failure


def test_wrong_tickets_are_refused_in_words(cluster, tmp_path):
    machine = cluster[3]

    def refused(ticket, code, words):
        done = subprocess.run(
            ["ip", "netns", "exec", machine.name, str(BINARY), "join", ticket, "--listen", "127.0.0.1:0",
             # Else a ticket whose addresses are wrong is mended by what this network tells.
             "--cluster-listen", f"{machine.data_address}:0", "--no-discovery"],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
            env={"SKEIN_HOME": str(tmp_path / f"data{code}"), "XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin"})
        assert done.returncode == code, (done.returncode, done.stderr)
        assert words in done.stderr, done.stderr

    good = cluster[0].create_ticket(uses=1)
    where, authority, secret = good.rsplit(":", 2)
    turned = "".join(reversed(secret[:-1])) + secret[-1]
    refused(f"{where}:{authority}:{turned}", 26, "token")
    refused(f"{where}:{'0' * 64}:{secret}", 22, "certificate")
    refused(re.sub(rf":{CLUSTER_PORT}", ":9", f"{where}:{authority}:{secret}"), 21, "refused")
    refused("skein1:nonsense", 2, "ticket")
    identity = cluster[0].get("/cluster/v1/tokens")
    token = next(t for t in identity["tokens"] if t["state"] == "valid")
    assert cluster[0].ask("DELETE", f"/cluster/v1/tokens/{token['id']}")[0] in (200, 204)
    refused(good, 29, "revoked")


def test_a_removed_machine_is_talked_to_no_more(cluster):
    gone = cluster[3]
    others = cluster[:3]
    id = gone.id
    status, body = others[0].ask("DELETE", f"/cluster/v1/nodes/{id}")
    assert status == 200, body
    wait_until(lambda: all(id not in ids_of(machine) for machine in others), 30, "it is no member any more")
    for machine in others:
        wait_until_ready(machine)
        assert machine.chat(SPLIT, CAPITAL, max_tokens=40) == CAPITAL_ANSWER
    # Its own API still answers, and it cannot come back under its old name.
    assert gone.get("/healthz") is not None
    gone.stop()
    gone.launch("join").wait_for_api()
    time_over = time.monotonic() + 3
    while time.monotonic() < time_over:
        assert id not in ids_of(others[0])
        time.sleep(0.2)
    gone.stop()
    # Without what it knew it is a new machine, and welcome.
    shutil.rmtree(gone.folder / "data")
    gone.launch("join", others[0].create_ticket(uses=1)).wait_for_api()
    settle(cluster)
    assert gone.id != id


def test_a_node_that_does_nothing_costs_little(cluster, figures):
    machine = cluster[2]
    for name in [d["name"] for d in machine.state["deployments"]]:
        assert machine.ask("DELETE", f"/cluster/v1/deployments/{name}")[0] == 200
    wait_until(lambda: not machine.state["deployments"] and not machine.runners, 30, "an empty node")
    pid = machine.process.pid
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(5)
    share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
    resident = int(open(f"/proc/{pid}/statm").read().split()[1]) * 4096 / 1e6
    figures["idle node: share of a core (target 0.01)"] = f"{share:.4f}"
    figures["idle node: resident MB (target 80)"] = f"{resident:.0f}"
    assert share < 0.05 and resident < 160


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
