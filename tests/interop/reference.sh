# The reference server as the one behind a gateway. Source it behind judge.sh; $port is that of the gateway.

reference_key() {
    (cd "$repository" && "$python" -c 'from pytest_llmcompat.reference.auth import DEFAULT_KEY; print(DEFAULT_KEY)')
}

upstream_url() {
    printf 'http://127.0.0.1:%s/v1' "$((${INTEROP_PORT:-$port} + 100))"
}

# Replaces the one of judge.sh: a gateway may be ready before the server behind it.
ready() {
    listening "$((port + 100))" && healthy
}

upstream() {
    cd "$repository"
    exec "$python" -m pytest_llmcompat.reference --port "$((port + 100))"
}
