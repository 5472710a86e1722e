#!/bin/bash
# Runs every fuzz target of a build tree for FUZZ_SECONDS each: fuzz.sh BUILD_DIRECTORY
#
# A target is a program whose name ends in _fuzz. Its corpus grows in BUILD_DIRECTORY/corpus/NAME, from the seeds in
# fuzz/NAME where there are any. What it crashes on is kept in BUILD_DIRECTORY/crashes.
set -euo pipefail
shopt -s inherit_errexit nullglob

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
seconds=${FUZZ_SECONDS:-20}

# A limit a case (-timeout) and on the whole, so that a target that hangs is a finding and no hang of ours.
run_target() {
    local target=$1 name=$2
    local corpus=$build/corpus/$name seeds=$root/fuzz/$name
    local directories=("$corpus")
    mkdir -p "$corpus"
    [[ ! -d $seeds ]] || directories+=("$seeds")
    timeout --kill-after=10 $((seconds + 60)) "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$build/crashes/$name-" -print_final_stats=1 "${directories[@]}" >"$build/logs/$name" 2>&1
}

executions() { sed -n 's/^stat::number_of_executed_units: *//p' "$build/logs/$1"; }

report_failure() {
    local target=$1 name=$2 status=$3
    local found=("$build/crashes/$name-"*)
    tail -n 40 "$build/logs/$name" >&2
    if [[ ${#found[@]} -gt 0 ]]; then
        say "$name failed: status $status, on ${found[*]}; run '$target ${found[0]}' to see it again"
    else
        say "$name failed: status $status without a reproducer; its output is in $build/logs/$name"
    fi
}

main() {
    local targets target name status failures=0
    if [[ $# -ne 1 || ! $seconds =~ ^[1-9][0-9]*$ ]]; then
        say "wrong usage: fuzz.sh takes a build directory, and FUZZ_SECONDS is a number above 0; call 'make fuzz'"
        exit 2
    fi
    build=$(cd "$1" && pwd)
    mapfile -t targets < <(find "$build" -type f -executable -name '*_fuzz' | sort)
    [[ ${#targets[@]} -gt 0 ]] || die "nothing to fuzz" "no program in $build is named *_fuzz" "build the preset 'fuzz'"
    rm -rf "$build/crashes"
    mkdir -p "$build/crashes" "$build/logs"
    for target in "${targets[@]}"; do
        name=${target##*/}
        say "fuzzing $name for $seconds s ..."
        status=0
        run_target "$target" "$name" || status=$?
        if [[ $status -eq 0 ]]; then
            say "$name: $(executions "$name") cases, no failure"
        else
            failures=$((failures + 1))
            report_failure "$target" "$name" "$status"
        fi
    done
    [[ $failures -eq 0 ]] ||
        die "$failures of ${#targets[@]} fuzz targets failed" "see above" "mend what the reproducers in $build/crashes show"
    say "${#targets[@]} fuzz targets ran without a failure"
}

main "$@"
