#!/bin/bash
# Runs stress-ng's classes cpu, memory, vm and scheduler with --verify on two CPUs of a guest: stress.sh BANYAN|qemu
#
# SECONDS_IN_ALL (default 600) is shared among the classes, and theirs among their stressors, rounded up. Left out are what
# Debian's kernel has no support for (uprobe, swap on this disk), what only eats all memory (bigheap, env), and cyclic, which
# asks for more deadline bandwidth than two CPUs have to give: each ends with a status that says nothing of the CPU.
# ENGINE chooses Banyan's engine, CPUS the number of CPUs, CLASSES the classes; LIMIT is how many seconds it may take
# (default: three times as long and five minutes). The status is 0 when stress-ng found nothing and the kernel's log has
# no complaint.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
guests=${BANYAN_GUESTS:-$root/build/guests}
seconds=${SECONDS_IN_ALL:-600}
classes=${CLASSES:-cpu memory vm scheduler}
left_out=uprobe,swap,bigheap,env,cyclic
complaints='WARNING: CPU|BUG:|Oops|general protection|rcu.*(stall|self-detected)|soft lockup|blocked for more than|clocksource.*unstable'

# What the guest runs: on the kernel's command line, so without double quotes and in one line. Some stressors leave
# processes behind; the next class must not meet them.
guest_commands() {
    printf '%s ' \
        "mount -t tmpfs tmpfs /tmp; mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm; cd /tmp; sum=0;" \
        "for class in $classes; do" \
        "set -- \$(stress-ng --class \$class? 2>&1 | sed 's/.*stressors: *//');" \
        "each=\$(($seconds / $(wc -w <<<"$classes") / \$# + 1));" \
        "echo stress: \$class: \$# stressors, \$each s each;" \
        "status=0; stress-ng --class \$class --sequential ${CPUS:-2} --timeout \$each --verify --oomable --temp-path /tmp" \
        "--exclude $left_out" \
        "|| status=\$?;" \
        "echo stress: \$class: status \$status; [ \$status -eq 0 ] || sum=1;" \
        "done; echo stress: log begins; dmesg; echo stress: log ends; exit \$sum"
}

command_line() {
    local append kernel=$guests/kernel/vmlinuz initrd=$guests/shell/initramfs
    append="console=ttyS0 quiet root=/dev/vda rw banyan.run=\"$(guest_commands)\""
    if [[ $vmm == qemu ]]; then
        command=(qemu-system-x86_64 -accel tcg -cpu max -M q35 -m 1G -smp "${CPUS:-2}" -nodefaults -display none
            -serial stdio -no-reboot -kernel "$kernel" -initrd "$initrd" -append "$append"
            -drive "file=$disk,format=raw,if=virtio")
    else
        command=("$vmm" run --memory 1G --cpus "${CPUS:-2}" --no-reboot --kernel "$kernel" --initrd "$initrd"
            --append "$append" --disk "$disk")
        [[ -z ${ENGINE:-} ]] || command+=(--engine "$ENGINE")
    fi
}

# What the run's output says, once it has ended.
judge() {
    local bad
    grep -q '^stress: log ends' "$output" || die "stress did not end well" "the guest never came to its end" "see its output above"
    bad=$(grep -E "$complaints" "$output" || true)
    [[ -z $bad ]] || die "stress: the guest's kernel complains" "$(head -n 1 <<<"$bad")" "see the log above"
    bad=$(grep -E 'stress-ng: (fail|error):' "$output" || true)
    [[ -z $bad ]] || die "stress: stress-ng found errors" "$(head -n 1 <<<"$bad")" "see its lines above"
    grep -q $'^banyan-status: 0\r*$' "$output" ||
        die "stress failed" "stress-ng did not end with status 0" "see the lines 'stress: CLASS: status' above"
    say "stress: all verified, and nothing in the kernel's log"
}

main() {
    local vmm disk command output status=0
    [[ $# -eq 1 ]] || { say "wrong usage: stress.sh BANYAN|qemu; name a monitor"; exit 2; }
    vmm=$1
    "$root/scripts/guests/prepare.sh" tools
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    disk=$work/disk.img
    output=$work/output
    cp --sparse=always "$guests/tools/disk.img" "$disk"
    command_line
    timeout --foreground --kill-after=10 "${LIMIT:-$((seconds * 3 + 300))}" "${command[@]}" </dev/null |
        tee "$output" || status=$?
    [[ $status -eq 0 ]] || die "stress did not end well" "${command[0]} ended with status $status" "see its output above"
    judge
}

main "$@"
