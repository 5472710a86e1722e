# shellcheck shell=bash disable=SC2154  # here: set by prepare.sh
# The small guest with the modules for sockets between guest and host, and, in a second initramfs, a program that uses them.

vsock_modules=(vmw_vsock_virtio_transport)

vsock_product() {
    kernel_product
    product vsock "$(key "$(<"$BANYAN_GUESTS/kernel/stamp")" "$here"/{vsock,shell}.sh "$here"/{initramfs,vsock}/*)" make_vsock
}

make_vsock() {
    pack_shell "$BANYAN_GUESTS/kernel" "${shell_modules[@]}" "${vsock_modules[@]}"
    mkdir -p root/bin
    gcc -O2 -s -static -Wall -Wextra -Werror -o root/bin/vsock "$here/vsock/vsock.c"
    pack root >program
    rm -rf root
}
