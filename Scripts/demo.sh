#!/usr/bin/env bash
# The main job, end to end: sets up what is missing, builds, serves the built-in model cut into two stage processes,
# asks it a question through the OpenAI API and prints the answer as it comes. Then it goes on serving.
#
#   PORT=7534     where the API listens on 127.0.0.1; 0 lets the system choose
#   STAGES=2      stage processes, 1 … 8
#   ASK="…"       the question
#   ONCE=1        stop after the answer
#   SETUP_ONLY=1  stop after the set-up
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-7534}
stages=${STAGES:-2}
ask=${ASK:-Write a poem about the sea.}
binary=${SKEIN:-.build/release/skein}
ready_limit=120 # seconds
log=.build/demo/serve.log

say() { printf 'demo: %s\n' "$*" >&2; }
fail() { say "$1"; say "next step: $2"; exit 1; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
check_port() {
    [ "$port" = 0 ] && return
    ! listens "$port" ||
        fail "port $port is in use, perhaps by another demo" "stop that program, or take another port: PORT=$((port + 100)) make demo"
}

# --- set-up and build; a test may name a finished program in SKEIN
check_port
if [ -z "${SKEIN:-}" ]; then
    Scripts/setup.sh
    [ -z "${SETUP_ONLY:-}" ] || exit 0
    Scripts/build.sh product
fi

# --- serve
server=""
stop() {
    trap - EXIT INT TERM
    [ -n "$server" ] || return 0
    kill -TERM "$server" 2>/dev/null || return 0
    local tenths=0
    while kill -0 "$server" 2>/dev/null; do
        if [ $((tenths += 1)) -gt 100 ]; then
            say "the server did not stop within 10 s and is killed"
            kill -KILL "$server" 2>/dev/null || true
        fi
        sleep 0.1
    done
    say "stopped"
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

check_port
mkdir -p "${log%/*}"
say "starting: skein serve --alone --stages $stages --listen 127.0.0.1:$port (log: $log)"
begin=$SECONDS
"$binary" serve --alone --stages "$stages" --listen "127.0.0.1:$port" --log-level info >"$log" 2>&1 </dev/null &
server=$!

url=""
reason="the API is not open yet"
told=""
while :; do
    if ! kill -0 "$server" 2>/dev/null; then
        server=""
        tail -20 "$log" >&2
        fail "the server stopped by itself; its last lines are above" "they say why; the whole log is $log"
    fi
    [ -n "$url" ] || url=$(sed -n 's/^skein serves .* at \(http[^ ]*\)$/\1/p' "$log")
    if [ -n "$url" ]; then
        if answer=$(curl -sS --max-time 5 --fail-with-body "${url%/v1}/readyz" 2>/dev/null); then break; fi
        reason=$(sed -n 's/.*"reason":"\([^"]*\)".*/\1/p' <<<"$answer")
    fi
    if [ $((SECONDS - begin)) -ge "$ready_limit" ]; then
        tail -40 "$log" >&2
        fail "not ready after $ready_limit s (${reason:-no reason given}); the log's end is above" "report it with $log"
    fi
    if [ "$reason" != "$told" ]; then say "waiting: $reason"; fi
    told=$reason
    sleep 0.2
done

# --- ask
cut=$(sed -n 's/.*cut=\(\[.*)\) model=.*a deployment is ready.*/\1/p' "$log" | tail -1)
model=$(curl -sS --max-time 5 "$url/models" | sed -n 's/.*"data":\[{"id":"\([^"]*\)".*/\1/p') ||
    fail "GET $url/models got no answer" "look into $log"
body=$(python3 -c 'import json, sys; print(json.dumps({
    "model": sys.argv[1], "stream": True, "stream_options": {"include_usage": True}, "temperature": 0,
    "messages": [{"role": "user", "content": sys.argv[2]}]}))' "$model" "$ask")

printf '\n  %s, cut by layers into %s stage processes: %s\n' "$model" "$stages" "${cut:-(the log has no cut)}"
printf '  POST %s/chat/completions\n\n' "$url"
printf '  > %s\n\n' "$ask"
curl -sSN --max-time 120 "$url/chat/completions" -H 'Content-Type: application/json' -d "$body" |
    python3 Scripts/demo_answer.py ||
    fail "the answer did not come to its end" "the lines above and $log say why"

[ -z "${ONCE:-}" ] || exit 0
cat <<TEXT
  Serving at $url until Ctrl-C. Any OpenAI client works, for example:

    curl -N $url/chat/completions -H 'Content-Type: application/json' \\
      -d '{"model": "$model", "stream": true, "messages": [{"role": "user", "content": "What can you do?"}]}'

TEXT
wait "$server" || {
    code=$?
    server=""
    tail -20 "$log" >&2
    fail "the server ended with code $code; its last lines are above" "the whole log is $log"
}
