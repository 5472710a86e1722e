; A guest for the tests of the store: does nothing until it is ended, or, assembled with -DSTATUS=N, ends at once with exit
; status 2 * N + 1 by the debug exit port.
bits 32
section .multiboot
align 4
    dd 0x1BADB002, 0, -(0x1BADB002)
section .text
global _start
_start:
    cli
%ifdef STATUS
    mov eax, STATUS
    mov dx, 0xF4
    out dx, eax
%endif
.forever:
    hlt
    jmp .forever
