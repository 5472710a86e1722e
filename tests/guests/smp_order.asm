; The order of loads and stores as CPUs see it of each other, by litmus tests: what Intel SDM vol. 3 sections 9.2.2, 9.2.3
; and 9.3 forbid must never be seen. (What plain SB and R allow may be seen or not.)
; cpus: 2 4
; qemu: whether its CPUID is a fence was not looked into
%include "smp64.inc"

CELLS equ 2048                         ; rounds of a batch: each has an X and a Y of its own
BATCHES equ 8
LINE equ 64
X equ 0x1000000
Y equ 0x1100000
RESULTS equ 0x1200000                  ; RAX and RDX of each round, for each CPU
RESULTS_SIZE equ 0x10000
PAIR equ 0x400000                      ; from one pair of CPUs to the next
SPINS equ 60                           ; how long one waits for the other before a round

; The steps of a thread. RSI: X, RDI: Y.
%macro OP_WX1 0
    mov qword [rsi], 1
%endmacro
%macro OP_WX2 0
    mov qword [rsi], 2
%endmacro
%macro OP_WY1 0
    mov qword [rdi], 1
%endmacro
%macro OP_WY2 0
    mov qword [rdi], 2
%endmacro
%macro OP_AX 0
    mov rax, [rsi]
%endmacro
%macro OP_AY 0
    mov rax, [rdi]
%endmacro
%macro OP_DX 0
    mov rdx, [rsi]
%endmacro
%macro OP_DY 0
    mov rdx, [rdi]
%endmacro
%macro OP_MFENCE 0
    mfence
%endmacro
%macro OP_LOCK 0
    lock add qword [rsp - 8], 0
%endmacro
%macro OP_XCHGX1 0
    mov eax, 1
    xchg [rsi], rax
%endmacro
%macro OP_XCHGY1 0
    mov eax, 1
    xchg [rdi], rax
%endmacro
%macro OP_CPUID 0
    xor eax, eax
    cpuid
%endmacro
%macro OP_CR3 0
    mov rax, cr3
    mov cr3, rax
%endmacro
%macro OP_INVLPG 0
    invlpg [rsp]
%endmacro
%macro OP_WRMSR 0
    mov ecx, 0xC0000102                ; IA32_KERNEL_GS_BASE
    xor eax, eax
    xor edx, edx
    wrmsr
%endmacro
%macro OP_LIDT 0
    lidt [idt64_pointer]
%endmacro
%macro OP_IRET 0
    mov rax, rsp
    push KERNEL_DS
    push rax
    pushfq
    push KERNEL_CS64
    push %%next
    iretq
%%next:
%endmacro

; STEPS step, step...
%macro STEPS 1-*
%rep %0
    OP_%1
%rotate 1
%endrep
%endmacro

; Thread of one CPU: its steps for all cells. R12: its progress, R13: that of the one it keeps up with.
%macro THREAD 1-*
    xor r10d, r10d
%%again:
    mov [r12], r10d
    mov r11d, SPINS
%%wait:
    cmp [r13], r10d
    jae %%go
    dec r11d
    jnz %%wait
%%go:
    STEPS %{1:-1}
    mov [r8], rax
    mov [r8 + 8], rdx
    add rsi, LINE
    add rdi, LINE
    add r8, 16
    inc r10d
    cmp r10d, CELLS
    jb %%again
    ret
%endmacro

; LITMUS2 label, {steps of one}, {steps of the other}: for each pair of CPUs.
%macro LITMUS2 3
%1:
    mov eax, r15d
    shr eax, 1
    mov ebx, r15d
    xor ebx, 1
    call thread_registers
    test r15d, 1
    jnz .other
    THREAD %2
.other:
    THREAD %3
%endmacro
; LITMUS4 label, {steps}...: for four CPUs.
%macro LITMUS4 5
%1:
    xor eax, eax
    lea ebx, [r15 + 1]
    and ebx, 3
    call thread_registers
    cmp r15d, 1
    je .one
    cmp r15d, 2
    je .two
    cmp r15d, 3
    je .three
    THREAD %2
.one:
    THREAD %3
.two:
    THREAD %4
.three:
    THREAD %5
%endmacro

; EAX: the pair; EBX: the CPU to keep up with.
thread_registers:
    imul eax, eax, PAIR
    lea rsi, [rax + X]
    lea rdi, [rax + Y]
    mov r8d, r15d
    imul r8, r8, RESULTS_SIZE
    add r8, RESULTS
    mov r12d, r15d
    shl r12d, 6
    add r12, progress
    mov r13d, ebx
    shl r13d, 6
    add r13, progress
    ret

; FORBID label, name, pairs of CPUs, place, value...: runs the threads and fails if all the places have their values after
; any round. RSI: X, RDI: Y, R8 to R11: results of CPUs 0 to 3, or of the two of this pair.
%macro FORBID 5-*
    mov r13d, BATCHES
%%batch:
    call clear
    push r13
    RUN %1
    pop r13
    xor r12d, r12d
%%pair:
    call result_registers
    mov ebx, CELLS
%%cell:
    %push litmus
    %define %$name %2
    %assign %$pairs %3
    %rotate 3
    %rep (%0 - 3) / 2
    cmp qword %1, %2
    jne %%good
    %rotate 2
    %endrep
    mov eax, ebx
    xor edx, edx
    mov esi, %%name
    jmp failed64
%%name: db %$name, 0
%%good:
    add rsi, LINE
    add rdi, LINE
%assign result 8
%rep 4
    add r%+result, 16
%assign result result + 1
%endrep
    dec ebx
    jnz %%cell
    inc r12d
    cmp r12d, %$pairs
    jb %%pair
    %pop
    dec r13d
    jnz %%batch
%endmacro

; R12: the pair.
result_registers:
    mov eax, r12d
    imul eax, eax, PAIR
    lea rsi, [rax + X]
    lea rdi, [rax + Y]
    mov r8d, r12d
    imul r8, r8, 2 * RESULTS_SIZE
    add r8, RESULTS
    lea r9, [r8 + RESULTS_SIZE]
    lea r10, [r9 + RESULTS_SIZE]
    lea r11, [r10 + RESULTS_SIZE]
    ret

clear:
    xor eax, eax
%assign number 0
%rep CPUS / 2
    mov edi, X + number * PAIR
    mov ecx, CELLS * LINE / 8
    rep stosq
    mov edi, Y + number * PAIR
    mov ecx, CELLS * LINE / 8
    rep stosq
%assign number number + 1
%endrep
    mov edi, progress
    mov ecx, CPUS * 8
    rep stosq
    ret

LITMUS2 mp, {WX1, WY1}, {AY, DX}
LITMUS2 lb, {AX, WY1}, {AY, WX1}
LITMUS2 s, {WX2, WY1}, {AY, WX1}
LITMUS2 r, {WX1, WY1}, {WY2, MFENCE, AX}
LITMUS2 w22, {WX1, WY2}, {WY1, WX2}
LITMUS2 sb, {WX1, AY}, {WY1, AX}
LITMUS2 sb_mfence, {WX1, MFENCE, AY}, {WY1, MFENCE, AX}
LITMUS2 sb_lock, {WX1, LOCK, AY}, {WY1, LOCK, AX}
LITMUS2 sb_xchg, {XCHGX1, AY}, {XCHGY1, AX}
LITMUS2 sb_cpuid, {WX1, CPUID, AY}, {WY1, CPUID, AX}
LITMUS2 sb_cr3, {WX1, CR3, AY}, {WY1, CR3, AX}
LITMUS2 sb_invlpg, {WX1, INVLPG, AY}, {WY1, INVLPG, AX}
LITMUS2 sb_wrmsr, {WX1, WRMSR, AY}, {WY1, WRMSR, AX}
LITMUS2 sb_lidt, {WX1, LIDT, AY}, {WY1, LIDT, AX}
LITMUS2 sb_iret, {WX1, IRET, AY}, {WY1, IRET, AX}
%if CPUS = 4
LITMUS4 iriw, {WX1}, {WY1}, {AX, DY}, {AY, DX}
%endif

%macro FORBID_SB 2
    FORBID %1, %2, CPUS / 2, [r8], 0, [r9], 0
%endmacro
cpu_main:
    RUN sb                             ; both may see 0
    FORBID mp, 'MP: the flag before the message', CPUS / 2, [r9], 1, [r9 + 8], 0
    FORBID lb, 'LB: loads of what is stored later', CPUS / 2, [r8], 1, [r9], 1
    FORBID s, 'S: a store before what was read', CPUS / 2, [r9], 1, [rsi], 2
    FORBID r, 'R with MFENCE', CPUS / 2, [r9], 0, [rdi], 2
    FORBID w22, '2+2W: stores in two orders', CPUS / 2, [rsi], 1, [rdi], 1
    FORBID_SB sb_mfence, 'SB with MFENCE'
    FORBID_SB sb_lock, 'SB with LOCK'
    FORBID_SB sb_xchg, 'SB with XCHG'
    FORBID_SB sb_cpuid, 'SB with CPUID'
    FORBID_SB sb_cr3, 'SB with MOV to CR3'
    FORBID_SB sb_invlpg, 'SB with INVLPG'
    FORBID_SB sb_wrmsr, 'SB with WRMSR'
    FORBID_SB sb_lidt, 'SB with LIDT'
    FORBID_SB sb_iret, 'SB with IRET'
%if CPUS = 4
    FORBID iriw, 'IRIW: two orders of two stores', 1, [r10], 1, [r10 + 8], 0, [r11], 1, [r11 + 8], 0
%endif
    ret

section .bss
alignb 64
progress: resb CPUS * 64
