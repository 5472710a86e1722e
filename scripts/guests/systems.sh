# shellcheck shell=bash disable=SC2154  # set by prepare.sh
# Systems that firmware boots, each out of one of Debian's packages and mostly not Linux: boot loaders, a memory test, a
# microkernel, a game. What each shows when it is up stands in tests/boot/systems.py.

# system_product NAME FUNCTION: made from this file, media.sh and GRUB.
system_product() {
    grub_product
    product "$1" "$(key "$(<"$BANYAN_GUESTS/grub/stamp")" "$here/systems.sh" "$here/media.sh")" "$2"
}

rescue_product() { system_product rescue make_rescue; }
memtest_product() { system_product memtest make_memtest; }
ipxe_product() { system_product ipxe make_ipxe; }
mach_product() { system_product mach make_mach; }
invaders_product() { system_product invaders make_invaders; }
syslinux_product() { system_product syslinux make_syslinux; }
refind_product() { system_product refind make_refind; }
uefi-shell_product() { system_product uefi-shell make_uefi_shell; }
u-boot_product() { system_product u-boot make_u_boot; }

# GRUB's own rescue media, as Debian ships them: no word of them goes to a serial port.
make_rescue() {
    unpack grub-rescue-pc
    mv grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-cdrom.iso cdrom.iso
    mv grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-floppy.img floppy.img
    truncate -s 1440K floppy.img # as long as the disk that it is meant for
    rm -rf grub-rescue-pc
}

make_memtest() {
    unpack memtest86+
    mkdir -p cd/boot/grub
    mv memtest86+/boot/memtest86+x64.{bin,efi} cd/boot/
    {
        grub_console
        cat <<'END'
set memtest=/boot/memtest86+x64.bin
if [ "$grub_platform" = efi ]; then set memtest=/boot/memtest86+x64.efi; fi
linux $memtest console=ttyS0,115200 nosmp
boot
END
    } >cd/boot/grub/grub.cfg
    grub_iso memtest.iso cd
    rm -rf cd memtest86+
}

make_ipxe() {
    unpack ipxe
    mv ipxe/usr/lib/ipxe/ipxe.iso ipxe.iso
    efi_image ipxe-efi.img ipxe/boot/ipxe.efi
    rm -rf ipxe
}

# GNU Mach, whose console is the first serial port, with nothing to run: it says who it is, and that there is no bootstrap.
make_mach() {
    unpack gnumach-image-1.8-486
    mkdir -p cd/boot/grub
    gunzip -c gnumach-image-1.8-486/boot/gnumach-1.8-486.gz >cd/boot/gnumach
    {
        grub_console
        printf 'multiboot /boot/gnumach console=com0\nboot\n'
    } >cd/boot/grub/grub.cfg
    grub_iso mach.iso cd
    rm -rf cd gnumach-image-1.8-486
}

make_invaders() {
    unpack grub-invaders
    mkdir -p cd/boot/grub
    mv grub-invaders/boot/invaders.exec cd/boot/
    {
        grub_console
        printf 'multiboot /boot/invaders.exec\nboot\n'
    } >cd/boot/grub/grub.cfg
    grub_iso invaders.iso cd
    rm -rf cd grub-invaders
}

# ISOLINUX on a CD, at its prompt; "hdt" is its hardware detection tool.
make_syslinux() {
    local module
    unpack isolinux
    unpack syslinux-common
    mkdir -p cd/isolinux
    mv isolinux/usr/lib/ISOLINUX/isolinux.bin cd/isolinux/
    for module in ldlinux libcom32 libutil libmenu libgpl hdt cpuid meminfo poweroff reboot ls; do
        mv "syslinux-common/usr/lib/syslinux/modules/bios/$module.c32" cd/isolinux/
    done
    cat >cd/isolinux/isolinux.cfg <<'END'
prompt 1
timeout 0
END
    iso syslinux.iso cd -b isolinux/isolinux.bin -no-emul-boot -boot-load-size 4 -boot-info-table
    rm -rf cd isolinux syslinux-common
}

# rEFInd in its text mode, with the UEFI shell's place and GRUB's found by itself.
make_refind() {
    unpack refind
    mkdir -p esp/EFI/BOOT/drivers_x64
    mv refind/usr/share/refind/refind/refind_x64.efi esp/EFI/BOOT/BOOTX64.EFI
    printf 'timeout 0\ntextonly\nshowtools about,reboot,shutdown\n' >esp/EFI/BOOT/refind.conf
    fat_image refind.img 4096 esp
    rm -rf esp refind
}

# What the UEFI shell runs when it is started: firmware that finds no boot loader starts it by itself.
make_uefi_shell() {
    mkdir esp
    cat >esp/startup.nsh <<'END'
@echo -off
echo banyan: the shell runs %0
ver
for %i run (1 3)
    echo round %i
endfor
map -t hd
echo kept > fs0:\mark.txt
type fs0:\mark.txt
echo banyan: done
END
    # The shell wants lines as UEFI writes them.
    sed -i 's/$/\r/' esp/startup.nsh
    fat_image shell.img 4096 esp
    rm -rf esp
}

make_u_boot() {
    unpack u-boot-qemu
    mv u-boot-qemu/usr/lib/u-boot/qemu-x86_64/u-boot.rom u-boot64.rom
    mv u-boot-qemu/usr/lib/u-boot/qemu-x86/u-boot.rom u-boot32.rom
    rm -rf u-boot-qemu
}
