#!/bin/bash
# Installs what scripts/packages.txt lists and this machine lacks.
#
#   scripts/install-packages.sh [SECTION...]     the default is every section
#
# When nothing is missing it needs neither root nor a network, and ends at once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
list=$here/packages.txt

sections() { awk '!/^#/ && NF { print $1 }' "$list" | sort -u; }

# packages SECTION...
packages() {
    awk -v wanted=" $* " '!/^#/ && NF && index(wanted, " " $1 " ") { print $2 }' "$list" | sort -u
}

# missing PACKAGE...: those that are not installed.
missing() {
    local installed
    # dpkg-query fails when it does not know one of them: that is an answer, not an error.
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        awk '$1 == "installed" { print $2 }' | sort -u || true)
    comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed")
}

check_sections() {
    local section
    for section in "$@"; do
        if ! sections | grep -qx -- "$section"; then
            say "no section '$section' in scripts/packages.txt: it has $(sections | xargs); name one of those"
            exit 2
        fi
    done
}

install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$@" >&2
}

main() {
    local wanted lacking
    check_sections "$@"
    [[ $# -gt 0 ]] || mapfile -t wanted < <(sections)
    [[ $# -eq 0 ]] || wanted=("$@")
    mapfile -t wanted < <(packages "${wanted[@]}")
    command -v dpkg-query >/dev/null ||
        die "cannot install packages" "this is not Debian" \
            "install the equivalents of scripts/packages.txt by hand"
    mapfile -t lacking < <(missing "${wanted[@]}")
    [[ ${#lacking[@]} -gt 0 ]] || return 0

    say "installing ${lacking[*]} ..."
    apt_knows "${lacking[@]}" || apt_update
    # The mirror may have replaced a version that the list still names: look once more before giving up.
    install "${lacking[@]}" || { apt_update && install "${lacking[@]}"; } ||
        die "cannot install packages" "apt-get failed as shown above" "install ${lacking[*]} by hand"
}

main "$@"
