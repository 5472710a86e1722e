# shellcheck shell=bash disable=SC2154  # here, root: set by prepare.sh
# The small guest: an initramfs of busybox and the modules of the virtual devices. It is not compressed: unpacking costs
# a guest on an interpreter more than loading a few megabytes costs its host.

shell_modules=(virtio_pci virtio_blk virtio_console virtio-rng virtio_net virtio_balloon pvpanic-mmio pvpanic-pci
    qemu_fw_cfg)

shell_product() {
    kernel_product
    product shell "$(key "$(<"$BANYAN_GUESTS/kernel/stamp")" "$here/shell.sh" "$here"/initramfs/*)" make_shell
}

make_shell() {
    pack_shell "$BANYAN_GUESTS/kernel" "${shell_modules[@]}"
}

# pack_shell KERNEL MODULE...: as "initramfs" here, with modules of the kernel that is prepared in that directory.
pack_shell() {
    local file kernel=$1
    shift
    file=$(download busybox-static)
    dpkg-deb -x "$file" busybox
    say "preparing guest: packing the initramfs ..."
    mkdir -p root/{bin,sbin,etc,dev,proc,sys,tmp,root,usr/bin}
    install_busybox
    install -m 755 "$here/initramfs/init" root/init
    install -m 755 "$here"/initramfs/{console,coldplug,lspci} root/bin/
    install -m 644 "$here/initramfs/inittab" root/etc/
    printf 'root::0:0:root:/root:/bin/sh\n' >root/etc/passwd
    printf 'root:x:0:\n' >root/etc/group
    install_modules "$kernel" "$@"
    pack root >initramfs
    rm -rf root busybox "$file"
}

install_busybox() {
    local applet
    cp busybox/bin/busybox root/bin/busybox
    for applet in $(root/bin/busybox --list); do
        [[ $applet == busybox ]] || ln -s /bin/busybox "root/bin/$applet"
    done
    ln -s /bin/busybox root/sbin/modprobe
}

# module_files KERNEL MODULE...: the files of the modules and of what they need.
module_files() {
    local module needed kernel=$1
    shift
    for module in "$@"; do
        needed=$(modprobe -d "$kernel/root" -S "$(<"$kernel/version")" -D "$module") ||
            die "cannot pack the initramfs" "the kernel has no module $module" "correct the list in scripts/guests"
        sed -n 's/^insmod \([^ ]*\).*/\1/p' <<<"$needed"
    done | sort -u
}

# install_modules KERNEL MODULE...: with an index.
install_modules() {
    local kernel=$1 version files file
    version=$(<"$kernel/version")
    files=$(module_files "$@")
    for file in $files; do
        install -D -m 644 "$file" "root/${file#"$kernel/root"/}"
    done
    cp "$kernel/root/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "root/lib/modules/$version/"
    depmod -b root "$version"
    # busybox reads these three; the rest is for kmod.
    find "root/lib/modules/$version" -maxdepth 1 -name 'modules.*' \
        ! -name modules.dep ! -name modules.alias ! -name modules.builtin -delete
}

# pack DIRECTORY: as an initramfs on standard output, with root as the owner of all, the same for the same files.
pack() {
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --owner=+0:+0 --reproducible)
}
