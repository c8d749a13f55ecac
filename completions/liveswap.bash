# Completion of liveswap for bash. Installed as bash-completion/completions/liveswap; by hand: source it.

# made: words (by `ninja -C build-test documents` from src/cli/option_table.cpp)
_liveswap_commands="start upgrade rollback promote abort history receipt message kill die stop status forks reexec reload check config verify list version help"

# The options of a command.
_liveswap_options() {
  case $1 in
    start) echo "--port --address --state-dir --runtime-dir --config --daemon --restart --force-target --forks --head --pre-upgrade --no-zero-downtime --listen --listen-mode --backlog --kind --start-file --runtime --entry --intercept --keepalive --keepalive-grace --no-await-listener --privileged-port --canary --bake --probation --batch --surge --flip --health --health-interval --health-limit --liveness --liveness-interval --liveness-limit --liveness-failures --max-memory --max-draining --keep-releases --check-limit --settle --ready-limit --listener-wait --drain-limit --term-grace --orphan-wait --pre-upgrade-limit --backoff-min --backoff-max --backoff-reset --env --working-directory --user --group --limit --no-auth --worker-host --log-file --version --help" ;;
    upgrade) echo "--port --address --state-dir --runtime-dir --timeout --detach --json --queue --canary --bake --probation --batch --surge --flip --no-flip --version --help" ;;
    rollback) echo "--port --address --state-dir --runtime-dir --timeout --detach --json --version --help" ;;
    promote) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    abort) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    history) echo "--port --address --state-dir --runtime-dir --timeout --json --version --help" ;;
    receipt) echo "--port --address --state-dir --runtime-dir --timeout --json --version --help" ;;
    message) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    kill) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    die) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    stop) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    status) echo "--port --address --state-dir --runtime-dir --timeout --json --watch --version --help" ;;
    forks) echo "--port --address --state-dir --runtime-dir --timeout --version --help" ;;
    reexec) echo "--port --address --state-dir --runtime-dir --timeout --binary --version --help" ;;
    reload) echo "--port --address --state-dir --runtime-dir --timeout --json --dry-run --version --help" ;;
    check) echo "--json --kind --start-file --runtime --entry --check-limit --env --worker-host --version --help" ;;
    config) echo "--json --version --help" ;;
    verify) echo "--json --path --connect --upgrades --faults --clients --seconds-before --config --forks --no-zero-downtime --listen --listen-mode --backlog --kind --start-file --runtime --entry --intercept --keepalive --keepalive-grace --no-await-listener --privileged-port --max-memory --max-draining --keep-releases --check-limit --settle --ready-limit --listener-wait --drain-limit --term-grace --orphan-wait --pre-upgrade-limit --backoff-min --backoff-max --backoff-reset --env --working-directory --user --group --limit --worker-host --version --help" ;;
    list) echo "--json --version --help" ;;
    version) echo "--version --help" ;;
    help) echo "--version --help" ;;
  esac
}

# What stands behind an option; nothing where it takes no value.
_liveswap_values() {
  case $1 in
    --start | -s) echo FILES ;;
    --upgrade | -u) echo FILES ;;
    --message | -m) echo ANYTHING ;;
    --port | -p) echo ANYTHING ;;
    --address | -a) echo ANYTHING ;;
    --state-dir) echo DIRECTORIES ;;
    --runtime-dir) echo DIRECTORIES ;;
    --timeout) echo ANYTHING ;;
    --binary) echo FILES ;;
    --watch) echo ANYTHING ;;
    --path) echo FILES ;;
    --upgrades) echo ANYTHING ;;
    --faults) echo ANYTHING ;;
    --clients) echo ANYTHING ;;
    --seconds-before) echo ANYTHING ;;
    --config | -c) echo FILES ;;
    --forks | -f) echo ANYTHING ;;
    --head | -H) echo FILES ;;
    --pre-upgrade) echo FILES ;;
    --listen) echo ANYTHING ;;
    --listen-mode) echo "reuseport shared" ;;
    --backlog) echo ANYTHING ;;
    --kind) echo "plugin program script auto" ;;
    --start-file) echo FILES ;;
    --runtime) echo ANYTHING ;;
    --entry) echo ANYTHING ;;
    --intercept) echo "libc seccomp" ;;
    --keepalive) echo "end migrate keep http auto" ;;
    --keepalive-grace) echo ANYTHING ;;
    --privileged-port) echo ANYTHING ;;
    --canary) echo ANYTHING ;;
    --bake) echo ANYTHING ;;
    --probation) echo ANYTHING ;;
    --batch) echo ANYTHING ;;
    --surge) echo ANYTHING ;;
    --health) echo ANYTHING ;;
    --health-interval) echo ANYTHING ;;
    --health-limit) echo ANYTHING ;;
    --liveness) echo ANYTHING ;;
    --liveness-interval) echo ANYTHING ;;
    --liveness-limit) echo ANYTHING ;;
    --liveness-failures) echo ANYTHING ;;
    --max-memory) echo ANYTHING ;;
    --max-draining) echo ANYTHING ;;
    --keep-releases) echo ANYTHING ;;
    --check-limit) echo ANYTHING ;;
    --settle) echo ANYTHING ;;
    --ready-limit) echo ANYTHING ;;
    --listener-wait) echo ANYTHING ;;
    --drain-limit) echo ANYTHING ;;
    --term-grace) echo ANYTHING ;;
    --orphan-wait) echo ANYTHING ;;
    --pre-upgrade-limit) echo ANYTHING ;;
    --backoff-min) echo ANYTHING ;;
    --backoff-max) echo ANYTHING ;;
    --backoff-reset) echo ANYTHING ;;
    --env) echo ANYTHING ;;
    --working-directory) echo DIRECTORIES ;;
    --user) echo "name number" ;;
    --group) echo "name number" ;;
    --limit) echo ANYTHING ;;
    --worker-host) echo FILES ;;
    --log-file) echo FILES ;;
  esac
}
# made: end

_liveswap_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_liveswap() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= word values i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    # What stands behind `--` is the application's.
    if [[ $word == -- ]]; then
      _liveswap_files -f "$current"
      return
    fi
    [[ -z $command && " $_liveswap_commands " == *" $word "* ]] && command=$word
  done

  # bash takes the = of --option=value for a word.
  if [[ $current == = ]]; then current=; elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  values=$(_liveswap_values "$before")
  case $values in
    FILES) _liveswap_files -f "$current" ;;
    DIRECTORIES) _liveswap_files -d "$current" ;;
    ANYTHING) ;;
    ?*) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
    *)
      if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_liveswap_options "${command:-start}")" -- "$current")
      elif [[ -z $command || $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_liveswap_commands" -- "$current")
      elif [[ $command == config && $before == config ]]; then
        mapfile -t COMPREPLY < <(compgen -W check -- "$current")
      elif [[ $command == @(start|upgrade|check|config|verify) ]]; then
        _liveswap_files -f "$current"
      fi
      ;;
  esac
}

complete -F _liveswap liveswap
