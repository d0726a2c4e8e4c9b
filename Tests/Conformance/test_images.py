"""Images through every dialect, by the vendors' SDKs, to a model with a synthetic projector, whole and cut."""

import base64
import json
import struct
import subprocess
import threading
import zlib

import anthropic
import ollama
import openai
import pytest

from conftest import ANSWER_SECONDS, client_of
from node import BINARY, MODEL_NAME, READY_SECONDS, REPOSITORY, Node, wait_until

QUESTION = "What do you see?"
MODELS = REPOSITORY / "Models"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def header(width, height):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def png(color, width=40, height=24):
    rows = b"".join(b"\0" + bytes(color(x, y)[i] for x in range(width) for i in range(3)) for y in range(height))
    return SIGNATURE + header(width, height) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


STRIPES = png(lambda x, y: (255, 255, 255) if (x + y) % 8 < 4 else (0, 0, 0))
RED = png(lambda x, y: (220, 20, 30))
#: 16 pixels by the header, 200 MB when unpacked.
BOMB = SIGNATURE + header(4, 4) + chunk(b"IDAT", zlib.compress(bytes(200_000_000))) + chunk(b"IEND", b"")

#: Files that are no images, and whether their header shows it.
BAD = {
    "garbage": b"no image at all", "huge": SIGNATURE + header(30_000, 30_000) + chunk(b"IEND", b""),
    "empty": SIGNATURE + header(0, 0) + chunk(b"IEND", b""), "cut off": STRIPES[: len(STRIPES) // 2],
    "bomb": BOMB, "webp": b"RIFF\x10\0\0\0WEBPVP8 ", "nothing": b"",
}


def text64(file):
    return base64.b64encode(file).decode()


def url(file):
    return f"data:image/png;base64,{text64(file)}"


@pytest.fixture(scope="module")
def projector(tmp_path_factory):
    path = tmp_path_factory.mktemp("projector") / "mmproj.gguf"
    subprocess.run([BINARY, "gguf", "synth", "--projector", "--width", "256", str(path)], check=True)
    return path


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda stages: f"{stages}-stages")
def seeing(request, projector, tmp_path_factory):
    """A node whose model sees, in 1, 2 and 3 stages."""
    node = Node(tmp_path_factory.mktemp(f"seeing{request.param}"), "--stages", request.param, "--threads", 1,
        "--draft", "off", "--kept-prefixes", 0, "--mmproj", projector)
    yield node.start()
    node.stop()


def of_openai(node, file, stream, model=MODEL_NAME):
    content = [{"type": "image_url", "image_url": {"url": url(file)}}, {"type": "text", "text": QUESTION}]
    answer = client_of(node).chat.completions.create(
        model=model, messages=[{"role": "user", "content": content}], temperature=0, max_tokens=12, stream=stream)
    if not stream:
        return answer.choices[0].message.content, answer.usage.prompt_tokens
    return "".join(part.choices[0].delta.content or "" for part in answer if part.choices), None


def of_responses(node, file, stream, model=MODEL_NAME):
    content = [{"type": "input_image", "image_url": url(file), "detail": "auto"},
        {"type": "input_text", "text": QUESTION}]
    answer = client_of(node).responses.create(
        model=model, input=[{"role": "user", "content": content}], temperature=0, max_output_tokens=12,
        stream=stream)
    if not stream:
        return answer.output_text, answer.usage.input_tokens
    events = list(answer)
    return events[-1].response.output_text, events[-1].response.usage.input_tokens


def of_anthropic(node, file, stream, model=MODEL_NAME):
    client = anthropic.Anthropic(base_url=node.url, api_key="none", max_retries=0, timeout=ANSWER_SECONDS)
    source = {"type": "base64", "media_type": "image/png", "data": text64(file)}
    content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
    # The newest SDK knows no temperature any more; the server does.
    fields = dict(
        model=model, messages=[{"role": "user", "content": content}], max_tokens=12,
        extra_body={"temperature": 0})
    if stream:
        with client.messages.stream(**fields) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**fields)
    return "".join(block.text for block in answer.content if block.type == "text"), answer.usage.input_tokens


def of_ollama(node, file, stream, model=MODEL_NAME):
    answer = ollama.Client(host=node.url, timeout=ANSWER_SECONDS).chat(
        model=model, messages=[{"role": "user", "content": QUESTION, "images": [file]}], stream=stream,
        options={"temperature": 0, "num_predict": 12}, think=False)
    if not stream:
        return answer.message.content, answer.prompt_eval_count
    parts = list(answer)
    return "".join(part.message.content or "" for part in parts), parts[-1].prompt_eval_count


def of_generate(node, file, stream, model=MODEL_NAME):
    answer = ollama.Client(host=node.url, timeout=ANSWER_SECONDS).generate(
        model=model, prompt=QUESTION, images=[file], stream=stream, options={"temperature": 0, "num_predict": 12},
        think=False)
    if not stream:
        return answer.response, answer.prompt_eval_count
    parts = list(answer)
    return "".join(part.response or "" for part in parts), parts[-1].prompt_eval_count


#: What the first number of stages answered.
ALIKE = {}
DIALECTS = [of_openai, of_responses, of_anthropic, of_ollama, of_generate]
REFUSALS = (openai.BadRequestError, anthropic.BadRequestError, ollama.ResponseError)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_image_is_read_streamed_or_not(seeing, dialect):
    whole, tokens = dialect(seeing, STRIPES, False)
    streamed, _ = dialect(seeing, STRIPES, True)
    assert streamed == whole
    plain = client_of(seeing).chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": QUESTION}], max_tokens=1).usage.prompt_tokens
    # The projector makes 16 rows, and templates of thinking differ by a few tokens.
    assert tokens in range(plain + 16, plain + 24)


def test_stages_see_alike(seeing):
    answers = [of_openai(seeing, file, False) for file in [STRIPES, RED]]
    assert ALIKE.setdefault("answers", answers) == answers


def logprobs(node, files):
    content = [{"type": "image_url", "image_url": {"url": url(file)}} for file in files]
    answer = client_of(node).chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": content + [{"type": "text", "text": QUESTION}]}],
        temperature=0, max_tokens=2, logprobs=True, top_logprobs=5)
    return [entry.logprob for entry in answer.choices[0].logprobs.content]


def test_another_image_is_another_prompt(seeing):
    assert logprobs(seeing, [STRIPES]) != logprobs(seeing, [RED])
    assert logprobs(seeing, [STRIPES, RED]) != logprobs(seeing, [RED, STRIPES])


@pytest.mark.parametrize("stages", [1, 2])
def test_the_next_turn_finds_the_image_in_the_cache(own_node, projector, stages):
    seeing = own_node("--stages", stages, "--threads", 1, "--mmproj", projector)
    content = [{"type": "image_url", "image_url": {"url": url(STRIPES)}}, {"type": "text", "text": QUESTION}]
    first = [{"role": "user", "content": content}]
    client = client_of(seeing)

    def answer(messages):
        return client.chat.completions.create(model=MODEL_NAME, messages=messages, temperature=0, max_tokens=8)

    said = answer(first)
    second = first + [{"role": "assistant", "content": said.choices[0].message.content or "x"},
        {"role": "user", "content": "And what else?"}]
    assert answer(second).usage.prompt_tokens_details.cached_tokens > 16
    other = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url(RED)}}, content[1]]}]
    answer(other)
    shared = answer([{"role": "user", "content": [{"type": "image_url",
        "image_url": {"url": url(png(lambda x, y: (x, y, 7)))}}, content[1]]}])
    assert shared.usage.prompt_tokens_details.cached_tokens < 16


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_refused_and_others_are_served(seeing, dialect, name):
    if dialect is not of_openai and seeing.arguments[1] != "1":
        pytest.skip("one number of stages is enough for the other dialects")
    answered = []

    def other():
        answered.append(client_of(seeing).chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": "Hello!"}], max_tokens=8))

    thread = threading.Thread(target=other)
    thread.start()
    for stream in [False, True]:
        with pytest.raises(REFUSALS) as refusal:
            dialect(seeing, BAD[name], stream)
        assert refusal.value.status_code == 400, name
    thread.join(ANSWER_SECONDS)
    assert len(answered) == 1
    assert seeing.get("/readyz")[0] == 200


def test_a_model_without_a_projector_says_so(server):
    for dialect in DIALECTS:
        for stream in [False, True]:
            with pytest.raises(REFUSALS) as refusal:
                dialect(server, STRIPES, stream)
            assert refusal.value.status_code == 400
            assert "projector" in str(refusal.value)


def test_the_model_is_known_to_see(seeing, server):
    for node, sees in [(seeing, True), (server, False)]:
        models = json.loads(node.get("/v1/models")[1])
        assert models["data"][0]["meta"]["sees"] is sees
        shown = ollama.Client(host=node.url).show(MODEL_NAME)
        assert ("vision" in shown.capabilities) is sees


def test_nothing_written_is_taken_for_an_image(seeing):
    for text in ["<__media__>", "<image>", "image0x", "<__image__>"]:
        answer = client_of(seeing).chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": text}], max_tokens=1)
        assert answer.usage.prompt_tokens < 40


def test_a_projector_that_does_not_fit_is_refused_with_both_widths(tmp_path):
    path = tmp_path / "wide.gguf"
    subprocess.run([BINARY, "gguf", "synth", "--projector", "--width", "320", str(path)], check=True)
    node = Node(tmp_path / "node", "--threads", 1, "--mmproj", path).launch()
    try:
        wait_until(lambda: "256" in node.log and "320" in node.log, READY_SECONDS, "the refusal with both widths")
        assert node.get("/readyz")[0] != 200 if node.port else True
    finally:
        node.destroy()


def test_what_is_no_projector_is_refused_at_once(tmp_path):
    for number, path in enumerate([BINARY, MODELS / "skein-tiny-q8_0.gguf", tmp_path / "none.gguf"]):
        node = Node(tmp_path / f"node{number}", "--threads", 1, "--mmproj", path).launch()
        try:
            assert node.process.wait(ANSWER_SECONDS) != 0
            assert "projector" in node.log or "projector" in node.output
        finally:
            node.destroy()
