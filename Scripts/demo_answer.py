"""Reads a streamed chat completion (server-sent events) on standard input, prints the text as it arrives, and then
what the stream says about speed. Exit code 1 when the stream is an error or ends early."""

import json
import sys
import time


def show(text):
    sys.stdout.write(text.replace("\n", "\n  "))
    sys.stdout.flush()


def main():
    started = time.monotonic()
    usage = finish = None
    began = False
    timings = {}
    other = []
    for line in sys.stdin:
        if not line.startswith("data: "):
            other.append(line)
            continue
        data = line[len("data: "):].strip()
        if data == "[DONE]":
            break
        chunk = json.loads(data)
        if "error" in chunk:
            sys.exit("\n  the stream ended with an error: " + chunk["error"].get("message", data))
        for choice in chunk.get("choices", []):
            delta = choice["delta"]
            text = (delta.get("reasoning_content") or "") + (delta.get("content") or "")
            if text and not began:
                began = True
                show("  ")
            show(text)
            finish = choice.get("finish_reason") or finish
        usage = chunk.get("usage") or usage
        timings = chunk.get("timings") or timings
    seconds = time.monotonic() - started
    if finish is None:
        text = "".join(other).strip()
        sys.exit("\n  the stream broke off" + (": " + text if text else ""))

    tokens = (usage or {}).get("completion_tokens", 0)
    facts = [f"{tokens} tokens"]
    if timings:
        # As the server measured them; the wall time of so short an answer is mostly this program's own start.
        facts.append(f"{timings['predicted_per_second']:.0f} tokens/s")
        facts.append(f"first token after {timings['queue_ms'] + timings['prompt_ms']:.0f} ms")
    else:
        facts.append(f"{tokens / max(seconds, 1e-9):.0f} tokens/s by the wall clock")
    print("\n\n  " + ", ".join(facts) + f", finish reason: {finish}\n")


main()
