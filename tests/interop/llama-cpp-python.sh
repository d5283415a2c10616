#!/usr/bin/env bash
# Judges the server of llama-cpp-python on a tiny random model, with the chat template of the model itself.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"

name=llama-cpp-python
packages=('llama-cpp-python[server]==0.3.36' 'gguf==0.19.0')
port=8000
health=/v1/models
model=tiny

serve() {
    cd "$env"
    bin/python "$here/tiny_gguf.py" tiny.gguf
    API_KEY=$INTEROP_KEY exec bin/python -m llama_cpp.server --model tiny.gguf --model_alias "$model" \
        --n_ctx 0 --host 127.0.0.1 --port "$port"
}

# One request at a time: as soon as another one comes, the server cuts off the stream that it is sending.
judge --llm-concurrency=1 "$@"
