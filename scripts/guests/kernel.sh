# shellcheck shell=bash disable=SC2154  # here, root: set by prepare.sh
# Debian's cloud kernel, taken out of its package: vmlinuz, vmlinux (the same kernel, unpacked), config, version, and
# the modules as root/lib/modules/VERSION. Nothing is installed on the host.

kernel_product() {
    product kernel "$(key 1 "$here/kernel.sh" "$here/extract-vmlinux.py")" make_kernel
}

make_kernel() {
    local version
    unpack_kernel linux-image-cloud-amd64
    version=$(<version)
    mv "tree/boot/config-$version" config
    python3 "$here/extract-vmlinux.py" vmlinuz vmlinux
    rm -rf tree
}

# unpack_kernel METAPACKAGE: the newest kernel of that kind, as vmlinuz, version and root/lib/modules/VERSION here; what
# else is in its package, as tree.
unpack_kernel() {
    local meta=$1 package file version
    apt_knows "$meta" || apt_update
    package=$(apt-cache depends --important "$meta" |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    [[ -n $package ]] || die "cannot find a kernel" "apt knows no $meta" \
        "check that apt's sources name Debian 12 (bookworm)"
    file=$(download "$package")
    say "preparing guest: unpacking the kernel ..."
    dpkg-deb -x "$file" tree
    version=${package#linux-image-}
    printf '%s\n' "$version" >version
    mv "tree/boot/vmlinuz-$version" vmlinuz
    mkdir -p root/lib/modules
    mv "tree/lib/modules/$version" root/lib/modules/
    depmod -b root "$version"
    rm "$file"
}
