# shellcheck shell=sh disable=SC2154  # suite: set by agent
# What each workload does: run_NAME SIZE prints its result; prepare_NAME SIZE, where there is one, comes before, untimed, and
# makes its input or brings its program into the page cache. Both run in an empty directory of a tmpfs. To be sourced by agent.

programs=$suite/programs
data=$suite/data

cache() { cat "$@" >/dev/null; }
rounds() { seq "$1"; }

# megabytes COUNT: the beginning of the text and code that all of the compressors get.
megabytes() { head -c "$1M" "$data/corpus" >input; }

prepare_python() { cache /usr/bin/python3; }
run_python() { python3 "$programs/loops.py" "$1"; }

prepare_perl() { cache /usr/bin/perl "$data/corpus"; }
run_perl() { perl "$programs/loops.pl" "$1" "$data/corpus"; }

prepare_lua() { cache /usr/bin/lua5.4; }
run_lua() { lua5.4 "$programs/loops.lua" "$1"; }

prepare_awk() { cache /usr/bin/gawk && head -n "$1" "$data/corpus" >input; }
run_awk() { gawk -f "$programs/words.awk" input; }

run_shell() { dash "$programs/loops.sh" "$1"; }

prepare_gzip() { megabytes "$1"; }
run_gzip() { gzip -n -6 <input; }

prepare_gunzip() { cache "$data/corpus.gz"; }
run_gunzip() { for _ in $(rounds "$1"); do gzip -d <"$data/corpus.gz" || return; done | tail -c 65536; }

prepare_bzip2() { megabytes "$1"; }
run_bzip2() { bzip2 <input; }

prepare_xz() { megabytes "$1"; }
run_xz() { xz -T1 -6 <input; }

prepare_unxz() { cache "$data/corpus.xz"; }
run_unxz() { for _ in $(rounds "$1"); do xz -d <"$data/corpus.xz" || return; done | tail -c 65536; }

prepare_zstd() { megabytes "$1"; }
run_zstd() { zstd -q -9 --single-thread <input; }

prepare_rsa() { cache /lib/x86_64-linux-gnu/libcrypto.so.3; }
run_rsa() { "$programs/rsa" "$1"; }

prepare_sha256() { cache /usr/bin/openssl /lib/x86_64-linux-gnu/libcrypto.so.3 "$data/corpus"; }
run_sha256() { for _ in $(rounds "$1"); do echo "$data/corpus"; done | xargs openssl dgst -sha256 -r; }

prepare_aes() { prepare_sha256; }
run_aes() {
    for _ in $(rounds "$1"); do cat "$data/corpus"; done |
        openssl enc -aes-256-cbc -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 9)" -nopad |
        tail -c 65536
}

prepare_sqlite() { cache /usr/bin/sqlite3 /usr/lib/x86_64-linux-gnu/libsqlite3.so.0; }
run_sqlite() { sqlite3 -cmd ".parameter set :rows $1" -bail shop.db ".read $programs/queries.sql"; }

prepare_compile() { cache /usr/bin/gcc /usr/bin/as "$(gcc -print-prog-name=cc1)"; }
run_compile() {
    for source in $(printf '%s\n' "$programs"/*.c | head -n "$1"); do
        gcc -O2 -c -o object "$source" && cat object || return
    done
}

prepare_sort() { head -n "$1" "$data/lines" >input; }
run_sort() { sort --parallel=1 -S 128M input; }

prepare_grep() { cache "$data/corpus"; }
run_grep() {
    for _ in $(rounds "$1"); do
        grep -cE '(struct|union) +[a-z]+_[a-z]*(info|data)|0x[0-9A-F]{4,}[^0-9]*unsigned|[A-Z]+_(MAX|MIN)[0-9]*' "$data/corpus" || return
    done
}

run_chase() { "$programs/memory" chase "$1"; }

run_matrix() { "$programs/matrix" "$1"; }
run_avx2() { "$programs/matrix-avx2" "$1"; }
run_fft() { "$programs/fft" "$1"; }
run_nbody() { "$programs/nbody" "$1"; }
run_x87() { "$programs/x87" "$1"; }
run_pixels() { "$programs/pixels" "$1"; }

run_copy() { "$programs/memory" copy "$1"; }
run_blocks() { "$programs/memory" blocks "$1"; }
run_set() { "$programs/memory" set "$1"; }
run_sum() { "$programs/memory" sum "$1"; }
run_triad() { "$programs/memory" triad "$1"; }

run_calls() { "$programs/kernel" calls "$1"; }
run_forkexec() { "$programs/kernel" forkexec "$1"; }
run_switches() { "$programs/kernel" switches "$1"; }
run_faults() { "$programs/kernel" faults "$1"; }
run_pipe() { "$programs/kernel" pipe "$1"; }
run_files() { "$programs/kernel" files "$1"; }

prepare_install() {
    mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates &&
        touch root/var/lib/dpkg/status root/var/lib/dpkg/available &&
        cache "$suite"/packages/*
}
run_install() {
    # shellcheck disable=SC2046  # a list of names without spaces
    dpkg --root="$PWD/root" --force-depends --log=/dev/null \
        -i $(printf '%s\n' "$suite"/packages/*.deb | head -n "$1") >log 2>&1 || { cat log >&2; return 1; }
    dpkg-query --root="$PWD/root" -W
    (cd root && find usr -type f -printf '%p %s %m\n' | sort)
}
