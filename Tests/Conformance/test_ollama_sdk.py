"""Ollama's API through Ollama's own SDK, solo and cut into stages."""

import json
from datetime import datetime

import httpx
import ollama
import pytest

from conftest import ANSWER_SECONDS, text_of
from node import LAYER_COUNT, MODEL_NAME
from questions import (
    ADD_TOOL, CAPITAL, CAPITAL_ANSWER, GOLDEN, PERSON, STORY, WEATHER, WEATHER_TOOL, WORD_PROBLEM,
    WORD_PROBLEM_ANSWER, WORD_PROBLEM_REASONING)
from sse import post

GREEDY = {"temperature": 0}


@pytest.fixture
def llama(server):
    return ollama.Client(host=server.url, timeout=ANSWER_SECONDS)


def chat(llama, question, **fields):
    messages = question if isinstance(question, list) else [{"role": "user", "content": question}]
    return llama.chat(**({"model": MODEL_NAME, "messages": messages, "options": GREEDY, "think": False} | fields))


def check_ending(answer, reason="stop"):
    assert (answer.done, answer.done_reason, answer.model) == (True, reason, MODEL_NAME)
    datetime.fromisoformat(answer.created_at)
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0
    parts = [answer.load_duration, answer.prompt_eval_duration, answer.eval_duration]
    assert all(part >= 0 for part in parts) and answer.prompt_eval_duration > 0
    assert answer.total_duration >= sum(parts), "the parts are measured within the whole"


@pytest.mark.parametrize("question", GOLDEN)
def test_known_questions_get_their_answers(llama, question):
    answer = chat(llama, question)
    assert (answer.message.role, answer.message.content) == ("assistant", GOLDEN[question])
    assert answer.message.thinking is None and answer.message.tool_calls is None
    check_ending(answer)


@pytest.mark.parametrize("question", [CAPITAL, STORY, "Show me a rocket emoji"])
def test_a_stream_put_together_is_the_answer_in_one_piece(llama, question):
    whole = chat(llama, question)
    pieces = list(chat(llama, question, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert all(not piece.done for piece in pieces[:-1])
    check_ending(pieces[-1])
    assert (pieces[-1].eval_count, pieces[-1].prompt_eval_count) == (whole.eval_count, whole.prompt_eval_count)


def test_the_text_is_the_one_of_the_other_dialects(llama, client):
    assert chat(llama, STORY).message.content == text_of(client, STORY, reasoning_effort="none")


def test_a_prompt_is_answered_like_a_chat_and_raw_as_it_is(llama):
    answer = llama.generate(model=MODEL_NAME, prompt=CAPITAL, options=GREEDY, think=False)
    assert answer.response == CAPITAL_ANSWER
    check_ending(answer)
    pieces = list(llama.generate(model=MODEL_NAME, prompt=CAPITAL, options=GREEDY, think=False, stream=True))
    assert "".join(piece.response for piece in pieces) == CAPITAL_ANSWER
    rendered = f"<|im_start|>user\n{CAPITAL}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    raw = llama.generate(model=MODEL_NAME, prompt=rendered, raw=True, options=GREEDY)
    assert raw.response == CAPITAL_ANSWER


def test_thinking_is_split_from_the_answer(llama):
    answer = chat(llama, WORD_PROBLEM, think=True)
    assert answer.message.thinking.strip() == WORD_PROBLEM_REASONING
    assert answer.message.content == WORD_PROBLEM_ANSWER
    pieces = list(chat(llama, WORD_PROBLEM, think=True, stream=True))
    assert "".join(piece.message.thinking or "" for piece in pieces) == answer.message.thinking
    assert "".join(piece.message.content for piece in pieces) == WORD_PROBLEM_ANSWER


def test_a_tool_is_called_and_its_result_read(llama):
    call = chat(llama, WEATHER, tools=[WEATHER_TOOL, ADD_TOOL])
    [made] = call.message.tool_calls
    assert (made.function.name, dict(made.function.arguments)) == ("get_weather", {"city": "Paris"})
    pieces = list(chat(llama, WEATHER, tools=[WEATHER_TOOL, ADD_TOOL], stream=True))
    [streamed] = [one for piece in pieces for one in piece.message.tool_calls or []]
    assert streamed.function == made.function
    conversation = [
        {"role": "user", "content": WEATHER}, call.message,
        {"role": "tool", "content": "18 degrees, sunny", "tool_name": "get_weather"}]
    answer = chat(llama, conversation, tools=[WEATHER_TOOL])
    assert answer.message.content and not answer.message.tool_calls


def test_a_format_shapes_the_answer(llama):
    schema = {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"]}
    assert set(json.loads(chat(llama, PERSON, format=schema).message.content)) == {"name", "age"}
    assert isinstance(json.loads(chat(llama, PERSON, format="json").message.content), dict)


def test_options_bound_and_stop_the_answer(llama):
    short = chat(llama, STORY, options=GREEDY | {"num_predict": 5})
    assert (short.done_reason, short.eval_count) == ("length", 5)
    stopped = chat(llama, "Count from 3 to 12.", options=GREEDY | {"stop": ["7"]})
    assert stopped.done_reason == "stop" and "7" not in stopped.message.content
    seeds = [chat(llama, STORY, options={"temperature": 2, "seed": 7, "num_predict": 20}) for _ in range(2)]
    assert seeds[0].message.content == seeds[1].message.content


def test_log_probabilities_are_of_the_sdks_types(llama):
    answer = chat(llama, CAPITAL, logprobs=True, top_logprobs=2)
    assert "".join(entry.token for entry in answer.logprobs) == CAPITAL_ANSWER
    assert all(len(entry.top_logprobs) == 2 for entry in answer.logprobs)


def test_no_prompt_says_that_the_model_is_up(llama):
    loaded = llama.generate(model=f"{MODEL_NAME}:latest", keep_alive="5m")
    assert (loaded.done, loaded.done_reason, loaded.response) == (True, "load", "")
    with pytest.raises(ollama.ResponseError) as raised:
        llama.generate(model=MODEL_NAME, keep_alive=0)
    assert raised.value.status_code == 501


def test_models_are_listed_shown_and_running(llama, server):
    [model] = llama.list().models
    assert model.model == MODEL_NAME and model.size > 0 and len(model.digest) == 64 and model.modified_at
    [running] = llama.ps().models
    assert running.name == MODEL_NAME and running.context_length > 0 and running.expires_at
    show = llama.show(MODEL_NAME)
    family = show.details.family
    assert show.modelinfo[f"{family}.block_count"] == LAYER_COUNT
    assert "completion" in show.capabilities
    assert httpx.head(server.url, timeout=ANSWER_SECONDS).status_code == 200
    assert httpx.get(server.url, timeout=ANSWER_SECONDS).text == "Skein is running"
    assert httpx.get(f"{server.url}/api/version", timeout=ANSWER_SECONDS).json()["version"]


def test_a_pull_of_what_is_here_succeeds_and_nothing_is_fetched_from_or_sent_to_elsewhere(llama):
    assert llama.pull(MODEL_NAME).status == "success"
    assert [step.status for step in llama.pull(MODEL_NAME, stream=True)][-1] == "success"
    for attempt, status, words in [
        (lambda: llama.pull("other"), 404, [MODEL_NAME, "No registry"]),
        (lambda: list(llama.pull("other", stream=True)), 404, [MODEL_NAME, "No registry"]),
        (lambda: llama.push(MODEL_NAME), 501, ["not supported"]),
        (lambda: llama.delete(MODEL_NAME), 501, ["skein serve"]),
    ]:
        with pytest.raises(ollama.ResponseError) as raised:
            attempt()
        assert raised.value.status_code == status
        assert all(word in raised.value.error for word in words)


@pytest.mark.parametrize("fields, status, place", [
    ({"model": "none"}, 404, "none"), ({"options": {"num_predict": -9}}, 400, "options.num_predict"),
    ({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, 400, "messages[0].images[0]"),
    ({"format": "xml"}, 400, "format"), ({"keep_alive": "soon"}, 400, "keep_alive"),
    ({"messages": [{"role": "user", "content": "word " * 40_000}]}, 400, "context window"),
])
def test_errors_have_a_status_and_name_the_place(server, fields, status, place):
    body = {"model": MODEL_NAME, "messages": [{"role": "user", "content": CAPITAL}]} | fields
    for stream in [False, True]:
        answered, headers, content = post(server, body | {"stream": stream}, "/api/chat")
        assert (answered, headers["content-type"]) == (status, "application/json")
        error = json.loads(content)
        assert list(error) == ["error"] and place in error["error"]


def test_a_stream_is_lines_of_json(server):
    body = {"model": MODEL_NAME, "prompt": "Show me a rocket emoji", "options": GREEDY, "think": False}
    status, headers, content = post(server, body, "/api/generate")
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert content.endswith(b"\n") and b"\n\n" not in content
    lines = [json.loads(line) for line in content.decode().splitlines()]
    assert "".join(line["response"] for line in lines) == "🚀"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
