; Command 0xFE of the keyboard controller pulses the CPU's reset line; --no-reboot ends the run instead.
; run: --machine pc
; status: 0
%include "common.inc"

section .text
test_main:
.busy:
    in al, 0x64
    test al, 2
    jnz .busy
    mov al, 0xFE
    out 0x64, al
    cli
    hlt
    ret
