# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# The Debian disk with programs that check a CPU: stress-ng, openssl with its own tests, pciutils; and the script
# banyan-conformance, which runs them. docs/guests.md says what is run.
#
# Debian packages openssl's library but not its tests, so those are compiled here, out of Debian's source package, and
# linked with the library that Debian ships: it is Debian's library that is tested.

tools_packages=$debian_packages,stress-ng,openssl,pciutils

# Those of openssl's tests that need the library's public interface only.
openssl_tests=(evp_test bntest exptest ectest ecdsatest rsa_test dsatest hmactest destest sha_test aesgcmtest pbetest)
# What Debian's build leaves out (debian/rules of the source package), so that the tests do not ask for it.
openssl_without=(no-idea no-mdc2 no-rc5 no-ssl3 no-zlib)

tools_product() {
    shell_product
    product tools "$(key "$(<"$BANYAN_GUESTS/kernel/stamp") $tools_packages" \
        "$here/debian.sh" "$here/tools.sh" "$here"/tools/*)" make_tools
}

make_tools() {
    make_openssl_tests
    debian_tree tree.tar "$tools_packages"
    banyan_tools=$here/tools debian_disk tree.tar disk.img configure_tools
    rm -rf tree.tar openssl-tests openssl-build
}

make_openssl_tests() {
    mkdir openssl-build
    (
        cd openssl-build || exit
        library_packages
        source_package openssl
        say "preparing guest: compiling openssl's tests ..."
        cd source || exit
        compile_openssl_tests
    )
    mkdir -p openssl-tests/data
    cp openssl-build/programs/* openssl-tests/
    cp openssl-build/source/test/default-and-legacy.cnf openssl-build/source/test/recipes/30-test_evp_data/*.txt \
        openssl-build/source/test/recipes/10-test_bn_data/*.txt openssl-tests/data/
}

# The library and its headers, in library/.
library_packages() {
    local package file
    for package in libssl-dev libssl3; do
        file=$(download "$package")
        dpkg-deb -x "$file" library
    done
}

compile_openssl_tests() {
    if ! { configure_openssl && link_openssl_tests; } >../log 2>&1; then
        tail -n 20 ../log >&2
        die "cannot compile openssl's tests" "see the lines above" "report it with the version of openssl's source"
    fi
}

configure_openssl() {
    ./Configure linux-x86_64 "${openssl_without[@]}" && make -s build_generated && make -s test/libtestutil.a
}

link_openssl_tests() {
    local test
    mkdir ../programs
    for test in "${openssl_tests[@]}"; do
        gcc -O2 -I include -I apps/include -I . -o "../programs/$test" "test/$test.c" test/libtestutil.a \
            -L ../library/usr/lib/x86_64-linux-gnu -lssl -lcrypto || return
    done
}

# source_package NAME: the newest source package that can be had, unpacked in source/. By sources of our own, since apt is
# seldom set up for source packages; apt checks them by Debian's signatures all the same.
source_package() {
    local name=$1 version versions mirror signed=/usr/share/keyrings/debian-archive-keyring.gpg
    local private=(-qq -o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=root)
    mirror=$(debian_mirror)
    mkdir -p lists/partial cache/archives/partial
    printf 'deb-src [signed-by=%s] %s %s main\n' "$signed" "$mirror" bookworm "$signed" "$mirror" bookworm-updates \
        "$signed" "${mirror%/debian*}/debian-security" bookworm-security >sources.list
    say "preparing guest: downloading the source of $name ..."
    apt-get "${private[@]}" update >&2
    versions=$(apt-cache "${private[@]}" showsrc "$name" | sed -n 's/^Version: //p' | sort -rV)
    # A mirror may lack what its list names: an older one will do.
    for version in $versions; do
        if apt-get "${private[@]}" source --download-only "$name=$version" >&2; then
            dpkg-source --no-check -x "$name"_"${version#*:}".dsc source >/dev/null
            return
        fi
    done
    die "cannot download the source of $name" "no version of it is on $mirror" "name another mirror in BANYAN_DEBIAN_MIRROR"
}

configure_tools() {
    configure_debian
    mkdir -p tree/usr/lib/banyan
    cp -R openssl-tests tree/usr/lib/banyan/
    install -m 755 "$banyan_tools/banyan-conformance" tree/usr/bin/
    chown -R 0:0 tree/usr/lib/banyan tree/usr/bin/banyan-conformance
}
