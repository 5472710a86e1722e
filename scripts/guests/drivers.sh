# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Debian's kernel for real PCs, which has the drivers that its cloud kernel leaves out: vmlinuz, and an initramfs like the
# small guest's with the modules of old and strict hardware.

drivers_modules=(virtio_pci virtio_blk virtio-rng ext4 nvme floppy i6300esb vfat nls_cp437 nls_ascii nls_utf8 e1000e)

drivers_product() {
    product drivers "$(key 2 "$here"/{drivers,storage,shell,kernel}.sh "$here"/initramfs/*)" make_drivers
}

make_drivers() {
    make_on_full_kernel "${drivers_modules[@]}"
}
