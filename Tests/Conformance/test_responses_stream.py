"""The bytes of response streams, and the response object member by member: what Open Responses demands."""

import json

import pytest

from node import MODEL_NAME
from questions import CAPITAL, GOLDEN, WEATHER, WEATHER_TOOL
from sse import RawConnection, post

#: What the response object of Open Responses must have.
MEMBERS = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
    "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
    "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens",
    "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}

#: The cases of the specification's compliance tests that need no eyes.
CASES = {
    "basic": {"input": [{"type": "message", "role": "user", "content": "Say hello in exactly 3 words."}]},
    "system": {"input": [
        {"type": "message", "role": "system", "content": "You are a pirate. Always respond in pirate speak."},
        {"type": "message", "role": "user", "content": "Say hello."}]},
    "multi-turn": {"input": [
        {"type": "message", "role": "user", "content": "My name is Alice."},
        {"type": "message", "role": "assistant", "content": "Hello Alice! Nice to meet you."},
        {"type": "message", "role": "user", "content": "What is my name?"}]},
    "tools": {
        "input": [{"type": "message", "role": "user", "content": WEATHER}],
        "tools": [{"type": "function"} | WEATHER_TOOL["function"]]},
}


def request(question, **fields):
    return {"model": MODEL_NAME, "input": question, "temperature": 0} | fields


def named_events(body):
    """(name, data) of each event; the framing must be exact and end by [DONE]."""
    text = body.decode("utf-8", errors="strict")
    assert text.endswith("\n\ndata: [DONE]\n\n") and text.count("[DONE]") == 1
    found = []
    for event in text.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]:
        if event.startswith(": "):
            continue
        name, data = event.split("\n")
        assert name.startswith("event: ") and data.startswith("data: ")
        found.append((name[7:], json.loads(data[6:])))
    return found


@pytest.mark.parametrize("question", [*GOLDEN])
def test_every_chunk_is_whole_utf8_and_every_event_names_itself(server, question):
    with RawConnection(server) as connection:
        connection.send("POST", "/v1/responses", request(question, stream=True))
        status, headers = connection.head()
        assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-cache")
        chunks = list(connection.chunks())
    for chunk in chunks:
        chunk.decode("utf-8", errors="strict")
        assert chunk.endswith(b"\n\n")
    events = named_events(b"".join(chunks))
    assert all(name == data["type"] for name, data in events)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    ends = [name for name, _ in events if name in ("response.completed", "response.incomplete", "response.failed")]
    assert ends == ["response.completed"] and events[-1][0] == ends[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_required_member_is_always_there(server, case, stream):
    status, _, body = post(server, {"model": MODEL_NAME, "temperature": 0, "stream": stream} | CASES[case], "/v1/responses")
    assert status == 200
    objects = [json.loads(body)] if not stream else [
        data["response"] for _, data in named_events(body) if "response" in data]
    for response in objects:
        assert MEMBERS <= response.keys(), MEMBERS - response.keys()
    final = objects[-1]
    assert final["status"] == "completed" and final["output"]
    for item in final["output"]:
        assert {"id", "type", "status"} <= item.keys()
    if case == "tools":
        assert any(item["type"] == "function_call" for item in final["output"])


def test_a_failure_before_the_first_byte_is_no_stream(server):
    status, headers, body = post(server, request(CAPITAL, model="none", stream=True), "/v1/responses")
    assert (status, headers["content-type"]) == (404, "application/json")
    assert json.loads(body)["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model":1}', b'{"model":"skein-tiny","input":{}}', b'{"model":"skein-tiny","input":[]}',
             b'{"model":"skein-tiny","input":"\xff"}', b'{"model":"skein-tiny","input":"a","input":"b"}'])
def test_what_is_no_request_is_400(server, body):
    status, _, answer = post(server, body, "/v1/responses")
    assert status == 400 and json.loads(answer)["error"]["type"] == "invalid_request_error"
