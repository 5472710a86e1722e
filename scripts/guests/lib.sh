# shellcheck shell=bash disable=SC2154  # root: set by prepare.sh
# How a guest is prepared: each product is one directory of the cache, made in a temporary place and moved in
# whole, with a stamp that says what it was made from. To be sourced by scripts/guests/prepare.sh.

: "${BANYAN_GUESTS:=$root/build/guests}"

temporary=

clean_up() {
    local status=$?
    if [[ -n $temporary ]]; then
        # Trees of mmdebstrap may hold directories without write permission for their owner.
        chmod -R u+w "$temporary" 2>/dev/null || true
        rm -rf "$temporary"
    fi
    exit "$status"
}

# One preparation at a time: a second one waits, and then finds the work done.
open_cache() {
    mkdir -p "$BANYAN_GUESTS" || die "cannot prepare guests" "no directory $BANYAN_GUESTS" \
        "set BANYAN_GUESTS to a directory that can be written"
    BANYAN_GUESTS=$(cd "$BANYAN_GUESTS" && pwd)
    exec 9>"$BANYAN_GUESTS/.lock"
    if ! flock -n 9; then
        say "preparing guest: waiting for another preparation to end ..."
        flock 9
    fi
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# key TEXT FILE...: what a product is made from, in one line.
key() {
    local text=$1
    shift
    { printf '%s\n' "$text"; [[ $# -eq 0 ]] || cat "$@"; } | sha256sum | cut -d' ' -f1
}

# product NAME KEY FUNCTION: makes $BANYAN_GUESTS/NAME by running FUNCTION in an empty directory, unless it is there
# already and made from the same.
product() {
    local name=$1 key=$2 make=$3
    local place=$BANYAN_GUESTS/$name
    if [[ -f $place/stamp && $(<"$place/stamp") == "$key" ]]; then
        return 0
    fi
    temporary=$(mktemp -d "$BANYAN_GUESTS/.$name.XXXXXX")
    chmod 755 "$temporary"
    # In a subshell that still stops at the first failure: so no "||" or "if" around it.
    (cd "$temporary" && "$make")
    printf '%s\n' "$key" >"$temporary/stamp"
    chmod -R u+w "$place" 2>/dev/null || true
    rm -rf "$place"
    mv "$temporary" "$place"
    temporary=
}

# Downloads a Debian package's file into the current directory, checked by apt against the signed lists, and
# prints its name.
download() {
    local package=$1 file
    say "preparing guest: downloading $package ..."
    apt_knows "$package" || apt_update
    fetch "$package" || { apt_update && fetch "$package"; } ||
        die "cannot download $package" "apt-get download failed as shown above" \
            "check that apt's sources name Debian 12 (bookworm) and that its mirror can be reached"
    file=$(echo "${package}"_*.deb)
    printf '%s\n' "$file"
}

fetch() { apt-get -qq -o APT::Sandbox::User=root download "$1" >&2; }

# The mirror that apt already uses for this release, or Debian's own.
debian_mirror() {
    local uri
    # shellcheck disable=SC2016  # the dollar is apt's
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Codename: bookworm' 'Component: main' 2>/dev/null | head -n 1 || true)
    printf '%s\n' "${BANYAN_DEBIAN_MIRROR:-${uri:-http://deb.debian.org/debian}}"
}
