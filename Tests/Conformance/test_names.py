"""What a model may be called: the same name through every dialect, what is refused, and how deployments are named."""

import hashlib
import json
import os
import subprocess

import anthropic
import httpx
import ollama
import pytest

from conftest import ANSWER_SECONDS, client_of
from node import BINARY, MODEL_NAME, REPOSITORY, wait_until
from questions import CAPITAL

MODEL_FILE = REPOSITORY / "Models" / "skein-tiny-q8_0.gguf"
DIGEST = hashlib.sha256(MODEL_FILE.read_bytes()).hexdigest()
TURNS = [{"role": "user", "content": CAPITAL}]

NAMES = [
    MODEL_NAME, "auto", "house", "gpt-4o", "HOUSE", "Skein-Tiny", f"{MODEL_NAME}:latest", "house:latest",
    f"{MODEL_NAME}:Q8_0", "house:q8_0", "Skein/Tiny", "skein/tiny:q8_0", "Skein/Tiny@v1", "Skein/Tiny@v1:Q8_0",
    "hub.example/Skein/Tiny:latest", DIGEST, f"sha256:{DIGEST}",
]

#: A name, the status and what the message says of it.
BAD = [
    ("nothing", 404, MODEL_NAME), ("模型", 404, "模型"), ("Other/Repo", 404, MODEL_NAME),
    ("Skein/Tiny@main", 404, "v1"), ("Skein/Tiny@V1", 404, "v1"), ("Skein/Tiny:F16", 404, "Q8_0"),
    (f"{MODEL_NAME}:F16", 404, "Q8_0"), ("0" * 64, 404, MODEL_NAME),
    ("..", 400, "folder"), ("../x", 400, "organisation"), ("a/b/c/d", 400, "org/repo"), ("/etc/passwd", 400, "path"),
    ("a@main", 400, "org/repo@revision"), ("a/b@", 400, "revision"), ("a/b:", 400, "quantisation"),
    ("a\nb", 400, "U+000A"), ("a\u0000", 400, "U+0000"), ("\u202eabc", 400, "U+202E"), ("a\\b", 400, "U+005C"),
    ("x" * 257, 400, "256"), ("y" * (10 << 20), 400, "256"), ("", 400, "name of a model"),
]

ROUTES = {
    "chat": ("/v1/chat/completions", {"messages": TURNS, "max_tokens": 1}),
    "chat stream": ("/v1/chat/completions", {"messages": TURNS, "max_tokens": 1, "stream": True}),
    "completions": ("/v1/completions", {"prompt": "Once", "max_tokens": 1}),
    "responses": ("/v1/responses", {"input": "Once", "max_output_tokens": 16, "store": False}),
    "messages": ("/v1/messages", {"messages": TURNS, "max_tokens": 1}),
    "messages stream": ("/v1/messages", {"messages": TURNS, "max_tokens": 1, "stream": True}),
    "count": ("/v1/messages/count_tokens", {"messages": TURNS}),
    "embeddings": ("/v1/embeddings", {"input": "x"}),
    "ollama chat": ("/api/chat", {"messages": TURNS, "stream": False, "options": {"num_predict": 1}}),
    "ollama generate": ("/api/generate", {"prompt": "x", "stream": True, "options": {"num_predict": 1}}),
    "ollama embed": ("/api/embed", {"input": "x"}),
    "ollama show": ("/api/show", {}),
    "tokenize": ("/tokenize", {"content": "x"}),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    from node import Node

    node = Node(
        tmp_path_factory.mktemp("names"), "--threads", 1, "--ctx", 512, "--draft", "off", "--kept-prefixes", 0,
        "--alias", "house", "--alias", "gpt-4o", "--source", "Skein/Tiny@v1")
    node.start()
    yield node
    node.stop()


def post(node, route, name):
    path, fields = ROUTES[route]
    return httpx.post(f"{node.url}{path}", json={"model": name} | fields, timeout=ANSWER_SECONDS)


def told(answer):
    """The model of an answer, whole or of its first event."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        line = next(line for line in answer.text.splitlines() if line.startswith("data: "))
        event = json.loads(line[6:])
        return event.get("message", event).get("model")
    return json.loads(answer.text.splitlines()[0]).get("model")


def message(answer):
    error = answer.json()["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("route", ROUTES)
def test_every_name_is_answered_and_the_answer_says_the_vendors_name(node, route):
    for name in NAMES:
        answer = post(node, route, name)
        assert answer.status_code == 200, (name, answer.text)
        if route in ["count", "ollama show", "tokenize"]:
            continue
        # OpenAI and Anthropic tell which model an alias was; Ollama repeats the name.
        assert told(answer) == (name if route.startswith("ollama") else MODEL_NAME), name


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "name, status, words", BAD, ids=[f"{status}-{place}" for place, (_, status, _) in enumerate(BAD)])
def test_a_name_that_means_nothing_is_refused_in_the_dialects_shape(node, route, name, status, words):
    if route == "tokenize" and name == "":
        pytest.skip("without a model the only one is meant")
    answer = post(node, route, name)
    assert answer.status_code == status, answer.text
    if route == "ollama show" and name == "":
        words = "Missing required parameter"  # Ollama's own clients leave a name out by sending it empty
    assert words in message(answer) and len(answer.content) < 4096
    if route.startswith("messages"):
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        assert answer.json()["error"]["type"] == kind
    elif not route.startswith("ollama") and route != "count":
        error = answer.json()["error"]
        assert error["param"] == "model" and error["type"] == "invalid_request_error"
        if status == 404:
            assert error["code"] == "model_not_found"


def test_a_name_of_several_models_lists_them(node):
    llama = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    for name in ["Pirate", "pirate"]:
        llama.create(name, from_="house", system=f"You are {name}.")
    for route in ROUTES:
        assert post(node, route, "pirate").status_code == 200
        answer = post(node, route, "PIRATE")
        assert answer.status_code == 400 and "Pirate, pirate" in message(answer), (route, answer.text)
        if route in ["chat", "responses", "embeddings"]:
            assert answer.json()["error"]["code"] == "model_ambiguous"
    for name in ["Pirate", "pirate"]:
        llama.delete(name)


def test_lists_have_the_other_names(node):
    client = client_of(node)
    models = {model.id: model.model_dump() for model in client.models.list().data}
    assert set(models) == {MODEL_NAME, "house", "gpt-4o"}
    meta = models[MODEL_NAME]["meta"]
    assert meta["aliases"] == ["house", "gpt-4o"] and "Skein/Tiny@v1:Q8_0" in meta["sources"]
    assert meta["alias_of"] is None and models["house"]["meta"]["alias_of"] == MODEL_NAME
    assert client.models.retrieve("house").id == "house"
    assert client.models.retrieve("Skein/Tiny@v1").id == MODEL_NAME
    for name, status in [("Skein/Tiny@main", 404), ("a%0Ab", 400), ("%2e%2e", 400)]:
        answer = httpx.get(f"{node.url}/v1/models/{name}", timeout=ANSWER_SECONDS)
        assert answer.status_code == status, name
    llama = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    assert {model.model for model in llama.list().models} == {MODEL_NAME, "house", "gpt-4o"}
    assert [model.model for model in llama.ps().models] == [MODEL_NAME]
    with pytest.raises(ollama.ResponseError) as refusal:
        llama.delete("house")
    assert "another name" in refusal.value.error


def test_the_anthropic_sdk_names_an_alias(node):
    client = anthropic.Anthropic(base_url=node.url, api_key="none", max_retries=0, timeout=ANSWER_SECONDS)
    assert client.messages.create(model="gpt-4o", max_tokens=1, messages=TURNS).model == MODEL_NAME


# Deployments


def test_a_plan_for_a_name_that_means_nothing_is_refused_without_waiting_for_who_has_it(node):
    answer = httpx.post(f"{node.url}/cluster/v1/plan", json={"model": "nothing"}, timeout=ANSWER_SECONDS)
    assert answer.json()["fits"] is False and "nothing" in answer.json()["reason"], answer.text
    # Whoever has a model is waited for ten seconds.
    assert answer.elapsed.total_seconds() < 8


def skein(node, *arguments):
    environment = dict(os.environ, SKEIN_NODE=node.url)
    return subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=90, env=environment,
        stdin=subprocess.DEVNULL)


def other_model(path):
    """The built-in model with another name inside, so that its content is another one."""
    content = MODEL_FILE.read_bytes()
    place = content.index(b"general.name") + len(b"general.name") + 4 + 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    return path


def names(node):
    answer = httpx.get(f"{node.url}/cluster/v1/models", timeout=ANSWER_SECONDS)
    return {model["name"]: model for model in answer.json()["models"]}


def answered(node, name):
    return post(node, "chat", name)


def test_a_deployment_is_named_by_where_its_file_comes_from(own_node, tmp_path):
    node = own_node("--threads", 1, "--ctx", 512, "--draft", "off")
    file = other_model(tmp_path / "models--Org--Repo-GGUF" / "snapshots" / "c0ffee" / "deep.gguf")
    made = skein(node, "deploy", file, "--alias", "helper", "--source", "Mine/Own@v2", "--ctx", 512, "--wait")
    assert made.returncode == 0, made.stderr
    for name in ["deep", "helper", "Org/Repo-GGUF@c0ffee:Q8_0", "org/repo-gguf", "Mine/Own@v2", "deep:latest"]:
        answer = answered(node, name)
        assert answer.status_code == 200 and answer.json()["model"] == "deep", (name, answer.text)
    assert answered(node, "Org/Repo-GGUF@main").status_code == 404
    model = names(node)["deep"]
    assert model["aliases"] == ["helper"] and model["state"] == "ready" and len(model["holders"]) == 1
    assert "Org/Repo-GGUF@c0ffee:Q8_0" in model["sources"] and "Mine/Own@v2:Q8_0" in model["sources"]

    taken = skein(node, "deploy", MODEL_NAME, "--alias", "helper")
    assert taken.returncode == 1 and "'deep' is called 'helper'" in taken.stderr
    assert skein(node, "plan", "Org/Repo-GGUF@c0ffee", "--on-cluster").returncode == 0
    wrong = skein(node, "deploy", "Org/Repo-GGUF@main")
    assert wrong.returncode == 1 and "c0ffee" in wrong.stderr
    for name, word in [("a/b@..", "revision"), ("nothing", "nothing"), ("a\x07b", "U+0007")]:
        refused = skein(node, "deploy", name)
        assert refused.returncode == 1 and word in refused.stderr, refused.stderr

    # The alias names the deployment for its end, too; the file stays and is deployed by its origin.
    assert skein(node, "undeploy", "helper").returncode == 0
    wait_until(lambda: names(node)["deep"]["state"] == "available", 10, "the end of the deployment")
    assert answered(node, "helper").status_code == 404
    answer = answered(node, "Org/Repo-GGUF@c0ffee:Q8_0")
    assert answer.status_code == 200 and answer.json()["model"] == "deep", answer.text
    shown = json.loads(skein(node, "deploy", "Mine/Own@v2:Q8_0", "--json").stdout)
    assert shown["name"] == "deep"


def test_a_model_made_here_is_deployed_by_its_name(own_node, tmp_path):
    node = own_node("--threads", 1, "--ctx", 512, "--draft", "off", "--auto-deploy", "off")
    content = other_model(tmp_path / "m.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    sent = httpx.post(f"{node.url}/api/blobs/{digest}", content=content, timeout=ANSWER_SECONDS)
    assert sent.status_code == 201, sent.text
    llama = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    llama.create("mine", files={"m.gguf": digest})
    llama.create("pirate", from_="mine", system="You are a pirate.")
    assert answered(node, "pirate").status_code == 404, "nothing deploys it by itself"
    for name in ["pirate", "Pirate:latest"]:
        shown = json.loads(skein(node, "deploy", name, "--ctx", 512, "--json").stdout)
        assert shown["name"] == "mine"
    made = skein(node, "deploy", "pirate", "--name", "crew", "--ctx", 512, "--wait")
    assert made.returncode == 0, made.stderr
    for name, model in [("crew", "crew"), ("pirate", "pirate"), ("mine", "mine")]:
        answer = answered(node, name)
        assert (answer.status_code, answer.json().get("model")) == (200, model), answer.text
    plain, defaults = answered(node, "mine").json()["usage"], answered(node, "pirate").json()["usage"]
    assert defaults["prompt_tokens"] > plain["prompt_tokens"], "the variant's system message stands in front"
    assert skein(node, "undeploy", "pirate").returncode == 0
    wait_until(lambda: names(node)["mine"]["state"] == "available", 10, "the end of the deployment")


def test_the_command_line_checks_names_first():
    for arguments in [("--alias", "auto"), ("--alias", "a\nb"), ("--source", "norepo"), ("--source", "a/b@..")]:
        refused = subprocess.run(
            [BINARY, "serve", "--alone", *arguments], capture_output=True, text=True, timeout=30)
        assert refused.returncode == 2, refused
    many = [word for number in range(17) for word in ("--alias", f"a{number}")]
    assert subprocess.run([BINARY, "serve", *many], capture_output=True, timeout=30).returncode == 2
