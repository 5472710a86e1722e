; The same loops in each mode of the processor, to measure what an engine executes in a second: real mode, 16-bit and 32-bit
; protected mode, 32-bit protected mode with paging, 64-bit mode. Between two lines on COM1, as in guest.S:
;     begin MODE-KIND
;     end MODE-KIND COUNT
; COUNT is the number of instructions of the loop. It stands on the start, the tables and the exit of the bare guests
; (tests/guests/common.inc and long.inc), and ends with status 0x21.
%include "common.inc"
%include "long.inc"

COM1 equ 0x3F8
CODE16 equ 0x30                        ; gdt_free: segments of 64 KiB at 0
DATA16 equ 0x38
ROUNDS equ 4000000
FAR_ROUNDS equ 500000
buffer equ 0x4000                      ; not on a page with code

; What the loops have in common. A, B, D: accumulator, address, data of the mode's size; EBP counts.
%macro BEGIN_LOOP 1
%1:
    mov ebp, ROUNDS
.again:
%endmacro
%macro END_LOOP 0
    dec ebp
    jnz .again
    ret
%endmacro

; LOOPS prefix of the labels, A, B, D, source index, destination index, counter
%macro LOOPS 7
BEGIN_LOOP %1_arithmetic               ; 14
    add %2, %4
    xor %4, %2
    rol %2, 3
    sub %4, %2
    inc %2
    and %2, %4
    shr %4, 1
    neg %2
    cmp %2, %4
    adc %4, 7
    test %2, 1
    or %4, %2
    END_LOOP
BEGIN_LOOP %1_memory                   ; 12
    mov %3, buffer
    mov %2, [%3]
    add %2, 5
    mov [%3 + 8], %2
    add [%3 + 16], %4
    mov %4, [%3 + 24]
    push %2
    pop %4
    inc word [%3 + 32]
    mov byte [%3 + 40], 1
    END_LOOP
BEGIN_LOOP %1_calls                    ; 9
    call .callee
    call .callee
    call .callee
    nop
    END_LOOP
.callee:
    ret
BEGIN_LOOP %1_strings                  ; 11
    mov %5, buffer
    mov %6, buffer + 256
    mov %7, 16
    rep movsb
    lodsw
    stosw
    movsw
    mov %7, 8
    rep stosw
    END_LOOP
%1_far:                                ; 6
    mov ebp, FAR_ROUNDS
.again:
    call far [%1_pointer]
    call far [%1_pointer]
    END_LOOP
.callee:
    retf
%endmacro

section .low
bits 16
saved_esp: dd 0
routine: dd 0
code16_pointer: dw code16_far.callee, 0
LOOPS code16, ax, bx, dx, si, di, cx

; From 32-bit code, with [routine] to be called in 16-bit code of protected mode.
to_16:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    mov word [code16_pointer + 2], CODE16
    call [routine]
back:
    jmp dword KERNEL_CS:back_in_32
; The same in real mode.
to_real:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr0
    and eax, ~1
    mov cr0, eax
    jmp 0:.real
.real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    mov [code16_pointer + 2], ax
    call [routine]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    jmp back

section .text
bits 32
LOOPS code32, eax, ebx, edx, esi, edi, ecx
code32_pointer:
    dd code32_far.callee
    dw KERNEL_CS
back_in_32:
    mov ax, KERNEL_DS
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, [saved_esp]
    ret
run_16:
    mov [saved_esp], esp
    jmp CODE16:to_16
run_real:
    mov [saved_esp], esp
    jmp CODE16:to_real
run_32:
run_paged32:
    jmp [routine]

; MEASURE mode, kind, instructions of all rounds, routine: begin, run and end.
%macro MEASURE 4
%defstr mode %1
%defstr kind %2
    mov esi, %%begin
    call put_text
    mov dword [routine], %4
%if __?BITS?__ = 64
    call %4
%else
    call run_%1
%endif
    mov esi, %%end
    call put_text
section .data
%%begin: db 'begin ', mode, '-', kind, 10, 0
%%end:
    db 'end ', mode, '-', kind, ' '
    %defstr count %3
    db count, 10, 0
section .text
%endmacro
%macro MEASURE_ALL 2    ; mode, prefix of the routines
    MEASURE %1, arithmetic, 56000000, %2_arithmetic
    MEASURE %1, memory, 48000000, %2_memory
    MEASURE %1, calls, 36000000, %2_calls
    MEASURE %1, strings, 44000000, %2_strings
    MEASURE %1, far, 3000000, %2_far
%endmacro

; ESI: a text that ends with 0. The same bytes in 32-bit and 64-bit code.
put_text:
    lodsb
    test al, al
    jz .done
    mov ah, al
    mov edx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    mov al, ah
    mov edx, COM1
    out dx, al
    jmp put_text
.done:
    ret

extern low_start, low_end, low_image
test_main:
    mov esi, low_image
    mov edi, low_start
    mov ecx, low_end
    sub ecx, low_start
    rep movsb
    DESCRIPTOR CODE16, 0, 0xFFFF, 0x9B, 0
    DESCRIPTOR DATA16, 0, 0xFFFF, 0x93, 0
    MEASURE_ALL real, code16
    MEASURE_ALL 16, code16
    MEASURE_ALL 32, code32
    call page_32
    MEASURE_ALL paged32, code32
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    call enter_long
bits 64
    MEASURE_ALL 64, code64
    mov esi, .done
    call put_text
    mov eax, 0x10
    jmp exit64
.done: db 'done', 10, 0

bits 32
page_32:                               ; 4 MiB pages, one to one
    xor ecx, ecx
    mov eax, 0x83
.entry:
    mov [directory_32 + ecx * 4], eax
    add eax, 1 << 22
    inc ecx
    cmp ecx, 1024
    jb .entry
    mov eax, cr4
    or eax, 1 << 4
    mov cr4, eax
    mov eax, directory_32
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    ret

bits 64
LOOPS code64, rax, rbx, rdx, rsi, rdi, rcx
code64_pointer:
    dd code64_far.callee
    dw KERNEL_CS64

section .bss
alignb 4096
directory_32: resb 4096
