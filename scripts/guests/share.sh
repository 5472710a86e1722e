# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# The guest for shared directories: the small guest with the modules of virtio-fs, and file-model, which checks a file
# system by random operations. docs/shares.md says how it is used.

share_modules=("${shell_modules[@]}" virtiofs ext4)

share_product() {
    kernel_product
    product share "$(key "$(<"$BANYAN_GUESTS/kernel/stamp")" "$here"/{share,shell}.sh "$here"/initramfs/* "$here"/share/*)" \
        make_share
}

# The kernel unpacks one archive after the other.
make_share() {
    mkdir -p programs/bin
    say "preparing guest: compiling file-model ..."
    gcc -O2 -Wall -static -o programs/bin/file-model "$here/share/file_model.c" ||
        die "cannot compile file-model" "gcc failed as shown above" "install gcc and libc6-dev"
    pack_shell "$BANYAN_GUESTS/kernel" "${share_modules[@]}"
    pack programs >>initramfs
    rm -rf programs
}
