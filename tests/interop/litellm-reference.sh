#!/usr/bin/env bash
# Judges LiteLLM's proxy in front of the reference server: what becomes of real answers, streams and tools.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"
source "$here/reference.sh"

name=litellm-reference
environment=litellm
packages=('litellm[proxy]==1.108.7')
port=4001
health=/health/readiness
model=reference-small

serve() {
    # The local price list and no telemetry: nothing leaves the machine.
    UPSTREAM_URL=$(upstream_url) UPSTREAM_KEY=$(reference_key) \
        LITELLM_MASTER_KEY=$INTEROP_KEY LITELLM_LOCAL_MODEL_COST_MAP=True \
        exec "$env/bin/litellm" --config "$here/litellm-reference.yaml" --host 127.0.0.1 --port "$port" --telemetry False
}

judge "$@"
