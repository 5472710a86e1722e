#!/bin/bash
# Runs stress-ng's and openssl's own checks in a guest: conformance.sh BANYAN|qemu [stress-ng|openssl]...
#
# "qemu" runs them under Debian's QEMU instead, to see what they say elsewhere. ENGINE chooses Banyan's engine; LIMIT is
# how many seconds it may take (default 7200). The status is 0 when all checks passed.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
guests=${BANYAN_GUESTS:-$root/build/guests}

command_line() {
    local append="console=ttyS0 quiet root=/dev/vda rw banyan.run=\"banyan-conformance $checks\""
    local kernel=$guests/kernel/vmlinuz initrd=$guests/shell/initramfs
    if [[ $vmm == qemu ]]; then
        command=(qemu-system-x86_64 -accel tcg -cpu max -M q35 -m 1G -nodefaults -display none -serial stdio -no-reboot
            -kernel "$kernel" -initrd "$initrd" -append "$append" -drive "file=$disk,format=raw,if=virtio")
    else
        command=("$vmm" run --memory 1G --cpus 1 --no-reboot --kernel "$kernel" --initrd "$initrd" --append "$append"
            --disk "$disk")
        [[ -z ${ENGINE:-} ]] || command+=(--engine "$ENGINE")
    fi
}

main() {
    local vmm checks disk command output status=0
    [[ $# -gt 0 ]] || { say "wrong usage: conformance.sh BANYAN|qemu [stress-ng|openssl]...; name a monitor"; exit 2; }
    vmm=$1
    shift
    checks="${*:-stress-ng openssl}"
    "$root/scripts/guests/prepare.sh" tools
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    disk=$work/disk.img
    output=$work/output
    cp --sparse=always "$guests/tools/disk.img" "$disk"
    command_line
    timeout --foreground --kill-after=10 "${LIMIT:-7200}" "${command[@]}" </dev/null | tee "$output" || status=$?
    [[ $status -eq 0 ]] || die "conformance did not end well" "${command[0]} ended with status $status" "see its output above"
    # The guest's lines end in a carriage return.
    grep -q $'^banyan-status: 0\r*$' "$output" ||
        die "conformance failed" "$(grep -c '^conformance: FAIL' "$output" || true) checks did not pass" "see the lines with FAIL"
    say "conformance: $(grep -c '^conformance: pass' "$output") checks passed"
}

main "$@"
