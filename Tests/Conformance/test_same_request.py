"""The same conversation through every dialect, streamed or not, whole or cut: the same text, call and token counts."""

import json

import anthropic
import httpx
import pytest

from conftest import ANSWER_SECONDS, client_of
from node import MODEL_NAME
from questions import ADD_TOOL, CAPITAL, GOLDEN, STORY, WEATHER, WEATHER_TOOL

MAX_TOKENS = 96


class Answer:
    """What every dialect says in words of its own."""

    def __init__(self, text, calls, usage, is_cut):
        self.text, self.calls, self.usage, self.is_cut = text, calls, usage, is_cut

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return repr(vars(self))


def chat(node, question, tools, stream):
    client = client_of(node)
    fields = {"tools": tools} if tools else {}
    asked = dict(
        model=MODEL_NAME, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=MAX_TOKENS,
        extra_body={"enable_thinking": False}, **fields)
    if stream:
        calls, text, usage, reason = {}, "", None, None
        for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
                for call in choice.delta.tool_calls or []:
                    name, arguments = calls.get(call.index, ("", ""))
                    calls[call.index] = (name + (call.function.name or ""), arguments + call.function.arguments)
        calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]
    else:
        answer = client.chat.completions.create(**asked)
        [choice] = answer.choices
        text, usage, reason = choice.message.content or "", answer.usage, choice.finish_reason
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
    return Answer(text, calls, (usage.prompt_tokens, usage.completion_tokens), reason == "length")


def responses(node, question, tools, stream):
    client = client_of(node)
    flat = [{"type": "function"} | tool["function"] for tool in tools]
    asked = dict(
        model=MODEL_NAME, input=question, temperature=0, max_output_tokens=MAX_TOKENS, store=False,
        extra_body={"enable_thinking": False}, **({"tools": flat} if tools else {}))
    if stream:
        *_, last = client.responses.create(stream=True, **asked)
        answer = last.response
    else:
        answer = client.responses.create(**asked)
    calls = [(i.name, json.loads(i.arguments)) for i in answer.output if i.type == "function_call"]
    usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    return Answer(answer.output_text, calls, usage, answer.status == "incomplete")


def messages(node, question, tools, stream):
    client = anthropic.Anthropic(base_url=node.url, api_key="none", max_retries=0, timeout=ANSWER_SECONDS)
    theirs = [
        {"name": t["function"]["name"], "description": t["function"]["description"],
         "input_schema": t["function"]["parameters"]} for t in tools]
    asked = dict(
        model=MODEL_NAME, max_tokens=MAX_TOKENS, messages=[{"role": "user", "content": question}],
        extra_body={"temperature": 0}, **({"tools": theirs} if tools else {}))
    if stream:
        with client.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**asked)
    text = "".join(block.text for block in answer.content if block.type == "text")
    calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
    read = answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0)
    return Answer(text, calls, (read, answer.usage.output_tokens), answer.stop_reason == "max_tokens")


def llama(node, question, tools, stream):
    """Without the SDK, which writes the members of a tool's schema in an order of its own: another prompt."""
    asked = dict(
        model=MODEL_NAME, messages=[{"role": "user", "content": question}], think=False, tools=tools, stream=stream,
        options={"temperature": 0, "top_k": 0, "top_p": 1, "num_predict": MAX_TOKENS})
    answer = httpx.post(f"{node.url}/api/chat", json=asked, timeout=ANSWER_SECONDS).raise_for_status()
    pieces = [json.loads(line) for line in answer.text.splitlines()]
    text = "".join(piece["message"]["content"] for piece in pieces)
    calls = [c["function"] for piece in pieces for c in piece["message"].get("tool_calls", [])]
    calls = [(call["name"], call["arguments"]) for call in calls]
    last = pieces[-1]
    return Answer(text, calls, (last["prompt_eval_count"], last["eval_count"]), last["done_reason"] == "length")


QUESTIONS = [(question, []) for question in [*list(GOLDEN)[:4], STORY]] + [
    (WEATHER, [WEATHER_TOOL]), (CAPITAL, [WEATHER_TOOL, ADD_TOOL])]


@pytest.mark.parametrize("question, tools", QUESTIONS, ids=range(len(QUESTIONS)))
def test_the_same_request_gets_the_same_answer_everywhere(served, question, tools):
    expected = chat(served(1), question, tools, False)
    assert expected.text or expected.calls
    if question == WEATHER:
        assert expected.calls == [("get_weather", {"city": "Paris"})]
    for stages in (1, 2):
        for ask in (chat, responses, messages, llama):
            for stream in (False, True):
                answer = ask(served(stages), question, tools, stream)
                assert answer == expected, f"{ask.__name__}, stream={stream}, {stages} stages"
