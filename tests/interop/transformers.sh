#!/usr/bin/env bash
# Judges `transformers serve` on a tiny random model. The server knows no keys.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"

name=transformers
packages=('torch==2.13.0' 'transformers[serving]==5.24.0' 'tokenizers==0.23.3')
port=8002
health=/health
model=tiny
key=(--llm-no-auth)

prepare() {
    "$env/bin/python" "$here/tiny_llama.py" "$env/$model"
}

serve() {
    cd "$env"
    HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 \
        exec bin/transformers serve "$model" --device cpu --host 127.0.0.1 --port "$port"
}

judge "$@"
