"""What people build with: LangChain, LiteLLM and OpenAI's agents, each with a conversation, a stream and a tool."""

import asyncio
import json

import agents
import litellm
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from conftest import ANSWER_SECONDS
from node import MODEL_NAME
from questions import CAPITAL, CAPITAL_ANSWER, WEATHER, WEATHER_TOOL

agents.set_tracing_disabled(True)
litellm.telemetry = False


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city"""
    return f"It is sunny in {city}."


@pytest.mark.parametrize("uses_responses", [False, True])
def test_langchain(server, uses_responses):
    model = ChatOpenAI(
        model=MODEL_NAME, base_url=f"{server.url}/v1", api_key="none", temperature=0, timeout=ANSWER_SECONDS,
        max_retries=0, use_responses_api=uses_responses, stream_usage=True)
    answer = model.invoke(CAPITAL)
    assert answer.text == CAPITAL_ANSWER
    assert answer.usage_metadata["output_tokens"] > 0
    pieces = list(model.stream(CAPITAL))
    assert "".join(piece.text for piece in pieces) == CAPITAL_ANSWER
    [call] = model.bind_tools([get_weather]).invoke(WEATHER).tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})


@pytest.mark.parametrize("provider, path", [("openai", "/v1"), ("anthropic", ""), ("ollama_chat", "")])
def test_litellm(server, provider, path):
    asked = dict(
        model=f"{provider}/{MODEL_NAME}", api_base=server.url + path, api_key="none", temperature=0,
        timeout=ANSWER_SECONDS, num_retries=0, max_tokens=128, messages=[{"role": "user", "content": CAPITAL}])
    assert litellm.completion(**asked).choices[0].message.content == CAPITAL_ANSWER
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **asked)]
    assert "".join(pieces) == CAPITAL_ANSWER
    asked["messages"] = [{"role": "user", "content": WEATHER}]
    [call] = litellm.completion(tools=[WEATHER_TOOL], **asked).choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}


@pytest.mark.parametrize("kind", [agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel])
def test_openai_agents(server, kind):
    called = []

    @agents.function_tool(name_override="get_weather", description_override="Get the current weather in a city")
    def weather(city: str) -> str:
        called.append(city)
        return f"It is sunny in {city}."

    async def run():
        from openai import AsyncOpenAI

        async with AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", timeout=ANSWER_SECONDS, max_retries=0) as client:
            model = kind(model=MODEL_NAME, openai_client=client)
            settings = agents.ModelSettings(temperature=0)
            plain = agents.Agent(name="plain", model=model, model_settings=settings)
            said = await agents.Runner.run(plain, CAPITAL)
            armed = agents.Agent(name="armed", model=model, model_settings=settings, tools=[weather])
            used = await agents.Runner.run(armed, WEATHER, max_turns=4)
            return said.final_output, used.final_output

    said, used = asyncio.run(run())
    assert said == CAPITAL_ANSWER
    assert called == ["Paris"] and used
