#!/bin/bash
# Prepares a guest and boots it in the foreground: what "make run" does once banyan is built.
#
#   scripts/run.sh BANYAN        with ENGINE, CPUS, MEMORY, GUEST=shell|debian and APPEND from the environment
#
# The exit status is banyan's. Where standard input is not a terminal, it is passed on to the guest's shell, and its end
# as Ctrl-D, which is what the end of input is on a console: the shell ends, and the guest powers off.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"

guests=${BANYAN_GUESTS:-$root/build/guests}
guest=${GUEST:-shell}

usage() {
    say "$1: usage is scripts/run.sh BANYAN; see docs/guests.md"
    exit 2
}

# A guest's disk is a copy that stays: what was written to it is there the next time.
debian_disk() {
    local disk=$guests/debian-run/disk.img
    if [[ ! -e $disk || $guests/debian/disk.img -nt $disk ]]; then
        say "preparing guest: copying the disk ..."
        mkdir -p "$guests/debian-run"
        cp --sparse=always "$guests/debian/disk.img" "$disk.tmp"
        mv "$disk.tmp" "$disk"
    fi
    printf '%s\n' "$disk"
}

# Passes on lines, and then Ctrl-D until the reader is gone: one that comes before the guest listens is lost.
feed() {
    local line=
    while IFS= read -r line; do
        printf '%s\n' "$line"
    done
    printf '%s' "$line"
    while printf '\004'; do
        sleep 1
    done
}

run_without_terminal() {
    local feeder vmm status=0
    exec 3< <(feed 2>/dev/null)
    feeder=$!
    "$@" <&3 3<&- &
    vmm=$!
    exec 3<&-
    trap 'kill -TERM "$vmm" 2>/dev/null || true' TERM INT HUP
    wait "$vmm" || status=$?
    # A signal interrupts "wait" only: go on until the VMM is gone, then ask for its own status.
    while kill -0 "$vmm" 2>/dev/null; do
        wait "$vmm" || status=$?
    done
    kill "$feeder" 2>/dev/null || true
    return "$status"
}

main() {
    local command append disk
    [[ $# -eq 1 ]] || usage "one argument is needed"
    [[ -x $1 ]] || die "cannot run $1" "no such program" "build it with 'make'"
    case $guest in
        shell) append=console=ttyS0 ;;
        debian) append="console=ttyS0 root=/dev/vda rw" ;;
        *) usage "no guest '$guest' (shell or debian)" ;;
    esac
    "$root/scripts/guests/prepare.sh" "$guest"
    command=("$1" run --memory "${MEMORY:-512M}" --cpus "${CPUS:-1}"
        --kernel "$guests/kernel/vmlinuz" --initrd "$guests/shell/initramfs"
        --append "$append${APPEND:+ $APPEND}")
    [[ -z ${ENGINE:-} ]] || command+=(--engine "$ENGINE")
    if [[ $guest == debian ]]; then
        disk=$(debian_disk)
        command+=(--disk "$disk")
    fi
    say "starting ${command[*]@Q}"
    if [[ -t 0 ]]; then
        exec "${command[@]}"
    fi
    run_without_terminal "${command[@]}"
}

main "$@"
