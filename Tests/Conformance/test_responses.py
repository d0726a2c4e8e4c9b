"""Responses through the vendor's own SDK, solo and cut into two and three stages.

The client validates every answer and every event against the SDK's types; see `client_of`.
"""

import json

import openai
import pydantic
import pytest

from conftest import ask as ask_chat, client_of
from node import MODEL_NAME, wait_until
from questions import (
    CAPITAL, CAPITAL_ANSWER, GOLDEN, PERSON, STORY, WEATHER, WEATHER_TOOL, WORD_PROBLEM, WORD_PROBLEM_ANSWER,
    WORD_PROBLEM_REASONING)

#: The weather tool in the shape of this API.
TOOL = {"type": "function"} | WEATHER_TOOL["function"]


def ask(client, question, **fields):
    """A greedy response by the SDK."""
    fields.setdefault("temperature", 0)
    return client.responses.create(model=MODEL_NAME, input=question, **fields)


class Stream:
    """A streamed response put together again, with the order of its events checked."""

    def __init__(self, events):
        self.items, self.final, self.names = [], None, []
        self.open = None
        for number, event in enumerate(events):
            assert event.sequence_number == number
            assert self.final is None, f"{event.type} follows the end"
            self.names.append(event.type)
            self.take(event)
        assert self.names[:2] == ["response.created", "response.in_progress"]
        assert self.open is None and self.final is not None

    def take(self, event):
        kind = event.type
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.final = event.response
        elif kind == "response.output_item.added":
            assert self.open is None and event.output_index == len(self.items)
            assert event.item.status == "in_progress"
            self.open, self.text, self.logprobs = event.item, "", []
        elif kind == "response.output_item.done":
            assert (event.output_index, event.item.id) == (len(self.items), self.open.id)
            whole = event.item.arguments if event.item.type == "function_call" else event.item.content[0].text
            assert whole == self.text
            self.items.append(event.item)
            self.open = None
        elif kind.startswith("response.") and kind not in ("response.created", "response.in_progress"):
            assert (event.output_index, event.item_id) == (len(self.items), self.open.id)
            if kind.endswith(".delta"):
                self.text += event.delta
                self.logprobs += getattr(event, "logprobs", None) or []


def stream(client, question, **fields):
    return Stream(ask(client, question, stream=True, **fields))


def item_of(response, kind):
    [item] = [item for item in response.output if item.type == kind]
    return item


# Text


@pytest.mark.parametrize("question", GOLDEN, ids=list(GOLDEN))
def test_known_questions_get_their_answers(client, question):
    response = ask(client, question)
    assert (response.object, response.model, response.status) == ("response", MODEL_NAME, "completed")
    assert response.id.startswith("resp_")
    assert response.output_text == GOLDEN[question]
    assert (response.error, response.incomplete_details) == (None, None)
    assert response.completed_at >= response.created_at
    assert (response.parallel_tool_calls, response.tool_choice, response.tools) == (True, "auto", [])
    assert (response.temperature, response.top_p, response.truncation) == (0, 1, "disabled")
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens and usage.output_tokens > 0


@pytest.mark.parametrize("question", [*GOLDEN, STORY, WORD_PROBLEM])
def test_streamed_and_whole_responses_agree(client, question):
    whole, streamed = ask(client, question), stream(client, question)
    assert streamed.final.output_text == whole.output_text
    assert [item.type for item in streamed.items] == [item.type for item in whole.output]
    assert [item.model_dump() for item in streamed.items] == [
        item.model_dump() for item in streamed.final.output]
    assert streamed.final.usage.output_tokens == whole.usage.output_tokens


def test_the_answer_is_that_of_chat_completions(client):
    for question in [*GOLDEN, STORY]:
        assert ask(client, question).output_text == ask_chat(client, question).choices[0].message.content


def test_the_sdk_can_follow_a_stream_by_its_own_events(client):
    with client.responses.stream(model=MODEL_NAME, input=CAPITAL, temperature=0) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert kinds[-1] == "response.completed"
    assert final.output_text == CAPITAL_ANSWER


def test_items_and_instructions_make_a_conversation(client):
    question = [
        {"role": "user", "content": "My name is Ada."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Nice to meet you, Ada."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]}]
    assert ask(client, question).output_text == "Your name is Ada."
    pirate = ask(client, CAPITAL, instructions="You are a pirate.")
    assert pirate.output_text == "Arr! The capital of France is Paris, matey!"
    assert pirate.instructions == "You are a pirate."


def test_a_limit_of_tokens_makes_the_response_incomplete(client):
    whole = ask(client, STORY, max_output_tokens=10)
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert whole.output[-1].status == "incomplete" and whole.usage.output_tokens == 10
    streamed = stream(client, STORY, max_output_tokens=10)
    assert streamed.names[-1] == "response.incomplete"
    assert streamed.final.output_text == whole.output_text


def test_log_probabilities_describe_every_token(client):
    response = ask(client, CAPITAL, include=["message.output_text.logprobs"], top_logprobs=3)
    entries = response.output[0].content[0].logprobs
    assert "".join(entry.token for entry in entries) == CAPITAL_ANSWER
    assert all(len(entry.top_logprobs) == 3 for entry in entries)
    streamed = stream(client, CAPITAL, top_logprobs=3)
    assert [entry.token for entry in streamed.logprobs] == [entry.token for entry in entries]
    assert ask(client, CAPITAL).output[0].content[0].logprobs == []


# Reasoning


def test_reasoning_is_an_item_of_its_own(client):
    response = ask(client, WORD_PROBLEM)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text.strip() == WORD_PROBLEM_REASONING
    assert response.output_text == WORD_PROBLEM_ANSWER
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens
    streamed = stream(client, WORD_PROBLEM)
    assert "response.reasoning_text.delta" in streamed.names and "response.reasoning_text.done" in streamed.names
    assert streamed.items[0].content[0].text == response.output[0].content[0].text


def test_effort_none_answers_without_thinking(client):
    response = ask(client, WORD_PROBLEM, reasoning={"effort": "none"})
    assert [item.type for item in response.output] == ["message"]
    assert response.reasoning.effort == "none"


def test_reasoning_survives_the_client(client):
    first = ask(client, WORD_PROBLEM, include=["reasoning.encrypted_content"])
    reasoning = item_of(first, "reasoning")
    assert reasoning.encrypted_content
    back = [{"role": "user", "content": WORD_PROBLEM}, *[item.model_dump(exclude_none=True) for item in first.output]]
    for item in back:
        item.pop("parsed", None)
    sealed = [dict(back[0]), {
        "type": "reasoning", "id": reasoning.id, "summary": [], "encrypted_content": reasoning.encrypted_content}, back[2]]
    follow_up = {"role": "user", "content": CAPITAL}
    assert ask(client, [*back, follow_up]).usage.input_tokens == ask(client, [*sealed, follow_up]).usage.input_tokens


# Tools


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "name": "get_weather"}])
def test_a_function_is_called_and_its_output_answered(client, choice):
    response = ask(client, WEATHER, tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
    call = item_of(response, "function_call")
    assert (call.name, json.loads(call.arguments), call.status) == ("get_weather", {"city": "Paris"}, "completed")
    assert response.tools[0].name == "get_weather"
    output = {
        "type": "function_call_output", "call_id": call.call_id,
        "output": '{"temperature": 18, "condition": "sunny"}'}
    by_id = ask(client, [output], tools=[TOOL], previous_response_id=response.id)
    by_items = ask(
        client, [{"role": "user", "content": WEATHER}, *[item.model_dump() for item in response.output], output],
        tools=[TOOL])
    assert by_id.output_text == by_items.output_text == "It is sunny in Paris with 18 degrees."
    assert by_id.usage.input_tokens == by_items.usage.input_tokens


def test_a_streamed_call_equals_the_whole_one(client):
    whole = item_of(ask(client, WEATHER, tools=[TOOL]), "function_call")
    streamed = stream(client, WEATHER, tools=[TOOL])
    call = item_of(streamed.final, "function_call")
    assert (call.name, call.arguments) == (whole.name, whole.arguments)
    assert "response.function_call_arguments.delta" in streamed.names
    assert "response.function_call_arguments.done" in streamed.names


def test_no_function_is_called_when_that_is_asked(client):
    response = ask(client, WEATHER, tools=[TOOL], tool_choice="none")
    assert all(item.type != "function_call" for item in response.output)


@pytest.mark.parametrize("kind", ["web_search", "file_search", "code_interpreter", "mcp", "image_generation", "custom"])
def test_tools_that_cannot_run_here_are_dropped_unless_they_are_chosen(client, kind):
    tools = [{"type": kind, "name": "x"}, TOOL]
    answer = client.responses.with_raw_response.create(model=MODEL_NAME, input=CAPITAL, temperature=0, tools=tools)
    assert f"'{kind}'" in answer.headers["warnings"]
    assert [tool.name for tool in answer.parse().tools] == ["get_weather"]
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, CAPITAL, tools=tools, tool_choice={"type": kind, "name": "x"})
    assert refusal.value.param == "tool_choice.type" and kind in refusal.value.message


def test_a_function_of_a_namespace_is_called_by_both_names(client):
    functions = [TOOL, {"type": "custom", "name": "x"}]
    tools = [{"type": "namespace", "name": "mcp__home__", "description": "", "tools": functions}]
    fields = dict(tools=tools, tool_choice="required", parallel_tool_calls=False)
    whole, streamed = ask(client, WEATHER, **fields), stream(client, WEATHER, **fields)
    for response in [whole, streamed.final]:
        call = item_of(response, "function_call")
        assert (call.name, call.namespace) == ("get_weather", "mcp__home__")
        [space] = response.tools
        assert (space.name, [tool.name for tool in space.tools]) == ("mcp__home__", ["get_weather"])
    output = {"type": "function_call_output", "call_id": item_of(whole, "function_call").call_id, "output": "sunny"}
    back = [{"role": "user", "content": WEATHER}, *[item.model_dump() for item in whole.output], output]
    assert ask(client, back, tools=tools).status == "completed"


# Structured output


class Person(pydantic.BaseModel):
    name: str
    age: int


def test_parse_gives_the_client_its_own_type(client):
    response = client.responses.parse(model=MODEL_NAME, input=PERSON, text_format=Person, temperature=0)
    assert response.output_parsed == Person(name="Ada", age=36)
    assert response.text.format.type == "json_schema"


def test_json_mode_gives_an_object(client):
    response = ask(client, PERSON, text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(response.output_text), dict)
    assert response.text.format.type == "json_object"


# Keeping


def test_a_response_is_kept_until_it_is_deleted(client):
    response = ask(client, CAPITAL, metadata={"topic": "cities"})
    kept = client.responses.retrieve(response.id)
    assert kept.model_dump() == response.model_dump() and kept.metadata == {"topic": "cities"}
    items = client.responses.input_items.list(response.id)
    assert [item.content[0].text for item in items] == [CAPITAL]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(response.id)


def test_a_response_that_is_not_to_be_kept_is_not(client):
    response = ask(client, CAPITAL, store=False)
    assert response.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_input_items_come_in_pages(client):
    words = ["Hello", "Bonjour!", "Hello", CAPITAL]
    response = ask(client, [{"role": "user", "content": word} for word in words])
    for limit in [1, 3, 100]:
        items = list(client.responses.input_items.list(response.id, limit=limit, order="asc"))
        assert [item.content[0].text for item in items] == words
    newest_first = client.responses.input_items.list(response.id, limit=2)
    assert newest_first.has_more and [item.content[0].text for item in newest_first.data] == words[:1:-1]


def test_a_conversation_goes_on_by_the_last_response(client):
    last = None
    for question, answer in [
        ("My name is Ada.", "Nice to meet you, Ada."),
        ("What is the capital of Japan?", "The capital of Japan is Tokyo."),
        ("What is my name?", "Your name is Ada."),
    ]:
        response = ask(client, question, previous_response_id=last)
        assert response.output_text == answer and response.previous_response_id == last
        last = response.id


def test_responses_survive_a_restart(own_node):
    node = own_node("--threads", 1)
    first = ask(client_of(node), "My name is Ada.")
    running = ask(client_of(node), STORY, background=True, extra_body={"ignore_eos": True}, max_output_tokens=16_000)
    node.stop_and_start_again()
    client = client_of(node)
    assert client.responses.retrieve(first.id).output_text == first.output_text
    assert ask(client, "What is my name?", previous_response_id=first.id).output_text == "Your name is Ada."
    left = client.responses.retrieve(running.id)
    assert (left.status, left.error.code) == ("failed", "server_error")


def test_a_conversation_beyond_the_window_loses_its_oldest_turns_only_when_asked(own_node):
    client = client_of(own_node("--ctx", 256, "--threads", 1))
    turns = [{"role": "user", "content": f"This is note number {number} of many notes."} for number in range(60)]
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, [*turns, {"role": "user", "content": CAPITAL}], max_output_tokens=40)
    assert refusal.value.code == "context_length_exceeded" and refusal.value.param == "input"
    response = ask(
        client, [*turns, {"role": "user", "content": CAPITAL}], truncation="auto", max_output_tokens=40)
    assert response.truncation == "auto" and 64 < response.usage.input_tokens <= 216


def test_a_conversation_is_compacted(served):
    client = client_of(served(1), strict=False)
    first = ask(client, "My name is Ada.")
    compacted = client.responses.compact(model=MODEL_NAME, previous_response_id=first.id, input=CAPITAL)
    assert compacted.object == "response.compaction" and compacted.usage.output_tokens > 0
    assert [item.type for item in compacted.output] == ["message", "message", "compaction"]
    items = [item.model_dump(exclude_none=True) for item in compacted.output]
    assert ask(client, [*items, {"role": "user", "content": CAPITAL}]).status == "completed"


# Background


def endless(client, **fields):
    return ask(
        client, STORY, background=True, max_output_tokens=16_000, extra_body={"ignore_eos": True}, **fields)


def test_one_in_the_background_is_queued_and_completes(client):
    response = ask(client, CAPITAL, background=True)
    assert response.status in ("queued", "in_progress") and response.background is True
    done = wait_until(
        lambda: (kept := client.responses.retrieve(response.id)).status == "completed" and kept, 30, "the answer")
    assert done.output_text == CAPITAL_ANSWER


def test_one_in_the_background_is_followed_from_any_event(client):
    events = list(ask(client, CAPITAL, background=True, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == CAPITAL_ANSWER
    id = events[0].response.id
    rest = list(client.responses.retrieve(id, stream=True, starting_after=3))
    assert [event.model_dump() for event in rest] == [event.model_dump() for event in events[4:]]


def test_one_in_the_background_outlives_its_stream_and_is_cancelled(server):
    client = client_of(server)
    with endless(client, stream=True) as events:
        for event in events:
            if event.type == "response.created":
                id = event.response.id
            if event.type == "response.output_text.delta":
                break
    assert client.responses.retrieve(id).status == "in_progress"
    cancelled = client.responses.cancel(id)
    assert cancelled.status == "cancelled" and cancelled.output_text
    assert client.responses.retrieve(id).model_dump() == cancelled.model_dump()
    server.wait_until_idle()


def test_a_response_in_the_foreground_cannot_be_cancelled(client):
    response = ask(client, CAPITAL)
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(response.id)


# Refusals


@pytest.mark.parametrize(
    "fields, param", [
        ({"conversation": "conv_1"}, "conversation"), ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"previous_response_id": "resp_none"}, "previous_response_id"), ({"background": True, "store": False}, "background"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"), ({"temperature": 2.5}, "temperature"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"tool_choice": "required"}, "tool_choice"), ({"top_logprobs": 21}, "top_logprobs"),
        ({"extra_body": {"max_tokens": 5}}, "max_tokens"), ({"extra_body": {"n": 2}}, "n"),
        ({"extra_body": {"response_format": {"type": "json_object"}}}, "response_format"),
    ], ids=lambda value: None if isinstance(value, dict) else value)
def test_what_cannot_be_done_is_refused_by_name(client, fields, param):
    for streamed in [False, True]:
        with pytest.raises(openai.BadRequestError) as refusal:
            ask(client, CAPITAL, stream=streamed, **fields)
        assert refusal.value.param == param and refusal.value.code


def test_images_are_refused_by_name(client):
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "https://example.com/a.png"}]
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, [{"role": "user", "content": parts}])
    assert refusal.value.param == "input[0].content[1].image_url"


def test_an_unknown_model_is_404(client):
    for streamed in [False, True]:
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="none", input=CAPITAL, stream=streamed)
