"""A model's own head for several tokens in a deployment: three nodes on loopback, of which one has the model's file."""

import re

import httpx
import openai
import pytest

from conftest import ANSWER_SECONDS, ask, some_start_guesses
from machine import Machine
from node import READY_SECONDS, wait_until
from test_speculation import HEADS, QUESTIONS

SERVE = ["--threads", 1, "--kept-prefixes", 0, "--draft", "off"]
OWN = HEADS.stem
# Starts of a deployment of which one guesses.
STARTS = 5


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    """A node that serves the model with a head, without guesses, and two that have joined it and have no file."""
    folder = tmp_path_factory.mktemp("heads")
    machines = [Machine(folder / name) for name in ("one", "two", "three")]
    one = machines[0]
    try:
        one.start("serve", HEADS, *SERVE)
        for machine in machines[1:]:
            machine.start("join", one.ticket(), *SERVE[:2])
        for machine in machines:
            wait_until(lambda: len(machine.members()) == 3, READY_SECONDS, "three members")
        wait_until(
            lambda: httpx.get(f"{one.url}/readyz", timeout=ANSWER_SECONDS).status_code == 200, READY_SECONDS,
            f"the model of one: {one.log}")
        yield machines
    finally:
        for machine in reversed(machines):
            machine.kill()


def answers(machine, model):
    client = openai.OpenAI(base_url=f"{machine.url}/v1", api_key="none", timeout=ANSWER_SECONDS)
    return [
        ask(client, question, model=model, max_tokens=60, **fields).choices[0].message.content
        for question in QUESTIONS for fields in [{"temperature": 0}, {"temperature": 0.8, "seed": 11}]]


def guessed(machines, what):
    """What the heads of all deployments guessed: only the node that runs an entry stage knows."""
    pattern = rf"^skein_speculation_mtp_{what}_total (\S+)$"
    told = [httpx.get(f"{machine.url}/metrics", timeout=ANSWER_SECONDS).text for machine in machines]
    return max(float(re.search(pattern, text, re.MULTILINE).group(1)) for text in told)


def guesses_of_a_deployment(trio, name, stages):
    """Deploys the model where its file is not, holds every node's answers against the file's, and returns how many
    tokens the head guessed for them."""
    one, two, three = trio
    founder = one.state()["node"]
    done = two.run(
        "deploy", OWN, "--name", name, "--ctx", 1024, "--stages", stages, "--draft", "mtp", "--exclude", founder,
        "--wait")
    assert done.returncode == 0, (done.stderr, two.log)
    for machine in (one, three):
        machine.catch_up_with(two)
    deployment = three.deployment(name)
    assert deployment["draft"] == "mtp"
    nodes = [stage["node"] for p in deployment["placements"] if p["phase"] == "active" for stage in p["stages"]]
    assert len(set(nodes)) == stages and founder not in nodes
    before = guessed(trio, "drafted")
    expected = answers(one, OWN)
    for machine in trio:
        assert answers(machine, name) == expected
    drafted = guessed(trio, "drafted") - before
    assert two.run("undeploy", name).returncode == 0
    return drafted


@pytest.mark.parametrize("stages", [1, 2])
def test_the_last_stage_guesses_where_only_its_layers_are(trio, stages):
    assert some_start_guesses(
        lambda start: guesses_of_a_deployment(trio, f"guessed-{stages}-{start}", stages) > 0, STARTS)


def test_the_plan_counts_the_head_on_the_last_stage(trio):
    _, two, _ = trio

    def plan(draft):
        answer = httpx.post(f"{two.url}/cluster/v1/plan", json={
            "model": OWN, "context_tokens": 1024, "stages": 2, "draft": draft}, timeout=ANSWER_SECONDS).json()
        assert answer["fits"], answer
        return answer["stages"][0]["end_layer"], [stage["bytes"] for stage in answer["stages"]]

    # Machines learn meanwhile how fast they are, and a plan that knows more may cut elsewhere.
    for _ in range(10):
        (cut, plain), (cut_with_head, with_head) = plan("off"), plan("mtp")
        if cut == cut_with_head:
            break
    assert cut == cut_with_head
    assert with_head[0] == plain[0] and with_head[1] > plain[1]


def test_a_model_without_a_head_is_refused_with_the_next_step(trio):
    one, two, _ = trio
    headless = str(HEADS).replace("-mtp", "")
    answer = httpx.post(
        f"{two.url}/cluster/v1/deployments", json={"model": headless, "name": "headless", "draft": "mtp"},
        timeout=ANSWER_SECONDS)
    assert answer.status_code == 400, answer.text
    sentence = answer.json()["error"]["message"]
    assert "no head for several tokens" in sentence and "Use auto, ngram, off or a draft model." in sentence
    assert one.deployment("headless") is None
