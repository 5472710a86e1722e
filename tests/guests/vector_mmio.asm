; Vector and x87 instructions on memory that is a device: PCI configuration space where ECAM has it. Hypervisors that execute
; guests natively must emulate them; KVM has no emulation of these.
%include "common.inc"

ECAM equ 0xE0000000                    ; of the host bridge
CR4_OSFXSR equ 1 << 9
CR0_MP equ 1 << 1

section .bss
alignb 16
found: resd 4

section .text
test_main:
    mov eax, cr0
    or eax, CR0_MP
    mov cr0, eax
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
    mov ebx, ECAM

    mov eax, 0x80000000                ; the same word by configuration mechanism 1
    mov dx, 0xCF8
    out dx, eax
    mov dx, 0xCFC
    in eax, dx
    mov esi, eax
    mov dx, 0xCF8
    mov eax, 0x80000008
    out dx, eax
    mov dx, 0xCFC
    in eax, dx
    mov edi, eax

    pxor xmm0, xmm0
    por xmm0, [ebx]                    ; 16 bytes
    movdqa [found], xmm0
    EXPECT_EQ [found], esi, 'POR: the first word'
    EXPECT_EQ [found + 8], edi, 'POR: the third word'

    paddd xmm0, [ebx]
    movdqa [found], xmm0
    lea ecx, [esi * 2]
    EXPECT_EQ [found], ecx, 'PADDD'

    fninit
    fild qword [ebx]                   ; vendor, device, command, status
    fistp qword [found]
    EXPECT_EQ [found], esi, 'FILD'
    ret
