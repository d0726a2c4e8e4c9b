#!/usr/bin/env python3
"""Runs `skein verify` over a corpus of architectures and writes docs/certified-families.md.

usage: certify.py SKEIN CORPUS WORK OUTPUT [--layers N] [--only NAME]

CORPUS holds small random models, one file per architecture and kind, as llama.cpp's test-llama-archs writes them. Each
is deepened to N layers (default 12) in WORK, verified in a process of its own (a family that makes the library abort
must not end the run), and its verdict is one row of OUTPUT. Exits with 1 when a family that is not refused by name
fails.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time


def verify(skein, model, cache, timeout):
    """The report of one model, or a reason why there is none."""
    try:
        run = subprocess.run(
            [skein, "verify", str(model), "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, env={
                **os.environ, "GGML_NO_BACKTRACE": "1", "SWIFT_BACKTRACE": "enable=no", "XDG_CACHE_HOME": str(cache)})
    except subprocess.TimeoutExpired:
        return None, f"no verdict after {timeout} s"
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if lines:
        return json.loads(lines[-1]), None
    words = [line for line in run.stderr.splitlines() if line.strip()]
    if run.returncode < 0:
        asserted = [line for line in words if "GGML_ASSERT" in line or "error" in line.lower()]
        return None, f"the library aborted: {(asserted or words or ['no words'])[0].strip()}"
    return None, (words or ["no words"])[-1].removeprefix("skein: ").strip()


def certify(arguments):
    rows = []
    cache = pathlib.Path(arguments.work) / "cache"
    for source in sorted(pathlib.Path(arguments.corpus).glob("*.gguf")):
        if arguments.only and arguments.only not in source.name:
            continue
        began = time.monotonic()
        deep = pathlib.Path(arguments.work) / source.name
        made = subprocess.run(
            [arguments.skein, "gguf", "synth", "--like", str(source), "--layers", str(arguments.layers), str(deep)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if made.returncode != 0:
            rows.append((source.stem, None, None, made.stderr.strip().removeprefix("skein: ")))
        else:
            report, reason = verify(arguments.skein, deep, cache, arguments.timeout)
            rows.append((source.stem, report, verdict(report, reason), reason))
        # Sixty cuts of a model leave gigabytes of stage files that nothing reads again.
        deep.unlink(missing_ok=True)
        shutil.rmtree(cache, ignore_errors=True)
        name, report, word, reason = rows[-1]
        print(f"{name}: {word or 'not deepened'} {explain(report, reason)} ({time.monotonic() - began:.1f} s)", flush=True)
    return rows


def verdict(report, reason):
    if report is None:
        return "failed"
    if report.get("refusal"):
        return "refused"
    if not report["cuts"]:
        return "no legal cut"
    return "exact" if report["passed"] else "differs"


def explain(report, reason):
    if report is None:
        return reason or ""
    if report.get("refusal"):
        return report["refusal"]
    cuts = report["cuts"]
    good = [cut for cut in cuts if cut.get("max_abs_diff") == 0 and not cut.get("reason") and cut["tokens_equal"] == cut["tokens"]]
    text = f"{len(good)} of {len(cuts)} cuts; a stage may start at {spans(report['legal_boundaries'])}"
    bad = [cut for cut in cuts if cut not in good]
    layered = report.get("layered")
    if layered and (layered.get("reason") or layered["max_abs_diff"] != 0):
        text += f"; layer by layer: {layered.get('reason') or 'differs by ' + str(layered['max_abs_diff'])}"
    elif layered:
        text += "; prompts may pause between layers"
    if bad:
        text += f"; first bad cut {bad[0]['cut']}: {bad[0].get('reason') or 'differs by ' + str(bad[0]['max_abs_diff'])}"
    return text


def spans(numbers):
    """1, 2, 3, 5 as '1–3, 5'."""
    parts, start, last = [], None, None
    for number in list(numbers) + [None]:
        if last is not None and number == last + 1:
            last = number
            continue
        if start is not None:
            parts.append(str(start) if start == last else f"{start}–{last}")
        start = last = number
    return ", ".join(parts) or "no layer"


def write(rows, arguments):
    counts = {}
    for _, _, word, _ in rows:
        counts[word or "not deepened"] = counts.get(word or "not deepened", 0) + 1
    lines = [
        "# Certified families",
        "",
        "Written by `make certify`; do not edit. Every architecture that the pinned llama.cpp can write as a small random",
        f"model (`test-llama-archs`), deepened to {arguments.layers} layers, staged against unstaged on this machine: every legal cut into",
        "two stages and a selection into three and four, prefill in one and in several chunks, three sequences at once, 64",
        "decoded tokens each, wire f32. `exact` means that every logit of every step is equal bit for bit. Where prompts",
        "may pause between layers, those that went through them one by one gave the same bits, too.",
        "",
        "Sum: " + ", ".join(f"{count} {word}" for word, count in sorted(counts.items(), key=lambda item: -item[1])) + f", of {len(rows)} models.",
        "",
        "| model | verdict | reason |",
        "|---|---|---|",
    ]
    for name, report, word, reason in rows:
        text = explain(report, reason).replace("|", "/").replace("\n", " ")
        lines.append(f"| {name} | {word or 'not deepened'} | {text} |")
    pathlib.Path(arguments.output).write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser()
    for name in ("skein", "corpus", "work", "output"):
        parser.add_argument(name)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--only")
    parser.add_argument("--timeout", type=int, default=1200)
    arguments = parser.parse_args()
    rows = certify(arguments)
    write(rows, arguments)
    bad = [name for name, _, word, _ in rows if word in ("differs", "failed")]
    print(f"{len(rows)} models, not exact and not refused: {', '.join(bad) or 'none'}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
