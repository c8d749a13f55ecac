# For test/bench/peers: starts and ends the programs that are compared. A recipe (recipes/NAME) sets `title`,
# `mode` (which bare server it is compared with: reuseport or shared), `package` and `npm` (what has to be
# installed), and defines
#
#   version        prints the program's version
#   start N        starts version N with $workers workers at $port, its files in $run; sets `pid`
#   prepare N      makes the files of version N, which is no part of the upgrade
#   upgrade N      the order to upgrade
#   stop           only if SIGTERM to `pid` does not end it

declare -A pid_of port_of run_of

use() { # NAME: reads a recipe, and takes up what is known of the running program
  title= mode= package= npm=
  unset -f version start prepare upgrade stop
  . "$here/peer/recipes/$1"
  pid=${pid_of[$1]:-} port=${port_of[$1]:-} run=${run_of[$1]:-}
  control=$((port + 1))
}

label() { printf 'version-%02d\n' "$1"; }
versioned() { LC_ALL=C sed "s/version-01/$(label "$2")/g" "$1" >"$3"; chmod 755 "$3"; } # FILE N COPY

last_port=$((10000 + RANDOM % 9000 * 2))
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# Sets `port` to one that is free, as is the next one. A port does not come again soon.
next_port() {
  while last_port=$((10000 + (last_port - 9998) % 20000)) &&
    { is_open $last_port || is_open $((last_port + 1)); }; do :; done
  port=$last_port
}

launch() { # NAME: starts version 1 and waits for it
  use "$1"
  next_port
  control=$((port + 1)) run=$(mktemp -d "$work/$1.XXXX")
  chmod 755 "$run"
  start 1
  pid_of[$1]=$pid port_of[$1]=$port run_of[$1]=$run
  settled 1 || { tail -5 "$run/log" >&2; return 1; }
}

end() { # NAME
  use "$1"
  [ -n "$pid" ] || return 0
  local all
  all="$pid $(below "$pid")"
  if declare -F stop >/dev/null; then stop || true; else kill "$pid" 2>/dev/null || true; fi
  until_true 5 all_gone $all || kill -KILL $all 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "pid_of[$1]"
}

all_gone() { ! kill -0 "$@" 2>/dev/null; }

below() { # PID: all processes that descend from it
  local child
  for child in $(pgrep -P "$1"); do echo "$child"; below "$child"; done
}

until_true() { # SECONDS COMMAND…
  local i
  for ((i = 0; i < $1 * 50; ++i)); do "${@:2}" && return; sleep 0.02; done
  return 1
}

# N: whether a new connection is answered by that version. A subshell, which SIGPIPE may end.
answers_as() (
  text=
  { exec 4<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || exit
  printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&4
  IFS= read -r -d '' -t 5 text <&4 2>/dev/null
  [[ $text == *$(label "$1")* ]]
)
answers_only_as() { # N
  local i
  for ((i = 0; i < 10; ++i)); do answers_as "$1" || return; done
}
settled() { until_true 20 answers_only_as "$1"; } # N

# CPU of each process (PID…) in nanoseconds; sums of voluntary context switches, and of KiB of memory (PSS). A
# process that has ended counts no more.
cpu_ns() { "$build/test/bench/cpu-time" "$@"; }
switches() { sum_of 'task/*/status' '/^voluntary/ {n += $2}' "$@"; }
pss_kib() { sum_of smaps_rollup '/^Pss:/ {n += $2}' "$@"; }
sum_of() { # FILES RULE PID…
  { cat /dev/null $(for_each "/proc/%s/$1 " "${@:3}") 2>/dev/null || true; } |
    awk "$2 END {printf \"%.0f\", n}"
}
for_each() { [ $# -lt 2 ] || printf "$@"; } # FORMAT WORD…

record() { # WHAT NAME JSON-OF-THE-REST: adds a line to the results
  jq -cn --arg what "$1" --arg peer "$2" --argjson round "$round" --argjson rest "$3" \
    '{$what, $peer, $round} + $rest' >>"$work/records"
}
