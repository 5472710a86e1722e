# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Xen, started by GRUB, with a Debian kernel as its first domain: an initramfs of busybox and of Xen's own tools out of
# Debian's packages, whose /init (scripts/guests/xen/init) asks them what runs.

xen_modules=(xen-evtchn xen-gntdev xen-privcmd xenfs)

xen_product() {
    grub_product
    product xen "$(key "$(<"$BANYAN_GUESTS/grub/stamp")" "$here"/{xen,media,kernel}.sh "$here/xen/init")" make_xen
}

make_xen() {
    local version
    unpack xen-hypervisor-4.17-amd64
    # The cloud kernel cannot be Xen's first domain.
    mkdir kernel
    (cd kernel && unpack_kernel linux-image-amd64)
    version=$(<kernel/version)
    mkdir -p cd/boot/grub
    gunzip -c xen-hypervisor-4.17-amd64/boot/xen-4.17-amd64.gz >cd/boot/xen
    mv kernel/vmlinuz cd/boot/linux
    xen_initramfs "$version" >cd/boot/initramfs
    {
        grub_console
        cat <<'END'
multiboot2 /boot/xen placeholder com1=115200,8n1 console=com1 dom0_mem=384M no-real-mode edd=off loglvl=info
module2 /boot/linux placeholder console=hvc0 earlyprintk=xen
module2 /boot/initramfs
boot
END
    } >cd/boot/grub/grub.cfg
    grub_iso xen.iso cd
    rm -rf cd kernel xen-hypervisor-4.17-amd64
}

# xen_initramfs VERSION: on standard output.
xen_initramfs() {
    local version=$1 mirror module files applet
    mirror=$(debian_mirror)
    say "preparing guest: unpacking Xen's tools ..."
    mmdebstrap --quiet --variant=extract --architectures=amd64 --include=xen-utils-4.17,busybox-static \
        --aptopt='Acquire::Languages "none"' bookworm tree.tar "deb $mirror bookworm main" \
        "deb ${mirror%/debian*}/debian-security bookworm-security main" >&2
    mkdir tree
    tar -C tree --exclude=./dev -xf tree.tar
    mkdir -p root/{bin,dev,proc,sys,run,var/run,var/lib/xenstored,var/log,etc}
    cp tree/bin/busybox root/bin/
    for applet in $(root/bin/busybox --list); do
        [[ $applet == busybox ]] || ln -s busybox "root/bin/$applet"
    done
    xen_programs tree root
    for module in "${xen_modules[@]}"; do
        files=$(modprobe -d kernel/root -S "$version" -D "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p')
        # shellcheck disable=SC2086  # a list of words
        install -D -m 644 -t root/modules $files
    done
    install -m 755 "$here/xen/init" root/init
    pack root
    chmod -R u+w tree
    rm -rf tree tree.tar root
}

# xen_programs TREE ROOT: copies the programs and the libraries that they need, by the tree's own loader.
xen_programs() {
    local tree=$1 root=$2 program libraries=$1/lib/x86_64-linux-gnu:$1/usr/lib/x86_64-linux-gnu
    mkdir -p "$root"/{lib,lib64}
    cp -L "$tree/lib64/ld-linux-x86-64.so.2" "$root/lib64/"
    for program in xl xenstored xen-init-dom0; do
        cp "$tree/usr/lib/xen-4.17/bin/$program" "$root/bin/"
        "$tree/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" --list "$tree/usr/lib/xen-4.17/bin/$program" |
            sed -n 's/.* => \(\/\?[^ ]*\) .*/\1/p'
    done | sort -u | xargs cp -L -t "$root/lib/"
}
