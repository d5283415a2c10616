# What all servers have in common: install, start, wait, judge, stop. Each server's own file sources this one,
# sets the variables below, defines `serve` and calls `judge`.
#
#   name       of the server and of its folder below the home of the environments
#   packages   array of pinned requirements
#   port       where it listens on the loopback
#   health     path that answers 200 when the server is ready
#   model      id of the model on trial
#   serve      function that becomes the server (exec); it finds $env, $port, $model and $INTEROP_KEY
#
# INTEROP_HOME  where the environments live, outside the repository; default below the user's cache
# INTEROP_PORT  another port; a cassette's folder is named for it, so the committed ones are not found then
# INTEROP_KEY   the server's key; default a new one for each run
# PYTHON        the interpreter that has pytest-llmcompat; default `python`
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd -- "$here/../.." && pwd)
home=${INTEROP_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/llmcompat-interop}
python=${PYTHON:-python}
export INTEROP_KEY=${INTEROP_KEY:-sk-interop-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}

say() { printf '%s: %s\n' "$name" "$*" >&2; }

listening() { (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

install() {
    local stamp=$env/installed
    [[ -f $stamp && $(<"$stamp") == "${packages[*]}" ]] && return
    say "installing ${packages[*]} into $env"
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet "${packages[@]}"
    printf '%s\n' "${packages[*]}" >"$stamp"
}

start() {
    if listening; then
        say "port $port is taken; stop what listens there or set INTEROP_PORT"
        exit 1
    fi
    (serve) >"$env/server.log" 2>&1 &
    server=$!
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

await() {
    local deadline=$((SECONDS + 120))
    until curl --silent --fail --max-time 2 --output /dev/null \
        --header "Authorization: Bearer $INTEROP_KEY" "http://127.0.0.1:$port$health"; do
        if ! kill -0 "$server" 2>/dev/null || ((SECONDS > deadline)); then
            say "not ready; the end of $env/server.log:"
            tail -n 20 "$env/server.log" >&2
            exit 1
        fi
        sleep 0.2
    done
    say "ready at http://127.0.0.1:$port/v1, model $model, pid $server"
}

stop() {
    kill -TERM "$server" 2>/dev/null || true
    for _ in {1..150}; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$server" 2>/dev/null; then
        say "still there after 15 s, killed"
    fi
    wait "$server" 2>/dev/null || true
    say "stopped"
}

# Options of pytest may follow; the exit status is pytest's.
judge() {
    mkdir -p -- "$home"
    env=$(cd -- "$home" && pwd)/$name
    port=${INTEROP_PORT:-$port}
    install
    start
    await
    cd "$repository"
    "$python" -m pytest --llm-endpoint="http://127.0.0.1:$port/v1" --llm-model="$model" \
        --llm-api-key-env=INTEROP_KEY --llm-record --llm-cassettes=cassettes \
        --llm-report="$env/report.json" "$@"
}
