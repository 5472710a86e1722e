# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Debian's kernel for real PCs, which has the drivers that its cloud kernel leaves out: vmlinuz, and an initramfs like the
# small guest's with the modules of old and strict hardware.

drivers_modules=(virtio_pci virtio_blk virtio-rng ext4 nvme floppy i6300esb vfat nls_cp437 nls_ascii nls_utf8)

drivers_product() {
    product drivers "$(key 1 "$here"/{drivers,shell}.sh "$here"/initramfs/*)" make_drivers
}

make_drivers() {
    local package file version
    apt_knows linux-image-amd64 || apt_update
    package=$(apt-cache depends --important linux-image-amd64 |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    [[ -n $package ]] || die "cannot find a kernel" "apt knows no linux-image-amd64" \
        "check that apt's sources name Debian 12 (bookworm)"
    file=$(download "$package")
    version=${package#linux-image-}
    say "preparing guest: unpacking the kernel ..."
    mkdir -p kernel/root/lib/modules
    dpkg-deb --fsys-tarfile "$file" | tar -x ./boot "./lib/modules/$version"
    mv "boot/vmlinuz-$version" vmlinuz
    mv "lib/modules/$version" kernel/root/lib/modules/
    depmod -b kernel/root "$version"
    # make_shell takes the kernel and the list of modules from these.
    # shellcheck disable=SC2034
    local shell_modules=("${drivers_modules[@]}") BANYAN_GUESTS=$PWD
    printf '%s\n' "$version" >kernel/version
    make_shell
    rm -rf kernel boot lib "$file"
}
