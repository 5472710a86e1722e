; A write to the reset control register 0xCF9 resets the machine; --no-reboot ends the run instead.
; status: 0
%include "common.inc"

section .text
test_main:
    mov dx, 0xCF9
    mov al, 2                          ; SYS_RST alone does nothing yet
    out dx, al
    mov al, 6                          ; RST_CPU
    out dx, al
    cli
    hlt
    ret
