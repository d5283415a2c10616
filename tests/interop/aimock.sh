#!/usr/bin/env bash
# Judges the mock server aimock, which answers from the fixed texts of aimock.json.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"

name=aimock
packages=('@copilotkit/aimock@1.43.0')
port=4010
health=/health
model=mock-text

fetch() {
    npm install --silent --no-fund --no-audit --prefix "$env" "${packages[@]}"
}

serve() {
    AIMOCK_API_KEYS=$INTEROP_KEY exec "$env/node_modules/.bin/llmock" --fixtures "$here/aimock.json" \
        --validate-on-load --latency 20 --chunk-size 4 --host 127.0.0.1 --port "$port"
}

judge "$@"
