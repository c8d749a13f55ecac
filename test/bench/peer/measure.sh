# For test/bench/peers: what is measured of the programs that lib.sh starts.

say() { printf '%(%T)T %s\n' -1 "$*"; }

# ---- all beside each other, in turns -------------------------------------------------------------------

measure_idle() { # NAME…: CPU and wake-ups while nobody asks; memory
  local name key
  local -A before
  for name; do
    use "$name"
    before[$name]="$(cpu_ns "$pid") $(switches "$pid") $(switches $(below "$pid"))"
  done
  sleep "$idle_s"
  for name; do
    use "$name"
    local workers_of was
    workers_of=$(below "$pid") was=(${before[$name]})
    record idle "$name" "$(jq -cn --argjson s "$idle_s" --argjson master "$(pss_kib "$pid")" \
      --argjson all "$(pss_kib $workers_of)" --argjson processes "$(wc -w <<<"$workers_of")" \
      --argjson ns $(($(cpu_ns "$pid") - was[0])) --argjson switches $(($(switches "$pid") - was[1])) \
      --argjson others $(($(switches $workers_of) - was[2])) \
      '{master_pss_kib: $master, workers_pss_kib: $all, $processes, master_cpu_ms_s: ($ns / 1e6 / $s),
        master_wakeups_s: ($switches / $s), worker_wakeups_s: ([$others, 0] | max / $s)}')"
  done
}

measure_steady() { # WAY CONNECTIONS NAME…: throughput and latency, the servers in turns of 20 ms
  local way=$1 connections=$2 name words=() lines i all
  local -A before
  shift 2
  for name; do
    use "$name"
    all=$(echo $pid $(below "$pid"))
    words+=("$port=${all// /,}")
    before[$name]=$(cpu_ns $all)
  done
  mapfile -t lines < <("$build/test/bench/beside" --json $way $connections \
    "$(awk "BEGIN {print $steady_s * $#}")" "${words[@]}")
  for ((i = 1; i <= $#; ++i)); do
    name=${!i}
    use "$name"
    all=${words[i - 1]#*=}
    record steady "$name" "$(jq -c --arg way $way --argjson connections $connections \
      --argjson before "$(jq -sc . <<<"${before[$name]}")" \
      --argjson after "$(cpu_ns ${all//,/ } | jq -sc .)" \
      '[$after, $before] | transpose | map(.[0] - .[1]) as $spent
       | {$way, $connections, busiest: (($spent | max) / ([1, ($spent | add)] | max))} + $measured
         + (if $measured.answers then {master_ms_1000: ($spent[0] / 1e3 / $measured.answers)} else {} end)' \
      --argjson measured "${lines[i - 1]}" -n)"
  done
}

# ---- one at a time, under load -------------------------------------------------------------------------

declare -A in_of out_of marked
loads=()

start_load() { # LOAD OPTION…: a liveswap-load, which has got its first answer when this returns
  local line to from
  mkfifo "$run/$1.in" "$run/$1.out"
  "$build/test/load/program/liveswap-load" --stdin --any-body --expect-status 200 --sources 0 \
    --json "$run/$1.json" "${@:2}" "http://127.0.0.1:$port/" <"$run/$1.in" >"$run/$1.out" 2>&1 &
  exec {to}>"$run/$1.in" {from}<"$run/$1.out"
  in_of[$1]=$to out_of[$1]=$from
  loads+=("$1")
}

await_line() { # LOAD TEXT
  local line
  while read -r line <&"${out_of[$1]}"; do [[ $line != "$2"* ]] || return 0; done
  return 1
}

mark() { # PHASE: the loads' clocks are known by when each says that a phase has begun
  local load
  for load in "${loads[@]}"; do
    echo "mark $1" >&"${in_of[$load]}"
    await_line "$load" "phase: $1"
    marked[$load]=$EPOCHREALTIME
  done
}

end_loads() {
  local load to from
  for load in "${loads[@]}"; do
    to=${in_of[$load]} from=${out_of[$load]}
    # Servers that were started meanwhile have the descriptor too, so its end would tell nothing.
    echo stop >&"$to"
    exec {to}>&-
    cat <&"$from" >>"$run/load.log"
    exec {from}<&-
  done
  loads=()
}

measure_upgrades() { # NAME: under open-loop load, on new and on kept connections
  local n orders=() began ended load
  start_load new --rate "$rate"
  start_load kept --rate "$rate" --keep-alive --connections 32
  for load in new kept; do await_line $load 'first answer'; done
  mark before
  sleep "$before_s"
  mark during
  for ((n = 2; n < upgrades + 2; ++n)); do
    prepare $n
    began=$EPOCHREALTIME
    upgrade $n
    ended=$EPOCHREALTIME
    settled $n || { echo "version $n does not come" >&2; return 1; }
    orders+=("$(jq -cn --arg version $(label $n) --arg former $(label $((n - 1))) --argjson began $began \
      --argjson ended $ended '{$version, $former, $began, $ended}')")
    sleep "$between_s"
  done
  measure_slow "$1" $n
  end_loads
  for load in new kept; do
    record upgrades "$1" "$(jq -c --arg load $load --argjson marked "${marked[$load]}" \
      --argjson orders "[$(IFS=,; echo "${orders[*]}")]" -f "$here/peer/upgrades.jq" "$run/$load.json")"
  done
}

measure_slow() { # NAME N: an upgrade while requests are answered that take a second
  start_load slow --rate 0 --slow 8
  sleep 0.5 # all are in flight then, and none is answered yet
  prepare "$2"
  upgrade "$2"
  settled "$2" || true
  await_line slow 'first answer'
  local to=${in_of[slow]}
  echo stop >&"$to"
  exec {to}>&-
  cat <&"${out_of[slow]}" >>"$run/load.log"
  loads=(new kept)
  record slow "$1" "$(jq -c '{attempts: .slow.attempts, failures, classes}' "$run/slow.json")"
}

measure_capacity() { # NAME N: what of its throughput the server has during an upgrade
  local client to from line began ended
  mkfifo "$run/busy.in" "$run/busy.out"
  "$build/test/bench/capacity" new-connections 32 "$port" 10 <"$run/busy.in" >"$run/busy.out" & client=$!
  exec {to}>"$run/busy.in" {from}<"$run/busy.out"
  sleep "$busy_s"
  prepare "$2"
  echo mark >&$to
  read -r line <&$from
  began=$EPOCHREALTIME
  upgrade "$2"
  ended=$EPOCHREALTIME
  settled "$2" || true
  sleep "$busy_s"
  echo stop >&$to
  exec {to}>&-
  read -r line <&$from
  exec {from}<&-
  wait $client
  record capacity "$1" "$(jq -c --argjson command_s "$(awk "BEGIN {print $ended - $began}")" \
    -f "$here/peer/capacity.jq" <<<"$line")"
}
