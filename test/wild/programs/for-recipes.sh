# Functions for recipes; test/wild/programs/run reads this file.

# Two versions of a script: PATH1.ENDING and PATH2.ENDING, from stdin. The second one has one more line.
write_versions() { # PATH ENDING
  local text
  text=$(cat)
  printf '%s\n' "$text" >"${1}1.$2"
  printf '%s\n\n' "$text" >"${1}2.$2"
}

# Two versions of a directory for Node, PATH1 and PATH2, with the node_modules of $npm; index.js from stdin.
write_node_directories() { # PATH
  local version
  write_versions "$1" js
  for version in 1 2; do
    cp -r "$cache/npm/$npm" "$1$version"
    mv "$1$version.js" "$1$version/index.js"
    echo '{"main": "index.js"}' >"$1$version/package.json"
  done
}

install_from_npm() {
  command -v npm >/dev/null || "$top/test/support/install-packages" nodejs npm
  [ ! -e "$cache/npm/$npm/node_modules/$npm/package.json" ] || return 0
  mkdir -p "$cache/npm/$npm"
  (cd "$cache/npm/$npm" && npm install --no-save --no-audit --no-fund "$npm")
}

npm_version() { sed -n 's/^  "version": "\(.*\)".*/\1/p' "$cache/npm/$npm/node_modules/$npm/package.json"; }
