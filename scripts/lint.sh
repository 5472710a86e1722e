#!/bin/bash
# Looks for likely mistakes: the format and clang-tidy over the C++ sources, shellcheck over the shell scripts. All are
# run, then the status says whether any had something to say. LINT_JOBS sets how many clang-tidy run at once.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
cd "$root"

sources() { git ls-files -z --cached --others --exclude-standard -- "$@"; }

# Those that begin with a shebang or a directive for a shell.
shell_scripts() {
    sources scripts .ci tests bench | xargs -0 grep -lzE '^(#!/bin/(ba)?sh|# shellcheck shell=)' --
}

check_format() { sources '*.cpp' '*.hpp' | xargs -0 -r clang-format --dry-run --Werror; }

# Through the preset "clang", so that the compiler's and clang-tidy's options agree.
check_cpp() {
    cmake --preset clang >&2
    sources 'src/*.cpp' 'tests/*.cpp' | grep -zv '_fuzz\.cpp$\|_bench\.cpp$' |
        xargs -0 -r -n 4 -P "${LINT_JOBS:-$(nproc)}" clang-tidy --quiet -p build/clang --warnings-as-errors='*'
}

check_shell() { shell_scripts | xargs -r shellcheck -x; }

main() {
    local check failed=()
    for check in format shell cpp; do
        say "checking $check ..."
        "check_$check" || failed+=("$check")
    done
    [[ ${#failed[@]} -eq 0 ]] || die "lint failed" "findings in ${failed[*]} as shown above" "mend them ('make format' mends the format)"
}

main "$@"
