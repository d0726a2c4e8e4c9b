"""Images for deployments of a cluster: two nodes on loopback, of which one has the projector."""

import hashlib
import subprocess

import httpx
import pytest

from conftest import ANSWER_SECONDS
from machine import Machine
from node import BINARY, MODEL_NAME, READY_SECONDS, wait_until
from test_images import DIALECTS, RED, REFUSALS, STRIPES, of_openai

SERVE = ["--threads", 1, "--kept-prefixes", 0]


def synthesise(path, width):
    subprocess.run([BINARY, "gguf", "synth", "--projector", "--width", str(width), str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def projector(tmp_path_factory):
    return synthesise(tmp_path_factory.mktemp("eyes") / "mmproj-tiny.gguf", 256)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, projector):
    """A node that serves the built-in model with a projector, and one that has joined it and has no file at all."""
    folder = tmp_path_factory.mktemp("pair")
    one, two = Machine(folder / "one"), Machine(folder / "two")
    try:
        one.start("serve", *SERVE, "--draft", "off", "--mmproj", projector)
        two.start("join", one.ticket(), *SERVE[:2])
        wait_until(lambda: len(two.members()) == len(one.members()) == 2, READY_SECONDS, "two members")
        wait_until(
            lambda: httpx.get(f"{one.url}/readyz", timeout=ANSWER_SECONDS).status_code == 200, READY_SECONDS,
            f"the model of one: {one.log}")
        yield one, two
    finally:
        for machine in (two, one):
            machine.kill()


def deploy(pair, machine, *arguments, name="seen"):
    done = machine.run(
        "deploy", MODEL_NAME, "--name", name, "--ctx", 1024, "--draft", "off", "--wait", *arguments)
    assert done.returncode == 0, (done.stderr, machine.log)
    for other in pair:
        other.catch_up_with(machine)
    return machine.deployment(name)


def stages(deployment):
    return next(p for p in deployment["placements"] if p["phase"] == "active")["stages"]


def fetched(machine, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return (machine.folder / "cache" / "skein" / "models" / f"{digest}.gguf").exists()


def sees(machine, name):
    models = httpx.get(f"{machine.url}/v1/models", timeout=ANSWER_SECONDS).json()["data"]
    return next(model["meta"]["sees"] for model in models if model["id"] == name)


def test_a_model_that_is_served_with_a_projector_keeps_it_in_the_cluster(pair, projector):
    one, two = pair
    digest = hashlib.sha256(projector.read_bytes()).hexdigest()
    whole = [of_openai(one, file, False) for file in (STRIPES, RED)]
    # The one that is asked knows nothing of the projector; it asks who has the model.
    deployment = deploy(pair, two, "--stages", 2)
    assert deployment["projector"] == digest
    parts = stages(deployment)
    assert len({stage["node"] for stage in parts}) == 2
    assert parts[0]["projector_bytes"] > projector.stat().st_size and "projector_bytes" not in parts[1]
    assert parts[0]["bytes"] > parts[0]["projector_bytes"]
    for machine in pair:
        assert sees(machine, "seen")
        assert [of_openai(machine, file, False, "seen") for file in (STRIPES, RED)] == whole
        for dialect in DIALECTS:
            assert dialect(machine, STRIPES, True, "seen")[0] == dialect(machine, STRIPES, False, "seen")[0]


def test_another_entry_node_fetches_the_projector(pair, projector):
    one, two = pair
    founder, other = one.state()["node"], two.state()["node"]
    digest = hashlib.sha256(projector.read_bytes()).hexdigest()
    answers = {}
    # By its path the file would be at hand on both: they share this machine's disk.
    for machine, pinned, eyes in ((one, founder, projector), (two, other, digest), (one, founder, projector)):
        parts = stages(deploy(pair, machine, "--stages", 1, "--pin", pinned, "--mmproj", eyes))
        assert [stage["node"] for stage in parts] == [pinned]
        answers[pinned] = [of_openai(asked, STRIPES, False, "seen") for asked in pair]
    assert len({answer for pair in answers.values() for answer in pair}) == 1
    assert fetched(two, projector) and not fetched(one, projector)
    # A node that has fetched it names it by its content.
    assert deploy(pair, two, "--mmproj", digest)["projector"] == digest
    assert deploy(pair, two, "--mmproj", "mmproj-tiny")["projector"] == digest


def test_the_plan_says_what_the_projector_takes(pair, projector):
    _, two = pair
    plans = {}
    for eyes in ("off", "auto"):
        answer = httpx.post(f"{two.url}/cluster/v1/plan", json={
            "model": MODEL_NAME, "context_tokens": 1024, "stages": 1, "projector": eyes}, timeout=ANSWER_SECONDS)
        assert answer.json()["fits"], answer.text
        plans[eyes] = answer.json()["stages"][0]
    share = plans["auto"]["projector_bytes"]
    assert "projector_bytes" not in plans["off"] and share > 0
    assert plans["auto"]["bytes"] == plans["off"]["bytes"] + share


def test_without_a_projector_every_dialect_says_so(pair):
    one, two = pair
    assert "projector" not in deploy(pair, one, "--mmproj", "off", name="blind")
    for machine in pair:
        assert not sees(machine, "blind")
        for dialect in DIALECTS:
            for stream in (False, True):
                with pytest.raises(REFUSALS) as refusal:
                    dialect(machine, STRIPES, stream, "blind")
                assert refusal.value.status_code == 400
                assert "projector" in str(refusal.value)
    assert two.run("undeploy", "blind").returncode == 0


def test_what_cannot_be_is_refused_with_the_reason(pair, tmp_path):
    one, two = pair
    wide = synthesise(tmp_path / "wide.gguf", 320)
    model = next((one.folder / "cache" / "skein").rglob("skein-tiny-q8_0.gguf"))
    for projector, status, words in [
        (str(wide), 400, ["256", "320"]), (str(model), 400, ["not a projector"]),
        ("nobody", 404, ["nobody", "mmproj-tiny"]), (str(tmp_path / "none.gguf"), 404, ["none.gguf"]),
        ("0f" * 32, 404, ["0f0f"]),
    ]:
        body = {"model": MODEL_NAME, "name": "other", "projector": projector}
        answer = httpx.post(f"{two.url}/cluster/v1/deployments", json=body, timeout=ANSWER_SECONDS)
        assert answer.status_code == status, (projector, answer.text)
        for word in words:
            assert word in answer.json()["error"]["message"], answer.text
        plan = httpx.post(f"{two.url}/cluster/v1/plan", json=body, timeout=ANSWER_SECONDS).json()
        assert plan["fits"] is False and words[0] in plan["reason"], plan
    assert one.deployment("other") is None
    # Projectors are no models.
    known = httpx.get(f"{two.url}/cluster/v1/models", timeout=ANSWER_SECONDS).json()["models"]
    names = [model["name"] for model in known]
    assert "mmproj-tiny" not in names and "wide" not in names, names
