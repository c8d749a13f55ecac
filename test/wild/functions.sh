# What test/wild/run and test/wild/programs/run share. They set: top, build, control (the port of the
# instance), run (its directory), master (its process).

fail() { echo "${0#"$top/"}: $*" >&2; return 1; }

free_port() {
  local port
  while port=$((10000 + RANDOM % 20000)) && (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do :; done
  echo $port
}

liveswap() { "$build/liveswap" "$1" -p "$control" "${@:2}"; }

started() { # waits until all workers serve
  for ((n = 0; n < 1200; ++n)); do
    liveswap status >"$run/status" 2>&1 && ! grep -q '^master *starting' "$run/status" && return
    kill -0 "$master" 2>/dev/null || { wait "$master" || tail -3 "$run/log"; return 1; }
    sleep 0.1
  done
  fail "the start takes longer than two minutes"
}

old_workers_gone() { # waits until all older workers have exited
  for ((n = 0; n < 900; ++n)); do
    liveswap status >"$run/status" 2>&1 && ! grep -q draining "$run/status" && return
    sleep 0.05
  done
  fail "old workers do not leave"
}
