# shellcheck shell=bash disable=SC2154  # here, root: set by prepare.sh
# Debian with the programs that "make bench" measures, twice with the same files: disk.img for guests, and the directory
# root for this machine. docs/performance.md says what is in it.
#
# The suite's own programs are compiled by Debian's compiler in that root directory, so nothing is needed on the host.

suite_packages=python3-minimal,perl-base,lua5.4,gawk,dash,gzip,bzip2,xz-utils,zstd,openssl,libssl-dev,sqlite3,gcc,libc6-dev,grep

# What the suite's "install" installs: small, of few kinds, and without scripts of their own.
suite_installed=(file hello jq libjq1 libmagic-mgc libmagic1 libonig5 m4 make patch tree xxd)

suite_product() {
    local suite=$root/bench/suite
    shell_product
    product suite "$(key "$(<"$BANYAN_GUESTS/kernel/stamp") $suite_packages" "$here/debian.sh" "$here/suite.sh" \
        "$suite"/{agent,guest,native,workloads.sh} "$suite"/programs/*)" make_suite
}

make_suite() {
    debian_tree tree.tar "$suite_packages"
    mkdir root
    # As the user who prepares: in a user namespace they are root's.
    tar -C root --no-same-owner -xpf tree.tar
    mkdir -p root/dev root/usr/lib/banyan
    cp -R "$here/../../bench/suite" root/usr/lib/banyan/
    compile_suite
    make_suite_data
    download_suite_packages
    debian_disk tree.tar disk.img configure_suite
    rm -f tree.tar
}

# in_suite COMMAND: a script of the shell in the suite's directory, in the root directory of the suite.
in_suite() {
    local become=()
    [[ $(id -u) -eq 0 ]] || become=(unshare --map-root-user)
    "${become[@]}" chroot root /bin/sh -ec "cd /usr/lib/banyan/suite; export LC_ALL=C PATH=/usr/bin:/bin; $1" </dev/null ||
        die "cannot prepare the suite" "a command failed as shown above" "report it"
}

compile_suite() {
    say "preparing guest: compiling the suite's programs ..."
    # shellcheck disable=SC2016  # the inner shell expands it
    in_suite '
        cd programs
        for program in matrix fft nbody x87 memory kernel; do gcc -O2 -o $program $program.c -lm; done
        gcc -O3 -march=x86-64-v3 -o matrix-avx2 matrix.c
        gcc -O3 -march=x86-64-v3 -o pixels pixels.c
        gcc -O2 -o rsa rsa.c -lcrypto'
}

# corpus: 8 MB of headers and 4 MB of machine code. lines: 400,000 lines to sort.
make_suite_data() {
    say "preparing guest: making the suite's data ..."
    # shellcheck disable=SC2016  # the inner shell and awk expand them
    in_suite '
        mkdir data
        cd data
        cat $(find /usr/include -name "*.h" | sort) | head -c 8M >corpus
        head -c 4M "$(gcc -print-prog-name=cc1)" >>corpus
        [ "$(stat -c %s corpus)" -eq 12582912 ]
        gzip -n -6 <corpus >corpus.gz
        xz -T1 -6 <corpus >corpus.xz
        awk "BEGIN {
            for (i = 0; i < 400000; ++i) {
                x = (x * 1103515 + 12345) % 2147483648
                printf \"%08x %d line %d\\n\", x, x % 1000, i
            }
        }" >lines'
}

download_suite_packages() {
    local package
    mkdir root/usr/lib/banyan/suite/packages
    for package in "${suite_installed[@]}"; do
        mv "$(download "$package")" root/usr/lib/banyan/suite/packages/
    done
}

configure_suite() {
    configure_debian
    cp -R root/usr/lib/banyan tree/usr/lib/
    chown -R 0:0 tree/usr/lib/banyan
}
