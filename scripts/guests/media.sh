# shellcheck shell=bash disable=SC2154  # set by prepare.sh
# Media that firmware boots: ISO images, EFI system partitions, disks with a GPT. All by programs that write into files, so
# without root or a loop device, and with fixed identifiers, so that the same input gives the same medium.

# What a GRUB carries in itself, so that its media need no directory of modules.
grub_modules=(part_gpt part_msdos iso9660 fat ext2 normal configfile linux multiboot multiboot2 chain boot gzio
    search search_label search_fs_file serial terminal echo test ls cat sleep halt reboot minicmd)
grub_pc_modules=(biosdisk linux16)

# GRUB's modules for a PC's BIOS and for UEFI, out of their packages.
grub_product() {
    product grub "$(key 1)" make_grub
}

make_grub() {
    local package file
    for package in grub-pc-bin grub-efi-amd64-bin; do
        file=$(download "$package")
        dpkg-deb -x "$file" tree
        rm -f "$file"
    done
    mv tree/usr/lib/grub/{i386-pc,x86_64-efi} .
    rm -rf tree
}

# unpack PACKAGE: into the directory of that name.
unpack() {
    local file
    file=$(download "$1")
    dpkg-deb -x "$file" "$1"
    rm -f "$file"
}

# grub_image FORMAT OUTPUT [OPTION...]: a GRUB for i386-pc, i386-pc-eltorito or x86_64-efi that reads /boot/grub/grub.cfg
# of what it was booted from, or as the options of grub-mkimage say.
grub_image() {
    local format=$1 output=$2 directory=x86_64-efi modules=("${grub_modules[@]}")
    shift 2
    if [[ $format == i386-pc* ]]; then
        directory=i386-pc
        modules+=("${grub_pc_modules[@]}")
    fi
    grub-mkimage -d "$BANYAN_GUESTS/grub/$directory" -O "$format" -p /boot/grub -o "$output" "$@" "${modules[@]}"
}

# grub_console: the beginning of a grub.cfg that is to be seen on the serial port. UEFI's own console is there already.
grub_console() {
    cat <<'END'
if [ "$grub_platform" = pc ]; then
    serial --unit=0 --speed=115200
    terminal_input serial console
    terminal_output serial console
fi
END
}

# fat_image FILE KILOBYTES DIRECTORY: a FAT file system that holds what the directory holds.
fat_image() {
    local file=$1 size=$2 directory=$3
    truncate -s "${size}K" "$file"
    mformat -i "$file" -N 42414e59 -v EFI -T "$((size * 2))" -h 16 -s 63 ::
    mcopy -s -Q -m -i "$file" "$directory"/* ::
}

# efi_image FILE PROGRAM [KILOBYTES]: an EFI system partition whose default program is the one given.
efi_image() {
    mkdir -p esp/EFI/BOOT
    cp "$2" esp/EFI/BOOT/BOOTX64.EFI
    fat_image "$1" "${3:-$(($(stat -c %s "$2") / 1024 + 512))}" esp
    rm -rf esp
}

# grub_iso FILE DIRECTORY: a medium that GRUB boots, by BIOS or by UEFI, as the directory's boot/grub/grub.cfg says: a CD that
# may be used as a disk as well, as for a USB stick.
grub_iso() {
    local file=$1 directory=$2
    grub_image i386-pc-eltorito "$directory/boot/grub/cd.img"
    # As a disk, the medium shows UEFI the partition with this GRUB, and the rest beside it.
    # shellcheck disable=SC2016  # the dollar is GRUB's
    printf 'search --no-floppy --label BANYAN --set root\nset prefix=($root)/boot/grub\n' >early.cfg
    grub_image x86_64-efi grub.efi -c early.cfg
    efi_image "$directory/boot/grub/efi.img" grub.efi
    rm -f grub.efi early.cfg
    iso "$file" "$directory" --grub2-mbr "$BANYAN_GUESTS/grub/i386-pc/boot_hybrid.img" --protective-msdos-label \
        -b boot/grub/cd.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
        --efi-boot boot/grub/efi.img -efi-boot-part --efi-boot-image
}

# iso FILE DIRECTORY OPTION...: an ISO 9660 file system, with what the options say of booting.
iso() {
    local file=$1 directory=$2
    find "$directory" -exec touch -h -d @0 {} +
    xorriso -report_about WARNING -volume_date all_file_dates "=1" -as mkisofs -quiet -r -J -V BANYAN \
        "${@:3}" -o "$file" "$directory" 2> >(sed '/^xorriso [0-9.]* :/d; /^$/d' >&2)
}
