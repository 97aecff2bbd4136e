#!/usr/bin/env bash
# The whole line on the sample rows, with the `tunewright` that PYTHON's environment holds: rows → bundle → report →
# an answer by curl. Usage: scripts/demo.sh PYTHON [FOLDER]. Stops with a non-zero exit code at the first failure.
set -euo pipefail

bin=$(cd "$(dirname "$1")" && pwd)
folder=${2:-demo}
tunewright="$bin/tunewright"
say() { printf '\n$ %s\n' "$*"; }
run() { say "tunewright $*"; "$tunewright" "$@"; }

mkdir -p "$folder"
cd "$folder"

run sample rows
run check rows/support_train.csv --text text --label intent
run fit rows/support_train.csv --test rows/support_test.csv --text text --label intent \
    --out intents --minutes 2 --force
run show intents
run evaluate intents rows/support_test.csv --label intent

port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
say "tunewright serve intents --port $port &"
"$tunewright" serve intents --port "$port" >serve.log 2>&1 &
service=$!
trap 'kill "$service" 2>/dev/null || true' EXIT

for _ in $(seq 120); do
    if curl -fsS "http://127.0.0.1:$port/readyz" >/dev/null 2>&1; then break; fi
    if ! kill -0 "$service" 2>/dev/null; then cat serve.log >&2; echo "the service stopped" >&2; exit 1; fi
    sleep 0.25
done

body='{"inputs": ["Where is my parcel? It should have been here on Monday."]}'
say "curl http://127.0.0.1:$port/predict -H 'Content-Type: application/json' -d '$body'"
answer=$(curl -fsS --max-time 30 "http://127.0.0.1:$port/predict" -H 'Content-Type: application/json' -d "$body")
echo "$answer"
"$bin/python" -c '
import json, sys
(one,) = json.loads(sys.argv[1])["predictions"]
sys.exit(not (one["id"] and one["label"] and 0 <= one["score"] <= 1))
' "$answer" || { echo "the answer is not complete" >&2; exit 1; }

kill "$service"
wait "$service" || { status=$?; [ "$status" -eq 143 ] || { cat serve.log >&2; exit "$status"; }; }
trap - EXIT
echo
echo "The report: $PWD/intents/report.html"
