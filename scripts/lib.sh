# shellcheck shell=bash
# What the scripts share: messages and the way to root. To be sourced.

say() { printf 'banyan: %s\n' "$*" >&2; }

# die WHAT WHY REMEDY
die() {
    printf 'banyan: %s: %s; %s\n' "$1" "$2" "$3" >&2
    exit 1
}

# Runs a command as root; sudo asks for a password on the terminal where it needs one.
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "cannot install packages" "not root, and there is no sudo" \
            "run 'scripts/install-packages.sh' as root once"
    fi
}

apt_update() {
    say "updating the list of packages ..."
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 ||
        die "cannot update the list of packages" "apt-get update failed as shown above" \
            "check the network and the sources of apt"
}

# apt_knows PACKAGE...: whether apt could install each of them.
apt_knows() {
    local package
    for package in "$@"; do
        apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
    done
}
