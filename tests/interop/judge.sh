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
# and, where they differ from the rule:
#
#   environment  folder of the environment, which servers may share; default $name
#   patience     seconds until the server must be ready; default 120
#   key          array of options of pytest that say what the key is; default that it stands in INTEROP_KEY
#   fetch        function that installs $packages into $env; default by pip, into a virtual environment
#   prepare      function that runs once, after the installation
#   upstream     function that becomes a server behind the one on trial; it finds what `serve` finds
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

key=(--llm-api-key-env=INTEROP_KEY)
running=() # process ids, the server's last

listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

fetch() {
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet "${packages[@]}"
}

prepare() { :; }

install() {
    local stamp=$env/installed
    [[ -f $stamp && $(<"$stamp") == "${packages[*]}" ]] && return
    say "installing ${packages[*]} into $env"
    mkdir -p -- "$env"
    fetch
    prepare
    printf '%s\n' "${packages[*]}" >"$stamp"
}

start() {
    if listening "$port"; then
        say "port $port is taken; stop what listens there or set INTEROP_PORT"
        exit 1
    fi
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if declare -F upstream >/dev/null; then
        (upstream) >"$out/upstream.log" 2>&1 &
        running+=($!)
    fi
    (serve) >"$out/server.log" 2>&1 &
    server=$!
    running+=($!)
}

healthy() {
    curl --silent --fail --max-time 2 --output /dev/null \
        --header "Authorization: Bearer $INTEROP_KEY" "http://127.0.0.1:$port$health"
}

ready() { healthy; }

await() {
    local deadline=$((SECONDS + ${patience:-120}))
    until ready; do
        if ! kill -0 "$server" 2>/dev/null || ((SECONDS > deadline)); then
            say "not ready; the end of $out/server.log:"
            tail -n 20 "$out/server.log" >&2
            exit 1
        fi
        sleep 0.2
    done
    say "ready at http://127.0.0.1:$port/v1, model $model, pid $server"
}

stop() {
    for pid in "${running[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${running[@]}"; do
        for _ in {1..150}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        if kill -KILL "$pid" 2>/dev/null; then
            say "still there after 15 s, killed"
        fi
        wait "$pid" 2>/dev/null || true
    done
    say "stopped"
}

# Options of pytest may follow; the exit status is pytest's.
judge() {
    mkdir -p -- "$home"
    env=$(cd -- "$home" && pwd)/${environment:-$name}
    out=$(cd -- "$home" && pwd)/$name
    mkdir -p -- "$out"
    port=${INTEROP_PORT:-$port}
    install
    start
    await
    cd "$repository"
    "$python" -m pytest --llm-endpoint="http://127.0.0.1:$port/v1" --llm-model="$model" \
        "${key[@]}" --llm-record --llm-cassettes=cassettes \
        --llm-report="$out/report.json" "$@"
}
