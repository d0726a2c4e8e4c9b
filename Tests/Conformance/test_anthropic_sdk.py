"""The Messages API through Anthropic's own SDK, solo and cut into stages.

The SDK checks nothing it reads, so every answer and event is validated against its types here, strictly.
"""

import json

import anthropic
import pytest
from anthropic.types import Message
from anthropic.types.shared import ErrorResponse

from conftest import ANSWER_SECONDS, text_of
from node import MODEL_NAME
from questions import (
    CAPITAL, CAPITAL_ANSWER, GOLDEN, PERSON, STORY, WEATHER, WORD_PROBLEM, WORD_PROBLEM_ANSWER,
    WORD_PROBLEM_REASONING)
from sse import post

WEATHER_TOOL = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
def claude(server):
    return anthropic.Anthropic(
        base_url=server.url, api_key="none", max_retries=0, timeout=ANSWER_SECONDS, _strict_response_validation=True)


def fields_of(question, **fields):
    messages = question if isinstance(question, list) else [{"role": "user", "content": question}]
    extra = {"temperature": 0} | fields.pop("extra_body", {})
    return {"model": MODEL_NAME, "max_tokens": 2048, "messages": messages, "extra_body": extra} | fields


def ask(claude, question, **fields):
    answer = claude.messages.create(**fields_of(question, **fields))
    Message.model_validate(answer.to_dict(), strict=True)
    return answer


def streamed(claude, question, **fields):
    """The message an SDK puts together from the events, and the events."""
    with claude.messages.stream(**fields_of(question, **fields)) as stream:
        events = [event for event in stream]
        return stream.get_final_message(), events


def text(answer):
    return "".join(block.text for block in answer.content if block.type == "text")


def parts(answer):
    """What an answer says, without what differs between two askings."""
    content = [block.model_dump(exclude={"id"}, exclude_none=True) for block in answer.content]
    return content, answer.stop_reason, answer.stop_sequence, prompt_tokens(answer), answer.usage.output_tokens


def prompt_tokens(answer):
    """All tokens of the prompt; those taken over from an earlier one are counted apart."""
    return answer.usage.input_tokens + answer.usage.cache_read_input_tokens


@pytest.mark.parametrize("question", GOLDEN)
def test_known_questions_get_their_answers(claude, question):
    answer = ask(claude, question)
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", MODEL_NAME)
    assert answer.id.startswith("msg_")
    assert [block.type for block in answer.content] == ["text"]
    assert text(answer) == GOLDEN[question]
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert prompt_tokens(answer) > 0 and answer.usage.output_tokens > 0


@pytest.mark.parametrize("question", [CAPITAL, STORY, "Show me a rocket emoji"])
def test_a_stream_put_together_is_the_answer_in_one_piece(claude, question):
    message, events = streamed(claude, question)
    assert parts(message) == parts(ask(claude, question))
    assert events[-1].type == "message_stop"


def test_the_text_is_the_one_of_the_other_dialects(claude, client):
    assert text(ask(claude, STORY)) == text_of(client, STORY, reasoning_effort="none")


def test_the_answer_carries_its_request_id(claude):
    raw = claude.messages.with_raw_response.create(**fields_of(CAPITAL))
    assert raw.headers["request-id"] and raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["request-id"]


def test_instructions_come_as_text_or_blocks(claude):
    plain = ask(claude, CAPITAL, system="Answer briefly.")
    blocks = [{"type": "text", "text": "Answer briefly.", "cache_control": {"type": "ephemeral"}}]
    assert parts(ask(claude, CAPITAL, system=blocks)) == parts(plain)


def test_thinking_comes_as_a_block_of_its_own(claude):
    answer = ask(claude, WORD_PROBLEM, thinking=THINKING)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking.strip() == WORD_PROBLEM_REASONING
    assert answer.content[0].signature
    assert answer.content[1].text == WORD_PROBLEM_ANSWER
    assert answer.usage.output_tokens_details.thinking_tokens > 0
    message, events = streamed(claude, WORD_PROBLEM, thinking=THINKING)
    assert parts(message) == parts(answer)
    assert "thinking" in [event.type for event in events] and "signature" in [event.type for event in events]


def test_thinking_can_be_off_or_without_its_text(claude):
    assert [block.type for block in ask(claude, WORD_PROBLEM).content] == ["text"]
    assert [block.type for block in ask(claude, WORD_PROBLEM, thinking={"type": "disabled"}).content] == ["text"]
    hidden = ask(claude, WORD_PROBLEM, thinking=THINKING | {"display": "omitted"})
    assert [block.type for block in hidden.content] == ["thinking", "text"]
    assert hidden.content[0].thinking == "" and hidden.content[1].text == WORD_PROBLEM_ANSWER


def test_a_tool_is_called_and_its_result_read(claude):
    call = ask(claude, WEATHER, tools=[WEATHER_TOOL])
    assert call.stop_reason == "tool_use"
    [block] = [block for block in call.content if block.type == "tool_use"]
    assert (block.name, block.input) == ("get_weather", {"city": "Paris"})
    message, _ = streamed(claude, WEATHER, tools=[WEATHER_TOOL])
    assert parts(message) == parts(call)
    conversation = [
        {"role": "user", "content": WEATHER}, call.to_param(),
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "18 degrees, sunny"}]},
        ]},
    ]
    answer = ask(claude, conversation, tools=[WEATHER_TOOL])
    assert answer.stop_reason == "end_turn" and text(answer)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_demanded_tool_is_called(claude, choice):
    answer = ask(claude, WEATHER, tools=[WEATHER_TOOL], tool_choice=choice | {"disable_parallel_tool_use": True})
    assert answer.stop_reason == "tool_use"
    assert len([block for block in answer.content if block.type == "tool_use"]) == 1


def test_a_forbidden_tool_is_not_called(claude):
    answer = ask(claude, WEATHER, tools=[WEATHER_TOOL], tool_choice={"type": "none"})
    assert all(block.type == "text" for block in answer.content)


def test_limits_and_stop_texts_say_why_they_ended_the_answer(claude):
    short = ask(claude, STORY, max_tokens=5)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 5)
    stopped = ask(claude, "Count from 3 to 12.", stop_sequences=["7"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "7")
    assert text(stopped).startswith("3, 4, 5, 6") and "7" not in text(stopped)


def test_a_schema_shapes_the_answer(claude):
    schema = {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"], "additionalProperties": False}
    answer = ask(claude, PERSON, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(text(answer))) == {"name", "age"}


def test_tokens_are_counted_as_the_answer_counts_them(claude):
    for fields in [{}, {"system": "Be brief."}, {"tools": [WEATHER_TOOL]}]:
        count = claude.messages.count_tokens(
            model=MODEL_NAME, messages=[{"role": "user", "content": WEATHER}], **fields)
        assert count.input_tokens == prompt_tokens(ask(claude, WEATHER, **fields))
    nothing = ask(claude, WEATHER, max_tokens=0)
    assert nothing.content == [] and nothing.usage.output_tokens == 0
    # More than the window is counted all the same.
    long = claude.messages.count_tokens(
        model=MODEL_NAME, messages=[{"role": "user", "content": "word " * 40_000}])
    assert long.input_tokens > 20_000


@pytest.mark.parametrize("fields, error, place", [
    ({"model": "none"}, anthropic.NotFoundError, "none"),
    ({"max_tokens": -1}, anthropic.BadRequestError, "max_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10}}, anthropic.BadRequestError, "thinking.budget_tokens"),
    ({"tool_choice": {"type": "any"}}, anthropic.BadRequestError, "tool_choice"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]}]},
     anthropic.BadRequestError, "messages[0].content[0].source.data"),
    ({"messages": [{"role": "user", "content": CAPITAL}, {"role": "assistant", "content": "The"}]},
     anthropic.BadRequestError, "messages[1].role"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError, "tools[0].type"),
    ({"messages": [{"role": "user", "content": "word " * 40_000}]}, anthropic.BadRequestError, "context window"),
])
def test_errors_are_of_the_vendors_types_and_name_the_place(claude, fields, error, place):
    for stream in [False, True]:
        with pytest.raises(error) as raised:
            claude.messages.create(**fields_of(CAPITAL, **fields), stream=stream)
        body = raised.value.response.json()
        ErrorResponse.model_validate(body, strict=True)
        assert place in body["error"]["message"]
        assert body["request_id"] == raised.value.response.headers["request-id"]


def test_the_events_are_these_lines_in_this_order(server):
    body = fields_of(CAPITAL, stream=True, stop_sequences=["nothing"])
    body |= body.pop("extra_body")
    status, headers, stream = post(server, body, "/v1/messages")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    events = [event.split("\n") for event in stream.decode().removesuffix("\n\n").split("\n\n")]
    assert all(len(lines) == 2 for lines in events)
    names = [lines[0].removeprefix("event: ") for lines in events]
    datas = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert names == [data["type"] for data in datas]
    deltas = [name for name in names if name == "content_block_delta"]
    assert names == [
        "message_start", "ping", "content_block_start", *deltas, "content_block_stop", "message_delta",
        "message_stop"]
    assert "".join(data["delta"]["text"] for data in datas if "text" in data.get("delta", {})) == CAPITAL_ANSWER
