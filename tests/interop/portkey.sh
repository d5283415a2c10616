#!/usr/bin/env bash
# Judges Portkey's gateway in front of the reference server, whose key it hands on.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"
source "$here/reference.sh"

name=portkey
packages=('@portkey-ai/gateway@1.15.2')
port=8787
health=/
model=reference-small
INTEROP_KEY=$(reference_key)

fetch() {
    # With the one that npm takes by itself each stream is a 500 (Portkey-AI/gateway#1389, #1550).
    printf '{"private": true, "overrides": {"@hono/node-server": "1.3.3"}}\n' >"$env/package.json"
    npm install --silent --no-fund --no-audit --prefix "$env" "${packages[@]}"
}

serve() {
    cd "$env"
    TRUSTED_CUSTOM_HOSTS=127.0.0.1 exec node node_modules/@portkey-ai/gateway/build/start-server.js \
        --headless --port="$port"
}

judge --llm-header='x-portkey-provider: openai' --llm-header="x-portkey-custom-host: $(upstream_url)" "$@"
