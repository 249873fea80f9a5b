#!/bin/sh
# Installs the programs that tests start and that no wheel contains: nginx, redis-server, Chromium,
# and a Korean font for its pictures.
# Does nothing where they are; without root or apt-get it only says what is missing.
set -eu

missing=""
command -v redis-server >/dev/null 2>&1 || missing="redis-server"
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-nanum"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "Some tests need programs that are not here; on Debian: apt-get install $missing" >&2
    exit 0
fi

# Debian starts a server when it is installed, unless this file says no. Tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing $missing for the tests" >&2
# shellcheck disable=SC2086 # several words
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null; then
    echo "apt-get could not install $missing; the tests that need it will fail and say so." >&2
fi
