# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Debian 12 as it is installed on a disk: its own kernel, the one that has drivers of all disks, and initrd in /boot, GRUB for
# BIOS and for UEFI, one ext4 file system; on a GPT of three partitions.

bootable_packages=systemd-sysv,udev,dbus,kmod,initramfs-tools,linux-image-amd64

# The partitions, in sectors of 512 bytes: GRUB's for BIOS, UEFI's, the root.
bootable_bios_start=2048
bootable_esp_start=4096
bootable_esp_sectors=16384
bootable_root_start=20480
bootable_root_sectors=$((1200 * 2048))

bootable_product() {
    grub_product
    product bootable "$(key "$(<"$BANYAN_GUESTS/grub/stamp") $bootable_packages" \
        "$here/bootable.sh" "$here/media.sh" "$here/grub-embed.py")" make_bootable
}

make_bootable() {
    debian_tree tree.tar "$bootable_packages"
    bootable_root tree.tar root.img
    bootable_grub
    bootable_disk disk.img
    rm -rf tree.tar root.img esp.img core.img boot.img
}

# bootable_root TAR IMAGE: the root file system; its files keep their owners, as root or by fakeroot.
bootable_root() {
    local fake=()
    [[ $(id -u) -eq 0 ]] || fake=(fakeroot)
    say "preparing guest: writing the root file system ..."
    export -f configure_bootable grub_console
    # shellcheck disable=SC2016  # the inner shell expands them
    "${fake[@]}" bash -euo pipefail -c '
        mkdir tree
        tar -C tree --numeric-owner -xpf "$1"
        configure_bootable
        truncate -s "$3" "$2"
        mke2fs -q -F -t ext4 -L bootable -d tree "$2"
        rm -rf tree' bash "$1" "$2" "$((bootable_root_sectors * 512))"
}

configure_bootable() {
    mkdir -p tree/dev tree/boot/grub
    echo banyan >tree/etc/hostname
    printf '127.0.0.1 localhost banyan\n' >tree/etc/hosts
    printf 'LABEL=bootable / ext4 errors=remount-ro 0 1\n' >tree/etc/fstab
    sed -i 's/^root:[^:]*:/root::/' tree/etc/shadow
    rm -f tree/etc/resolv.conf tree/etc/machine-id
    : >tree/etc/machine-id
    {
        grub_console
        cat <<'END'
set timeout=1
menuentry "Debian" {
    linux /vmlinuz root=LABEL=bootable ro console=ttyS0
    initrd /initrd.img
}
END
    } >tree/boot/grub/grub.cfg
}

# boot.img and core.img for BIOS, esp.img for UEFI: each finds the root by its label.
bootable_grub() {
    cat >early.cfg <<'END'
search --no-floppy --label bootable --set root
set prefix=($root)/boot/grub
END
    cp "$BANYAN_GUESTS/grub/i386-pc/boot.img" boot.img
    grub_image i386-pc core.img -c early.cfg
    grub_image x86_64-efi grub.efi -c early.cfg
    efi_image esp.img grub.efi "$((bootable_esp_sectors / 2))"
    rm -f early.cfg grub.efi
}

bootable_disk() {
    local disk=$1 end=$((bootable_root_start + bootable_root_sectors))
    truncate -s $(((end + 2048) * 512)) "$disk"
    sfdisk --quiet "$disk" <<END
label: gpt
label-id: 42414e59-414e-4000-8000-000000000000
start=$bootable_bios_start, size=$((bootable_esp_start - bootable_bios_start)), type=21686148-6449-6E6F-744E-656564454649, uuid=42414e59-414e-4000-8000-000000000001
start=$bootable_esp_start, size=$bootable_esp_sectors, type=uefi, uuid=42414e59-414e-4000-8000-000000000002
start=$bootable_root_start, size=$bootable_root_sectors, type=linux, uuid=42414e59-414e-4000-8000-000000000003
END
    python3 "$here/grub-embed.py" "$disk" boot.img core.img "$bootable_bios_start"
    dd if=esp.img of="$disk" bs=512 seek="$bootable_esp_start" conv=notrunc status=none
    dd if=root.img of="$disk" bs=1M seek="$((bootable_root_start * 512))" oflag=seek_bytes conv=notrunc,sparse status=none
}
