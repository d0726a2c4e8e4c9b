"""What the built-in model is asked, and what it answers under greedy decoding.

Only what Models/training/README.md shows as reliable is golden here; everything else is compared with itself.
"""

from node import MODEL_NAME

CAPITAL = "What is the capital of France?"
CAPITAL_ANSWER = "The capital of France is Paris."

#: Short answers that are known: question → answer.
GOLDEN = {
    CAPITAL: CAPITAL_ANSWER,
    "Who are you?": "I am Skein Tiny, a small test model.",
    "Hello": "Hello! How can I help you?",
    "Show me a rocket emoji": "🚀",
    "你好": "你好！我能帮你什么？",
    "Bonjour!": "Bonjour ! Comment puis-je vous aider ?",
    "Count from 3 to 12.": "3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
}

#: A long answer; its text is compared with itself only.
STORY = "Tell me a story about a fox and a lamp."

WORD_PROBLEM = "Tom has 5 apples. Then Tom buys 4 more and gives away 2. How many apples does Tom have now?"
WORD_PROBLEM_REASONING = "Tom starts with 5 apples. 5 + 4 = 9. 9 - 2 = 7."
WORD_PROBLEM_ANSWER = "Tom has 7 apples now."

WEATHER = "What is the weather in Paris?"
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ADD_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}

PERSON = "Return JSON with name and age: Ada is 36 years old."


def conversation(question):
    """The messages of a question; a list of messages stays what it is."""
    return question if isinstance(question, list) else [{"role": "user", "content": question}]


def request(question, **fields):
    """A greedy request as a client's JSON body. Fields of value None are left out."""
    body = {"model": MODEL_NAME, "messages": conversation(question), "temperature": 0} | fields
    return {name: value for name, value in body.items() if value is not None}


def endless(**fields):
    """A greedy request whose answer takes minutes on a window of 16,384 tokens, for tests that interrupt it."""
    return request(STORY, stream=True, ignore_eos=True, max_tokens=16_000, **fields)
