"""Models made over Ollama's API: variants, copies, files, removal, by Ollama's own SDK and by plain HTTP."""

import hashlib
import json
from pathlib import Path

import httpx
import ollama
import pytest

from conftest import ANSWER_SECONDS, client_of
from node import MODEL_NAME, REPOSITORY, Node, wait_until
from questions import CAPITAL, CAPITAL_ANSWER, STORY
from test_access import Keys

MODEL_FILE = REPOSITORY / "Models" / "skein-tiny-q8_0.gguf"
GREEDY = {"temperature": 0}
SMALL = ["--threads", 1, "--ctx", 512, "--draft", "off", "--kept-prefixes", 0]


@pytest.fixture(scope="module")
def node(served):
    return served(1)


@pytest.fixture
def llama(node):
    """The SDK; what a test makes is gone after it."""
    client = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    yield client
    for model in client.list().models:
        if model.details.parent_model:
            client.delete(model.model)


def chat(llama, model, question, **fields):
    messages = [{"role": "user", "content": question}]
    return llama.chat(**({"model": model, "messages": messages, "think": False} | fields)).message.content


def blobs(node):
    return sorted(path.name for path in Path(node.folder, "data", "blobs").glob("*"))


def other_model(folder):
    """The built-in model under another name inside, so that its content is another one."""
    content = MODEL_FILE.read_bytes()
    place = content.index(b"general.name") + len(b"general.name") + 4 + 8
    changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path = Path(folder, "other.gguf")
    path.write_bytes(changed)
    return path


@pytest.mark.parametrize("names", [{"model": MODEL_NAME, "name": ""}, {"model": "", "name": MODEL_NAME}])
def test_empty_texts_count_as_absent_as_clients_in_go_send_them(node, names):
    show = names | {"system": "", "template": "", "verbose": False, "options": None}
    pull = names | {"username": "", "password": "", "stream": False}
    for path, body in [("show", show), ("pull", pull)]:
        answer = httpx.post(f"{node.url}/api/{path}", json=body, timeout=ANSWER_SECONDS)
        assert answer.status_code == 200 and "warnings" not in answer.headers, answer.text
    nobody = httpx.post(f"{node.url}/api/show", json={"model": "", "name": ""}, timeout=ANSWER_SECONDS)
    assert nobody.status_code == 400 and "model" in nobody.json()["error"]


def test_a_variant_answers_with_its_defaults_in_every_dialect(llama, node):
    limited = {"temperature": 0, "num_predict": 3}
    assert llama.create("mine", from_=MODEL_NAME, parameters=limited).status == "success"
    strict = client_of(node)
    expected = llama.chat(
        model=MODEL_NAME, messages=[{"role": "user", "content": STORY}], options=limited, think=False).message.content
    assert chat(llama, "mine", STORY) == chat(llama, "mine:latest", STORY) == expected
    answer = strict.chat.completions.create(
        model="mine", messages=[{"role": "user", "content": STORY}], reasoning_effort="none")
    assert (answer.choices[0].message.content, answer.model) == (expected, "mine")
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3
    response = strict.responses.create(model="mine", input=STORY, store=False, reasoning={"effort": "none"})
    assert response.usage.output_tokens == 3
    longer = llama.generate(model="mine", prompt=STORY, options={"num_predict": 6}, think=False)
    assert longer.eval_count == 6, "what a request says itself counts"


def test_a_system_message_and_messages_stand_in_front(llama, node):
    plain = llama.chat(
        model=MODEL_NAME, messages=[{"role": "user", "content": CAPITAL}], options=GREEDY, think=False)
    llama.create(
        "mine", from_=MODEL_NAME, system="You are a pirate.",
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy"}])
    whole = [
        {"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ahoy"}, {"role": "user", "content": CAPITAL}]
    spelled = llama.chat(model=MODEL_NAME, messages=whole, options=GREEDY, think=False)
    made = llama.chat(
        model="mine", messages=[{"role": "user", "content": CAPITAL}], options=GREEDY, think=False)
    assert made.prompt_eval_count == spelled.prompt_eval_count > plain.prompt_eval_count
    assert made.message.content == spelled.message.content
    own = llama.chat(
        model="mine", messages=[{"role": "system", "content": "S"}, {"role": "user", "content": CAPITAL}],
        options=GREEDY, think=False)
    whole[0]["content"] = "S"
    assert own.prompt_eval_count == llama.chat(
        model=MODEL_NAME, messages=whole, options=GREEDY, think=False).prompt_eval_count
    counted = httpx.post(f"{node.url}/v1/messages/count_tokens", json={
        "model": "mine", "messages": [{"role": "user", "content": CAPITAL}]},
        timeout=ANSWER_SECONDS).json()["input_tokens"]
    assert counted == made.prompt_eval_count


def test_a_variant_is_listed_shown_copied_and_removed(llama, node):
    llama.create("space/mine:v1", from_=MODEL_NAME, system="Be brief.", license="MIT", parameters={"stop": ["END"]})
    names = [model.model for model in llama.list().models]
    assert names == [MODEL_NAME, "space/mine:v1"]
    listed = {model.id: model for model in client_of(node).models.list()}
    assert listed["space/mine:v1"].owned_by not in ("", "skein")
    assert listed["space/mine:v1"].meta["state"] == "ready"
    assert client_of(node).models.retrieve("space/mine:v1").id == "space/mine:v1"
    assert [model.model for model in llama.ps().models] == names
    show = llama.show("space/mine:v1")
    assert show.license == "MIT" and show.details.parent_model == MODEL_NAME
    assert f"FROM {MODEL_NAME}" in show.modelfile and 'PARAMETER stop "END"' in show.modelfile
    # What is shown makes it again.
    again = httpx.post(
        f"{node.url}/api/create", json={"model": "again", "modelfile": show.modelfile, "stream": False},
        timeout=ANSWER_SECONDS)
    assert (again.status_code, again.json()) == (200, {"status": "success"})
    assert llama.show("again").modelfile == show.modelfile
    assert llama.copy("space/mine:v1", "copied").status == "success"
    assert llama.delete("space/mine:v1").status == "success"
    assert llama.show("copied").modelfile == show.modelfile
    with pytest.raises(ollama.ResponseError) as raised:
        llama.delete("space/mine:v1")
    assert raised.value.status_code == 404 and "copied" in raised.value.error


def test_a_stream_tells_the_steps(llama):
    steps = [step.status for step in llama.create("mine", from_=MODEL_NAME, stream=True)]
    assert steps[0] == "reading model metadata" and steps[-1] == "success"


@pytest.mark.parametrize("fields, status, words", [
    ({"from": "none"}, 404, ["none", MODEL_NAME]), ({}, 400, ["from"]),
    ({"from": MODEL_NAME, "quantize": "q4_K_M"}, 400, ["quantize", "upload"]),
    ({"from": MODEL_NAME, "adapters": {"a": "sha256:00"}}, 400, ["adapters"]),
    ({"from": MODEL_NAME, "template": "{{ .Prompt }}"}, 400, ["template"]),
    ({"from": MODEL_NAME, "parameters": {"temperature": 200}}, 400, ["parameters.temperature"]),
    ({"from": MODEL_NAME, "model": "a b"}, 400, ["model"]),
    ({"from": MODEL_NAME, "model": MODEL_NAME}, 409, ["choose"]),
    ({"from": "/etc/passwd"}, 400, ["/api/blobs"]), ({"files": {"a": "sha256:00"}}, 400, ["files.a"]),
    ({"files": {"a": "sha256:" + "0" * 64}}, 404, ["/api/blobs/sha256:000"]),
    ({"modelfile": f"FROM {MODEL_NAME}\n\nADAPTER x"}, 400, ["line 3", "ADAPTER"]),
])
def test_what_cannot_be_made_is_refused_in_words(llama, node, fields, status, words):
    answer = httpx.post(f"{node.url}/api/create", json={"model": "mine"} | fields, timeout=ANSWER_SECONDS)
    assert answer.status_code == status
    assert all(word in answer.json()["error"] for word in words), answer.text
    assert [model.model for model in llama.list().models] == [MODEL_NAME]


def test_bad_uploads_leave_nothing_behind(node):
    content = b"no model"
    right = f"sha256:{hashlib.sha256(content).hexdigest()}"
    before = blobs(node)
    with httpx.Client(base_url=node.url, timeout=ANSWER_SECONDS) as client:
        assert client.post(f"/api/blobs/{right}", content=b"other").status_code == 400
        for bad in ["sha256:0", "md5:" + "0" * 32, "sha256:" + "G" * 64]:
            answer = client.post(f"/api/blobs/{bad}", content=content)
            assert answer.status_code == 400 and "digest" in answer.json()["error"]
            assert client.head(f"/api/blobs/{bad}").status_code == 400
        assert client.head(f"/api/blobs/{right}").status_code == 404
        assert blobs(node) == before
        # In pieces of unknown number, as some clients send it.
        assert client.post(f"/api/blobs/{right}", content=iter([b"no ", b"model"])).status_code == 201
        assert client.head(f"/api/blobs/{right}").status_code == 200
        assert client.post(f"/api/blobs/{right}", content=content).status_code == 200
        refused = client.post("/api/create", json={"model": "mine", "files": {"m.gguf": right}})
        assert refused.status_code == 400 and "GGUF" in refused.json()["error"]


def test_the_file_of_a_model_that_is_here_becomes_a_variant_of_it(llama, node):
    digest = llama.create_blob(MODEL_FILE)
    assert digest == f"sha256:{hashlib.sha256(MODEL_FILE.read_bytes()).hexdigest()}"
    assert llama.create("mine", files={"tiny.gguf": digest}).status == "success"
    assert llama.show("mine").details.parent_model == MODEL_NAME
    assert chat(llama, "mine", CAPITAL, options=GREEDY) == CAPITAL_ANSWER


def test_an_uploaded_model_is_loaded_by_its_first_request_and_goes_when_it_is_deleted(own_node, tmp_path):
    node = own_node(*SMALL)
    llama = ollama.Client(host=node.url, timeout=120)
    digest = llama.create_blob(other_model(tmp_path))
    llama.create("mine", files={"other.gguf": digest}, system="You are helpful.")
    assert blobs(node) == ["sha256-" + digest.split(":")[1]]
    states = {model.id: model.meta["state"] for model in client_of(node).models.list()}
    assert states == {MODEL_NAME: "ready", "mine": "available"}
    steps = [step.status for step in llama.pull("mine", stream=True)]
    assert steps[0] == "pulling manifest" and steps[-1] == "success"
    expected = llama.chat(
        model=MODEL_NAME, options=GREEDY, think=False, messages=[
            {"role": "system", "content": "You are helpful."}, {"role": "user", "content": CAPITAL}]).message.content
    assert chat(llama, "mine", CAPITAL, options=GREEDY) == expected
    running = {model.model: model.expires_at for model in llama.ps().models}
    assert running[MODEL_NAME].year == 9999 and running["mine"].year < 9999, "an automatic deployment is unloaded"
    # It is there again after a restart, under its name and with its defaults.
    node.stop()
    node.start()
    llama = ollama.Client(host=node.url, timeout=120)
    assert chat(llama, "mine", CAPITAL, options=GREEDY) == expected
    llama.copy("mine", "heir")
    llama.delete("mine")
    with pytest.raises(ollama.ResponseError) as raised:
        chat(llama, "mine", CAPITAL)
    assert raised.value.status_code == 404
    assert chat(llama, "heir", CAPITAL, options=GREEDY) == expected
    llama.delete("heir")
    wait_until(lambda: [model.model for model in llama.list().models] == [MODEL_NAME], 10, "the end of the model")
    assert blobs(node) == []
    node.stop()


def test_a_node_alone_keeps_variants_and_refuses_other_files_with_the_next_step(own_node, tmp_path):
    node = own_node(*SMALL, "--alone")
    llama = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    llama.create("mine", from_=MODEL_NAME, parameters={"temperature": 0, "num_predict": 3})
    expected = chat(llama, "mine", STORY)
    digest = llama.create_blob(other_model(tmp_path))
    with pytest.raises(ollama.ResponseError) as raised:
        llama.create("other", files={"other.gguf": digest})
    assert raised.value.status_code == 501 and "--alone" in raised.value.error
    node.stop()
    # What a crash in the middle of an upload would leave is removed.
    Path(node.folder, "data", "blobs", "sha256-0.1-1.part").write_bytes(b"x")
    node.start()
    llama = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    assert chat(llama, "mine", STORY) == expected
    assert not any(name.endswith(".part") for name in blobs(node))
    node.stop()
    # A damaged file costs the names, not the node.
    Path(node.folder, "data", "variants").write_bytes(b"damaged")
    node.start()
    assert [model.model for model in ollama.Client(host=node.url).list().models] == [MODEL_NAME]
    assert "set.aside" in node.log and list(Path(node.folder, "data").glob("variants.damaged-*"))


def test_keys_without_the_scope_change_nothing(tmp_path):
    node = Node(tmp_path / "node", *SMALL, "--alone", "--require-key")
    key = Keys(node).create("user", "--scope", "inference")
    node.start()
    try:
        wish = {"model": "mine", "from": MODEL_NAME}
        for headers, status in [({}, 401), ({"Authorization": f"Bearer {key}"}, 403)]:
            answer = httpx.post(f"{node.url}/api/create", json=wish, headers=headers, timeout=ANSWER_SECONDS)
            assert answer.status_code == status
            assert json.loads(answer.text)["error"]
        listed = httpx.get(
            f"{node.url}/api/tags", headers={"Authorization": f"Bearer {key}"}, timeout=ANSWER_SECONDS)
        assert [model["name"] for model in listed.json()["models"]] == [MODEL_NAME]
    finally:
        node.destroy()