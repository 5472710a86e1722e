; What it costs to leave for user space and come back, in cycles of the guest's TSC: one line for each way, "NAME CYCLES" in
; hexadecimal, for ROUNDS exits. exits.py runs it under banyan and under kvm_loop.
%include "common.inc"

ROUNDS equ 20000
FREE_PORT equ 0x80                     ; nothing is there
LINE_STATUS equ 0x3FD                  ; of the serial port
HOLE equ 0xD0000000                    ; neither memory nor a device

section .text
; name, instruction: EDX and EBX are free for it
%macro MEASURE 2+
    SAY %1
    mov edi, HOLE
    mov edx, LINE_STATUS
    mov ecx, ROUNDS / 10               ; what is done once is done
%%first:
    %2
    dec ecx
    jnz %%first
    rdtsc
    mov ebp, eax
    mov edx, LINE_STATUS
    mov ecx, ROUNDS
%%again:
    %2
    dec ecx
    jnz %%again
    rdtsc
    sub eax, ebp
    call print_hex
    mov al, 10
    out CON_PORT, al
%endmacro

test_main:
    MEASURE 'port_write ', out FREE_PORT, al
    MEASURE 'port_read ', in al, FREE_PORT
    MEASURE 'chip_read ', in al, dx
    MEASURE 'memory_write ', mov [edi], ecx
    MEASURE 'memory_read ', mov ebx, [edi]
    ret
