"""Models that go to sleep, wake, and are deployed by first requests; each test leaves nothing deployed."""

import json
import threading
import urllib.request

import pytest

from lab import ANSWER_SECONDS
from node import wait_until
from questions import CAPITAL, CAPITAL_ANSWER

NAP = "nap"
#: Telemetry comes every five seconds, and a busy machine takes its time.
ASLEEP_SECONDS = 40


@pytest.fixture
def tidy(cluster):
    """What a test deployed is gone afterwards, and nobody is drained."""
    yield
    first = cluster[0]
    for node in first.state["nodes"]:
        if node["draining"]:
            first.ask("POST", f"/cluster/v1/nodes/{node['id']}/drain", {"drain": False})
    for name in (NAP, "skein-tiny"):
        first.ask("DELETE", f"/cluster/v1/deployments/{name}")
    wait_until(
        lambda: all(m.deployment(n)["state"] == "gone" for m in cluster for n in (NAP, "skein-tiny")), 30, "tidiness")


def state_of(machine, name):
    return machine.deployment(name)["state"]


def active_epochs(machine, name):
    """Without those that drain, which may be of a deployment that had the name before."""
    return [p["epoch"] for p in machine.deployment(name)["placements"] if p["phase"] == "active"]


def model_state(machine, name):
    models = wait_until(lambda: machine.get("/v1/models"), 30, f"the models of {machine.name}")["data"]
    return next((model["meta"]["state"] for model in models if model["id"] == name), None)


def stream(machine, model):
    """The raw bytes of a streamed answer, as text."""
    body = {"model": model, "stream": True, "temperature": 0, "max_tokens": 40,
        "messages": [{"role": "user", "content": CAPITAL}]}
    request = urllib.request.Request(
        f"{machine.url}/v1/chat/completions", data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return answer.read().decode()


def text_of(events):
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_an_idle_model_is_unloaded_and_a_request_to_any_machine_wakes_it(cluster, tidy):
    owner, others = cluster[0], cluster[1:]
    owner.deploy(name=NAP, model="skein-tiny", stages=2, context_tokens=512, keep_alive_seconds=2)
    assert owner.chat(NAP, CAPITAL, max_tokens=40) == CAPITAL_ANSWER
    for machine in others:
        wait_until(lambda: state_of(machine, NAP) == "sleeping", ASLEEP_SECONDS, f"sleep: {machine.deployment(NAP)}")
        deployment = machine.deployment(NAP)
        assert "next request wakes it" in deployment["reason"]
        wait_until(lambda: not machine.deployment(NAP)["placements"], 30, "stages are freed")
        assert model_state(machine, NAP) == "sleeping"
        events = stream(machine, NAP)
        assert text_of(events) == CAPITAL_ANSWER, events
        assert f": loading model {NAP}: stage" in events or f": fetching model {NAP}: stage" in events, events
        assert events.index(": ") < events.index("data: "), "progress comes before the answer"


def test_a_busy_model_is_not_unloaded(cluster, tidy):
    cluster[1].deploy(name=NAP, model="skein-tiny", stages=2, context_tokens=512, keep_alive_seconds=60)
    epochs = active_epochs(cluster[1], NAP)
    for time in ("90s", -1):
        status, answer = cluster[2].ask(
            "POST", "/api/generate", {"model": NAP, "prompt": "Hi", "stream": False, "keep_alive": time,
                "options": {"num_predict": 4}})
        assert status == 200, answer
        wanted = {"90s": 90, -1: None}[time]
        wait_until(lambda: cluster[3].deployment(NAP).get("keep_alive_seconds") == wanted, 30, f"keep-alive {time}")
    # Another time is no reason to load it again.
    assert active_epochs(cluster[1], NAP) == epochs
    status, answer = cluster[3].ask("POST", "/api/generate", {"model": NAP, "keep_alive": 0, "stream": False})
    assert (status, answer["done_reason"]) == (200, "unload")
    wait_until(lambda: state_of(cluster[0], NAP) == "sleeping", 30, "unloaded at once")


def test_a_hundred_first_requests_make_one_deployment(cluster, tidy):
    """The founder serves this model by itself; of the others it is only in the library."""
    others = cluster[1:]
    assert {model_state(machine, "skein-tiny") for machine in others} == {"available"}
    texts, failures = [], []

    def ask(machine):
        try:
            texts.append(machine.chat("skein-tiny", CAPITAL, max_tokens=8))
        except Exception as error:  # Each failure is told below.
            failures.append(repr(error))

    threads = [threading.Thread(target=ask, args=(others[number % 3],)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One replica has four lanes and 32 places in its queue: who comes behind them is told to come back.
    assert [failure for failure in failures if "The server is busy" not in failure] == []
    assert len(texts) >= 36 and len(set(texts)) == 1
    made = [d for d in others[0].state["deployments"] if d["name"] == "skein-tiny"]
    assert len(made) == 1 and len(made[0]["placements"]) == 1, made
    assert made[0]["automatic"] is True and made[0]["keep_alive_seconds"] == 300
    # What only a request wished for is forgotten when it is unloaded.
    status, answer = others[1].ask("POST", "/api/chat", {"model": "skein-tiny", "keep_alive": 0, "stream": False})
    assert (status, answer["done_reason"]) == (200, "unload")
    wait_until(lambda: state_of(others[0], "skein-tiny") == "gone", 30, "the deployment is forgotten")


@pytest.mark.parametrize("path, body", [
    ("/v1/embeddings", {"input": ["a", "b", "c", "d", "e", "f"]}), ("/api/embed", {"input": "a"}),
    ("/tokenize", {"content": "a"}),
])
def test_vectors_and_tokens_are_first_requests_too(cluster, tidy, path, body):
    asked = cluster[2]
    assert model_state(asked, "skein-tiny") == "available"
    status, answer = asked.ask("POST", path, {"model": "skein-tiny"} | body)
    assert status == 200, answer
    assert asked.deployment("skein-tiny")["automatic"] is True
    # Six texts are one request: the model goes when the last one has its vector.
    status, answer = asked.ask("POST", "/api/embed", {"model": "skein-tiny", "input": list("abcdef"), "keep_alive": 0})
    assert status == 200 and len(answer["embeddings"]) == 6
    wait_until(lambda: state_of(asked, "skein-tiny") == "gone", 30, "unloaded and forgotten")


def test_a_first_request_for_what_does_not_fit_is_refused_before_the_first_byte(cluster, tidy):
    first, asked = cluster[0], cluster[1]
    for node in first.state["nodes"]:
        assert first.ask("POST", f"/cluster/v1/nodes/{node['id']}/drain")[0] == 200
    wait_until(lambda: all(n["draining"] for n in asked.state["nodes"]), 30, "everybody is drained")
    for is_stream in (False, True):
        status, body = asked.ask(
            "POST", "/v1/chat/completions", {"model": "skein-tiny", "stream": is_stream,
                "messages": [{"role": "user", "content": "Hi"}]})
        assert status == 503, body
        assert body["error"]["code"] == "model_not_ready"
        assert "draining" in body["error"]["message"], body


def test_nodes_tell_what_they_compute_on_and_deployments_ask_for_it(cluster, tidy):
    for node in cluster[0].state["nodes"]:
        assert "llama-cpu" in node["tags"]
        wait_until(
            lambda: all(any(d["compute"] == "cpu" for d in n.get("devices", [])) for n in cluster[0].state["nodes"]),
            30, "devices in the telemetry")
    wish = {"name": NAP, "model": "skein-tiny", "context_tokens": 512}
    status, plan = cluster[0].ask("POST", "/cluster/v1/plan", dict(wish, required_tags=["llama-none-such"]))
    assert status == 200 and plan["fits"] is False
    assert {exclusion["code"] for exclusion in plan["excluded"]} == {"tags"}
    status, plan = cluster[0].ask(
        "POST", "/cluster/v1/plan", dict(wish, required_tags=["llama-cpu"], preferred_tags=["llama-none-such"]))
    assert status == 200 and plan["fits"] is True
