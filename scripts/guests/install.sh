# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# Debian's installer as Debian ships it for booting from a network, and what it takes to install from it without one.
#
# installer: the kernel and initrd, and a CD that boots them by BIOS or by UEFI, up to the first question.
# install:   a CD that boots the same, answers every question, and holds the packages that are installed.

installer_images=usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64

# What is installed beside Debian's required and important packages; the first is debootstrap's own wish.
install_packages=(usr-is-merged linux-image-cloud-amd64 initramfs-tools zstd busybox grub-efi-amd64 grub-efi-amd64-signed shim-signed
    efibootmgr mokutil)
# The installer's components that are not in its initrd: those that install the base system and its kernel. Not every mirror
# has the other ones, so in the place of partman, apt-setup, user-setup, grub-installer and finish-install are two small
# components of our own, install/partition and install/finish.
install_udebs=(bootstrap-base base-installer)
install_module_udebs=(scsi-core scsi ata sata cdrom-core isofs ext4 efi)
# What install/partition calls, and the libraries of it that the installer lacks.
install_tools=(fdisk e2fsprogs dosfstools debootstrap libfdisk1 libsmartcols1 libext2fs2 libcom-err2 libblkid1)

installer_product() {
    grub_product
    product installer "$(key "$(<"$BANYAN_GUESTS/grub/stamp")" "$here/install.sh" "$here/media.sh")" make_installer
}

install_product() {
    installer_product
    product install "$(key "$(<"$BANYAN_GUESTS/installer/stamp")" "$here/install.sh" "$here"/install/{preseed.cfg,repository.py,serve} "$here"/install/*/*)" make_install
}

make_installer() {
    unpack debian-installer-12-netboot-amd64
    mv "debian-installer-12-netboot-amd64/$installer_images"/{linux,initrd.gz} .
    rm -rf debian-installer-12-netboot-amd64
    mkdir -p cd/boot/grub
    cp linux initrd.gz cd/boot/
    {
        grub_console
        printf 'linux /boot/linux console=ttyS0 --- quiet\ninitrd /boot/initrd.gz\nboot\n'
    } >cd/boot/grub/grub.cfg
    grub_iso installer.iso cd
    rm -rf cd
}

make_install() {
    local version
    version=$(installer_kernel)
    mkdir -p archive/lists/partial archive/cache/archives/partial files cd/boot/grub
    archive_lists
    archive_packages "$version"
    own_udebs
    installer_addition "$version"
    say "preparing guest: making the repository ..."
    python3 "$here/install/repository.py" cd/debian files packages udebs
    cp "$BANYAN_GUESTS"/installer/{linux,initrd.gz} cd/boot/
    mv addition.gz cd/boot/
    {
        grub_console
        printf 'linux /boot/linux console=ttyS0 auto=true priority=critical DEBIAN_FRONTEND=text --- quiet\n'
        printf 'initrd /boot/initrd.gz /boot/addition.gz\nboot\n'
    } >cd/boot/grub/grub.cfg
    grub_iso install.iso cd
    rm -rf archive files cd packages udebs
}

# The version of the kernel that is in the installer's initrd.
installer_kernel() {
    gunzip -c "$BANYAN_GUESTS/installer/initrd.gz" | cpio --quiet -t 2>/dev/null |
        sed -n 's,^\(\./\)\?lib/modules/\([^/]*\)$,\2,p' | head -n 1
}

# archive_apt COMMAND...: apt by lists of its own, as if nothing were installed.
archive_apt() {
    "$1" -qq -o "Dir::Etc::SourceList=$PWD/archive/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$PWD/archive/lists" -o "Dir::Cache=$PWD/archive/cache" -o Dir::State::status=/dev/null \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Debug::NoLocking=1 -o APT::Install-Recommends=0 "${@:2}"
}

# Debian's indexes, as "packages" and "udebs".
archive_lists() {
    local signed=/usr/share/keyrings/debian-archive-keyring.gpg
    printf 'deb [signed-by=%s] %s bookworm main main/debian-installer\n' "$signed" "$(debian_mirror)" >archive/sources.list
    say "preparing guest: reading the lists of Debian's archive ..."
    archive_apt apt-get update >&2
    archive_index _main_binary-amd64_Packages >packages
    archive_index _main_debian-installer_binary-amd64_Packages >udebs
}

# archive_index SUFFIX: the list whose name ends so, with or without the ending of its compression.
archive_index() { /usr/lib/apt/apt-helper cat-file archive/lists/*"$1"*; }

# archive_packages VERSION: into files/: what an installation needs, and the installer's udebs for that kernel.
archive_packages() {
    local version=$1 wanted name
    say "preparing guest: downloading what an installation needs (takes some minutes) ..."
    archive_apt apt-get -y --download-only install '?and(?or(?priority(required),?priority(important)),?not(?section(debian-installer)))' \
        "${install_packages[@]}" >&2
    mv archive/cache/archives/*.deb files/
    wanted=("${install_udebs[@]}")
    for name in "${install_module_udebs[@]}"; do
        wanted+=("$name-modules-$version-di")
    done
    (cd files && PWD=${PWD%/files} archive_apt apt-get download "${wanted[@]}" >&2)
}

# own_udeb NAME: install/NAME, with the tree NAME/ of its files.
own_udeb() {
    mkdir -p "$1/DEBIAN"
    install -m 644 "$here/install/$1/control" "$1/DEBIAN/control"
    install -m 755 "$here/install/$1/postinst" "$1/DEBIAN/postinst"
    dpkg-deb --root-owner-group -Zxz --build "$1" "files/banyan-$1_1_all.udeb" >/dev/null
    rm -rf "$1"
}

# Our own components; their stanzas join those of Debian's.
own_udebs() {
    local package file
    for package in "${install_tools[@]}"; do
        file=$(download "$package")
        dpkg-deb -x "$file" partition
        rm -f "$file"
    done
    rm -rf partition/usr/share/{doc,man,locale,lintian,bash-completion,info} partition/etc
    install -D -m 755 "$here/install/partition/mapdevfs" partition/bin/mapdevfs
    own_udeb partition
    mkdir finish
    own_udeb finish
    for file in files/banyan-*.udeb; do
        printf '\n'
        dpkg-deb -f "$file"
        printf 'Filename: pool/main/b/banyan/%s\nSize: %s\nSHA256: %s\nMD5sum: %s\n' "${file##*/}" "$(stat -c %s "$file")" \
            "$(sha256sum <"$file" | cut -d' ' -f1)" "$(md5sum <"$file" | cut -d' ' -f1)"
    done >>udebs
}

# installer_addition VERSION: a second initrd, with the answers, a web server, and the modules for the CD.
installer_addition() {
    local version=$1 name
    unpack busybox-static
    mkdir -p addition/banyan
    for name in "${install_module_udebs[@]}"; do
        dpkg-deb -x files/"$name-modules-$version-di"_*.udeb addition
    done
    mv busybox-static/bin/busybox addition/banyan/
    rm -rf busybox-static
    install -m 755 "$here/install/serve" addition/banyan/serve
    install -m 644 "$here/install/preseed.cfg" addition/preseed.cfg
    find addition -exec touch -h -d @0 {} +
    (cd addition && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --owner=+0:+0 --reproducible) | gzip -n >addition.gz
    rm -rf addition
}
