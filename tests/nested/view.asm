; What a guest sees of its machine, in lines on the debug console: the memory map of the multiboot information, CPUID, the
; functions on the PCI bus, and sums of the ACPI tables' pages. view_test.py compares them between engines.
%include "common.inc"

section .text
%macro SAY_HEX 1
    mov eax, %1
    call print_hex
    mov al, ' '
    out CON_PORT, al
%endmacro

%macro END_LINE 0
    mov al, 10
    out CON_PORT, al
%endmacro

; EBX is still the loader's: Multiboot Specification 0.6.96, section 3.2.
test_main:
    call say_memory
    call say_cpuid
    call say_pci
    jmp say_tables

say_memory:
    mov ebp, [ebx + 48]                ; mmap_addr
    mov edi, [ebx + 44]                ; mmap_length
    add edi, ebp
.entry:
    cmp ebp, edi
    jae .done
    SAY 'memory '
    SAY_HEX [ebp + 8]
    SAY_HEX [ebp + 4]
    SAY_HEX [ebp + 16]
    SAY_HEX [ebp + 12]
    SAY_HEX [ebp + 20]
    END_LINE
    add ebp, [ebp]
    add ebp, 4                         ; the size does not count itself
    jmp .entry
.done:
    ret

SUBLEAVES equ 5
say_cpuid:
    xor ebp, ebp
    call .range
    mov ebp, 0x40000000
    call .range
    mov ebp, 0x80000000
.range:
    mov eax, ebp
    xor ecx, ecx
    cpuid
    mov [last_leaf], eax
.leaf:
    xor edi, edi
.subleaf:
    mov eax, ebp
    mov ecx, edi
    cpuid
    push edx
    push ecx
    push ebx
    push eax
    SAY 'cpuid '
    SAY_HEX ebp
    SAY_HEX edi
    %rep 4
    pop eax
    SAY_HEX eax
    %endrep
    END_LINE
    inc edi
    cmp edi, SUBLEAVES
    jb .subleaf
    inc ebp
    cmp ebp, [last_leaf]
    jbe .leaf
    ret

; All functions 0 of bus 0, by configuration mechanism 1: the header's 16 words.
say_pci:
    mov ebp, 0x80000000
.device:
    mov eax, ebp
    call read_config
    cmp ax, 0xFFFF
    je .next
    SAY 'pci '
    SAY_HEX ebp
    xor edi, edi
.word:
    lea eax, [ebp + edi]
    call read_config
    SAY_HEX eax
    add edi, 4
    cmp edi, 64
    jb .word
    END_LINE
.next:
    add ebp, 0x800
    cmp ebp, 0x80010000
    jb .device
    ret

read_config:
    mov dx, 0xCF8
    out dx, eax
    mov dx, 0xCFC
    in eax, dx
    ret

; From the extended BIOS data area's segment to 1 MiB: tables lie where an RSDP is looked for.
say_tables:
    mov ebp, 0xE0000
.page:
    mov ecx, 1024
    xor edx, edx
    mov esi, ebp
.word:
    lodsd
    rol edx, 1
    add edx, eax
    loop .word
    push edx
    SAY 'tables '
    SAY_HEX ebp
    pop eax
    SAY_HEX eax
    END_LINE
    add ebp, 4096
    cmp ebp, 0x100000
    jb .page
    ret

section .bss
last_leaf: resd 1
