# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Debian 12 on a disk: what "debootstrap --variant=minbase" installs, systemd as its init, and the kernel's modules, in
# a raw image of 1 GB with one ext4 file system and no partition table. Made without a loop mount, as root or not.

debian_packages=systemd-sysv,udev,dbus,kmod

debian_product() {
    shell_product
    product debian "$(key "$(<"$BANYAN_GUESTS/kernel/stamp") $debian_packages" "$here/debian.sh")" make_debian
}

make_debian() {
    debian_tree tree.tar "$debian_packages"
    debian_disk tree.tar disk.img configure_debian
    rm -f tree.tar
}

# debian_tree TAR PACKAGES: the root file system as Debian's packages leave it.
debian_tree() {
    local mirror
    mirror=$(debian_mirror)
    say "preparing guest: installing Debian from $mirror (takes a minute or two) ..."
    mmdebstrap --quiet --variant=minbase --architectures=amd64 --include="$2" --skip=output/dev,output/mknod \
        --aptopt='Acquire::Languages "none"' \
        bookworm "$1" "deb $mirror bookworm main" "deb $mirror bookworm-updates main" \
        "deb ${mirror%/debian*}/debian-security bookworm-security main" >&2 ||
        die "cannot make the Debian guest" "mmdebstrap failed as shown above" \
            "check that $mirror can be reached, or name another in BANYAN_DEBIAN_MIRROR"
}

# debian_disk TAR IMAGE CONFIGURE: the image of what the archive holds, after the function CONFIGURE has changed it.
# The files keep their owners: as root by themselves, else by fakeroot, which mke2fs then sees too.
debian_disk() {
    local fake=()
    [[ $(id -u) -eq 0 ]] || fake=(fakeroot)
    say "preparing guest: writing the disk ..."
    # shellcheck disable=SC2163  # the function that it names
    export -f configure_debian "$3"
    # shellcheck disable=SC2016  # the inner shell expands them
    BANYAN_GUESTS=$BANYAN_GUESTS banyan_tools=${banyan_tools:-} "${fake[@]}" bash -euo pipefail -c '
        mkdir tree
        tar -C tree --numeric-owner -xpf "$1"
        "$3"
        truncate -s 1G "$2"
        mke2fs -q -F -t ext4 -L banyan -d tree "$2"
        rm -rf tree' bash "$@"
}

# What makes the tree a machine. Root has no password: who has the console of a guest has the guest.
configure_debian() {
    mkdir -p tree/dev # left out of the archive, with what is in it
    echo banyan >tree/etc/hostname
    printf '127.0.0.1 localhost banyan\n' >tree/etc/hosts
    printf 'LABEL=banyan / ext4 errors=remount-ro 0 1\n' >tree/etc/fstab
    sed -i 's/^root:[^:]*:/root::/' tree/etc/shadow
    rm -f tree/etc/resolv.conf tree/etc/machine-id
    : >tree/etc/machine-id
    mkdir -p tree/lib/modules
    cp -R "$BANYAN_GUESTS"/kernel/root/lib/modules/* tree/lib/modules/
    chown -R 0:0 tree/lib/modules
}
