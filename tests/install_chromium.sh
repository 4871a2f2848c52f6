#!/bin/sh
# The browser tests drive Debian's Chromium. Install it where it is missing and may be installed.
set -eu

for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The browser tests need Chromium, and there is no apt-get to install it with: install it by hand." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "The browser tests need Chromium: sudo apt-get install chromium fonts-noto-cjk" >&2
    exit 1
fi
echo "Installing Chromium for the browser tests …"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends chromium fonts-noto-core fonts-noto-cjk >/dev/null
