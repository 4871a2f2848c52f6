#!/bin/sh
# axe-core, which looks at the pages as people with a screen reader meet them: into build/, pinned.
set -eu

version=4.11.0
folder="$(dirname "$0")/../build/axe"
kept="$folder/node_modules/axe-core"

grep -qs "\"version\": \"$version\"" "$kept/package.json" && exit 0
if ! command -v npm >/dev/null 2>&1; then
    echo "The tests of accessibility need npm: install it (Debian: apt-get install npm)." >&2
    exit 1
fi
echo "Installing axe-core $version for the tests of accessibility …"
mkdir -p "$folder"
npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts --silent \
    "axe-core@$version" >/dev/null
