#!/usr/bin/env bash
# Judges LiteLLM's proxy, which answers from the fixed texts of litellm.yaml.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"

name=litellm
packages=('litellm[proxy]==1.108.7')
port=4000
health=/health/readiness
model=mock-text

serve() {
    # The local price list and no telemetry: nothing leaves the machine.
    LITELLM_MASTER_KEY=$INTEROP_KEY LITELLM_LOCAL_MODEL_COST_MAP=True \
        exec "$env/bin/litellm" --config "$here/litellm.yaml" --host 127.0.0.1 --port "$port" --telemetry False
}

judge "$@"
