# shellcheck shell=bash disable=SC2154  # here, root: set by prepare.sh
# The guest for disks and CD-ROM drives on every bus: the small guest on Debian's full kernel, because the cloud kernel
# has no driver of AHCI, with the drivers of the buses and of two file systems. The kernel is beside the initramfs.

storage_modules=(virtio_pci virtio_blk virtio_scsi ahci ata_piix sd_mod sr_mod ext4 isofs)

storage_product() {
    product storage "$(key 1 "$here"/{storage,shell,kernel}.sh "$here"/initramfs/*)" make_storage
}

make_storage() {
    make_on_full_kernel "${storage_modules[@]}"
}

# make_on_full_kernel MODULE...: vmlinuz and initramfs of the small guest on Debian's full kernel.
make_on_full_kernel() {
    mkdir kernel shell
    (cd kernel && unpack_kernel linux-image-amd64)
    (cd shell && pack_shell "$PWD/../kernel" "$@")
    mv kernel/vmlinuz vmlinuz
    mv shell/initramfs initramfs
    rm -rf kernel shell
}
