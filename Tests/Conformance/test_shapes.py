"""Every answer and every event of every route against the vendors' own types, read strictly, and against the members
that the vendors' published schemas demand where the types of their SDKs are forgiving."""

import functools
import importlib
import json

import anthropic
import ollama
import openai
import pytest
from anthropic.types import ErrorResponse, Message, MessageTokensCount, RawMessageStreamEvent
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import TypeAdapter

from node import MODEL_NAME
from questions import CAPITAL, GOLDEN, PERSON, STORY, WEATHER, WEATHER_TOOL, WORD_PROBLEM
from sse import RawConnection, post

#: Required members per object, and which of its members are objects of this table. Of OpenAI's OpenAPI document and of
#: the Open Responses specification the stricter one counts; `…[]` is a list, `type` picks an object by its `type`.
OBJECTS = {
    "error": (["message", "type", "param", "code"], {}),
    "chat.completion": (["id", "object", "created", "model", "choices", "usage"], {
        "choices": "chat.choice[]", "usage": "usage"}),
    "chat.choice": (["index", "message", "logprobs", "finish_reason"], {
        "message": "chat.message", "logprobs": "chat.logprobs"}),
    "chat.message": (["role", "content", "refusal"], {"tool_calls": "chat.call[]"}),
    "chat.call": (["id", "type", "function"], {"function": "chat.function"}),
    "chat.function": (["name", "arguments"], {}),
    "chat.logprobs": (["content", "refusal"], {"content": "chat.logprob[]"}),
    "chat.logprob": (["token", "logprob", "bytes", "top_logprobs"], {"top_logprobs": "chat.alternative[]"}),
    "chat.alternative": (["token", "logprob", "bytes"], {}),
    "chat.completion.chunk": (["id", "object", "created", "model", "choices"], {
        "choices": "chunk.choice[]", "usage": "usage"}),
    "chunk.choice": (["index", "delta", "finish_reason", "logprobs"], {
        "delta": "chunk.delta", "logprobs": "chat.logprobs"}),
    "chunk.delta": ([], {"tool_calls": "chunk.call[]"}),
    "chunk.call": (["index"], {}),
    "usage": (["prompt_tokens", "completion_tokens", "total_tokens"], {}),
    "text_completion": (["id", "object", "created", "model", "choices"], {
        "choices": "text.choice[]", "usage": "usage"}),
    "text.choice": (["index", "text", "logprobs", "finish_reason"], {}),
    "model": (["id", "object", "created", "owned_by"], {}),
    "embeddings": (["object", "data", "model", "usage"], {"data": "embedding[]", "usage": "embedding.usage"}),
    "embedding": (["object", "index", "embedding"], {}),
    "embedding.usage": (["prompt_tokens", "total_tokens"], {}),
    "response": ([
        "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
        "instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text",
        "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage",
        "max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier",
        "prompt_cache_key"], {
            "output": "type[]", "usage": "response.usage", "error": "response.error",
            "incomplete_details": "incomplete", "tools": "response.tool[]"}),
    "response.usage": ([
        "input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"], {
            "input_tokens_details": "input.details", "output_tokens_details": "output.details"}),
    "input.details": (["cached_tokens"], {}),
    "output.details": (["reasoning_tokens"], {}),
    "response.error": (["code", "message"], {}),
    "incomplete": (["reason"], {}),
    "response.tool": (["type", "name", "description", "parameters", "strict"], {}),
    "response.compaction": (["id", "object", "created_at", "output", "usage"], {
        "output": "type[]", "usage": "response.usage"}),
    "list": (["object", "data", "first_id", "last_id", "has_more"], {"data": "type[]"}),
    "message": (["type", "id", "status", "role", "content"], {"content": "type[]"}),
    "function_call": (["type", "id", "call_id", "name", "arguments", "status"], {}),
    "function_call_output": (["type", "id", "call_id", "output", "status"], {}),
    "reasoning": (["type", "id", "summary"], {"content": "type[]", "summary": "type[]"}),
    "compaction": (["type", "id", "encrypted_content"], {}),
    "output_text": (["type", "text", "annotations", "logprobs"], {"logprobs": "chat.logprob[]"}),
    "input_text": (["type", "text"], {}),
    "reasoning_text": (["type", "text"], {}),
    "summary_text": (["type", "text"], {}),
}
PLACE = ["type", "sequence_number", "item_id", "output_index", "content_index"]
CALL = ["type", "sequence_number", "item_id", "output_index"]
EVENTS = {
    f"response.{name}": (["type", "sequence_number", "response"], {"response": "response"})
    for name in ["created", "queued", "in_progress", "completed", "incomplete", "failed"]
} | {
    f"response.output_item.{name}": (["type", "sequence_number", "output_index", "item"], {"item": "type"})
    for name in ["added", "done"]
} | {
    f"response.content_part.{name}": ([*PLACE, "part"], {"part": "type"}) for name in ["added", "done"]
} | {
    "response.output_text.delta": ([*PLACE, "delta", "logprobs"], {"logprobs": "chat.logprob[]"}),
    "response.output_text.done": ([*PLACE, "text", "logprobs"], {"logprobs": "chat.logprob[]"}),
    "response.reasoning_text.delta": ([*PLACE, "delta"], {}),
    "response.reasoning_text.done": ([*PLACE, "text"], {}),
    "response.function_call_arguments.delta": ([*CALL, "delta"], {}),
    "response.function_call_arguments.done": ([*CALL, "name", "arguments"], {}),
    "error": (["type", "sequence_number", "code", "message", "param"], {}),
}
ANTHROPIC = {
    "message": (
        ["id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "usage"],
        {"content": "type[]", "usage": "usage"}),
    "usage": (["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"], {}),
    "text": (["type", "text"], {}),
    "thinking": (["type", "thinking", "signature"], {}),
    "tool_use": (["type", "id", "name", "input"], {}),
    "message_start": (["type", "message"], {"message": "message"}),
    "content_block_start": (["type", "index", "content_block"], {"content_block": "type"}),
    "content_block_delta": (["type", "index", "delta"], {"delta": "type"}),
    "content_block_stop": (["type", "index"], {}),
    "message_delta": (["type", "delta", "usage"], {"delta": "end"}),
    "end": (["stop_reason", "stop_sequence"], {}),
    "message_stop": (["type"], {}),
    "text_delta": (["type", "text"], {}),
    "thinking_delta": (["type", "thinking"], {}),
    "signature_delta": (["type", "signature"], {}),
    "input_json_delta": (["type", "partial_json"], {}),
    "error": (["type", "error"], {"error": "error.object"}),
    "error.object": (["type", "message"], {}),
}
#: Ollama's document marks nothing as required; these are what its own server always sends.
OLLAMA = {
    "generate": (["model", "created_at", "response", "done"], {}),
    "chat": (["model", "created_at", "message", "done"], {"message": "line.message"}),
    "line.message": (["role", "content"], {}),
    "end": (["done_reason", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
             "eval_count", "eval_duration"], {}),
    "embed": (["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"], {}),
    "tags": (["models"], {"models": "tag[]"}),
    "tag": (["name", "model", "modified_at", "size", "digest", "details"], {"details": "details"}),
    "ps": (["models"], {"models": "running[]"}),
    "running": (["name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length"], {
        "details": "details"}),
    "details": (["parent_model", "format", "family", "families", "parameter_size", "quantization_level"], {}),
    "show": (["modelfile", "parameters", "template", "details", "model_info", "capabilities", "modified_at",
              "license"], {"details": "details"}),
}


def lacking(value, kind, table, place="the answer"):
    """Checks an object and everything inside it for the members it must have."""
    kind = value["type"] if kind == "type" else kind
    members, inside = table[kind]
    assert set(members) <= value.keys(), f"{place} ({kind}) lacks {set(members) - value.keys()}"
    for name, part in inside.items():
        found = value.get(name)
        if found is None:
            continue
        if part.endswith("[]"):
            assert isinstance(found, list), f"{place}.{name} is no list"
            for index, element in enumerate(found):
                lacking(element, part[:-2], table, f"{place}.{name}[{index}]")
        elif isinstance(found, dict):
            lacking(found, part, table, f"{place}.{name}")


@functools.cache
def adapter(model):
    """A vendor's type as a validator; of large unions it takes seconds to make one."""
    return TypeAdapter(model)


def strictly(model, text):
    """Reads JSON by a vendor's type without any leniency; members of the wrong type or absent ones are an error."""
    return adapter(model).validate_json(text, strict=True)


def asked(node, path, body):
    status, headers, answer = post(node, body, path)
    assert status == 200, answer
    assert headers["content-type"] == "application/json"
    return answer.decode("utf-8", errors="strict")


def streamed(node, path, body, content_type="text/event-stream"):
    """The bytes of a stream; every piece that is sent is whole characters and whole events."""
    with RawConnection(node) as connection:
        status, headers = connection.send("POST", path, body | {"stream": True}).head()
        assert status == 200 and headers["content-type"] == content_type
        chunks = list(connection.chunks())
    for chunk in chunks:
        assert chunk.decode("utf-8", errors="strict").endswith("\n" if "ndjson" in content_type else "\n\n")
    return b"".join(chunks).decode()


def data_of(text):
    """(name, data as text) of each event that is no comment; the framing must be exact."""
    assert text.endswith("\n\n") and "\r" not in text
    found = []
    for event in text[:-2].split("\n\n"):
        if event.startswith(": "):
            assert "\n" not in event
            continue
        name, _, data = event.rpartition("\n") if event.startswith("event: ") else (None, "", event)
        assert data.startswith("data: ") and "\n" not in data
        found.append((name and name.removeprefix("event: "), data[6:]))
    return found


CHAT = {
    "text": dict(question=CAPITAL),
    "usage": dict(question=CAPITAL, stream_options={"include_usage": True}),
    "cut": dict(question=STORY, max_tokens=5),
    "stopped": dict(question=CAPITAL, stop=["Paris"]),
    "characters": dict(question="你好"),
    "reasoning": dict(question=WORD_PROBLEM),
    "call": dict(question=WEATHER, tools=[WEATHER_TOOL]),
    "demanded call": dict(question=CAPITAL, tools=[WEATHER_TOOL], tool_choice="required"),
    "choices": dict(question=CAPITAL, n=3, temperature=1, seed=4),
    "logprobs": dict(question="Show me a rocket emoji", logprobs=True, top_logprobs=3),
    "object": dict(question=PERSON, response_format={"type": "json_object"}),
}


@pytest.fixture(params=[1, 2], ids=["whole", "cut"])
def node(request, served):
    return served(request.param)


def chat_body(question, **fields):
    return {"model": MODEL_NAME, "temperature": 0, "messages": [{"role": "user", "content": question}]} | fields


@pytest.mark.parametrize("case", CHAT)
def test_chat_completions(node, case):
    fields = dict(CHAT[case])
    text = asked(node, "/v1/chat/completions", chat_body(**{k: v for k, v in fields.items() if k != "stream_options"}))
    answer = strictly(ChatCompletion, text)
    assert answer.object == "chat.completion" and len(answer.choices) == fields.get("n", 1)
    lacking(json.loads(text), "chat.completion", OBJECTS)
    events = data_of(streamed(node, "/v1/chat/completions", chat_body(**fields)))
    assert [data for _, data in events].count("[DONE]") == 1 and events[-1] == (None, "[DONE]")
    chunks = [strictly(ChatCompletionChunk, data) for _, data in events[:-1]]
    for _, data in events[:-1]:
        lacking(json.loads(data), "chat.completion.chunk", OBJECTS)
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({(c.id, c.created, c.model, c.system_fingerprint) for c in chunks}) == 1
    ends = [(c.index, c.finish_reason) for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert sorted(ends) == [(c.index, c.finish_reason) for c in answer.choices]
    for choice in answer.choices:
        deltas = [c.delta for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(d.content or "" for d in deltas) == (choice.message.content or "")
        assert [d.role for d in deltas if d.role] == ["assistant"]
        ids = [call.id for d in deltas for call in d.tool_calls or [] if call.id]
        assert len(ids) == len(set(ids)) == len(choice.message.tool_calls or [])


@pytest.mark.parametrize("fields", [{}, {"logprobs": 2}, {"max_tokens": 3}, {"n": 2, "temperature": 1, "seed": 1}])
def test_completions(node, fields):
    body = {"model": MODEL_NAME, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 12} | fields
    text = asked(node, "/v1/completions", body)
    answer = strictly(Completion, text)
    assert answer.object == "text_completion"
    lacking(json.loads(text), "text_completion", OBJECTS)
    events = data_of(streamed(node, "/v1/completions", body))
    assert events[-1] == (None, "[DONE]")
    pieces = [strictly(Completion, patched(data)) for _, data in events[:-1]]
    for _, data in events[:-1]:
        lacking(json.loads(data), "text_completion", OBJECTS)
    assert {(p.id, p.object, p.created, p.model) for p in pieces} == {(pieces[0].id, "text_completion",
        pieces[0].created, pieces[0].model)}
    for choice in answer.choices:
        assert "".join(c.text for p in pieces for c in p.choices if c.index == choice.index) == choice.text


def patched(data):
    """A piece of a streamed completion with a reason to end: the vendor sends null there and types it as if it never
    did."""
    piece = json.loads(data)
    for choice in piece["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return json.dumps(piece)


RESPONSES = {
    "text": dict(question=CAPITAL),
    "cut": dict(question=STORY, max_output_tokens=16),
    "characters": dict(question="你好"),
    "reasoning": dict(question=WORD_PROBLEM, include=["reasoning.encrypted_content"]),
    "call": dict(question=WEATHER, tools=[{"type": "function"} | WEATHER_TOOL["function"]]),
    "demanded call": dict(
        question=CAPITAL, tools=[{"type": "function"} | WEATHER_TOOL["function"]],
        tool_choice={"type": "function", "name": "get_weather"}),
    "logprobs": dict(question=CAPITAL, top_logprobs=2, include=["message.output_text.logprobs"]),
    "object": dict(question=PERSON, text={"format": {"type": "json_object"}}),
    "settings": dict(
        question=CAPITAL, instructions="Be brief.", metadata={"a": "b"}, truncation="auto", store=False,
        parallel_tool_calls=False, top_p=0.5, presence_penalty=0.1, frequency_penalty=0.1),
}


def response_body(question, **fields):
    return {"model": MODEL_NAME, "temperature": 0, "input": question} | fields


@pytest.mark.parametrize("case", RESPONSES)
def test_responses(node, case):
    body = response_body(**RESPONSES[case])
    text = asked(node, "/v1/responses", body)
    answer = strictly(Response, text)
    lacking(json.loads(text), "response", OBJECTS)
    events = data_of(streamed(node, "/v1/responses", body))
    assert events[-1] == (None, "[DONE]") and [d for _, d in events].count("[DONE]") == 1
    check_events(events[:-1])
    last = json.loads(events[-2][1])["response"]
    assert last["status"] == answer.status
    assert strictly(Response, json.dumps(last)).output_text == answer.output_text


def check_events(events):
    """Each event of a response's stream, and what they say together."""
    parsed = []
    for name, data in events:
        value = json.loads(data)
        assert name == value["type"]
        lacking(value, name, OBJECTS | EVENTS, name)
        parsed.append(strictly(ResponseStreamEvent, data))
    assert [event.sequence_number for event in parsed] == list(range(len(parsed)))
    assert len({event.response.id for event in parsed if hasattr(event, "response")}) == 1
    ends = [name for name, _ in events if name in ("response.completed", "response.incomplete", "response.failed")]
    assert len(ends) == 1 and events[-1][0] == ends[0]
    final = json.loads(events[-1][1])["response"]["output"]
    added = [json.loads(d)["item"] for n, d in events if n == "response.output_item.added"]
    done = [json.loads(d)["item"] for n, d in events if n == "response.output_item.done"]
    assert [item["id"] for item in added] == [item["id"] for item in final] and done == final


def test_kept_responses_their_items_and_compactions(node):
    created = json.loads(asked(node, "/v1/responses", response_body(WEATHER)))
    status, text = node.get(f"/v1/responses/{created['id']}")
    assert status == 200 and strictly(Response, text).id == created["id"]
    lacking(json.loads(text), "response", OBJECTS)
    status, text = node.get(f"/v1/responses/{created['id']}/input_items")
    assert status == 200 and strictly(ResponseItemList, text).object == "list"
    lacking(json.loads(text), "list", OBJECTS)
    text = asked(node, "/v1/responses/compact", {"model": MODEL_NAME, "input": STORY})
    # The SDK types the kept messages as the model's own; the vendor's document, like its example, has the user's.
    lacking(json.loads(text), "response.compaction", OBJECTS)
    queued = asked(node, "/v1/responses", response_body(CAPITAL, background=True))
    strictly(Response, queued)
    lacking(json.loads(queued), "response", OBJECTS)
    identity = json.loads(queued)["id"]
    with RawConnection(node) as connection:
        connection.send("GET", f"/v1/responses/{identity}?stream=true")
        status, headers, body = connection.answer()
    assert status == 200 and headers["content-type"] == "text/event-stream"
    check_events(data_of(body.decode())[:-1])


def test_models_and_embeddings(node):
    status, text = node.get("/v1/models")
    listed = json.loads(text)
    assert status == 200 and listed["object"] == "list"
    for entry in listed["data"]:
        strictly(Model, json.dumps(entry))
        lacking(entry, "model", OBJECTS)
    status, text = node.get(f"/v1/models/{MODEL_NAME}")
    assert status == 200 and strictly(Model, text).id == MODEL_NAME
    text = asked(node, "/v1/embeddings", {"model": MODEL_NAME, "input": ["a", "b"], "dimensions": 8})
    answer = strictly(CreateEmbeddingResponse, text)
    assert answer.object == "list" and [e.index for e in answer.data] == [0, 1]
    lacking(json.loads(text), "embeddings", OBJECTS)


MESSAGES = {
    "text": dict(question=CAPITAL),
    "cut": dict(question=STORY, max_tokens=5),
    "stopped": dict(question=CAPITAL, stop_sequences=["Paris"]),
    "characters": dict(question="你好"),
    "thinking": dict(question=WORD_PROBLEM, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048),
    "call": dict(question=WEATHER, tools=[{
        "name": "get_weather", "input_schema": WEATHER_TOOL["function"]["parameters"]}]),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(node, case):
    fields = dict(MESSAGES[case])
    body = {"max_tokens": 96} | chat_body(**fields)
    text = asked(node, "/v1/messages", body)
    answer = strictly(Message, text)
    lacking(json.loads(text), "message", ANTHROPIC)
    events = data_of(streamed(node, "/v1/messages", body))
    names = [name for name, _ in events]
    assert names[0] == "message_start" and names[-1] == "message_stop" and names.count("message_stop") == 1
    assert names.count("message_start") == names.count("message_delta") == 1
    for name, data in events:
        value = json.loads(data)
        assert name == value["type"]
        if name == "ping":
            assert value == {"type": "ping"}
            continue
        strictly(RawMessageStreamEvent, data)
        lacking(value, name, ANTHROPIC, name)
    starts = [json.loads(data)["index"] for name, data in events if name == "content_block_start"]
    stops = [json.loads(data)["index"] for name, data in events if name == "content_block_stop"]
    assert starts == stops == list(range(len(answer.content)))
    [end] = [json.loads(data) for name, data in events if name == "message_delta"]
    assert end["delta"]["stop_reason"] == answer.stop_reason
    counted = asked(node, "/v1/messages/count_tokens", {k: v for k, v in body.items() if k in (
        "model", "messages", "tools", "thinking")})
    assert strictly(MessageTokensCount, counted).input_tokens == answer.usage.input_tokens


LINES = {
    "text": dict(question=CAPITAL),
    "cut": dict(question=STORY, options={"num_predict": 5, "temperature": 0}),
    "characters": dict(question="你好"),
    "thinking": dict(question=WORD_PROBLEM, think=True),
    "call": dict(question=WEATHER, tools=[WEATHER_TOOL]),
    "logprobs": dict(question=CAPITAL, logprobs=True, top_logprobs=2),
    "object": dict(question=PERSON, format="json"),
}


@pytest.mark.parametrize("case", LINES)
@pytest.mark.parametrize("route", ["chat", "generate"])
def test_lines(node, route, case):
    fields = {"options": {"temperature": 0}} | LINES[case]
    question = fields.pop("question")
    if route == "generate":
        fields.pop("tools", None)
        body = {"model": MODEL_NAME, "prompt": question} | fields
    else:
        body = {"model": MODEL_NAME, "messages": [{"role": "user", "content": question}]} | fields
    model = ollama.ChatResponse if route == "chat" else ollama.GenerateResponse
    text = asked(node, f"/api/{route}", body | {"stream": False})
    answer = strictly(model, text)
    lacking(json.loads(text), route, OLLAMA)
    lacking(json.loads(text), "end", OLLAMA)
    assert answer.done
    lines = streamed(node, f"/api/{route}", body, "application/x-ndjson").removesuffix("\n").split("\n")
    pieces = [strictly(model, line) for line in lines]
    for line in lines:
        lacking(json.loads(line), route, OLLAMA)
    lacking(json.loads(lines[-1]), "end", OLLAMA)
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert {piece.model for piece in pieces} == {MODEL_NAME}
    said = [piece.message.content or "" if route == "chat" else piece.response for piece in pieces]
    assert "".join(said) == ((answer.message.content or "") if route == "chat" else answer.response)


def test_ollamas_models_and_vectors(node):
    for path, model, kind in [
        ("/api/tags", ollama.ListResponse, "tags"), ("/api/ps", ollama.ProcessResponse, "ps"),
    ]:
        status, text = node.get(path)
        assert status == 200 and strictly(model, text).models
        lacking(json.loads(text), kind, OLLAMA)
    text = asked(node, "/api/show", {"model": MODEL_NAME})
    assert strictly(ollama.ShowResponse, text).capabilities
    lacking(json.loads(text), "show", OLLAMA)
    text = asked(node, "/api/embed", {"model": MODEL_NAME, "input": ["a", "b"]})
    assert len(strictly(ollama.EmbedResponse, text).embeddings) == 2
    lacking(json.loads(text), "embed", OLLAMA)
    strictly(ollama.EmbeddingsResponse, asked(node, "/api/embeddings", {"model": MODEL_NAME, "prompt": "a"}))
    strictly(ollama.StatusResponse, asked(node, "/api/pull", {"model": MODEL_NAME, "stream": False}))
    status, headers, body = post(node, {"model": MODEL_NAME}, "/api/pull")
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    for line in body.decode().splitlines():
        strictly(ollama.ProgressResponse, line)


ROUTES = {
    "/v1/chat/completions": chat_body(CAPITAL), "/v1/completions": {"model": MODEL_NAME, "prompt": "Once"},
    "/v1/responses": response_body(CAPITAL), "/v1/responses/compact": {"model": MODEL_NAME, "input": CAPITAL},
    "/v1/embeddings": {"model": MODEL_NAME, "input": "a"},
    "/v1/messages": {"max_tokens": 5} | chat_body(CAPITAL), "/v1/messages/count_tokens": chat_body(CAPITAL),
    "/api/chat": {"model": MODEL_NAME, "stream": False, "messages": [{"role": "user", "content": CAPITAL}]},
    "/api/generate": {"model": MODEL_NAME, "stream": False, "prompt": "Once"},
    "/api/embed": {"model": MODEL_NAME, "input": "a"}, "/api/embeddings": {"model": MODEL_NAME, "prompt": "a"},
    "/api/show": {"model": MODEL_NAME}, "/tokenize": {"content": "a"}, "/detokenize": {"tokens": [5]},
    "/apply-template": {"messages": [{"role": "user", "content": CAPITAL}]},
}


@pytest.mark.parametrize("path", ROUTES)
def test_errors_have_the_vendors_shape_and_unknown_fields_are_told(served, path):
    node = served(1)
    for body, status in [({"nonesuch": 1}, 400), ({**ROUTES[path], "model": "nonesuch"}, 404)]:
        got, headers, answer = post(node, body, path)
        assert (got, headers["content-type"]) == (status, "application/json"), answer
        value = json.loads(answer)
        if path.startswith("/api/"):
            assert set(value) == {"error"} and isinstance(value["error"], str)
        elif path.startswith("/v1/messages"):
            assert strictly(ErrorResponse, answer).request_id == headers["request-id"]
        else:
            lacking(value["error"], "error", OBJECTS)
            strictly(openai.types.ErrorObject, json.dumps(value["error"]))
    status, headers, answer = post(node, {**ROUTES[path], "nonesuch": 1}, path)
    assert status == 200, answer
    assert "'nonesuch' is not a known parameter" in headers["warnings"]
    status, headers, _ = post(node, ROUTES[path], path)
    assert status == 200 and "nonesuch" not in headers.get("warnings", "")


def replayed(sdk, body, content_type):
    """An HTTP client of the library that this SDK uses, which answers every request by these bytes."""
    library = importlib.import_module(sdk.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    return library.Client(transport=library.MockTransport(
        lambda _: library.Response(200, headers={"content-type": content_type}, content=body.encode())))


def with_signs(text, sign):
    """A stream with a sign of life in front of every event and of the end."""
    return "".join(sign + event + "\n\n" for event in text[:-2].split("\n\n"))


def test_clients_pass_over_signs_of_life(served):
    """What keeps a silent connection open, between all events: no client sees it."""
    node = served(1)
    comment = ": keep-alive\n\n"

    def by_openai(path, body, call):
        text = streamed(node, path, body)
        seen = []
        for bytes in [text, with_signs(text, comment), with_signs(text, ": queued position=3 wait=1.2s\n\n")]:
            client = openai.OpenAI(
                base_url="http://replayed/v1", api_key="none", _strict_response_validation=True,
                http_client=replayed(openai, bytes, "text/event-stream"))
            seen.append([event.to_json() for event in call(client)])
        assert seen[0] and seen.count(seen[0]) == len(seen)

    by_openai("/v1/chat/completions", chat_body(CAPITAL), lambda client: client.chat.completions.create(
        **chat_body(CAPITAL), stream=True))
    by_openai("/v1/responses", response_body(CAPITAL), lambda client: client.responses.create(
        **response_body(CAPITAL), stream=True))
    message = {"max_tokens": 20} | chat_body(CAPITAL)
    text = streamed(node, "/v1/messages", message)
    seen = []
    for bytes in [text, with_signs(text, comment), with_signs(text, 'event: ping\ndata: {"type":"ping"}\n\n')]:
        client = anthropic.Anthropic(
            base_url="http://replayed", api_key="none", _strict_response_validation=True,
            http_client=replayed(anthropic, bytes, "text/event-stream"))
        # The newest SDK knows no temperature any more; the server does.
        asked_by_sdk = {name: value for name, value in message.items() if name != "temperature"}
        with client.messages.stream(**asked_by_sdk) as stream:
            seen.append(stream.get_final_message().to_json())
    assert seen.count(seen[0]) == len(seen)


@pytest.mark.parametrize("question", ["Show me a rocket emoji", "你好"])
@pytest.mark.parametrize("route", ["responses", "messages", "chat", "generate", "completions"])
def test_no_stream_cuts_a_character(server, route, question):
    """Both answers have characters of several tokens; `server` is the model in one, two and three stages. The bytes
    of every piece are looked at by `streamed`."""
    if route == "responses":
        events = data_of(streamed(server, "/v1/responses", response_body(question)))[:-1]
        deltas = [json.loads(d)["delta"] for n, d in events if n == "response.output_text.delta"]
    elif route == "messages":
        events = data_of(streamed(server, "/v1/messages", {"max_tokens": 96} | chat_body(question)))
        deltas = [json.loads(d)["delta"]["text"] for n, d in events if n == "content_block_delta"]
    elif route == "completions":
        # The prompt as the template has it, so that the answer is known.
        _, _, rendered = post(server, {"messages": chat_body(question)["messages"]}, "/apply-template")
        body = {
            "model": MODEL_NAME, "temperature": 0, "max_tokens": 96, "prompt": json.loads(rendered)["prompt"]}
        events = data_of(streamed(server, "/v1/completions", body))[:-1]
        deltas = [c["text"] for _, d in events for c in json.loads(d)["choices"]]
    else:
        fields = {"messages": chat_body(question)["messages"]} if route == "chat" else {"prompt": question}
        body = {"model": MODEL_NAME, "options": {"temperature": 0}} | fields
        lines = streamed(server, f"/api/{route}", body, "application/x-ndjson").splitlines()
        values = [json.loads(line) for line in lines]
        deltas = [v["message"]["content"] if route == "chat" else v["response"] for v in values]
    assert "".join(deltas) == GOLDEN[question]
    assert not any("\ufffd" in delta for delta in deltas)
