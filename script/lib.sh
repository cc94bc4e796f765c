# What script/demo and script/test share. Sourced, not run.

python=${PYTHON:-python3}
missing=""

say() { printf '== %s\n' "$*"; }

fail() {
    printf 'esquirell: %s\n' "$*" >&2
    exit 1
}

need_64_bit() {
    [ "$(getconf LONG_BIT)" = 64 ] ||
        fail "this is a 32-bit system; esquirell needs a 64-bit one (on a Pi: Raspberry Pi OS, 64-bit)"
}

need_python() {
    command -v "$python" >/dev/null || missing="$missing python3"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    install_packages
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$($python --version) is too old; esquirell needs Python 3.11, as in Debian 12 and Ubuntu 24.04," \
            "or newer; if another one is installed: PYTHON=python3.12 $0"
    "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 15))' ||
        fail "$($python --version) is too new; esquirell runs on Python 3.11 to 3.14;" \
            "if another one is installed: PYTHON=python3.14 $0"
}

# need_command COMMAND PACKAGE: note the package if the command is not there.
need_command() {
    PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null || missing="$missing $2"
}

install_packages() {
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "install these first:$missing"
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "run as root: apt install$missing"
        root=sudo
    fi
    say "installing from the system's packages:$missing"
    output=$(mktemp)
    $root env DEBIAN_FRONTEND=noninteractive sh -c \
        "apt-get update -q && apt-get install -q -y --no-install-recommends $missing" \
        >"$output" 2>&1 || { cat "$output" >&2; fail "the installation failed; run as root: apt install$missing"; }
    rm -f "$output"
    missing=""
}

# Is esquirell there, as it is described now, for the Python of this machine?
is_installed() {
    [ .venv/.installed -nt pyproject.toml ] && .venv/bin/python -c 'import esquirell' 2>/dev/null
}

make_venv() {
    [ ! -e .venv ] || [ -w .venv ] || fail ".venv belongs to another user; take it over: sudo chown -R $(id -un) .venv"
    .venv/bin/python -m pip --version >/dev/null 2>&1 || { say "creating a virtual environment in .venv"; "$python" -m venv --clear .venv; }
}
