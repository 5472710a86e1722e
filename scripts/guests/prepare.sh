#!/bin/bash
# Prepares guests from Debian's packages: prepare.sh GUEST...
#
# The results go to build/guests, or where BANYAN_GUESTS says; what is there and up to date is left alone.
# docs/guests.md says what each of them is.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
guests=(kernel shell share storage debian tools suite drivers bootable rescue memtest ipxe mach invaders syslinux refind uefi-shell
    u-boot xen installer install vsock)
for part in lib media kernel shell share vsock storage debian tools suite drivers bootable systems xen install; do
    # shellcheck source=/dev/null
    source "$here/$part.sh"
done

usage() {
    say "no guest '$1': usage is scripts/guests/prepare.sh GUEST...; name some of ${guests[*]}"
    exit 2
}

main() {
    local guest
    [[ $# -gt 0 ]] || usage ""
    for guest in "$@"; do
        [[ " ${guests[*]} " == *" $guest "* ]] || usage "$guest"
    done
    open_cache
    for guest in "$@"; do
        "${guest}_product"
    done
}

main "$@"
